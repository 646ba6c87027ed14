"""Requests to the authorization server: each ends within a time, and its answer within a size."""

import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from urllib.parse import quote, urlsplit

import httpx

from oauth_refresh.resource_server.remote import answers
from oauth_refresh.resource_server.remote.answers import Introspection, Metadata, Page
from oauth_refresh.resource_server.remote.errors import CredentialsRefused, CursorRefused, Unavailable
from oauth_refresh.resource_server.remote.shared_calls import SharedCalls

METADATA_SECONDS = 300
"""How long metadata are used before they are read again."""
METADATA_RETRY_SECONDS = 10
_WELL_KNOWN = "/.well-known/oauth-authorization-server"
_LONGEST_BODY = 4 << 20  # a page of 1,000 entries has some 100 KB
_OUR_CREDENTIALS_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
# RuntimeError: the client was closed. ValueError: an address or a cursor that cannot be sent. OSError: a file of
# certificates that is not there.
_NO_ANSWER = (httpx.HTTPError, httpx.InvalidURL, OSError, RuntimeError, ValueError)
_CONNECTION_LOST = (httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer: status, body, and the Date header."""

    status: int
    body: bytes
    date: str | None


class AuthorizationServer:
    """The authorization server, asked with the credentials of this API. Every method may raise Unavailable."""

    def __init__(self, *, issuer: str, client_id: str, client_secret: str, timeout: float) -> None:
        self.issuer = issuer
        self._timeout = timeout
        pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"  # RFC 6749 §2.3.1
        self._credentials = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        self._metadata: Metadata | None = None
        self._metadata_until = 0.0
        self._shared_calls: SharedCalls[Metadata] = SharedCalls(longest=2 * timeout)

    def metadata(self) -> Metadata:
        """Return the endpoints, read from the issuer at first, and again every five minutes."""
        if self._metadata is not None and time.monotonic() < self._metadata_until:
            return self._metadata
        return self._shared_calls.run("metadata", self._renewed_metadata)

    def introspect(self, raw: str, *, resource: str | None) -> Introspection:
        """Ask about a token. Raises CredentialsRefused if this API may not ask."""
        answer = self._post(self.metadata().introspection_endpoint, {"token": raw})
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"The introspection endpoint answered with status {answer.status}.")
        now = datetime.now(tz=UTC)
        return answers.read_introspection(answer.body, resource=resource, date=answer.date, now=now)

    def revocations(self, *, after: str | None) -> Page:
        """Read a page of the feed; the present cursor without ``after``. Raises CredentialsRefused, CursorRefused."""
        form = {} if after is None else {"after": after}
        answer = self._post(self.metadata().revocations_endpoint, form)
        if answer.status == HTTPStatus.BAD_REQUEST and after is not None:
            raise CursorRefused("The feed refused the cursor.")
        if answer.status != HTTPStatus.OK:
            raise Unavailable(f"The feed answered with status {answer.status}.")
        return answers.read_page(answer.body)

    def close(self) -> None:
        """Close all connections. Requests after it raise Unavailable."""
        with suppress(OSError):  # as in _NO_ANSWER: there was none
            self._client.close()

    @cached_property
    def _client(self) -> httpx.Client:
        """The connections. Their number is limited by that of the threads that ask, so that the feed never waits."""
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
        # A redirect is not followed: it would send the secret and the token elsewhere.
        return httpx.Client(limits=limits, headers={"Accept": "application/json", "Accept-Encoding": "identity"})

    def _renewed_metadata(self) -> Metadata:
        """Read the metadata again; if that fails, go on with the former for a while."""
        parts = urlsplit(self.issuer)
        address = f"{parts.scheme}://{parts.netloc}{_WELL_KNOWN}{parts.path.rstrip('/')}"  # RFC 8414 §3.1
        try:
            answer = self._send("GET", address)
            if answer.status != HTTPStatus.OK:
                raise Unavailable(f"The metadata were answered with status {answer.status}.")
            self._metadata = answers.read_metadata(answer.body, issuer=self.issuer)
            self._metadata_until = time.monotonic() + METADATA_SECONDS
        except Unavailable:
            if self._metadata is None:
                raise
            self._metadata_until = time.monotonic() + METADATA_RETRY_SECONDS
        return self._metadata

    def _post(self, address: str, form: Mapping[str, str]) -> Answer:
        answer = self._send("POST", address, form=form, headers=self._credentials)
        if answer.status in _OUR_CREDENTIALS_REFUSED:
            raise CredentialsRefused(f"The authorization server answered with status {answer.status}.")
        return answer

    def _send(
        self, method: str, address: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] = {}
    ) -> Answer:
        deadline = time.monotonic() + self._timeout
        try:
            try:
                return self._send_once(method, address, form=form, headers=headers, deadline=deadline)
            except _CONNECTION_LOST:  # it was kept open, and the server has just closed it
                return self._send_once(method, address, form=form, headers=headers, deadline=deadline)
        except _NO_ANSWER as error:
            raise Unavailable(f"No answer of the authorization server: {type(error).__name__}.") from None

    def _send_once(
        self, method: str, address: str, *, form: Mapping[str, str] | None, headers: Mapping[str, str], deadline: float
    ) -> Answer:
        """Send a request and read its answer. The limit of httpx is for each part of it; ours is for all of it."""
        left = max(deadline - time.monotonic(), 0.001)
        request = self._client.build_request(method, address, data=form, headers=headers, timeout=left)
        response = self._client.send(request, stream=True)
        try:
            body = b""
            for chunk in response.iter_raw():
                body += chunk
                _require(len(body) <= _LONGEST_BODY and time.monotonic() <= deadline)
        finally:
            response.close()
        _require(time.monotonic() <= deadline)  # what comes late may be from before a revocation
        return Answer(status=response.status_code, body=body, date=response.headers.get("Date"))


def _require(is_within_limits: bool) -> None:
    if not is_within_limits:
        raise Unavailable("The answer of the authorization server was too long, or took too long.")
