"""The accounts of the demonstration. Their secrets are public, so they are created only while DEBUG is on.

This module imports nothing of the server: the playground's client uses it, and knows no more than its registration.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

SCOPE = "PRODUCTION SANDBOX notes:read notes:write"


@dataclass(frozen=True, kw_only=True)
class DemoUser:
    username: str
    password: str
    is_admin: bool = False


@dataclass(frozen=True, kw_only=True)
class DemoApplication:
    """An application with fixed credentials. Without a secret it is a public application."""

    name: str
    client_id: str
    secret: str | None = None
    grant_types: str = "client_credentials password refresh_token"
    redirect_uris: str = ""
    scope: str = SCOPE
    access_token_lifetime: timedelta | None = None
    retry_window: timedelta | None = None
    is_resource_server: bool = False

    @property
    def auth_method(self) -> str:
        """Return its ``token_endpoint_auth_method`` (RFC 7591 §2)."""
        return "none" if self.secret is None else "client_secret_basic"


USER = DemoUser(username="demo", password="demo-user-password")
ADMIN = DemoUser(username="admin", password="demo-admin-password", is_admin=True)

# The credentials of the first two are those in the documentation of WSO2 and Tyk, so its requests work as printed.
WSO2 = DemoApplication(
    name="WSO2 sample application",
    client_id="IZsIi6HDbB5e8VKdZAnUi_fZ3f8a",
    secret="Gm0bJ6oWV8fC5OQLLlC6jslACW8a",
)
TYK = DemoApplication(
    name="Tyk sample application",
    client_id="ed59158fa2344e94b3e6278e8ab85142",
    secret="MGQ3NzE2MGQtYTUyZC00ZTVlLWJjMTItMjE2MTM1MmE3N2M1",
)
ORACLE = DemoApplication(
    name="Oracle sample application", client_id="oracle-sample", secret="public-secret-of-the-oracle-sample"
)
ORACLE_PUBLIC = DemoApplication(
    name="Oracle sample application, public", client_id="oracle-sample-public", grant_types="password refresh_token"
)
APPLICATIONS = (WSO2, TYK, ORACLE, ORACLE_PUBLIC)

_PLAYGROUND: dict[str, Any] = {
    "grant_types": "authorization_code refresh_token",
    # The port of a loopback redirect URI is not compared (RFC 8252 §7.3), so ``manage.py demo --port`` needs no other.
    "redirect_uris": "http://127.0.0.1/playground/callback",
    "scope": "notes:read notes:write",
    "access_token_lifetime": timedelta(minutes=2),  # short enough to see it expire
}
PLAYGROUND_STRICT = DemoApplication(
    name="Notebook", client_id="playground", secret="public-secret-of-the-playground", **_PLAYGROUND
)
PLAYGROUND_RETRY = DemoApplication(
    name="Notebook with a retry window",
    client_id="playground-retry",
    secret="public-secret-of-the-playground-with-retry",
    retry_window=timedelta(seconds=30),
    **_PLAYGROUND,
)
FAR_API = DemoApplication(
    name="API on another machine",
    client_id="far-api",
    secret="public-secret-of-the-far-api",
    grant_types="client_credentials",
    scope="",
    is_resource_server=True,
)
ALL_APPLICATIONS = (*APPLICATIONS, PLAYGROUND_STRICT, PLAYGROUND_RETRY, FAR_API)
