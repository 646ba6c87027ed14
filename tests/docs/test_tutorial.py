"""``docs/tutorial.md`` is followed step by step: every file is written, every command typed, every answer compared."""

import re
from html import unescape
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from tests.docs.walkthrough import Mismatch, Walkthrough
from tests.waiting import LONGEST_SECONDS

pytestmark = pytest.mark.slow

TUTORIAL = (Path(__file__).resolve().parents[2] / "docs" / "tutorial.md").read_text()
PASSWORD = "a long enough password"


class Browser:
    """A browser for plain pages and forms."""

    def __init__(self, origin):
        self.origin, self.cookies = origin, CookieJar()
        self.opener = build_opener(HTTPCookieProcessor(self.cookies))

    def open(self, path, **form):
        """Open a page, or send a form to it, and return the words on it."""
        data = None
        if form:
            [token] = [cookie.value for cookie in self.cookies if cookie.name == "csrftoken"]
            data = urlencode({**form, "csrfmiddlewaretoken": token}).encode()
        request = Request(self.origin + path, data=data, headers={"Referer": self.origin})
        with self.opener.open(request, timeout=LONGEST_SECONDS) as answer:
            self.html = answer.read().decode()
        without_tags = re.sub(r"<style.*?</style>|<[^>]*>", " ", self.html, flags=re.DOTALL)
        return " ".join(unescape(without_tags).split())

    def sign_in(self):
        self.open("/admin/login/")
        assert "ada" in self.open("/admin/login/", username="ada", password=PASSWORD, next="/admin/")
        return self


@pytest.fixture
def walkthrough(tmp_path):
    followed = Walkthrough(tmp_path)
    followed.browser = {
        "find what the thief did": lambda: find_what_the_thief_did(followed),
        "disconnect the application": lambda: disconnect_the_application(followed),
    }
    return followed


def find_what_the_thief_did(walkthrough):
    browser = Browser(walkthrough.origin).sign_in()
    assert "Leaked token" in browser.open("/admin/oauth_refresh/grant/")

    page = browser.open("/admin/oauth_refresh/grant/find/", text=walkthrough.newest_tokens["ort_"])

    assert "refresh token 1 of this grant: spent" in page
    assert re.search("Timeline.* Revoked .* Refreshed .* Started ", page)
    assert re.search("A spent refresh token was used again .* Refreshed ", page)
    assert_quoted("Leaked token", "Find its grant", "refresh token 1 of this grant: spent", "Timeline")
    assert_quoted("Started", "Refreshed", "A spent refresh token was used again", "Revoked")


def disconnect_the_application(walkthrough):
    browser = Browser(walkthrough.origin).sign_in()
    page = browser.open("/oauth/applications/")
    words = ["Phone app", "Read your notes", "Write your notes", "Disconnect"]
    assert re.search(".*".join(words), page)
    assert_quoted(*words)

    [question] = re.findall(r'href="(/oauth/applications/[0-9a-f-]{36}/revoke)"', browser.html)
    browser.open(question)
    assert "Phone app was disconnected." in browser.open(question, next="")


def assert_quoted(*words):
    for word in words:
        assert f"*{word}*" in TUTORIAL


def test_tutorial_does_what_it_says(walkthrough):
    typed = walkthrough.follow(TUTORIAL)

    assert typed == len(re.findall(r"^\$ ", TUTORIAL, flags=re.MULTILINE)) - len(NOT_TYPED)


NOT_TYPED = ["python3 -m venv", ". .venv/bin/activate", "python -m pip install", "python manage.py runserver"]


def shown(*lines):
    return "\n".join(["```console", *lines, "```", ""])


@pytest.mark.parametrize(
    "page",
    [
        shown("$ echo bread", "butter"),
        shown("$ echo bread", "bread", "butter"),
        shown("$ echo bread"),
        shown("$ false"),
        shown("$ echo ort_…"),
        shown("bread"),
        "```python\nprint()\n```\n",
        "```sh\necho bread\n```\n",
        "<!-- browser: sing -->\n",
        "<!-- keeps running -->\n" + shown("$ true"),
    ],
    ids=["other", "less", "more", "fails", "no token", "no command", "no file", "other fence", "browser", "no server"],
)
def test_page_that_does_not_match_is_refused(tmp_path, page):
    with pytest.raises(Mismatch):
        Walkthrough(tmp_path).follow(page)


def test_page_that_matches_is_followed(tmp_path):
    page = (
        "Write `list.py`:\n\n```python\nprint('Bread')\n```\n\n"
        "Add to the end of `list.py`, once:\n\n```python\nprint('ort_A8000', 8000, sep='\\n')\n```\n\n"
        "<!-- shown, not run -->\n" + shown("$ rm list.py") + shown("$ python list.py", "Br…", "…", "8000")
    ) + shown("$ TOKEN=ort_…", "$ echo \\", "  $TOKEN", "ort_A8000", "$ true", "$ seq 3", "…")

    assert Walkthrough(tmp_path).follow(page) == 5
