"""An HTTP client that prints each request and its response: on two short lines, or in full."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import parse_qsl, quote_plus, urlencode
from urllib.request import Request, urlopen

from example_project.http_log import FORM, Exchange, shorten_secrets

_WIDTH = 70


class UnexpectedResponse(Exception):
    """The server did not respond with the status that the demonstration expects."""


def basic(client_id: str, secret: str) -> str:
    """Return the value of an Authorization header; both parts are form-encoded first (RFC 6749 §2.3.1)."""
    return "Basic " + base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()


@dataclass(frozen=True, kw_only=True)
class PrintingClient:
    """Sends requests to the server at ``origin``, and passes the lines that describe them to ``write``.

    ``verbose``: as a curl command line, with all secrets, and the whole response.
    """

    origin: str
    write: Callable[[str], object]
    verbose: bool = False

    def post(
        self,
        path: str,
        parameters: dict[str, str],
        *,
        authorization: str | None = None,
        content_type: str = FORM,
        expect: HTTPStatus = HTTPStatus.OK,
    ) -> dict[str, Any]:
        """POST a form and return the JSON response, {} if it is empty. Raises UnexpectedResponse on another status."""
        url, body = self.origin + path, urlencode(parameters)
        headers = {"Content-Type": content_type} | ({"Authorization": authorization} if authorization else {})
        request = Request(url, data=body.encode(), headers=headers)  # noqa: S310  our own server
        try:
            with urlopen(request, timeout=30) as response:  # noqa: S310
                status, text = response.status, response.read().decode()
        except HTTPError as error:
            status, text = error.code, error.read().decode()
        self._print(Exchange(method="POST", url=url, headers=headers, body=body, status=status, response_body=text))
        if status != expect:
            raise UnexpectedResponse(f"{url} responded with {status}, not {expect}.")
        return dict(json.loads(text)) if text else {}

    def _print(self, exchange: Exchange) -> None:
        if self.verbose:
            lines = [exchange.curl, exchange.status_line, exchange.indented_body or "(empty)", ""]
        else:
            lines = [f"  {exchange.method} {exchange.path}  {_shortened(exchange.body)}", f"    {_answer(exchange)}"]
        for line in lines:
            self.write(line)


def _shortened(body: str) -> str:
    """Return the form's parameters that say what is asked for, each short."""
    wanted = ("grant_type", "refresh_token", "token", "scope")
    return _fit(" ".join(f"{name}={value}" for name, value in parse_qsl(body) if name in wanted))


def _answer(exchange: Exchange) -> str:
    body = json.loads(exchange.response_body or "{}")
    shown = {name: body[name] for name in ("error", "access_token", "refresh_token", "scope") if name in body}
    return _fit(" ".join([exchange.status_line, *(f"{name}={value}" for name, value in shown.items())]))


def _fit(text: str) -> str:
    """Return the text on one line of a terminal, the secrets shortened."""
    short = shorten_secrets(text)
    return short if len(short) <= _WIDTH else short[: _WIDTH - 1] + "…"
