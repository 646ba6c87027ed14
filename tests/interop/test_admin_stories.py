"""People in charge, in a real browser, and the applications that feel what they do."""

import re
from http import HTTPStatus

import pytest
from playwright.sync_api import expect

from tests.interop.site import SECRET
from tests.server import curl

GRANTS = "/admin/oauth_refresh/grant/"
APPLICATIONS = "/admin/oauth_refresh/application/"
WHOLE_LIST = 150
"""More grants than the admin shows on one page."""


@pytest.fixture(scope="module")
def stock(site):
    """Grants of Photo album for sam, enough for every test here: one command is quicker than many."""
    return site.issue("sam", count=20)


@pytest.fixture
def holder(stock):
    """Photo album with the tokens of a grant of its own."""
    return stock.pop()


def find(page, text):
    """Paste a text that holds a token, and go to its grant."""
    page.goto(GRANTS)
    page.get_by_label("Leaked token").fill(text)
    page.get_by_role("button", name="Find its grant").click()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()


def confirm(page, count, *, reason):
    """Give a reason on the page that lists what will be revoked, and revoke."""
    expect(page.locator(".oauth-totals div", has_text="grant").get_by_role("definition")).to_have_text(str(count))
    page.get_by_label("Reason").fill(reason)
    page.get_by_role("button", name=re.compile(rf"^Revoke {count} grants?$")).click()


def message_on(page):
    return page.locator(".messagelist")


def happened(page):
    """Return the entries of a grant's timeline, the newest first."""
    return page.locator(".oauth-timeline > li")


