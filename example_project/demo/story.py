"""The story: a session starts, is refreshed as each vendor's documentation prints it, and dies in two ways."""

from collections.abc import Callable
from http import HTTPStatus

from example_project.demo.accounts import ORACLE, ORACLE_PUBLIC, SCOPE, TYK, USER, WSO2, DemoApplication
from example_project.demo.wire import Wire, basic
from example_project.wire import FORM


def play(*, origin: str, write: Callable[[str], object]) -> None:
    """Play every scene against the server at ``origin``. Raises UnexpectedAnswer if one does not go as told."""
    wire = Wire(origin=origin, write=write)
    for scene in (wso2_refreshes, a_thief_is_noticed, wso2_revokes, tyk_refreshes, oracle_refreshes):
        write(f"=== {scene.__doc__}\n")
        scene(wire)


def wso2_refreshes(wire: Wire) -> None:
    """WSO2: trade a refresh token for a new pair; the old one dies. Then narrow the scope."""
    refresh_token = _sign_in(wire, "/token", WSO2)
    refresh_token = _refresh(wire, refresh_token)
    wire.post(
        "/token",
        {"grant_type": "refresh_token", "refresh_token": refresh_token, "scope": "PRODUCTION"},
        authorization=_basic(WSO2),
    )


def a_thief_is_noticed(wire: Wire) -> None:
    """A spent refresh token comes back: somebody has a copy, so the whole session ends, thief and owner alike."""
    stolen = _sign_in(wire, "/token", WSO2)
    current = _refresh(wire, stolen)
    for refresh_token in (stolen, current):
        wire.post(
            "/token",
            {"grant_type": "refresh_token", "refresh_token": refresh_token},
            authorization=_basic(WSO2),
            expect=HTTPStatus.BAD_REQUEST,
        )


def wso2_revokes(wire: Wire) -> None:
    """WSO2: revoke an access token. Its session is over at once, not when a cache forgets it."""
    pair = wire.post("/token", _password_grant(), authorization=_basic(WSO2))
    wire.post("/revoke", {"token": pair["access_token"]}, authorization=_basic(WSO2))
    wire.post(
        "/token",
        {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]},
        authorization=_basic(WSO2),
        expect=HTTPStatus.BAD_REQUEST,
    )


def tyk_refreshes(wire: Wire) -> None:
    """Tyk: the same credentials in the header and in the body, and a trailing slash."""
    refresh_token = _sign_in(wire, "/oauth-api/oauth/token/", TYK)
    wire.post(
        "/oauth-api/oauth/token/",
        {
            "grant_type": "refresh_token",
            "client_id": TYK.client_id,
            "client_secret": TYK.secret or "",
            "refresh_token": refresh_token,
        },
        authorization=_basic(TYK),
    )


def oracle_refreshes(wire: Wire) -> None:
    """Oracle: with a charset and an optional scope; then a public application that only names itself."""
    refresh_token = _sign_in(wire, "/oauth2/v1/token", ORACLE)
    wire.post(
        "/oauth2/v1/token",
        {"grant_type": "refresh_token", "refresh_token": refresh_token, "scope": "notes:read"},
        authorization=_basic(ORACLE),
        content_type=f"{FORM};charset=UTF-8",
    )
    public = {"client_id": ORACLE_PUBLIC.client_id}
    pair = wire.post("/oauth2/v1/token", _password_grant() | public)
    wire.post("/oauth2/v1/token", {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]} | public)


def _sign_in(wire: Wire, path: str, application: DemoApplication) -> str:
    pair = wire.post(path, _password_grant(), authorization=_basic(application))
    return str(pair["refresh_token"])


def _refresh(wire: Wire, refresh_token: str) -> str:
    pair = wire.post(
        "/token", {"grant_type": "refresh_token", "refresh_token": refresh_token}, authorization=_basic(WSO2)
    )
    return str(pair["refresh_token"])


def _password_grant() -> dict[str, str]:
    return {"grant_type": "password", "username": USER.username, "password": USER.password, "scope": SCOPE}


def _basic(application: DemoApplication) -> str:
    return basic(application.client_id, application.secret or "")
