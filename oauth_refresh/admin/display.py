"""Cells of our lists: the state of a grant or token as a badge, two lines in one cell, and times to the second."""

from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from oauth_refresh.models import STAFF, AccessToken, Grant, RefreshToken, RevocationReason
from oauth_refresh.models.grant import REASON_LENGTH

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


def grant_url(admin_site: AdminSite, page: str, *args: Any) -> str | None:
    """Return the address of a page of grants; None where they are not registered at the site."""
    return _url(admin_site, f"grant_{page}", *args)


def retry_window_url(admin_site: AdminSite, grant: Grant) -> str | None:
    """Return the address of the field in which the grant's application is given a retry window; None as above."""
    url = _url(admin_site, "application_change", grant.application_id)
    return url and f"{url}#id_retry_window"


def _url(admin_site: AdminSite, page: str, *args: Any) -> str | None:
    try:
        return reverse(f"{admin_site.name}:oauth_refresh_{page}", args=args)
    except NoReverseMatch:
        return None


def alarm_meaning(*, looks_concurrent: bool) -> str:
    """Return what the reuse of a spent token most likely is, and what to do."""
    if looks_concurrent:
        return _("the client refreshed twice at once; give it a retry window")
    return _("treat it as theft: revoke, and call the user")


def format_time(time: datetime) -> str:
    """Return a time to the second, in the time zone of the site: theft and refresh may be seconds apart."""
    return f"{timezone.localtime(time) if timezone.is_aware(time) else time:%Y-%m-%d %H:%M:%S}"


def how_started(grant: Grant) -> str:
    """Return the grant type without the prefix of its URN."""
    return _("staff") if grant.grant_type == STAFF else grant.grant_type.rpartition(":")[2]


def end_description(grant: Grant, *, length: int = REASON_LENGTH) -> str:
    """Return why a grant was revoked, in at most ``length`` characters, and by whom."""
    reason = str(dict(RevocationReason.choices).get(grant.revoked_reason, grant.revoked_reason))
    by = _("by %(user)s") % {"user": grant.revoked_by} if grant.revoked_by is not None else ""
    return ", ".join(filter(None, [Truncator(reason).chars(length), by]))
