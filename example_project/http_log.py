"""An HTTP request with its response, formatted for the terminal and for the playground's page."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from requests import Response

FORM = "application/x-www-form-urlencoded"
_REQUEST_HEADERS = ("Accept", "Authorization", "Content-Type", "User-Agent")
_RESPONSE_HEADERS = ("Cache-Control", "Content-Type", "Retry-After", "WWW-Authenticate")
_TOKEN = re.compile(r"\b(o(?:rt|at)_[\w-]{5})[\w-]+([\w-]{4})")
_LONG_VALUE = re.compile(r"\b((?:code|code_verifier|client_secret)=[\w-]{5})[\w-]+([\w-]{4})")
_BASIC = re.compile(r"(Basic [\w+/]{5})[\w+/=]+")


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """A request and its response, with the headers that matter for OAuth. ``note`` is shown beside them."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str
    status: int
    response_headers: Mapping[str, str] = field(default_factory=dict)
    response_body: str
    note: str = ""

    @property
    def curl(self) -> str:
        """Return a command line that sends the same request again. It contains the secrets in full."""
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
    def request_text(self) -> str:
        """Return the request for display: secrets shortened, form parameters on a line each."""
        line = f"{self.method} {self.url}".replace("&", "\n  &")
        body = self.body.replace("&", "\n&")
        return shorten_secrets(f"{line}\n{_lines(self.headers)}\n\n{body}".strip())

    @property
    def response_text(self) -> str:
        """Return the response for display: secrets shortened, JSON indented."""
        return shorten_secrets(f"{self.status_line}\n{_lines(self.response_headers)}\n\n{self.indented_body}".strip())

    @property
    def indented_body(self) -> str:
        """Return the body of the response, indented if it is JSON."""
        try:
            return json.dumps(json.loads(self.response_body), indent=2, ensure_ascii=False)
        except ValueError:
            return self.response_body


def exchange_of(response: Response) -> Exchange:
    """Return the exchange that this response of ``requests`` completed."""
    request = response.request
    body = request.body or ""
    return Exchange(
        method=request.method or "",
        url=request.url or "",
        headers={name: str(request.headers[name]) for name in _REQUEST_HEADERS if name in request.headers},
        body=body.decode() if isinstance(body, bytes) else str(body),
        status=response.status_code,
        response_headers={name: response.headers[name] for name in _RESPONSE_HEADERS if name in response.headers},
        response_body=response.text,
    )


def shorten_secrets(text: str) -> str:
    """Return the text without the middle part of each token, code and secret."""
    text = _BASIC.sub(r"\1…", text)
    return _LONG_VALUE.sub(r"\1…\2", _TOKEN.sub(r"\1…\2", text))


def _lines(headers: Mapping[str, str]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in headers.items())
