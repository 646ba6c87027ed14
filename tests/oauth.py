"""A client of the server: it holds credentials and tokens, and sends requests as an OAuth library does."""

import base64
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus, urlencode

from django.test import Client
from django.urls import reverse

from oauth_refresh.models import Application, Grant
from oauth_refresh.services import issue_tokens

FORM = "application/x-www-form-urlencoded"


def basic(client_id: str, secret: str) -> str:
    """Return the Authorization value of RFC 6749 §2.3.1: both halves form-encoded, then base64."""
    return raw_basic(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode())


def raw_basic(user_pass: bytes) -> str:
    return "Basic " + base64.b64encode(user_pass).decode()


def post_form(
    endpoint: str, parameters: dict[str, Any] | str, *, authorization: str | None = None, **extra: Any
) -> Any:
    """POST a form to ``token`` or ``revoke``; ``parameters`` may be a ready body."""
    body = parameters if isinstance(parameters, str) else urlencode(parameters, doseq=True)
    headers = dict(extra.pop("headers", {}))
    if authorization is not None:
        headers["Authorization"] = authorization
    client = extra.pop("client", None) or Client(raise_request_exception=False)
    content_type = extra.pop("content_type", FORM)
    return client.post(
        reverse(f"oauth_refresh:{endpoint}"), data=body, content_type=content_type, headers=headers, **extra
    )


def read_issued(response: Any, *, scope: str = "notes:read notes:write") -> dict[str, Any]:
    """Assert that a response issues an access and a refresh token with the default lifetimes; return its members."""
    assert response.status_code == HTTPStatus.OK, response.content
    body: dict[str, Any] = response.json()
    assert body == {
        "access_token": body["access_token"],
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token": body["refresh_token"],
        "refresh_token_expires_in": 1209600,
        "scope": scope,
    }
    return body


@dataclass
class OAuthClient:
    """A client of ``application``; without a secret it is public and only names itself."""

    application: Application
    secret: str | None = None
    access_token: str = ""
    refresh_token: str = ""
    grant: Grant | None = None

    @property
    def credentials(self) -> dict[str, str]:
        return {} if self.secret is not None else {"client_id": self.application.client_id}

    @property
    def authorization(self) -> str | None:
        return None if self.secret is None else basic(self.application.client_id, self.secret)

    def start(
        self, *, user: Any, scope: str = "notes:read notes:write", resources: tuple[str, ...] = ()
    ) -> "OAuthClient":
        """Start a grant for ``user`` and hold its tokens."""
        issued = issue_tokens(self.application, user=user, grant_type="password", scope=scope, resources=resources)
        self.access_token, self.refresh_token = issued.access_token, issued.refresh_token or ""
        self.grant = issued.grant
        return self

    def token(self, **parameters: Any) -> Any:
        return post_form("token", {**self.credentials, **parameters}, authorization=self.authorization)

    def refresh(self, raw_refresh_token: str | None = None, **parameters: Any) -> Any:
        """Send a refresh request and return the response; the client keeps its old tokens."""
        presented = self.refresh_token if raw_refresh_token is None else raw_refresh_token
        return self.token(grant_type="refresh_token", refresh_token=presented, **parameters)

    def rotate(self, **parameters: Any) -> dict[str, Any]:
        """Refresh, which must succeed, and hold the new tokens; return the body."""
        return self.hold(self.refresh(**parameters))

    def hold(self, response: Any) -> dict[str, Any]:
        """Hold the tokens of a token response, which must be a success; return its body."""
        assert response.status_code == 200, response.content
        body: dict[str, Any] = response.json()
        self.access_token, self.refresh_token = body["access_token"], body.get("refresh_token", self.refresh_token)
        return body

    def revoke(self, token: str, **parameters: str) -> Any:
        return post_form("revoke", {**self.credentials, "token": token, **parameters}, authorization=self.authorization)
