"""Scope strings: RFC 6749 §3.3, to the character."""

import pytest

from oauth_refresh.errors import InvalidScope
from oauth_refresh.scopes import parse_scope

ALLOWED = "".join(chr(c) for c in range(0x21, 0x7F) if chr(c) not in '"\\')


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", ()),
        ("   ", ()),
        ("read", ("read",)),
        ("write read", ("write", "read")),
        ("  read   write ", ("read", "write")),
        ("read write read", ("read", "write")),
        ("Read read", ("Read", "read")),
        (ALLOWED, (ALLOWED,)),
    ],
)
def test_scope_is_parsed_into_distinct_tokens_in_their_first_order(text, tokens):
    assert parse_scope(text) == tokens


@pytest.mark.parametrize("text", ['"', "\\", "read\twrite", "read\n", "\x00", "\x7f", "é", "read \udc80", "\u00a0"])
def test_scope_with_a_forbidden_character_is_refused(text):
    with pytest.raises(InvalidScope) as refusal:
        parse_scope(text)

    assert refusal.value.reason == "The scope holds a character that RFC 6749 does not allow."