def assert_is_over(holder):
    answer = holder.refresh()
    assert (answer.status_code, answer.json()["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_grant")


def test_leaked_token_leads_to_its_grant_and_its_client_is_stopped(admin, holder, shoot):
    leaked = holder.pair["refresh_token"]
    assert holder.refresh().ok

    find(admin, f'10.0.0.7 - "POST /oauth/token" refresh_token={leaked}&grant_type=refresh_token 200')
    expect(message_on(admin)).to_contain_text("You pasted refresh token 1 of this grant: spent.")
    expect(message_on(admin)).to_contain_text("Treat it as theft: revoke, and call the user.")
    shoot(admin, "leak-found")
    admin.get_by_role("link", name="Revoke…").click()
    shoot(admin, "leak-revoke")
    confirm(admin, 1, reason="found in a public log")

    expect(message_on(admin)).to_have_text("1 grant was revoked.")
    expect(happened(admin).first).to_contain_text("Revoked found in a public log, by eve")
    expect(admin.get_by_role("link", name="Revoke…")).to_have_count(0)
    shoot(admin, "leak-revoked")
    assert leaked not in admin.content()
    assert_is_over(holder)
    assert admin.complaints == []


def test_pasted_text_without_a_token_is_answered_kindly(admin, shoot):
    admin.goto(GRANTS)
    admin.get_by_label("Leaked token").fill("ort_not-a-token")
    admin.get_by_role("button", name="Find its grant").click()

    expect(message_on(admin)).to_have_text("No token of this server was found in the text.")
    shoot(admin, "no-such-token")
    assert admin.complaints == []


def test_theft_is_an_alarm_on_the_timeline(admin, holder, shoot):
    stolen = holder.pair["refresh_token"]
    for _refresh in range(6):
        assert holder.refresh().ok
    assert not holder.refresh(stolen, program="thief/6.6 (bought in a dark corner)").ok

    admin.goto(GRANTS)
    admin.locator("#changelist-filter").get_by_role("link", name="a spent refresh token was used again").click()
    expect(admin.locator("#result_list")).to_contain_text("a spent refresh token was used again")
    shoot(admin, "theft-list")
    find(admin, stolen)

    alarm = admin.locator(".oauth-timeline > .oauth-alarm.oauth-elsewhere")
    expect(alarm).to_contain_text("A spent refresh token was used again token 1, spent on")
    expect(alarm).to_contain_text("elsewhere: 127.0.0.1 thief/6.6 (bought in a dark corner)")
    expect(happened(admin).filter(has_text="Revoked a spent refresh token was used again")).to_be_visible()
    expect(happened(admin).filter(has_text="Refreshed 6 times")).to_be_visible()
    admin.get_by_text("show each").click()
    shoot(admin, "theft-found")
    assert_is_over(holder)
    assert admin.complaints == []


def test_staff_who_may_only_view_can_look_and_not_touch(open_page, holder, shoot):
    page = open_page("vera")
    find(page, holder.pair["access_token"])
    expect(message_on(page)).to_contain_text("You pasted an access token of this grant: active.")
    shoot(page, "viewer-grant")
    grant = page.url.removesuffix("change/")
    expect(page.get_by_text(re.compile("Revoke.*…"))).to_have_count(0)
    for path in (GRANTS, "/admin/oauth_refresh/refreshtoken/", "/admin/oauth_refresh/accesstoken/", APPLICATIONS):
        page.goto(path)
        expect(page.locator("#result_list tbody tr").first).to_be_visible()
        expect(page.get_by_role("combobox", name="Action")).to_have_count(0)
        expect(page.get_by_text(re.compile("Revoke (the|all)"))).to_have_count(0)
    shoot(page, "viewer-applications")
    page.get_by_role("link", name="Photo album").first.click()
    expect(page.get_by_role("link", name=re.compile("Revoke|Secret|Generate"))).to_have_count(0)
    shoot(page, "viewer-application")
    application = page.url.removesuffix("change/")
    assert page.complaints == []

    refused = {
        url: page.goto(url).status
        for url in (
            f"{grant}revoke/",
            f"{GRANTS}revoke/",
            f"{application}revoke/",
            f"{application}secret/",
            f"{application}tokens/",
        )
    }

    assert set(refused.values()) == {HTTPStatus.FORBIDDEN}, refused
    assert holder.refresh().ok


def test_secret_is_replaced_while_both_work_until_the_old_one_is_withdrawn(open_page, site, shoot):
    page = open_page("eve", permissions=["clipboard-read", "clipboard-write"])

    def copied():
        """Press the button beside the secret, and return what it put into the clipboard."""
        page.get_by_role("button", name="Copy Client secret").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        return page.evaluate("navigator.clipboard.readText()")

    def status(secret):
        return site.ask_for_token(client_id, secret, grant_type="client_credentials").status_code

    page.goto(f"{APPLICATIONS}add/")
    page.get_by_label("Name:").fill("Weather station")
    page.get_by_label("authorization code").uncheck()  # which would need a redirect URI
    page.get_by_label("client credentials").check()
    shoot(page, "application-add")
    page.get_by_role("button", name="Save", exact=True).click()
    client_id, first = page.get_by_label("Client ID").input_value(), copied()
    shoot(page, "secret-first")
    assert status(first) == HTTPStatus.OK

    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name="Secret…").click()
    page.get_by_label("for one day").check()
    shoot(page, "secret-replace")
    page.get_by_role("button", name="Generate a new secret").click()
    expect(page.get_by_text("The old secret is valid until")).to_be_visible()
    second = copied()
    shoot(page, "secret-second")
    assert second != first
    assert (status(first), status(second)) == (HTTPStatus.OK, HTTPStatus.OK)

    page.get_by_role("link", name="I have copied it").click()
    assert first not in page.content()
    assert second not in page.content()
    page.get_by_role("link", name="Secret…").click()
    shoot(page, "secret-two-work")
    page.get_by_role("button", name="Withdraw the old secret now").click()
    expect(message_on(page)).to_have_text("The old secret was withdrawn.")
    assert (status(first), status(second)) == (HTTPStatus.UNAUTHORIZED, HTTPStatus.OK)
    assert page.complaints == []


def test_form_of_an_application_shows_what_its_choices_need(open_page, shoot):
    page = open_page("eve", java_script_enabled=False)
    page.goto(f"{APPLICATIONS}add/")
    redirect_uris, keys = page.get_by_label("Redirect URIs:"), page.locator("#id_jwks")
    expect(redirect_uris).to_be_visible()
    expect(keys).to_be_hidden()
    expect(page.get_by_label("Requires PKCE")).to_be_visible()
    expect(page.get_by_role("heading", name="User consent")).to_be_visible()

    page.get_by_label("authorization code").uncheck()
    page.get_by_label("refresh token", exact=True).uncheck()
    page.get_by_label("Authentication:").select_option("signed assertion")
    shoot(page, "application-fitted")

    expect(redirect_uris).to_be_hidden()
    expect(page.get_by_label("Retry window:")).to_be_hidden()
    expect(page.get_by_label("Requires PKCE")).to_be_hidden()
    expect(page.get_by_role("heading", name="User consent")).to_be_hidden()
    expect(keys).to_be_visible()
    keys.fill("[]")
    page.get_by_label("Authentication:").select_option("secret, in the body (or by HTTP Basic)")
    expect(keys).to_be_visible()
    assert page.complaints == []


