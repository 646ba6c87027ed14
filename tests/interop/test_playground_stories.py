"""The playground in a real browser: every button, with the caption and the grant in the database."""

import json
import re

import pytest
from playwright.sync_api import expect

DEMO_DATA = "from example_project.demo.data import create_demo_data; create_demo_data()"
NEWEST_GRANT = """
import json
from oauth_refresh.models import Grant

grant = Grant.objects.latest("pk")
events = list(grant.events.order_by("pk").values_list("kind", flat=True))
print(json.dumps([grant.generation, grant.is_live, grant.revoked_reason, events]))
"""
STORE_DELAYS = """
from django.contrib.sessions.models import Session

store = Session.get_session_store_class()({key!r})
store["client"]["log"][0]["delays"] = {{"This server's API": 7, "The far API": 430}}
store.save()
"""


@pytest.fixture(scope="module", autouse=True)
def demo_data(site):
    site.manage("shell", "--verbosity", "0", "--command", DEMO_DATA)


@pytest.fixture
def newest_grant(site):
    """Return a function that reads the newest grant: generation, whether it is active, revocation reason, events."""
    return lambda: json.loads(site.manage("shell", "--verbosity", "0", "--command", NEWEST_GRANT))


@pytest.fixture
def connect(page):
    """Return a function that connects the client: from the home page, with one click to sign in, and consent."""

    def connect(kind="Connect the client"):
        page.goto("/")
        page.get_by_role("button", name=kind, exact=True).click()
        page.get_by_role("button", name="Sign in as demo").click()
        page.get_by_role("button", name="Allow").click()
        expect_caption(page, "Connected: the client has its first tokens")
        return page

    return connect


def expect_caption(page, title):
    expect(page.locator("#caption")).to_have_text(title)


def press(page, label, title):
    """Press a button of the client, and expect a caption."""
    page.locator(".choice", has=page.get_by_text(label, exact=True)).click()
    expect_caption(page, title)


def follow(page, label, title):
    """Press the button that the caption suggests."""
    page.locator(".next").get_by_role("button", name=label, exact=True).click()
    expect_caption(page, title)


def rows(page):
    return page.locator(".diagram li strong").all_text_contents()


def test_suggested_buttons_lead_through_the_playground(connect, newest_grant, shoot):
    page = connect()
    shoot(page, "playground-connected")
    follow(page, "Read the notes", "The API responded")
    follow(page, "Refresh", "New pair issued: the old tokens are invalid")
    follow(page, "Steal the refresh token", "The theft is not detected yet")
    follow(page, "Refresh", "Reuse detected: the theft is discovered")
    shoot(page, "playground-reuse")
    assert rows(page) == [
        *("Token 1: spent", "Token 2: spent", "Token 3: revoked", "Token 2 used again", "Grant revoked"),
    ]
    assert newest_grant() == [3, False, "reuse_detected", ["reused"]]
    follow(page, "Thief reads the notes", "The thief's access token is refused")
    page.locator(".next").get_by_role("button", name="See it as the admin").click()
    expect(page.locator(".oauth-timeline > .oauth-alarm")).to_be_visible()
    page.goto("/playground/")
    page.locator(".next").get_by_role("button", name="See it as the user").click()
    expect(page.get_by_role("heading", name="Recently ended")).to_be_visible()
    expect(page.get_by_text("An access code that had already been used was sent again").first).to_be_visible()
    page.goto("/playground/")
    page.get_by_role("button", name="Connect again", exact=True).click()
    page.get_by_role("button", name="Allow").click()
    expect_caption(page, "Connected: the client has its first tokens")
    assert page.complaints == []


def test_scope_is_narrowed_for_one_access_token(connect, newest_grant):
    page = connect()
    press(page, "Write a note", "The API saved the note")
    press(page, "Refresh, read-only", "New pair issued, with a read-only access token")
    expect(page.get_by_text("For the API: notes:read", exact=True)).to_be_visible()
    press(page, "Write a note", "Refused: this access token may not write")
    expect(page.get_by_text('error="insufficient_scope"')).to_be_visible()
    press(page, "Refresh", "New pair issued: the old tokens are invalid")
    press(page, "Write a note", "The API saved the note")
    assert newest_grant() == [3, True, "", []]


def test_theft_is_detected_when_the_client_refreshes(connect, newest_grant, shoot):
    page = connect()
    press(page, "Steal the refresh token", "The theft is not detected yet")
    assert rows(page) == ["Token 1: spent", "Token 2: active"]
    press(page, "Thief reads the notes", "The thief reads the notes")
    press(page, "Thief refreshes", "The thief has the newest pair")
    shoot(page, "playground-stolen")
    press(page, "Refresh", "Reuse detected: the theft is discovered")
    shoot(page, "playground-theft")
    assert newest_grant() == [3, False, "reuse_detected", ["reused"]]
    follow(page, "Thief reads the notes", "The thief's access token is refused")


@pytest.mark.parametrize(
    ("label", "title"),
    [
        ("Refresh twice at once", "Reuse detected: the client used one token twice"),
        ("Lose the response, retry", "Reuse detected: a retry looks like a theft"),
    ],
)
def test_second_request_revokes_the_grant_without_a_retry_window(connect, newest_grant, label, title):
    page = connect()

    press(page, label, title)

    assert newest_grant() == [2, False, "reuse_detected", ["reused"]]


