"""Scope strings (RFC 6749 §3.3): case-sensitive tokens in no particular order, separated by spaces."""

from django.utils.translation import gettext_noop

from oauth_refresh.conf import SCOPE_TOKEN
from oauth_refresh.errors import InvalidScope


def parse_scope(text: str) -> tuple[str, ...]:
    """Return the distinct scope tokens of ``text`` in their first order; repeated spaces are tolerated.

    Raises InvalidScope if a token holds a character outside the grammar of RFC 6749 §3.3.
    """
    tokens = tuple(dict.fromkeys(token for token in text.split(" ") if token))
    if not all(SCOPE_TOKEN.fullmatch(token) for token in tokens):
        raise InvalidScope(gettext_noop("The scope holds a character that RFC 6749 does not allow."))
    return tokens
