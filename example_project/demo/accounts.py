"""The accounts of the demonstration. Everybody knows their secrets, so they exist only while DEBUG is on.

Nothing of the server is imported here: this is what a client was told when it was registered.
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
    """An application with the credentials that a vendor's documentation prints; no secret: a public one."""

    name: str
    client_id: str
    secret: str | None = None
    grant_types: str = "client_credentials password refresh_token"
    redirect_uris: str = ""
    scope: str = SCOPE
    access_token_lifetime: timedelta | None = None
    retry_window: timedelta | None = None

    @property
    def auth_method(self) -> str:
        """Return how it authenticates, as RFC 7591 §2 names it."""
        return "none" if self.secret is None else "client_secret_basic"


USER = DemoUser(username="demo", password="refresh-me-gently")
ADMIN = DemoUser(username="admin", password="stop-that-thief", is_admin=True)

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
    name="Oracle sample application", client_id="oracle-sample", secret="known-to-everybody-who-reads-this"
)
ORACLE_PUBLIC = DemoApplication(
    name="Oracle sample application, public", client_id="oracle-sample-public", grant_types="password refresh_token"
)
APPLICATIONS = (WSO2, TYK, ORACLE, ORACLE_PUBLIC)

# What the playground's client is registered as. On a loopback address any port will do (RFC 8252 §7.3).
_PLAYGROUND: dict[str, Any] = {
    "grant_types": "authorization_code refresh_token",
    "redirect_uris": "http://127.0.0.1/playground/callback",
    "scope": "notes:read notes:write",
    "access_token_lifetime": timedelta(minutes=2),  # so that one sees it expire
}
STRICT = DemoApplication(
    name="Notebook", client_id="playground", secret="not-secret-at-all-it-is-a-playground", **_PLAYGROUND
)
PATIENT = DemoApplication(
    name="Notebook with a retry window",
    client_id="playground-patient",
    secret="not-secret-at-all-it-is-a-patient-one",
    retry_window=timedelta(seconds=30),
    **_PLAYGROUND,
)
