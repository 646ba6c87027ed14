"""Find the tokens in a text such as a log, for staff who have to revoke what leaked."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.services.db import db_alias
from oauth_refresh.services.foreign import ask_importers, foreign_texts_in, has_own_prefix
from oauth_refresh.services.lookup import PresentedRefreshToken

_BATCH = 500
"""How many texts are looked up by one statement."""

_RANDOM_WORD = re.compile(r"(?<![\w-])(?=[\w-]*[0-9])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[\w-]{20,}", re.ASCII)

_MOST_ASKED = 2_000  # an importer needs a few statements for each


def mentions_token(text: str) -> bool:
    """Whether something in ``text`` has the form of a token of ours, or is one of another server that was imported."""
    return next(_candidates(text), None) is not None or bool(find_tokens_in(text))


def may_mention_token(text: str) -> bool:
    """Whether ``text``, such as a reason that is stored, mentions a token, or may do so.

    While ``FOREIGN_TOKENS`` names an importer, a token of another server may be unknown here. It is taken for one if it
    has twenty characters or more, with digits, lower-case and upper-case letters; an identifier such as a UUID is none.
    """
    return mentions_token(text) or bool(app_settings.foreign_tokens and _RANDOM_WORD.search(text))


def ask_importers_about(text: str) -> None:
    """Let the importers of ``FOREIGN_TOKENS`` move the sessions of the tokens in a text, so that they are found here.

    They are asked about what can be a token of another server and is unknown here, ``_MOST_ASKED`` texts at most. What
    is moved goes on working until the caller revokes it. Raises ImporterFailed.
    """
    if app_settings.foreign_tokens:
        candidates = list(islice(foreign_texts_in(text), _MOST_ASKED))
        known = _access_tokens(candidates) | _refresh_tokens(candidates)
        for raw in candidates:
            if raw not in known:
                ask_importers(raw)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSearch:
    """What a text holds: ``tokens``, the first of each grant; ``found``, how many there are in all.

    ``unknown``: how many texts have the form of a token of ours and are none of this server, as far as it knows.
    """

    tokens: tuple[PresentedRefreshToken | AccessToken, ...]
    found: int
    unknown: int


def find_tokens_in(text: str) -> list[PresentedRefreshToken | AccessToken]:
    """Return the genuine tokens in a text such as a log, the first of each grant."""
    return list(search_text(text).tokens)


def search_text(text: str) -> TextSearch:
    """Return the genuine tokens in a text such as a log.

    Text that only looks like a token, such as an attacker's noise, costs a few statements for each thousand. Tokens of
    another server are found if their session was imported; other words are not counted as unknown.
    """
    first_of_each: dict[Any, PresentedRefreshToken | AccessToken] = {}
    found_spans: list[tuple[int, int]] = []
    other_spans: list[tuple[int, int]] = []
    foreign = 0
    candidates = chain(_candidates(text), ((word, None) for word in foreign_texts_in(text)))
    while batch := dict(islice(candidates, _BATCH)):
        found = _access_tokens(list(batch)) | _refresh_tokens(list(batch))
        for raw, start in batch.items():
            token = found.get(raw)
            if start is not None:
                (other_spans if token is None else found_spans).append((start, start + len(raw)))
            if token is not None:
                foreign += start is None
                first_of_each.setdefault(token.grant.pk, token)
    return TextSearch(
        tokens=tuple(first_of_each.values()),
        found=len(found_spans) + foreign,
        unknown=_count_apart(other_spans, found_spans),
    )


def _count_apart(spans: list[tuple[int, int]], found: list[tuple[int, int]]) -> int:
    """Count the spans that overlap no found one and not each other, all sorted: of ``oat_oat_…`` one is counted."""
    count = last_end = 0
    for start, end in spans:
        before = bisect_left(found, (end,)) - 1
        overlaps = before >= 0 and found[before][1] > start
        if not overlaps and start >= last_end:
            count, last_end = count + 1, end
    return count


def _access_tokens(raw_texts: list[str]) -> dict[str, PresentedRefreshToken | AccessToken]:
    prefix = app_settings.access_token_prefix
    digests = {
        crypto.digest(raw): raw
        for raw in raw_texts
        if crypto.is_opaque_token_text(raw, prefix=prefix) or not has_own_prefix(raw)
    }
    rows = AccessToken.objects.using(db_alias()).select_related("grant__user", "grant__application")
    return {digests[row.digest]: row for row in rows.filter(digest__in=digests)}


def _refresh_tokens(raw_texts: list[str]) -> dict[str, PresentedRefreshToken | AccessToken]:
    """Return the genuine refresh tokens among the texts: by their digests, then by their MACs."""
    prefix = app_settings.refresh_token_prefix
    parsed = {raw: text for raw in raw_texts if (text := crypto.parse_refresh_token(raw, prefix=prefix)) is not None}
    digests = {raw: crypto.digest(raw) for raw in raw_texts if raw in parsed or not has_own_prefix(raw)}
    rows = RefreshToken.objects.using(db_alias()).select_related("grant__user", "grant__application")
    by_digest = {row.digest: row for row in rows.filter(digest__in=digests.values())}
    grants = Grant.objects.using(db_alias()).select_related("user", "application")
    unmatched_public_ids = [text.public_id for text in parsed.values() if text.digest not in by_digest]
    by_public_id = {grant.public_id: grant for grant in grants.filter(public_id__in=unmatched_public_ids)}
    found: dict[str, PresentedRefreshToken | AccessToken] = {}
    for raw, digest in digests.items():
        row, text = by_digest.get(digest), parsed.get(raw)
        if row is not None:
            found[raw] = PresentedRefreshToken(grant=row.grant, generation=row.generation, row=row)
            continue
        grant = by_public_id.get(text.public_id) if text is not None else None
        if text is not None and grant is not None and text.has_valid_mac(bytes(grant.mac_key)):
            found[raw] = PresentedRefreshToken(grant=grant, generation=text.generation, row=None)
    return found


def _candidates(text: str) -> Iterator[tuple[str, int | None]]:
    """Yield what has the form of a refresh or access token, each once, and where it begins.

    They may overlap: ``export_ort_…`` holds a prefix twice, and which of them begins a token only a look-up can say.
    """
    kinds = (
        (app_settings.refresh_token_prefix, crypto.REFRESH_TOKEN_BODY),
        (app_settings.access_token_prefix, crypto.OPAQUE_BODY),
    )
    pattern = "|".join(f"{re.escape(prefix)}{body.pattern}" for prefix, body in kinds)
    seen: set[str] = set()
    for match in re.finditer(f"(?=({pattern}))", text):
        if (raw := match[1]) not in seen:
            seen.add(raw)
            yield raw, match.start(1)
