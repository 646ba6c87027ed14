"""One HTTP request and its answer, as they went over the wire: for the terminal, and for the playground's page."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from requests import Response

FORM = "application/x-www-form-urlencoded"
_ASKED = ("Accept", "Authorization", "Content-Type", "User-Agent")
_ANSWERED = ("Cache-Control", "Content-Type", "Retry-After", "WWW-Authenticate")
_TOKEN = re.compile(r"\b(o(?:rt|at)_[\w-]{5})[\w-]+([\w-]{4})")
_LONG_VALUE = re.compile(r"\b((?:code|code_verifier|client_secret)=[\w-]{5})[\w-]+([\w-]{4})")
_BASIC = re.compile(r"(Basic [\w+/]{5})[\w+/=]+")


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """What was asked and what was answered, of the headers those that matter here; ``note`` is for the reader."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str
    status: int
    answer_headers: Mapping[str, str] = field(default_factory=dict)
    answer: str
    note: str = ""

    @property
    def curl(self) -> str:
        """Return a line that a reader can paste to send the same request again; it holds the secrets in full."""
        headers = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in self.headers.items() if value != FORM]
        body = ["-d", shlex.quote(self.body)] if self.body else []
        return " ".join(["curl", *headers, *body, shlex.quote(self.url)])

    @property
    def status_line(self) -> str:
        return f"HTTP {self.status} {HTTPStatus(self.status).phrase}"

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def is_success(self) -> bool:
        return self.status < HTTPStatus.BAD_REQUEST

    @property
    def asked_text(self) -> str:
        """Return the request as a person reads it: secrets are shortened, a form has a line for each value."""
        line = f"{self.method} {self.url}".replace("&", "\n  &")
        body = self.body.replace("&", "\n&")
        return shortened(f"{line}\n{_lines(self.headers)}\n\n{body}".strip())

    @property
    def answer_text(self) -> str:
        """Return the answer as a person reads it: secrets are shortened, JSON is indented."""
        return shortened(f"{self.status_line}\n{_lines(self.answer_headers)}\n\n{self.indented_answer}".strip())

    @property
    def indented_answer(self) -> str:
        try:
            return json.dumps(json.loads(self.answer), indent=2, ensure_ascii=False)
        except ValueError:
            return self.answer


def recorded(response: Response) -> Exchange:
    """Return the exchange that ended with this answer of ``requests``."""
    request = response.request
    body = request.body or ""
    return Exchange(
        method=request.method or "",
        url=request.url or "",
        headers={name: str(request.headers[name]) for name in _ASKED if name in request.headers},
        body=body.decode() if isinstance(body, bytes) else str(body),
        status=response.status_code,
        answer_headers={name: response.headers[name] for name in _ANSWERED if name in response.headers},
        answer=response.text,
    )


def shortened(text: str) -> str:
    """Return the text with the middle of every token, code and secret left out."""
    text = _BASIC.sub(r"\1…", text)
    return _LONG_VALUE.sub(r"\1…\2", _TOKEN.sub(r"\1…\2", text))


def _lines(headers: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers.items())
