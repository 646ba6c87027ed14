"""Somebody who looks at the demonstration in a real browser: every button, with what the page and the database say."""

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


@pytest.fixture(scope="module", autouse=True)
def demo_data(site):
    site.manage("shell", "--verbosity", "0", "--command", DEMO_DATA)


@pytest.fixture
def newest_grant(site):
    """Return how to read the session that was started last: generation, whether it lives, why it ended, its events."""
    return lambda: json.loads(site.manage("shell", "--verbosity", "0", "--command", NEWEST_GRANT))


@pytest.fixture
def connect(page):
    """Return how a person lets the client connect: from the home page, by one click to sign in, and consent."""

    def connect(kind="Connect the client"):
        page.goto("/")
        page.get_by_role("button", name=kind, exact=True).click()
        page.get_by_role("button", name="Sign in as demo").click()
        page.get_by_role("button", name="Allow").click()
        told(page, "Connected: this is a session's first pair")
        return page

    return connect


def told(page, title):
    """Expect the caption to say what happened."""
    expect(page.locator("#caption")).to_have_text(title)


def press(page, label, title):
    """Press a button among all of the client's, and expect what the caption says then."""
    page.locator(".choice", has=page.get_by_text(label, exact=True)).click()
    told(page, title)


def follow(page, label, title):
    """Press the button that the caption itself proposes."""
    page.locator(".next").get_by_role("button", name=label, exact=True).click()
    told(page, title)


def rows(page):
    return page.locator(".family li strong").all_text_contents()


def test_first_two_minutes_by_what_the_captions_propose(connect, newest_grant, shoot):
    page = connect()
    shoot(page, "playground-connected")
    follow(page, "Read the notes", "The API answered")
    follow(page, "Refresh", "A new pair; the old one is dead")
    follow(page, "Replay the old token", "Alarm: a spent token came back")
    shoot(page, "playground-alarm")
    assert rows(page) == ["Token 1: spent", "Token 2: dead", "Token 1 came back", "The session is over"]
    assert newest_grant() == [2, False, "reuse_detected", ["reused"]]
    follow(page, "Read the notes", "Refused: the session is over")
    page.get_by_role("button", name="Connect again", exact=True).click()
    page.get_by_role("button", name="Allow").click()
    told(page, "Connected: this is a session's first pair")
    assert page.complaints == []


def test_scope_is_narrowed_and_whole_again(connect, newest_grant):
    page = connect()
    press(page, "Write a note", "The API took the note")
    press(page, "Refresh, read-only", "A new pair, with a narrower access token")
    expect(page.get_by_text("opens the API: notes:read", exact=True)).to_be_visible()
    press(page, "Write a note", "Refused: this access token may not write")
    expect(page.get_by_text('error="insufficient_scope"')).to_be_visible()
    press(page, "Refresh", "A new pair; the old one is dead")
    press(page, "Write a note", "The API took the note")
    assert newest_grant() == [3, True, "", []]


def test_thief_is_noticed_when_the_owner_comes_back(connect, newest_grant, shoot):
    page = connect()
    press(page, "Steal the token", "Nobody has noticed yet")
    assert rows(page) == ["Token 1: spent", "Token 2: live"]
    press(page, "Thief reads the notes", "The thief reads the notes")
    press(page, "Thief refreshes", "The thief goes on")
    shoot(page, "playground-stolen")
    press(page, "Refresh", "Alarm: the theft is noticed")
    shoot(page, "playground-theft")
    assert newest_grant() == [3, False, "reuse_detected", ["reused"]]
    follow(page, "Thief reads the notes", "The thief has nothing")


@pytest.mark.parametrize(
    ("label", "title"),
    [
        ("Refresh twice at once", "Alarm: the client stole from itself"),
        ("Lose the answer, retry", "Alarm: a retry looks like a theft"),
    ],
)
def test_strict_client_loses_its_session_by_a_second_request(connect, newest_grant, label, title):
    page = connect()

    press(page, label, title)

    assert newest_grant() == [2, False, "reuse_detected", ["reused"]]


