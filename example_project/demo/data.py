"""The accounts of the demonstration. Everybody knows their secrets, so they exist only while DEBUG is on."""

from dataclasses import dataclass

from django.contrib.auth import get_user_model

from oauth_refresh import crypto
from oauth_refresh.models import Application, AuthMethod
from oauth_refresh.services.clients import create_application

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
ORACLE_PUBLIC = DemoApplication(name="Oracle sample application, public", client_id="oracle-sample-public")
APPLICATIONS = (WSO2, TYK, ORACLE, ORACLE_PUBLIC)


def create_demo_data() -> None:
    """Make sure that the demonstration's users and applications exist; an application gets its credentials back."""
    for person in (USER, ADMIN):
        if not get_user_model().objects.filter(username=person.username).exists():
            _create_user(person)
    for application in APPLICATIONS:
        if not _is_intact(application):
            Application.objects.filter(client_id=application.client_id).delete()
            _create_application(application)


def _create_user(person: DemoUser) -> None:
    create = get_user_model().objects.create_superuser if person.is_admin else get_user_model().objects.create_user
    create(username=person.username, password=person.password)


def _is_intact(application: DemoApplication) -> bool:
    """Whether it exists as the story needs it; somebody may have tried the admin on it."""
    digest = "" if application.secret is None else crypto.digest(application.secret)
    method = AuthMethod.NONE if application.secret is None else AuthMethod.CLIENT_SECRET_BASIC
    return Application.objects.filter(
        client_id=application.client_id, is_active=True, secret_digest=digest, auth_method=method, scope=SCOPE
    ).exists()


def _create_application(application: DemoApplication) -> None:
    is_public = application.secret is None
    create_application(
        name=application.name,
        client_id=application.client_id,
        raw_secret=application.secret,
        auth_method=AuthMethod.NONE if is_public else AuthMethod.CLIENT_SECRET_BASIC,
        grant_types="password refresh_token" if is_public else "client_credentials password refresh_token",
        scope=SCOPE,
    )
