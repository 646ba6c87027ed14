"""axe-core, the accessibility checker, on every page of ours: on a phone and on a desk, by day and by night."""

import json
import re

import pytest
from playwright.sync_api import expect

from tests.interop.conftest import DESKTOP, PHONE
from tests.interop.site import CLIENT_ID, REDIRECT_URI

ADMIN = "/admin/oauth_refresh"
CONSENT = (
    f"/oauth/authorize?response_type=code&client_id={CLIENT_ID}&redirect_uri={REDIRECT_URI}&scope=notes:read"
    "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
)
DEMO_DATA = "from example_project.demo.data import create_demo_data; create_demo_data()"
EVERY_RULE, COLOURS = {}, {"runOnly": ["color-contrast", "link-in-text-block"]}
LOOKS = [
    (size, scheme, rules)
    for size in (PHONE, DESKTOP)
    for scheme, rules in (("light", EVERY_RULE), ("dark", COLOURS))  # by night nothing but colours is different
]
GRAVE = {"serious", "critical"}
ROWS = """
import json
from oauth_refresh.models import AccessToken, Application, Grant, GrantEvent, RefreshToken

grants = Grant.objects.filter(user__username="uma", generation__gt=1)
newest = {
    "live": grants.filter(revoked_at=None),
    "stolen": grants.exclude(revoked_at=None),
    "risky": Application.objects.filter(client_id="risky"),
    "refresh": RefreshToken.objects,
    "access": AccessToken.objects,
    "event": GrantEvent.objects,
}
print(json.dumps({name: rows.latest("pk").pk for name, rows in newest.items()} | {"uma": grants[0].user_id}))
"""
RUN = """async (rules) => {
    document.getAnimations().forEach((animation) => animation.finish());  // links fade from one colour to the other
    const {violations} = await axe.run(document, {...rules, resultTypes: ["violations"]});
    return violations.flatMap(({id, impact, help, nodes}) => nodes.map((node) => ({
        id, impact, help, target: node.target.join(" "), why: node.any.map((check) => check.message).join(" "),
    })));
}"""


@pytest.fixture(scope="module")
def axe(folder):
    """Return the source of axe-core: evaluated in a page, it is subject to no content security policy."""
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def rows(site):
    """Return the keys of rows that show everything: a long history, a theft, an application with risks."""
    refreshed, stolen = site.issue("uma", count=2)
    spent = stolen.pair["refresh_token"]
    for holder in (refreshed, stolen):
        for _refresh in range(6):
            assert holder.refresh().ok
    assert not stolen.refresh(spent, program="thief/6.6").ok
    return json.loads(site.manage("shell", "--verbosity", "0", "--command", ROWS))


@pytest.fixture
def admin(pages):
    """A page where eve is signed in, of any size: the tests go through them all."""
    return pages("eve")


@pytest.fixture
def user(pages):
    """A page where uma is signed in, for whom an application acts."""
    return pages("uma")


def faults(page, axe):
    """Return what is grave in each look of the page, as sentences with rule and selector."""
    page.wait_for_load_state()
    page.evaluate(axe)
    for size, scheme, rules in LOOKS:
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme)
        look = f"{size['width']} pixels, {scheme}"
        if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
            yield f"{look}: the page scrolls sideways"
        for found in page.evaluate(RUN, rules):
            if found["impact"] in GRAVE:
                yield "{look}: {id} ({impact}) at {target}: {help}. {why}".format(look=look, **found)


def open_all(page):
    page.locator("details").evaluate_all("all => all.forEach((one) => { one.open = true; })")


def assert_accessible(page, axe):
    found = list(faults(page, axe))
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(
    "path",
    [
        "overview/",
        "overview/?period=month",
        "grant/",
        "grant/?address=127.0.0.0/8",
        "grant/?address=nonsense",
        "grant/?time=alarmed&from=2020-01-01T00:00&until=2040-01-01T00:00",
        "grant/?user={uma}",
        "grant/revoke/?user={uma}",
        "grant/{live}/change/",
        "grant/{stolen}/change/",
        "grant/{live}/revoke/",
        "grant/{stolen}/revoke/",
        "grant/{live}/revoke-user/",
        "refreshtoken/",
        "refreshtoken/{refresh}/change/",
        "accesstoken/",
        "accesstoken/{access}/change/",
        "authorizationcode/",
        "grantevent/",
        "grantevent/?address=127.0.0.1",
        "revocationreceiver/",
        "grantevent/{event}/change/",
        "application/",
        "application/add/",
        "application/{risky}/change/",
        "application/{risky}/secret/",
        "application/{risky}/tokens/",
        "trustedissuer/",
        "trustedissuer/add/",
        "usedassertion/",
        "../auth/user/{uma}/revoke/",
    ],
)
def test_page_of_the_admin_is_accessible(admin, rows, axe, path):
    admin.goto(f"{ADMIN}/{path.format(**rows)}")
    for summary in admin.locator(".oauth-timeline summary").all():
        summary.click()

    assert_accessible(admin, axe)


