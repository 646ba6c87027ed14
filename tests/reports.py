"""What administrators and logs get to see of a request, and the search for raw values in it."""

import base64
import re
from collections.abc import Iterable
from logging import LogRecord
from typing import Any
from urllib.parse import quote_plus

from django.utils.functional import cached_property
from django.utils.log import AdminEmailHandler
from django.views.debug import ExceptionReporter

from oauth_refresh import crypto

_RUN = re.compile(r"[A-Za-z0-9_-]{43,}")
_LENGTHS = (43, 47, 96)  # of a client secret, an access token and a refresh token


class CachedReporter(ExceptionReporter):
    """Collects each frame's locals once for both forms of a report: that takes most of the time."""

    @cached_property
    def traceback_data(self) -> dict[str, Any]:
        return super().get_traceback_data()

    def get_traceback_data(self) -> dict[str, Any]:
        return self.traceback_data.copy()


class Reports(AdminEmailHandler):
    """Keeps every log record, and what would be mailed to the administrators: the request, and each frame's locals."""

    def __init__(self) -> None:
        super().__init__(include_html=True, reporter_class=f"{__name__}.CachedReporter")
        self.records: list[LogRecord] = []
        self.mails: list[str | None] = []

    def emit(self, record: LogRecord) -> None:
        self.records.append(record)
        super().emit(record)

    def send_mail(self, subject: str, message: str, *args: Any, html_message: str | None = None, **kwargs: Any) -> None:
        self.mails += [subject, message, html_message]


def encodings(raw: str) -> set[str]:
    """Return a raw value as it is, and as it stands in a form and in a Basic header."""
    return {raw, quote_plus(raw), base64.b64encode(raw.encode()).decode().rstrip("=")}


def raw_values_in(text: str, digests: Iterable[str]) -> list[str]:
    """Return each piece of ``text`` that has one of the digests, for raw values that the test never held."""
    pieces = {
        run[start : start + length]
        for run in _RUN.findall(text)
        for length in _LENGTHS
        for start in range(len(run) - length + 1)
    }
    return sorted(piece for piece in pieces if crypto.digest(piece) in digests)
