"""What Chromium lets through between the consent page and other origins: redirects, and a pop-up's opener."""

import re
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from tests.factories import SECRET
from tests.interop.site import PASSWORD, REDIRECT_URI

CHALLENGE = {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
DESKTOP = "desktop-app"
OPENER = """<!doctype html><title>Client</title><button>Connect</button><output></output>
<script>
  document.querySelector("button").onclick = () => open(decodeURIComponent(location.hash.slice(1)), "", "popup");
  addEventListener("message", ({data}) => document.querySelector("output").append(data));
</script>"""
CALLBACK = """<!doctype html><title>Callback</title>
<script>opener.postMessage("heard " + location.search, location.origin); close();</script>"""

CONSENT = "/oauth/authorize?response_type=code&client_id={desktop}&redirect_uri={client}/callback/tells&" + urlencode(
    CHALLENGE
)
PAGES = {
    "pat": [
        CONSENT,
        "/oauth/authorize?client_id=nobody",
        "/oauth/applications/",
        "/oauth/applications/{grant}/revoke",
        "/oauth/applications/revoke/",
    ],
    "eve": [
        "/admin/oauth_refresh/grant/",
        "/admin/oauth_refresh/grant/{pk}/change/",
        "/admin/oauth_refresh/grant/{pk}/revoke/",
        "/admin/oauth_refresh/application/add/",
        "/admin/oauth_refresh/application/1/change/",
        "/admin/oauth_refresh/application/1/tokens/",
        "/admin/oauth_refresh/application/1/secret/",
    ],
}


class Client(BaseHTTPRequestHandler):
    """An application that redirects to another origin after its callback, or answers the page that opened it."""

    elsewhere = ""

    def do_GET(self):
        path = urlsplit(self.path).path
        if path == "/callback/redirects":
            self.send_response(302)
            self.send_header("Location", f"{self.elsewhere}/landed?{urlsplit(self.path).query}")
            self.end_headers()
            return
        page = {"/": OPENER, "/callback/tells": CALLBACK}.get(path, "<!doctype html><h1>Landed</h1>").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *args):
        """Print nothing."""


@contextmanager
def serving():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Client)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def client(site):
    """Serve an application on two origins; return the first."""
    uris = [part for path in ("redirects", "tells") for part in ("--redirect-uri", f"http://127.0.0.1/callback/{path}")]
    site.manage("oauth_create_application", "Desktop app", "--client-id", DESKTOP, "--public", *uris)
    with serving() as port, serving() as other_port:
        Client.elsewhere = f"http://localhost:{other_port}"
        yield f"http://127.0.0.1:{port}"


def address(site, redirect_uri, *, client_id=DESKTOP, **changes):
    query = {"response_type": "code", "client_id": client_id, "redirect_uri": redirect_uri, "state": "s", **CHALLENGE}
    return f"{site.origin}/oauth/authorize?{urlencode(query | changes)}"


def sign_in(page, username="kim"):
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


@pytest.mark.parametrize(("decision", "answer"), [("Allow", "code"), ("Deny", "error")])
def test_callback_may_redirect_to_another_origin(page, site, client, decision, answer):
    page.goto(address(site, f"{client}/callback/redirects"))
    sign_in(page)

    page.get_by_role("button", name=decision).click()

    expect(page.get_by_role("heading", name="Landed")).to_be_visible()
    assert page.url.startswith(f"{Client.elsewhere}/landed?")
    assert answer in parse_qs(urlsplit(page.url).query)
    assert page.complaints == []


def test_sign_in_may_redirect_to_an_application_that_was_allowed_before(page, site, screen):
    """The form of the login page is redirected twice: to authorize, and from there to the application."""
    url, username = address(site, REDIRECT_URI, client_id="album"), "kim" if screen == "phone-light" else "pat"
    page.goto(url)
    sign_in(page, username)
    page.get_by_role("button", name="Allow").click()
    expect(page.get_by_text("Back at the application.")).to_be_visible()
    code = parse_qs(urlsplit(page.url).query)["code"][0]
    site.ask_for_token(
        "album",
        SECRET,
        grant_type="authorization_code",
        code=code,
        redirect_uri=REDIRECT_URI,
        code_verifier="dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    ).raise_for_status()

    page.goto(f"{url}&prompt=login")
    sign_in(page, username)

    expect(page.get_by_text("Back at the application.")).to_be_visible()
    assert "code" in parse_qs(urlsplit(page.url).query)
    assert page.complaints == []


def test_not_you_leads_to_the_sign_in_and_back_to_another_origin(page, site, client):
    page.goto(address(site, f"{client}/callback/redirects"))
    sign_in(page)
    page.get_by_role("button", name="Not you?").click()
    sign_in(page, "pat")
    expect(page.get_by_text("You are signed in as pat.")).to_be_visible()

    page.get_by_role("button", name="Deny").click()

    expect(page.get_by_role("heading", name="Landed")).to_be_visible()
    assert page.complaints == []


@pytest.mark.parametrize("decision", ["Allow", "Deny"])
def test_callback_in_a_pop_up_can_post_a_message_to_its_opener(page, site, client, decision):
    page.goto(f"{client}/#{address(site, f'{client}/callback/tells')}")
    with page.expect_popup() as opened:
        page.get_by_role("button", name="Connect").click()
    popup = opened.value
    sign_in(popup)

    popup.get_by_role("button", name=decision).click()

    expect(page.locator("output")).to_have_text(re.compile("^heard .*(code|error)=.*state=s"))


def test_pages_work_under_a_policy_of_default_src_self(browser, site, client):
    [holder] = site.issue("pat")
    grant = holder.pair["grant"]
    find = f"from oauth_refresh.models import Grant; print(Grant.objects.get(public_id={grant!r}).pk)"
    pk = site.manage("shell", "--verbosity", "0", "--command", find).strip()
    context = browser.new_context(base_url=site.origin)

    def restrict(route):
        response = route.fetch()
        headers = response.headers | {"content-security-policy": "default-src 'self'"}
        route.fulfill(response=response, headers=headers)

    context.route(f"{site.origin}/**", restrict)
    complaints = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if "Content Security" in message.text else None)
    for username, addresses in PAGES.items():
        context.clear_cookies()
        context.add_cookies([site.session_cookie(username)])
        for path in addresses:
            page.goto(path.format(grant=grant, pk=pk, client=client, desktop=DESKTOP))
            assert page.locator("h1").count() >= 1
            assert (
                page.locator("[style], style, script:not([src])").evaluate_all("all => all.map(e => e.outerHTML)") == []
            )
    page.get_by_role("button", name="Generate a new secret").click()
    expect(page.get_by_text("Copy the secret now:")).to_be_visible()
    context.unroute_all(behavior="wait")
    context.close()
    assert complaints == []