@pytest.mark.parametrize(
    ("path", "button"),
    [
        ("grant/{live}/revoke/", "Revoke 1 grant"),
        ("application/add/", "Save"),
        ("application/{risky}/tokens/", "Generate tokens"),
    ],
)
def test_form_of_the_admin_that_lacks_something_is_accessible(admin, rows, axe, path, button):
    admin.goto(f"{ADMIN}/{path.format(**rows)}")
    admin.get_by_role("button", name=button, exact=True).click()
    expect(admin.get_by_text("This field is required.").first).to_be_visible()

    assert_accessible(admin, axe)


def test_pages_about_a_new_secret_are_accessible(admin, rows, axe):
    admin.goto(f"{ADMIN}/application/{rows['risky']}/secret/")
    admin.get_by_role("button", name="Generate a new secret").click()
    expect(admin.get_by_text("Copy the secret now:")).to_be_visible()

    assert_accessible(admin, axe)
    admin.goto(f"{ADMIN}/application/{rows['risky']}/secret/")
    expect(admin.get_by_role("button", name="Withdraw the old secret now")).to_be_visible()
    assert_accessible(admin, axe)


def test_page_with_new_tokens_is_accessible(admin, rows, axe):
    admin.goto(f"{ADMIN}/application/{rows['risky']}/tokens/")
    admin.get_by_label("User name").fill("uma")
    admin.get_by_role("button", name="Generate tokens").click()
    expect(admin.get_by_text("Copy the tokens now:")).to_be_visible()

    assert_accessible(admin, axe)


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        (CONSENT, "Allow Photo album to act for you?"),
        ("/oauth/authorize?client_id=nobody", "This link does not work"),
        ("/oauth/applications/", "Connected applications"),
        ("/oauth/applications/revoke/", "Disconnect all applications?"),
    ],
)
def test_page_for_users_is_accessible(user, rows, axe, path, heading):
    user.goto(path)
    expect(user.get_by_role("heading", name=heading)).to_be_visible()

    assert_accessible(user, axe)


@pytest.fixture(scope="module")
def playground(browser, site):
    """The page of the playground, before the client has connected."""
    site.manage("shell", "--verbosity", "0", "--command", DEMO_DATA)
    page = browser.new_context(base_url=site.origin).new_page()
    page.goto("/playground/")
    return page


@pytest.mark.parametrize("path", ["/", "/api/", "/login/", "/playground/", "/playground/elsewhere"])
def test_page_of_the_demonstration_is_accessible(playground, axe, site, path):
    elsewhere = path.endswith("elsewhere")
    playground.goto(f"{site.origin.replace('127.0.0.1', 'localhost')}/playground/" if elsewhere else path)
    open_all(playground)

    assert_accessible(playground, axe)


def test_playground_is_accessible_with_an_active_and_a_revoked_grant(playground, axe):
    playground.goto("/playground/")
    for label in ("Connect", "Sign in as demo", "Allow"):
        playground.get_by_role("button", name=label, exact=True).click()
    expect(playground.get_by_role("heading", name="Connected: the client has its first tokens")).to_be_visible()
    assert_accessible(playground, axe)

    for value in ("steal", "thief-refresh", "refresh"):
        playground.locator(f".choice[value={value}]").click()
        expect(playground.locator(".caption")).to_be_visible()
    expect(playground.get_by_role("heading", name="Reuse detected: the theft is discovered")).to_be_visible()
    open_all(playground)
    assert_accessible(playground, axe)


def test_verdict_on_a_pasted_log_is_accessible(admin, site, rows, axe):
    tokens = [holder.pair["access_token"] for holder in site.issue("uma", count=2)]
    admin.goto(f"{ADMIN}/grant/")
    admin.get_by_label("Leaked token").fill(" ".join(tokens))
    admin.get_by_role("button", name="Find its grant").click()
    expect(admin.locator(".messagelist")).to_contain_text("Tokens found: 2. Grants: 2, of which active: 2.")

    assert_accessible(admin, axe)


def test_page_that_asks_before_disconnecting_is_accessible(user, rows, axe):
    user.goto("/oauth/applications/")
    user.get_by_role("link", name=re.compile("^Disconnect Photo album")).first.click()
    expect(user.get_by_role("heading", name="Disconnect Photo album?")).to_be_visible()

    assert_accessible(user, axe)
