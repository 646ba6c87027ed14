"""Texts of tokens that another server issued: without a prefix of ours and without a MAC, known by their digest alone.

Whether a text is such a token only the database can say, or an importer of the project, who may find it among the
tokens of the other server and move its session here. So a text costs statements, and is looked up only while the
project says that there may be such tokens.
"""

import logging
import re
from collections.abc import Iterator
from urllib.parse import unquote

from django.apps import apps

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import ImporterFailed, OAuthError

logger = logging.getLogger(__name__)

_LONGEST = 4_096  # a JWT with many claims has 2,000 characters
# How tokens are cut out of a text such as a log: with and without what may also stand between two of them. A shorter
# word is found if it is the whole text.
_WORDS = (
    re.compile(r"[A-Za-z0-9._~+/-]{20,4096}=*"),
    re.compile(r"[A-Za-z0-9._-]{20,4096}"),
    re.compile(r"[A-Za-z0-9_-]{20,4096}"),
)


def accepts_foreign_tokens() -> bool:
    """Whether tokens of another server may be presented.

    So say ``FOREIGN_TOKENS``, and an installed app that imports sessions by ``imports_foreign_tokens = True`` in its
    AppConfig.
    """
    return bool(app_settings.foreign_tokens) or any(
        getattr(config, "imports_foreign_tokens", False) for config in apps.get_app_configs()
    )


def is_foreign_text(raw: str) -> bool:
    """Whether ``raw`` can be a token of another server, so that a look-up is worth its statement (RFC 6749 App. A.17).

    Never one that begins with a prefix of ours, nor one with other characters than printable ASCII, nor a long one.
    """
    return (
        0 < len(raw) <= _LONGEST
        and raw.isascii()
        and raw.isprintable()
        and not has_own_prefix(raw)
        and accepts_foreign_tokens()
    )


def has_own_prefix(raw: str) -> bool:
    """Whether ``raw`` begins as the tokens and codes of this server do."""
    return raw.startswith(
        (app_settings.access_token_prefix, app_settings.refresh_token_prefix, app_settings.authorization_code_prefix)
    )


def ask_importers(raw: str) -> None:
    """Let each importer of ``FOREIGN_TOKENS`` move the session of the token ``raw`` here, if it knows one.

    What it returns does not count, because another process may have moved the session meanwhile: look again. A session
    that cannot be moved, for its user is inactive or no scope is left, stays where it is. Raises ImporterFailed.
    """
    for importer in app_settings.foreign_tokens:
        try:
            importer(raw)
        except OAuthError as refusal:
            logger.info("A session of another server was not imported: %s", refusal.reason)
        except Exception as error:  # noqa: BLE001  code of the project, at views that answer database errors alone
            # Without its message, in which a KeyError repeats the raw token; but with the lines where it happened.
            failure = ImporterFailed(f"An importer of FOREIGN_TOKENS failed with {type(error).__name__}.")
            raise failure.with_traceback(error.__traceback__) from None


def foreign_texts_in(text: str) -> Iterator[str]:
    """Yield each word of a text, such as a log, that can be a token of another server."""
    if not accepts_foreign_tokens():
        return
    seen: set[str] = set()
    whole = text.strip()
    sources = (text, unquote(text)) if "%" in text else (text,)  # an address may hold one in its query string
    words = (match[0].rstrip(".") for source in sources for form in _WORDS for match in form.finditer(source))
    for word in (*[whole] * is_foreign_text(whole), *words):
        if word not in seen and not has_own_prefix(word):
            seen.add(word)
            yield word
