"""The OAuth client of the demonstration: made with Authlib, it sends HTTP requests to the server like any other."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from authlib.common.errors import AuthlibBaseError
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from requests import RequestException, Response

from example_project.demo.accounts import DemoApplication
from example_project.http_log import Exchange, exchange_of

TIMEOUT = 10
"""Seconds. Without it a server that handles one request at a time would wait for itself for ever."""

METADATA = "/.well-known/oauth-authorization-server"
TokenPair = dict[str, Any]
"""The response of the token endpoint, and ``expires_at``, which Authlib adds."""


class Refused(Exception):
    """The server refused the request; the message is its ``error`` code (RFC 6749 §5.2)."""


class Unreachable(Exception):
    """There was no response in time, or none that the client understands."""


class DemoClient:
    """A confidential client. ``exchanges`` collects its requests and their responses."""

    def __init__(
        self, application: DemoApplication, *, user_agent: str, server: Mapping[str, str] | None = None
    ) -> None:
        self.application = application
        self.user_agent = user_agent
        self.server = dict(server or {})
        self.exchanges: list[Exchange] = []

    def discover(self, issuer: str) -> None:
        """Read the server's endpoints from its metadata (RFC 8414 §3)."""
        with _plain_errors(), self._session() as session:
            response = session.get(issuer + METADATA, withhold_token=True)
            response.raise_for_status()
            self.server = {name: value for name, value in response.json().items() if isinstance(value, str)}
        if self.server.get("issuer") != issuer:  # RFC 8414 §3.3
            raise Unreachable("The metadata names another issuer.")

    def authorization_url(self, *, redirect_uri: str, state: str, verifier: str, resources: Sequence[str]) -> str:
        """Return the address for the browser, with ``state`` and the challenge of the PKCE ``verifier``.

        ``resources``: the APIs that the tokens are to be for (RFC 8707 §2).
        """
        with self._session(redirect_uri=redirect_uri, scope=self.application.scope) as session:
            url, _state = session.create_authorization_url(
                self.server["authorization_endpoint"], state=state, code_verifier=verifier, resource=[*resources]
            )
        return str(url)

    def redeem(self, code: str, *, redirect_uri: str, verifier: str) -> TokenPair:
        """Exchange the code for the first pair (RFC 6749 §4.1.3, RFC 7636 §4.5)."""
        with _plain_errors(), self._session(redirect_uri=redirect_uri) as session:
            return dict(session.fetch_token(self.server["token_endpoint"], code=code, code_verifier=verifier))

    def refresh(self, refresh_token: str, *, scope: str | None = None) -> TokenPair:
        """Exchange the refresh token for a new pair (RFC 6749 §6), optionally with a narrower scope."""
        narrowed = {} if scope is None else {"scope": scope}
        with _plain_errors(), self._session() as session:
            return dict(session.refresh_token(self.server["token_endpoint"], refresh_token, **narrowed))

    def revoke(self, token: str) -> None:
        """Revoke the token and its grant (RFC 7009 §2)."""
        with _plain_errors(), self._session() as session:
            response = session.revoke_token(self.server["revocation_endpoint"], token)
            if response.status_code in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED):
                raise Refused(response.json()["error"])
            response.raise_for_status()

    def call(self, url: str, *, access_token: str, json: Mapping[str, Any] | None = None) -> int:
        """Call the API, by POST if there is ``json``, and return the status."""
        # Without expires_at Authlib sends an expired token too, so that the API's refusal can be seen.
        token = {"access_token": access_token, "token_type": "Bearer"}
        with _plain_errors(), self._session(token=token) as session:
            response = session.get(url) if json is None else session.post(url, json=json)
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unreachable(f"The API responded with {response.status_code}.")
        return int(response.status_code)

    def _session(self, **options: Any) -> OAuth2Session:
        application = self.application
        session = OAuth2Session(
            application.client_id,
            application.secret,
            token_endpoint_auth_method=application.auth_method,
            revocation_endpoint_auth_method=application.auth_method,
            code_challenge_method="S256",
            default_timeout=TIMEOUT,
            **options,
        )
        session.trust_env = False  # a proxy in the environment is not meant for the loopback address
        session.headers["User-Agent"] = self.user_agent
        session.hooks["response"].append(self._record)
        return session

    def _record(self, response: Response, **_options: Any) -> None:
        self.exchanges.append(exchange_of(response))


def new_secret() -> str:
    """Return a random text, for ``state`` (RFC 6749 §10.12) or for a PKCE verifier (RFC 7636 §4.1)."""
    return str(generate_token(48))


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except AuthlibBaseError as error:
        raise Refused(error.error) from error
    except RequestException as error:
        raise Unreachable(type(error).__name__) from error
