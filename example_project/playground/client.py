"""The demonstration's OAuth client: made with Authlib, it talks HTTP to the server as any other program does."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from requests import RequestException, Response

from example_project.demo.accounts import DemoApplication
from example_project.wire import Exchange, recorded

SECONDS = 10
"""How long to wait for an answer. A server that serves one request at a time would never answer its own page."""

METADATA = "/.well-known/oauth-authorization-server"
Pair = dict[str, Any]
"""What the token endpoint answers, and ``expires_at``, which Authlib works out."""


class Refused(Exception):
    """The server said no; the text is its word for why (RFC 6749 §5.2)."""


class Unreachable(Exception):
    """No answer came, or none in time, or nothing that could be understood."""


class DemoClient:
    """A confidential client. ``exchanges`` collects what goes over the wire; ``program`` is how it calls itself."""

    def __init__(self, application: DemoApplication, *, program: str, server: Mapping[str, str] | None = None) -> None:
        self.application = application
        self.program = program
        self.server = dict(server or {})
        self.exchanges: list[Exchange] = []

    def discover(self, issuer: str) -> None:
        """Ask the server for its addresses (RFC 8414)."""
        with _plain_errors(), self._session() as session:
            answer = session.get(issuer + METADATA, withhold_token=True)
            answer.raise_for_status()
            self.server = {name: value for name, value in answer.json().items() if isinstance(value, str)}
        if self.server.get("issuer") != issuer:
            raise Unreachable("The server calls itself otherwise.")

    def authorization_url(self, *, redirect_uri: str, state: str, verifier: str) -> str:
        """Return where to send the browser: with ``state``, and the challenge that ``verifier`` will answer."""
        with self._session(redirect_uri=redirect_uri, scope=self.application.scope) as session:
            url, _state = session.create_authorization_url(
                self.server["authorization_endpoint"], state=state, code_verifier=verifier
            )
        return str(url)

    def redeem(self, code: str, *, redirect_uri: str, verifier: str) -> Pair:
        """Trade the code for a first pair (RFC 6749 §4.1.3, RFC 7636 §4.5)."""
        with _plain_errors(), self._session(redirect_uri=redirect_uri) as session:
            return dict(session.fetch_token(self.server["token_endpoint"], code=code, code_verifier=verifier))

    def refresh(self, refresh_token: str, *, scope: str | None = None) -> Pair:
        """Trade the refresh token for the next pair (RFC 6749 §6), perhaps with a narrower access token."""
        narrowed = {} if scope is None else {"scope": scope}
        with _plain_errors(), self._session() as session:
            return dict(session.refresh_token(self.server["token_endpoint"], refresh_token, **narrowed))

    def revoke(self, token: str) -> None:
        """End the session that the token belongs to (RFC 7009)."""
        with _plain_errors(), self._session() as session:
            answer = session.revoke_token(self.server["revocation_endpoint"], token)
            if answer.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED):
                raise Refused(answer.json()["error"])
            answer.raise_for_status()

    def call(self, url: str, *, access_token: str, json: Mapping[str, str] | None = None) -> int:
        """GET, or with ``json`` POST, and return the status."""
        # Authlib is not told when the token expires: the API shall say so.
        token = {"access_token": access_token, "token_type": "Bearer"}
        with _plain_errors(), self._session(token=token) as session:
            answer = session.get(url) if json is None else session.post(url, json=json)
        if answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unreachable(f"The API answered {answer.status_code}.")
        return int(answer.status_code)

    def _session(self, **options: Any) -> OAuth2Session:
        application = self.application
        session = OAuth2Session(
            application.client_id,
            application.secret,
            token_endpoint_auth_method=application.auth_method,
            revocation_endpoint_auth_method=application.auth_method,
            code_challenge_method="S256",
            default_timeout=SECONDS,
            **options,
        )
        session.trust_env = False  # no proxy stands between the server and itself
        session.headers["User-Agent"] = self.program
        session.hooks["response"].append(self._record)
        return session

    def _record(self, response: Response, **_options: Any) -> None:
        self.exchanges.append(recorded(response))


def new_secret() -> str:
    """Return a text that nobody can guess, for ``state`` and for the verifier of PKCE."""
    return str(generate_token(48))


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except AuthlibBaseError as error:
        raise Refused(error.error) from error
    except RequestException as error:
        raise Unreachable(type(error).__name__) from error
