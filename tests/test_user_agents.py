"""User agents as people know them; what a client sends may be any text."""

import pytest
from django.utils.translation import override

from oauth_refresh.http import USER_AGENT_LENGTH
from oauth_refresh.user_agents import program_name

BROWSERS = "Mozilla/5.0 ({}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 {}Safari/537.36"
NAMES = {
    "": "",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:128.0) Gecko/20100101 Firefox/128.0": "Firefox on Windows",
    BROWSERS.format("Macintosh; Intel Mac OS X 10_15_7", ""): "Chrome on macOS",
    BROWSERS.format("Linux; Android 14; Pixel 8", "Mobile "): "Chrome Mobile on Android",
    "NotesApp/12 CFNetwork/1485 Darwin/23.1.0": "NotesApp on iOS",
    "curl/8.5.0": "curl",
    "Photo album/1.0": "Photo album",
    "thief/6.6 (bought in a dark corner)": "thief",
    "node": "node",
    "(x)": "(x)",
    "/": "/",
    "\x00\x1b[31m": "[31m",
    "\x00": "",
    "a\N{RIGHT-TO-LEFT OVERRIDE}b/1": "ab",
    "x" * USER_AGENT_LENGTH: "x" * 39 + "…",
    "\N{GOAT}/1": "\N{GOAT}",
}


@pytest.mark.parametrize(("user_agent", "name"), NAMES.items(), ids=[name or "nothing" for name in NAMES.values()])
def test_program_is_named(user_agent, name):
    assert program_name(user_agent) == name


@pytest.mark.parametrize("piece", ["(", "a/1 ", "iPhone; ", "Linux; Android 14; A ", ";", " ", "\x00", "\N{GOAT}"])
def test_any_text_has_a_name_of_bounded_length(piece):
    assert len(program_name(piece * (USER_AGENT_LENGTH // len(piece)))) <= 40 + len(" on ") + 40


def test_program_is_named_in_the_language_of_the_reader():
    with override("de"):
        assert program_name(next(text for text in NAMES if "Firefox" in text)) == "Firefox unter Windows"
