"""Scope strings (RFC 6749 §3.3): case-sensitive tokens in no particular order, separated by spaces."""

from collections.abc import Collection, Sequence

from django.utils.translation import gettext, gettext_noop

from oauth_refresh.conf import app_settings
from oauth_refresh.conf.values import SCOPE_TOKEN
from oauth_refresh.errors import InvalidScope

OFFLINE_ACCESS = "offline_access"
"""The scope by which clients of OpenID Connect request a refresh token (Core §11).

Here the application and the grant type decide on that, so this scope changes nothing. It is granted with each refresh
token, so that such clients are not refused, and the consent page says what it means.
"""


def parse_scope(text: str) -> tuple[str, ...]:
    """Return the distinct scope tokens of ``text`` in their first order; repeated spaces are tolerated.

    Raises InvalidScope if a token holds a character outside the grammar of RFC 6749 §3.3.
    """
    tokens = tuple(dict.fromkeys(token for token in text.split(" ") if token))
    if not all(SCOPE_TOKEN.fullmatch(token) for token in tokens):
        raise InvalidScope(gettext_noop("The scope holds a character that RFC 6749 does not allow."))
    return tokens


def scope_texts() -> dict[str, str]:
    """Return scope name to the text that a user reads: those of ``SCOPES``, and ``offline_access``."""
    texts = dict(app_settings.scopes)
    texts.setdefault(OFFLINE_ACCESS, gettext("Act for you while you are away"))
    return texts


def allows_access(scopes: Collection[str]) -> bool:
    """Whether a token with these scopes allows anything: ``offline_access`` only says for how long."""
    return any(name != OFFLINE_ACCESS for name in scopes)


def scopes_at(resources: Collection[str], scopes: Sequence[str]) -> tuple[str, ...]:
    """Return those of ``scopes`` that one of the resources has (RFC 8707 §2); all of them if no resource is named.

    ``offline_access`` is kept: it says for how long, and not at which API.
    """
    known = [app_settings.resources[name].scopes for name in resources if name in app_settings.resources]
    if not known or None in known:
        return tuple(scopes)
    return tuple(name for name in scopes if name == OFFLINE_ACCESS or any(name in (own or ()) for own in known))