def test_retry_within_the_window_returns_the_same_pair(connect, newest_grant, shoot):
    page = connect("Connect the client, with a retry window")
    press(page, "Lose the response, retry", "The retry received the same pair")
    lost, again = page.locator(".http-log details").all()[:2]
    lost.locator("summary").click()
    texts = [re.search('ort_[^"]*', one.locator("pre").nth(1).inner_text())[0] for one in (lost, again)]
    assert texts[0] == texts[1]
    expect(lost.get_by_text("This response was lost: the client did not receive it.")).to_be_visible()
    follow(page, "Replay the spent token", "Within the retry window this is a retry")
    press(page, "Refresh twice at once", "Both requests received the same pair")
    shoot(page, "playground-retried")
    assert newest_grant() == [3, True, "", ["retried"] * 3]


def test_disconnecting_is_visible_to_the_admin(connect, newest_grant, shoot):
    page = connect()
    page.get_by_role("button", name="As the user").click()
    expect(page.get_by_role("heading", name="Notebook", exact=True)).to_be_visible()
    page.goto("/playground/")
    press(page, "Disconnect", "Disconnected: the grant is revoked")
    shoot(page, "playground-revoked")
    assert newest_grant() == [1, False, "client_request", []]
    page.get_by_role("button", name="As the admin").click()
    expect(page.get_by_text("the application revoked a token").first).to_be_visible()
    assert page.complaints == []


def test_revocation_in_the_admin_is_visible_in_the_playground(connect, newest_grant):
    page = connect()
    page.get_by_role("button", name="As the admin").click()
    page.get_by_role("link", name="Revoke…").click()
    page.get_by_label("Reason").fill("laptop lost")
    page.get_by_role("button", name="Revoke 1 grant").click()
    page.goto("/playground/")

    assert rows(page) == ["Token 1: revoked", "Grant revoked"]
    expect(page.get_by_text("laptop lost")).to_be_visible()
    press(page, "Read the notes", "Refused: the grant is no longer active")
    assert newest_grant() == [1, False, "laptop lost", []]


def test_page_counts_down_shows_whole_tokens_and_copies_commands(connect):
    page = connect()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    countdown = page.locator(".countdown span")
    expect(countdown).to_have_text(re.compile(r"Expires in 1:5\d"))
    before = countdown.inner_text()
    expect(countdown).not_to_have_text(before)

    token = page.locator(".tokens details").nth(1)
    expect(token.locator(".full")).to_be_hidden()
    token.locator("summary").click()
    expect(token.locator(".full")).to_have_text(re.compile("^ort_[A-Za-z0-9_-]{92}$"))

    page.get_by_role("button", name="Copy as curl").last.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith("curl -H 'Accept: application/json'")


def test_access_token_whose_time_is_over_is_shown_as_expired(connect):
    page = connect()
    page.clock.install()
    page.reload()
    badge = page.locator(".tokens .badge").first
    expect(badge).to_have_text("active")

    page.clock.run_for(130_000)

    expect(badge).to_have_text("expired")
    expect(page.locator(".countdown span")).to_have_text("Expired: refresh now")


def test_suggested_button_works_by_keyboard_with_visible_focus(connect):
    page = connect()
    suggested = page.locator(".next button")
    page.locator(".site .brand").focus()
    for _tab in range(8):
        page.keyboard.press("Tab")
        if suggested.evaluate("button => button === document.activeElement"):
            break
    assert suggested.evaluate("button => getComputedStyle(button).outlineStyle") == "solid"

    page.keyboard.press("Enter")

    expect_caption(page, "The API responded")


def test_reduced_motion_is_respected(connect):
    page = connect()
    press(page, "Refresh", "New pair issued: the old tokens are invalid")
    page.emulate_media(reduced_motion="reduce")
    page.reload()

    assert page.evaluate("document.getAnimations().length") == 0


def test_measured_delays_are_counted_up(connect, site):
    page = connect()
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    site.manage("shell", "--verbosity", "0", "--command", STORE_DELAYS.format(key=cookies["playground"]))
    page.clock.install()
    page.clock.pause_at("2100-01-01")
    page.reload()
    figures = page.locator(".delays strong")

    page.clock.run_for(200)
    assert 100 < int(figures.nth(1).inner_text()) <= 200
    page.clock.run_for(400)
    assert figures.all_inner_texts() == ["7", "430"]
    assert page.locator(".delays progress").evaluate_all("bars => bars.map(bar => bar.value)") == [7, 430]
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    assert figures.all_inner_texts() == ["7", "430"]
    assert page.complaints == []


def test_double_click_sends_one_request(connect, newest_grant):
    page = connect()
    page.wait_for_load_state()
    refresh = page.locator(".choice", has=page.get_by_text("Refresh", exact=True))
    refresh.evaluate(
        "button => { button.click(); setTimeout(() => button.click(), 20); }"
    )  # the interval of a double click
    expect_caption(page, "New pair issued: the old tokens are invalid")

    assert newest_grant() == [2, True, "", []]


def test_button_works_after_going_back_in_the_browser(connect, newest_grant):
    page = connect()
    press(page, "Refresh", "New pair issued: the old tokens are invalid")
    page.goto("/api/")
    page.go_back()

    press(page, "Refresh", "New pair issued: the old tokens are invalid")

    assert newest_grant() == [3, True, "", []]


def test_reload_and_back_do_not_repeat_an_action(connect, newest_grant):
    page = connect()
    press(page, "Refresh", "New pair issued: the old tokens are invalid")
    page.reload()
    page.go_back()
    page.goto("/playground/")

    assert rows(page) == ["Token 1: spent", "Token 2: active"]
    assert newest_grant() == [2, True, "", []]
