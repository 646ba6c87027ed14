"""The feed of revocations: what was revoked since a cursor, for APIs elsewhere that keep answers of introspection.

Numbers of notices are taken before the commit, so a notice may become visible after others with larger numbers. The
feed therefore sends every notice again until it is settled: older than any transaction is expected to last.
"""

from dataclasses import astuple, dataclass
from datetime import timedelta
from typing import Any, Self

from django.core import signing
from django.utils import timezone

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidClient, InvalidRequest, NotAResourceServer
from oauth_refresh.models import Application, RevocationNotice
from oauth_refresh.services.db import db_alias

PAGE_SIZE = 1_000
NOTICE_RETENTION = timedelta(days=1)
"""How long notices are kept, at least; and the newest one for ever."""

_LONGEST_CURSOR = 200
_UNUSABLE = "The parameter after is no cursor of this server. Leave it out to start again."
# A cursor that is younger cannot have missed a pruned notice. Much less than the retention, because clocks differ.
_SURELY_COMPLETE = NOTICE_RETENTION / 4


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader has come, and where it begins again.

    ``settled``: the number up to which every notice was sent, and none can be committed any more. ``position``: the
    last number that was sent; beyond ``settled`` only between two pages. ``issued_at``: seconds since the epoch.
    """

    settled: int
    position: int
    issued_at: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor that ``text`` is. Raises InvalidRequest for one that this server did not issue."""
        try:
            if len(text) > _LONGEST_CURSOR:
                raise signing.BadSignature
            return cls(*_signer().unsign_object(text))
        except signing.BadSignature as error:
            raise InvalidRequest(_UNUSABLE) from error

    def __str__(self) -> str:
        return _signer().sign_object(astuple(self))


def read_feed(caller: Application, raw_cursor: str | None) -> dict[str, Any]:
    """Return the members of the answer to ``caller``, an authenticated application: at most ``PAGE_SIZE`` entries.

    Without a cursor, the present one and no entries. ``more``: whether the next page can be read at once; ``reset``
    instead of entries: notices may have been pruned that the reader has not seen. One statement; two for a reset.
    Raises InvalidRequest for a cursor of another server or of the future, InvalidClient for a public application, and
    NotAResourceServer for others that may not introspect all tokens.
    """
    if caller.is_public:
        raise InvalidClient("A public application cannot authenticate, so it may not read the revocations.")
    if not caller.is_resource_server:
        raise NotAResourceServer("The application is not a resource server.")
    now = int(timezone.now().timestamp())
    if raw_cursor is None:
        return {"cursor": str(_first_cursor(now)), "revocations": [], "more": False}
    return _page_after(Cursor.parse(raw_cursor), now=now)


def _page_after(cursor: Cursor, *, now: int) -> dict[str, Any]:
    # The notice at the position itself is read too: if it is there, none after it was pruned.
    notices = RevocationNotice.objects.using(db_alias()).filter(pk__gte=cursor.position).with_settled().order_by("pk")
    found: list[Any] = list(notices[: PAGE_SIZE + 2])
    if not found and cursor.position:  # the newest notice is never pruned, so the cursor is of another database
        raise InvalidRequest(_UNUSABLE)
    is_old = now - cursor.issued_at >= _SURELY_COMPLETE.total_seconds()
    if is_old and found and found[0].pk > cursor.position + 1:
        return {"cursor": str(_first_cursor(now)), "reset": True}
    unread = [notice for notice in found if notice.pk > cursor.position]
    page = unread[:PAGE_SIZE]
    settled = cursor.settled
    # Only if everything before this page was settled when it was read. Otherwise notices may have been committed there
    # since, which only the next pass will find.
    if settled == cursor.position:
        settled = max((notice.pk for notice in page if notice.is_settled), default=settled)
    more = len(unread) > PAGE_SIZE
    follower = Cursor(settled, page[-1].pk if more else settled, now)
    return {"cursor": str(follower), "revocations": [notice.entry for notice in page], "more": more}


def _first_cursor(now: int) -> Cursor:
    """Return the cursor of a reader that keeps no answer yet; it lies before what may still be committed."""
    settled = last_settled()
    return Cursor(settled, settled, now)


def last_settled() -> int:
    """Return the number up to which every notice can be read, and none can be committed any more; 0 without notices."""
    notices = RevocationNotice.objects.using(db_alias())
    return notices.settled().order_by("-pk").values_list("pk", flat=True).first() or 0


def _signer() -> signing.Signer:
    """Return the signer of cursors. Its key has a purpose of its own, and ``SECRET_KEY_FALLBACKS`` count as well.

    A signature is enough, since a cursor holds nothing secret. The issuer is part of the purpose, because copies of one
    project, such as production and staging, may share their key.
    """
    return signing.Signer(salt=f"oauth_refresh.revocations {app_settings.issuer}")
