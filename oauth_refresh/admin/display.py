"""Cells of our lists: the state of a grant or token as a badge, two lines in one cell, and times to the second."""

from datetime import datetime
from typing import Any
from unicodedata import bidirectional

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from oauth_refresh.models import IMPORTED, STAFF, AccessToken, Grant, RefreshToken, RevocationReason
from oauth_refresh.models.grant import REASON_LENGTH
from oauth_refresh.user_agents import program_name

_SHORT_USER_AGENT = 40  # characters, such as curl/8.5.0
_DIRECTION_CONTROLS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])

STATES = {  # of grants and tokens, and what blocks a grant
    "active": pgettext_lazy("state", "active"),  # django.contrib.auth has a translation of "active", with a capital
    "current": gettext_lazy("current"),
    "spent": gettext_lazy("spent"),
    "revoked": gettext_lazy("revoked"),
    "expired": gettext_lazy("expired"),
    "blocked": gettext_lazy("blocked"),
    "application inactive": gettext_lazy("application inactive"),
    "user inactive": gettext_lazy("user inactive"),
    "user hidden": gettext_lazy("user hidden"),
    "password changed": gettext_lazy("password changed"),
}


def grant_state(grant: Grant) -> str:
    return grant.end_reason(timezone.now()) or ("active" if grant.block_reason() is None else "blocked")


def token_state(token: RefreshToken | AccessToken) -> str:
    """Return the state of a token: ``current``, ``spent`` or ``active``, or how it or its grant ended."""
    now = timezone.now()
    if isinstance(token, RefreshToken) and token.is_spent:
        return "spent"
    if token.is_live_at(now):
        return "current" if isinstance(token, RefreshToken) else "active"
    if (state := grant_state(token.grant)) != "active":
        return state
    return "expired" if token.expires_at <= now else "revoked"


def badge(state: str) -> SafeString:
    return format_html('<span class="oauth-badge oauth-{}">{}</span>', state, STATES[state])


def grant_badge(grant: Grant) -> SafeString:
    """Return the state of a grant, and what blocks it."""
    state = grant_state(grant)
    if state != "blocked":
        return badge(state)
    return format_html('{} <span class="quiet">{}</span>', badge(state), STATES[grant.block_reason() or ""])


def two_line_cell(first: object, second: object = "") -> SafeString:
    """Return a cell with a second, quiet line, which keeps a wide table readable."""
    if not second:
        return format_html("{}", first)
    return format_html('{}<br><span class="quiet">{}</span>', first, second)


def one_direction(value: object) -> str:
    """Return a text without the characters that turn its direction: they make ``gnp.exe`` look like ``exe.png``."""
    return str(value).translate(_DIRECTION_CONTROLS)


def isolated(value: object) -> str:
    """Return a name for a sentence or a title, so that the words around it keep their order (Unicode UAX #9).

    Where there is HTML, ``isolated_cell``.
    """
    text = one_direction(value)
    if not any(bidirectional(character) in {"R", "AL", "AN"} for character in text):
        return text
    return f"\u2068{text}\u2069"  # FIRST STRONG ISOLATE, POP DIRECTIONAL ISOLATE


def isolated_cell(value: object) -> SafeString:
    return format_html("<bdi>{}</bdi>", one_direction(value))


def program(user_agent: str) -> SafeString:
    """Return a user agent: a short one as it is, a long one by its program's name, which opens the whole text."""
    name = program_name(user_agent)
    if not name or len(user_agent) <= _SHORT_USER_AGENT:
        return isolated_cell(user_agent)
    template = '<details class="oauth-program"><summary>{}</summary>{}</details>'
    return format_html(template, name, isolated_cell(user_agent))


def origin(row: Any) -> SafeString:
    """Return the address and the program of a row that records them."""
    if not row.user_agent:
        return format_html("{}", row.address or "-")
    return format_html("{}{}", row.address or "", program(row.user_agent))


def grant_url(admin_site: AdminSite, page: str, *args: Any) -> str | None:
    """Return the address of a page of grants; None where they are not registered at the site."""
    return _url(admin_site, f"grant_{page}", *args)


def application_url(admin_site: AdminSite, page: str, *args: Any) -> str | None:
    """Return the address of a page of applications; None as above."""
    return _url(admin_site, f"application_{page}", *args)


def retry_window_url(admin_site: AdminSite, grant: Grant) -> str | None:
    """Return the address of the field in which the grant's application is given a retry window; None as above."""
    url = application_url(admin_site, "change", grant.application_id)
    return url and f"{url}#id_retry_window"


def _url(admin_site: AdminSite, page: str, *args: Any) -> str | None:
    try:
        return reverse(f"{admin_site.name}:oauth_refresh_{page}", args=args)
    except NoReverseMatch:
        return None


def alarm_meaning(*, looks_concurrent: bool) -> str:
    """Return what the reuse of a spent token most likely is, and what to do."""
    if looks_concurrent:
        return _("the client most likely refreshed twice at once; if so, give it a retry window")
    return _("treat it as theft: revoke, and call the user")


def local_time(time: datetime) -> datetime:
    """Return a time in the time zone of the site; without ``USE_TZ`` as it is."""
    return timezone.localtime(time) if timezone.is_aware(time) else time


def format_time(time: datetime) -> str:
    """Return a time to the second, in the time zone of the site: theft and refresh may be seconds apart."""
    return f"{local_time(time):%Y-%m-%d %H:%M:%S}"


def time_column(name: str, label: Any) -> Any:  # a callable, which the types of Django's stubs take for a name
    """Return a column, or a field of a page, that shows the time ``name`` of a row as ``format_time`` does."""

    @admin.display(description=label, ordering=name)
    def column(row: Any) -> str:
        time = getattr(row, name)
        return "-" if time is None else format_time(time)

    column.__name__ = name  # the class of the cell
    return column


def how_started(grant: Grant) -> str:
    """Return the grant type without the prefix of its URN."""
    names = {IMPORTED: _("import"), STAFF: _("staff")}
    return names.get(grant.grant_type) or grant.grant_type.rpartition(":")[2]


def end_description(grant: Grant, *, length: int = REASON_LENGTH) -> str:
    """Return why a grant was revoked, in at most ``length`` characters, and by whom."""
    reason = str(dict(RevocationReason.choices).get(grant.revoked_reason, grant.revoked_reason))
    by = _("by %(user)s") % {"user": isolated(grant.revoked_by)} if grant.revoked_by is not None else ""
    return ", ".join(filter(None, [isolated(Truncator(reason).chars(length)), by]))