def test_retry_window_gives_the_very_same_pair(connect, newest_grant, shoot):
    page = connect("Connect the client, with a retry window")
    press(page, "Lose the answer, retry", "The very same pair came back")
    lost, again = page.locator(".wire details").all()[:2]
    lost.locator("summary").click()
    texts = [re.search('ort_[^"]*', one.locator("pre").nth(1).inner_text())[0] for one in (lost, again)]
    assert texts[0] == texts[1]
    expect(lost.get_by_text("This answer was lost on its way: the client never saw it.")).to_be_visible()
    follow(page, "Replay the old token", "Inside the window it counts as a retry")
    press(page, "Refresh twice at once", "Both got the same pair")
    shoot(page, "playground-retried")
    assert newest_grant() == [3, True, "", ["retried"] * 3]


def test_revoked_session_is_over_for_admin_and_user_too(connect, newest_grant, shoot):
    page = connect()
    page.get_by_role("button", name="As the user").click()
    expect(page.get_by_role("heading", name="Applications that act for you")).to_be_visible()
    page.goto("/playground/")
    press(page, "Revoke", "Signed out: the session is over")
    shoot(page, "playground-revoked")
    assert newest_grant() == [1, False, "client_request", []]
    page.get_by_role("button", name="As the admin").click()
    expect(page.get_by_text("the application revoked a token").first).to_be_visible()
    assert page.complaints == []


def test_admin_revokes_and_the_playground_shows_it(connect, newest_grant):
    page = connect()
    page.get_by_role("button", name="As the admin").click()
    page.get_by_role("link", name="Revoke…").click()
    page.get_by_label("Reason").fill("laptop lost")
    page.get_by_role("button", name="Revoke 1 grant").click()
    page.goto("/playground/")

    assert rows(page) == ["Token 1: dead", "The session is over"]
    expect(page.get_by_text("laptop lost")).to_be_visible()
    press(page, "Read the notes", "Refused: the session is over")
    assert newest_grant() == [1, False, "laptop lost", []]


def test_script_counts_down_and_copies_and_pages_reveal(connect):
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


def test_keyboard_is_enough_and_focus_is_seen(connect):
    page = connect()
    proposed = page.locator(".next button")
    page.locator(".site .brand").focus()
    for _tab in range(8):
        page.keyboard.press("Tab")
        if proposed.evaluate("button => button === document.activeElement"):
            break
    assert proposed.evaluate("button => getComputedStyle(button).outlineStyle") == "solid"

    page.keyboard.press("Enter")

    told(page, "The API answered")


def test_nothing_moves_for_people_who_asked_for_that(connect):
    page = connect()
    press(page, "Refresh", "A new pair; the old one is dead")
    page.emulate_media(reduced_motion="reduce")
    page.reload()

    assert page.evaluate("document.getAnimations().length") == 0


def test_double_click_is_one_press(connect, newest_grant):
    page = connect()
    page.wait_for_load_state()
    refresh = page.locator(".choice", has=page.get_by_text("Refresh", exact=True))
    refresh.evaluate("button => { button.click(); setTimeout(() => button.click(), 20); }")  # as fast as a hand
    told(page, "A new pair; the old one is dead")

    assert newest_grant() == [2, True, "", []]


def test_button_can_be_pressed_after_the_browser_went_back(connect, newest_grant):
    page = connect()
    press(page, "Refresh", "A new pair; the old one is dead")
    page.goto("/api/")
    page.go_back()

    press(page, "Refresh", "A new pair; the old one is dead")

    assert newest_grant() == [3, True, "", []]


def test_reload_and_back_repeat_nothing(connect, newest_grant):
    page = connect()
    press(page, "Refresh", "A new pair; the old one is dead")
    page.reload()
    page.go_back()
    page.goto("/playground/")

    assert rows(page) == ["Token 1: spent", "Token 2: live"]
    assert newest_grant() == [2, True, "", []]
