"""The steps of the demonstration: refresh as each vendor documents it, reuse detection, and revocation.

The docstring of a step is its title on the terminal.
"""

from collections.abc import Callable
from http import HTTPStatus

from example_project.demo.accounts import ORACLE, ORACLE_PUBLIC, SCOPE, TYK, USER, WSO2, DemoApplication
from example_project.demo.http_client import PrintingClient, basic
from example_project.http_log import FORM


def run_steps(*, origin: str, write: Callable[[str], object], verbose: bool = False) -> None:
    """Run all steps against the server at ``origin``; ``verbose``: print requests and responses in full.

    Raises UnexpectedResponse if the server does not respond as expected.
    """
    client = PrintingClient(origin=origin, write=write, verbose=verbose)
    for step in (wso2_refresh, reuse_detection, wso2_revocation, tyk_refresh, oracle_refresh):
        write(f"=== {step.__doc__}" + ("\n" if verbose else ""))
        step(client)
        write("")


def wso2_refresh(client: PrintingClient) -> None:
    """WSO2: exchange a refresh token for a new pair, then request a narrower scope."""
    refresh_token = _sign_in(client, "/token", WSO2)
    refresh_token = _refresh(client, refresh_token)
    client.post(
        "/token",
        {"grant_type": "refresh_token", "refresh_token": refresh_token, "scope": "PRODUCTION"},
        authorization=_basic(WSO2),
    )


def reuse_detection(client: PrintingClient) -> None:
    """A spent refresh token is used again: the whole grant is revoked, including the current refresh token."""
    spent = _sign_in(client, "/token", WSO2)
    current = _refresh(client, spent)
    for refresh_token in (spent, current):
        client.post(
            "/token",
            {"grant_type": "refresh_token", "refresh_token": refresh_token},
            authorization=_basic(WSO2),
            expect=HTTPStatus.BAD_REQUEST,
        )


def wso2_revocation(client: PrintingClient) -> None:
    """WSO2: revoke an access token. This revokes its grant, and takes effect at the next request."""
    pair = client.post("/token", _password_grant(), authorization=_basic(WSO2))
    client.post("/revoke", {"token": pair["access_token"]}, authorization=_basic(WSO2))
    client.post(
        "/token",
        {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]},
        authorization=_basic(WSO2),
        expect=HTTPStatus.BAD_REQUEST,
    )


def tyk_refresh(client: PrintingClient) -> None:
    """Tyk: the same credentials in the header and in the body, and a trailing slash."""
    refresh_token = _sign_in(client, "/oauth-api/oauth/token/", TYK)
    client.post(
        "/oauth-api/oauth/token/",
        {
            "grant_type": "refresh_token",
            "client_id": TYK.client_id,
            "client_secret": TYK.secret or "",
            "refresh_token": refresh_token,
        },
        authorization=_basic(TYK),
    )


def oracle_refresh(client: PrintingClient) -> None:
    """Oracle: a charset and an optional scope; then a public application, which sends only its client ID."""
    refresh_token = _sign_in(client, "/oauth2/v1/token", ORACLE)
    client.post(
        "/oauth2/v1/token",
        {"grant_type": "refresh_token", "refresh_token": refresh_token, "scope": "notes:read"},
        authorization=_basic(ORACLE),
        content_type=f"{FORM};charset=UTF-8",
    )
    public = {"client_id": ORACLE_PUBLIC.client_id}
    pair = client.post("/oauth2/v1/token", _password_grant() | public)
    client.post("/oauth2/v1/token", {"grant_type": "refresh_token", "refresh_token": pair["refresh_token"]} | public)


def _sign_in(client: PrintingClient, path: str, application: DemoApplication) -> str:
    pair = client.post(path, _password_grant(), authorization=_basic(application))
    return str(pair["refresh_token"])


def _refresh(client: PrintingClient, refresh_token: str) -> str:
    pair = client.post(
        "/token", {"grant_type": "refresh_token", "refresh_token": refresh_token}, authorization=_basic(WSO2)
    )
    return str(pair["refresh_token"])


def _password_grant() -> dict[str, str]:
    return {"grant_type": "password", "username": USER.username, "password": USER.password, "scope": SCOPE}


def _basic(application: DemoApplication) -> str:
    return basic(application.client_id, application.secret or "")
