"""HTTP as it goes over the wire, printed as curl lines that a reader can paste."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote_plus, urlencode
from urllib.request import Request, urlopen

from example_project.wire import FORM, Exchange


class UnexpectedAnswer(Exception):
    """The server did not answer as the story says."""


def basic(client_id: str, secret: str) -> str:
    """Return an Authorization value; both halves are form-encoded first (RFC 6749 §2.3.1)."""
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


@dataclass(frozen=True, kw_only=True)
class Wire:
    """A connection to the server at ``origin``; every exchange is told to ``write``."""

    origin: str
    write: Callable[[str], object]

    def post(
        self,
        path: str,
        parameters: dict[str, str],
        *,
        authorization: str | None = None,
        content_type: str = FORM,
        expect: HTTPStatus = HTTPStatus.OK,
    ) -> dict[str, Any]:
        """POST a form and return the JSON answer, {} if empty. Raises UnexpectedAnswer for another status."""
        url, body = self.origin + path, urlencode(parameters)
        headers = {"Content-Type": content_type} | ({"Authorization": authorization} if authorization else {})
        request = Request(url, data=body.encode(), headers=headers)  # noqa: S310  our own server
        try:
            with urlopen(request, timeout=30) as response:  # noqa: S310
                status, text = response.status, response.read().decode()
        except HTTPError as refusal:
            status, text = refusal.code, refusal.read().decode()
        answer = json.loads(text) if text else {}
        self._tell(Exchange(method="POST", url=url, headers=headers, body=body, status=status, answer=text))
        if status != expect:
            raise UnexpectedAnswer(f"{url} answered {status}, not {expect}.")
        return dict(answer)

    def _tell(self, exchange: Exchange) -> None:
        for line in (exchange.curl, exchange.status_line, exchange.indented_answer or "(empty)", ""):
            self.write(line)
