"""What stands in the cells of our lists."""

from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext_lazy

from oauth_refresh.models import Grant

_UNITS = (
    (7 * 24 * 3600, ngettext_lazy("%(count)d week", "%(count)d weeks", "count")),
    (24 * 3600, ngettext_lazy("%(count)d day", "%(count)d days", "count")),
    (3600, ngettext_lazy("%(count)d hour", "%(count)d hours", "count")),
    (60, ngettext_lazy("%(count)d minute", "%(count)d minutes", "count")),
    (1, ngettext_lazy("%(count)d second", "%(count)d seconds", "count")),
)


def state_badge(grant: Grant) -> SafeString:
    """Return whether the grant is live, and if not, what keeps it from being used."""
    now = timezone.now()
    if (ended := grant.why_ended(now)) is not None:
        words = {"revoked": _("revoked"), "expired": _("expired")}
        return badge(words[ended], look=ended)
    barred = {
        "application inactive": _("application inactive"),
        "user inactive": _("user inactive"),
        "password changed": _("password changed"),
    }
    why = grant.why_dead(now)
    return badge(_("live"), look="live") if why is None else badge(barred[why], look="expired")


def grant_url(admin_site: AdminSite, pk: Any) -> str | None:
    """Return the address of a grant's page; None where the site has none."""
    try:
        return reverse(f"{admin_site.name}:oauth_refresh_grant_change", args=[pk])
    except NoReverseMatch:
        return None


def badge(text: str, *, look: str) -> SafeString:
    return format_html('<span class="oauth-badge oauth-{}">{}</span>', look, text)


def two_lines(first: object, second: object = "") -> SafeString:
    """Return a cell of two lines, the second quiet; so that a wide table stays readable."""
    if not second:
        return format_html("{}", first)
    return format_html('{}<br><span class="quiet">{}</span>', first, second)


def lifetime(seconds: int) -> str:
    """Return a number of seconds in the largest unit that says it exactly."""
    size, words = next(unit for unit in _UNITS if seconds % unit[0] == 0)
    return str(words % {"count": seconds // size})


def moment(time: datetime) -> str:
    """Return a time to the second, in the time zone of the site: in an incident seconds matter."""
    return f"{timezone.localtime(time) if timezone.is_aware(time) else time:%Y-%m-%d %H:%M:%S}"