def test_names_are_proposed_while_an_owner_is_typed(admin):
    admin.goto(f"{APPLICATIONS}add/")

    admin.get_by_label("Owner:").press_sequentially("er")

    expect(admin.locator("#owner-proposals option")).to_have_count(1)
    assert admin.locator("#owner-proposals option").get_attribute("value") == "vera"
    assert admin.complaints == []


def test_generated_tokens_work_by_the_curl_lines_shown(admin, shoot, tmp_path):
    admin.goto(APPLICATIONS)
    admin.get_by_role("link", name="Photo album").first.click()
    shoot(admin, "application")
    admin.get_by_role("link", name="Generate tokens…").click()
    admin.get_by_label("User name").fill("nobody")
    admin.get_by_role("button", name="Generate tokens").click()
    expect(admin.get_by_text("There is no user of that name.")).to_be_visible()
    shoot(admin, "tokens-refused")
    admin.get_by_label("User name").fill("sam")
    admin.get_by_label("Write your notes").check()
    admin.get_by_role("button", name="Generate tokens").click()
    shoot(admin, "tokens-shown")
    access_token, refresh_token, refresh_line, revoke_line = (
        admin.get_by_label(label, exact=True).input_value()
        for label in ("Access token", "Refresh token", "Refresh", "Revoke")
    )
    assert (access_token[:4], refresh_token[:4]) == ("oat_", "ort_")
    assert refresh_token in refresh_line
    assert access_token in revoke_line

    refreshed, revoked = (
        curl(line.replace("CLIENT_SECRET", SECRET), folder=tmp_path) for line in (refresh_line, revoke_line)
    )

    assert (refreshed.status, refreshed.json["scope"]) == (HTTPStatus.OK, "notes:read notes:write")
    assert refreshed.json["access_token"] != access_token
    assert (revoked.status, revoked.text) == (HTTPStatus.OK, "{}")
    admin.get_by_role("link", name=re.compile("^[0-9a-f-]{36}$")).click()
    expect(happened(admin).first).to_contain_text("Revoked the application revoked a token")
    expect(happened(admin).last).to_contain_text("Started by staff")
    assert admin.complaints == []


def test_all_grants_of_a_user_are_revoked_from_the_projects_own_user_admin(admin, site, shoot):
    holders = site.issue("sol", count=2)
    admin.goto("/admin/auth/user/")
    admin.get_by_role("link", name="sol").click()
    shoot(admin, "user")

    admin.get_by_role("link", name="Revoke all grants").click()
    shoot(admin, "user-revoke")
    confirm(admin, 2, reason="lost or stolen device")

    expect(message_on(admin)).to_have_text("2 grants were revoked.")
    for holder in holders:
        assert_is_over(holder)
    assert admin.complaints == []


def test_list_is_revoked_without_javascript(open_page, site, holder, shoot):
    holders = site.issue("sam", client_id="bulk", count=3)
    page = open_page("eve", java_script_enabled=False)
    page.goto(GRANTS)

    page.locator("#changelist-filter").get_by_role("link", name="active", exact=True).click()
    page.locator("#changelist-filter").get_by_role("link", name="Bulk mailer").click()
    expect(page.locator("#result_list tbody tr")).to_have_count(3)
    shoot(page, "no-javascript-list")
    page.get_by_role("link", name="Revoke all 3 listed…").click()
    shoot(page, "no-javascript-revoke")
    confirm(page, 3, reason="application compromised")

    expect(message_on(page)).to_have_text("3 grants were revoked.")
    for revoked in holders:
        assert_is_over(revoked)
    assert holder.refresh().ok
    assert page.complaints == []


def test_whole_list_is_revoked_over_all_its_pages(admin, site, holder, shoot):
    holders = site.issue("sam", client_id="bulk", count=WHOLE_LIST)
    admin.goto(f"{GRANTS}?state=active")
    admin.locator("#changelist-filter").get_by_role("link", name="Bulk mailer").click()
    admin.wait_for_url("**client_id=bulk**")

    admin.get_by_label("Select all objects on this page for an action").check()
    admin.get_by_role("button", name=f"Select all {WHOLE_LIST} grants").click()
    admin.get_by_label("Action:").select_option("Revoke selected grants")
    shoot(admin, "whole-list")
    admin.get_by_role("button", name="Go").click()
    shoot(admin, "whole-list-revoke")
    confirm(admin, WHOLE_LIST, reason="security incident")

    expect(message_on(admin)).to_have_text(f"{WHOLE_LIST} grants were revoked.")
    shoot(admin, "whole-list-revoked")
    assert_is_over(holders[0])
    assert_is_over(holders[-1])
    assert holder.refresh().ok
    assert admin.complaints == []
