"""The authorization code flow: a user's browser at the authorization endpoint, and the client that redeems the code."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.test import Client
from django.urls import reverse

from oauth_refresh.http import NO_CLIENT_INFO
from oauth_refresh.models import Application
from oauth_refresh.services.codes import Consent
from oauth_refresh.services.tokens import Access
from tests.factories import SECRET, ApplicationFactory
from tests.oauth import OAuthClient

REDIRECT_URI = "https://app.example/callback"
STATE = "s/t+a te"
# RFC 7636 App. B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@dataclass
class CodeFlow:
    """Client and browser of one flow. In ``changes``, None leaves a parameter out and a list repeats it."""

    client: OAuthClient
    browser: Client
    redirect_uri: str

    def url(self, **changes: Any) -> str:
        """Return the address of a valid authorization request with ``changes``."""
        query = {
            "response_type": "code",
            "client_id": self.client.application.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": "notes:read",
            "state": STATE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return f"{reverse('oauth_refresh:authorize')}?{urlencode(_present(query | changes), doseq=True)}"

    def ask(self, **changes: Any) -> Any:
        """Open the authorization request in the browser."""
        return self.browser.get(self.url(**changes))

    def decide(self, decision: str, **changes: Any) -> Any:
        """Send the form of the consent page with a decision."""
        return self.browser.post(self.url(**changes), {"decision": decision})

    def code(self, **changes: Any) -> str:
        """Allow the request as the user, and return the raw code."""
        return read_answer(self.decide("allow", **changes))["code"]

    def redeem(self, raw_code: str, **changes: Any) -> Any:
        """Send a valid token request with ``changes``, and return the response."""
        parameters = {"code": raw_code, "redirect_uri": self.redirect_uri, "code_verifier": VERIFIER}
        return self.client.token(grant_type="authorization_code", **_present(parameters | changes))


def start_flow(user: Any, *, public: bool = False, redirect_uris: str = REDIRECT_URI, **fields: Any) -> CodeFlow:
    """Register an application, sign ``user`` in, and return their flow, which uses the first redirect URI."""
    application = ApplicationFactory(raw_secret=SECRET, public=public, redirect_uris=redirect_uris, **fields)
    browser = Client()
    browser.force_login(user)
    secret = None if public else SECRET
    return CodeFlow(OAuthClient(application, secret), browser, redirect_uris.partition("\n")[0])


def start_described_flow(user: Any, client_id: str, *, redirect_uri: str = REDIRECT_URI) -> CodeFlow:
    """Sign ``user`` in, and return their flow with a client that was not registered."""
    browser = Client()
    browser.force_login(user)
    return CodeFlow(OAuthClient(Application(client_id=client_id)), browser, redirect_uri)


def consent_to(
    application: Application, user: Any, *, scope: tuple[str, ...] = ("notes:read",), **changes: Any
) -> Consent:
    """Return what a user agreed to on the consent page of an application, but for ``changes``; no request is sent."""
    fields = {
        "access": Access(scope=scope),
        "redirect_uri": REDIRECT_URI,
        "code_challenge": CHALLENGE,
        "consented": True,
        "client_info": NO_CLIENT_INFO,
    }
    return Consent(application=application, user=user, **{**fields, **changes})


def read_answer(response: Any) -> dict[str, str]:
    """Return the parameters of a redirect."""
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query, keep_blank_values=True))


def _present(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}
