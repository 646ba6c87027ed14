"""An incident in a real browser: each question of the night is answered with at most four clicks from the index."""

import csv
import json
import re
from http import HTTPStatus
from io import StringIO
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.interop.conftest import DESKTOP

MOST_CLICKS = 4
THIEF = "thief/6.6"
COUNT_CLICKS = """
addEventListener("click", (event) => {
    if (event.isTrusted) sessionStorage.clicks = 1 + Number(sessionStorage.clicks ?? 0);
}, true);
"""
MOVE_TO_ANOTHER_ADDRESS = """
from oauth_refresh.models import Grant, GrantEvent, RefreshToken

theirs = RefreshToken.objects.filter(grant__public_id="{grant}", generation__gt=2)
theirs.update(address="198.51.100.7", user_agent="curl/8.9.1")
RefreshToken.objects.filter(grant__public_id="{grant}", generation__lte=2).update(address="192.0.2.20")
GrantEvent.objects.filter(grant__public_id="{grant}").update(address="198.51.100.7")
"""


@pytest.fixture(scope="module")
def stolen(site):
    """A grant of ida with an alarm, another grant of hers, and one of ben that a thief refreshes without an alarm."""
    alarmed, other = site.issue("ida", count=2)
    spent = alarmed.pair["refresh_token"]
    for _refresh in range(3):
        assert alarmed.refresh().ok
    assert not alarmed.refresh(spent, program=THIEF).ok
    (silent,) = site.issue("ben")
    for _refresh in range(2):
        assert silent.refresh().ok
    for holder in (alarmed, silent):
        script = MOVE_TO_ANOTHER_ADDRESS.format(grant=holder.pair["grant"])
        site.manage("shell", "--verbosity", "0", "--command", script)
    return {"alarmed": alarmed, "other": other, "silent": silent}


@pytest.fixture
def page(browser, site, stolen):
    """The index of the admin, where eve is signed in; from here, each click counts, also one into a field."""
    context = browser.new_context(base_url=site.origin, viewport=DESKTOP)
    context.add_cookies([site.session_cookie("eve")])
    page = context.new_page()
    page.goto("/admin/")
    page.add_init_script(COUNT_CLICKS)
    page.evaluate(COUNT_CLICKS)
    yield page
    assert 0 < clicks(page) <= MOST_CLICKS
    context.close()


def clicks(page):
    return page.evaluate("Number(sessionStorage.clicks ?? 0)")


def follow(page, name, *, exact=True):
    page.locator("#content").get_by_role("link", name=name, exact=exact).first.click()
    page.wait_for_load_state()


def type_into(page, label, text):
    """Click into a field and type, as people do: the click counts."""
    page.get_by_label(label, exact=True).click()
    page.keyboard.insert_text(text)


def press(page, button):
    page.get_by_role("button", name=button, exact=True).first.click()
    page.wait_for_load_state()


def give_reason(page, reason):
    """Type into the field that has the focus once the page is there: without a click."""
    expect(page.get_by_label("Reason")).to_be_focused()
    page.keyboard.insert_text(reason)


def downloaded(page, link):
    """Return the text of the file that a link leads to."""
    with page.expect_download() as download:
        page.get_by_role("link", name=link, exact=True).click()
    return Path(download.value.path()).read_text()


def test_whose_token_is_this(page, stolen):
    follow(page, "Grants")
    type_into(page, "Leaked token", f"GET /?token={stolen['other'].pair['access_token']} 200")
    press(page, "Find its grant")

    expect(page.get_by_role("heading", name="Photo album for ida")).to_be_visible()
    expect(page.locator(".messagelist")).to_contain_text("You pasted an access token of this grant: active.")
    assert clicks(page) == 3


def test_what_else_came_from_there(page, stolen):
    follow(page, "Overview")
    follow(page, "198.51.100.7")

    expect(page.locator("#result_list")).to_contain_text("ida")
    expect(page.locator("#result_list")).to_contain_text("ben")
    expect(page.locator(".oauth-touched")).to_contain_text(re.compile(r"Grants\s*2"))
    follow(page, "Revoke every grant it touched…")
    expect(page.get_by_role("button", name=re.compile(r"^Revoke \d grants?$"))).to_be_visible()
    assert clicks(page) == 3


def test_what_came_from_an_address_that_somebody_names(page, stolen):
    follow(page, "Grants")
    type_into(page, "Address or network", "198.51.100.0/24")
    page.locator("#changelist-filter .oauth-filter button").first.click()

    expect(page.locator("#result_list")).to_contain_text("ben")
    assert clicks(page) == 3


def test_what_happened_in_the_last_hour(page, stolen):
    follow(page, "Overview")
    follow(page, "Last hour")
    page.locator(".oauth-chart-alarms .oauth-total a").click()

    expect(page.get_by_role("heading", name="Select grant event to view")).to_be_visible()
    expect(page.locator("#result_list")).to_contain_text("ida")
    expect(page.locator("#result_list")).to_contain_text("Treat it as theft: revoke, and call the user")
    assert clicks(page) == 3


def test_who_is_robbed_without_an_alarm(page, stolen):
    follow(page, "Overview")
    suspects = page.locator("section[aria-labelledby=oauth-suspects]")
    expect(suspects).to_contain_text("Photo album, ben")
    suspects.get_by_role("link", name="Revoke… Photo album, ben").click()
    give_reason(page, "stolen")
    press(page, "Revoke 1 grant")

    expect(page.locator(".messagelist")).to_have_text("1 grant was revoked.")
    assert stolen["silent"].refresh().status_code == HTTPStatus.BAD_REQUEST
    assert clicks(page) == 3


def test_everything_of_one_user(page, stolen):
    follow(page, "Grants")
    type_into(page, "Search", "ida")
    press(page, "Search")

    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    page.locator("#result_list").get_by_role("link", name="ida").last.click()
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    assert clicks(page) == 4


def test_alarm_leads_to_its_cause_to_the_revocation_and_to_the_report_for_the_ticket(page, stolen):
    follow(page, "Overview")
    alarm = page.locator("section[aria-labelledby=oauth-alarms] tbody tr", has_text="ida")
    expect(alarm).to_contain_text("198.51.100.7")  # the cause: from where the token was used first, and again
    expect(alarm).to_contain_text("Treat it as theft: revoke, and call the user")
    alarm.get_by_role("link", name="Revoke all grants of the user… Photo album, ida").click()
    give_reason(page, "INC-4711")
    press(page, "Revoke 1 grant")
    expect(page.get_by_role("heading", name="Timeline")).to_be_visible()
    report = downloaded(page, "CSV")

    kinds = [row["kind"] for row in csv.DictReader(StringIO(report.removeprefix("\ufeff")))]
    assert kinds[:2] == ["revoked", "alarm"]
    assert stolen["other"].refresh().json()["error"] == "invalid_grant"
    assert clicks(page) == 4


def test_list_behind_a_number_is_exported_for_the_ticket(page, stolen):
    follow(page, "Overview")
    page.locator(".oauth-chart-alarms .oauth-total a").click()
    report = json.loads(downloaded(page, "Export JSON"))

    assert {row["user"] for row in report["rows"]} >= {"ida"}
    assert clicks(page) == 3
