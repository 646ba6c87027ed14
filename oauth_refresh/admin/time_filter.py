"""Filter a list by time, to the minute or second."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Model, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from oauth_refresh.admin.form_filter import FormFilter
from oauth_refresh.models import AccessToken, Grant, GrantEvent, RefreshToken
from oauth_refresh.services.times import Period, parse_period

_TIMES: dict[type[Model], dict[str, Any]] = {
    Grant: {
        "started": pgettext_lazy("time", "started"),
        "refreshed": pgettext_lazy("time", "refreshed"),
        "revoked": pgettext_lazy("time", "revoked"),
        "alarmed": gettext_lazy("alarm raised"),
    },
    RefreshToken: {"issued": pgettext_lazy("time", "issued")},
    AccessToken: {"issued": pgettext_lazy("time", "issued")},
    GrantEvent: {"happened": pgettext_lazy("time", "happened")},
}
"""Of which event a row has the time; the first is meant where none is named."""

ORDERING = {"refreshed": "-refreshed_at", "revoked": "-revoked_at", "alarmed": "-revoked_at"}
"""The order of grants that are filtered by one of these times: newest first."""

_OFFERED = (
    (timedelta(hours=1), gettext_lazy("Last hour")),
    (timedelta(days=1), gettext_lazy("Last 24 hours")),
    (timedelta(days=7), gettext_lazy("Last 7 days")),
)


class TimeFilter(FormFilter):
    """``?time=revoked&from=2026-11-30T14:05&until=2026-11-30T14:20``, in the time zone of the site."""

    title = gettext_lazy("time")
    template = "admin/oauth_refresh/time_filter.html"
    parameter_names = ("time", "from", "until")

    def times(self) -> list[tuple[str, Any, bool]]:
        """Return the times of a row that can be chosen: name, label, and whether it is chosen."""
        return [(name, label, name == self.chosen()) for name, label in _TIMES[self.model].items()]

    def chosen(self) -> str:
        return self.typed("time") or next(iter(_TIMES[self.model]))

    def since(self) -> str:
        return self.typed("from")

    def until(self) -> str:
        return self.typed("until")

    def zone(self) -> str:
        return zone_name()

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        yield from super().choices(changelist)
        now = timezone.localtime() if settings.USE_TZ else timezone.now()
        for length, label in _OFFERED:
            values = {"time": self.chosen(), "from": f"{now - length:%Y-%m-%dT%H:%M}"}
            query_string = changelist.get_query_string(values, remove=["until"])
            yield {"selected": False, "query_string": query_string, "display": label}

    def condition(self) -> Q:
        period = parse_period(self.since(), self.until())
        if period is None or self.chosen() not in _TIMES[self.model]:
            text = _("Nothing is listed: write times as %(example)s, with or without a time zone.")
            raise ValueError(text % {"example": "2026-11-30 14:05"})
        if issubclass(self.model, GrantEvent):  # its index begins with the kind
            return period.of("at") & Q(kind__in=GrantEvent.Kind.values)
        if not issubclass(self.model, Grant):
            return period.of("created_at")
        return _OF_GRANTS[self.chosen()](period)


def zone_name() -> str:
    """Return the time zone in which times are read and shown, with its distance from UTC now."""
    if not settings.USE_TZ:
        return str(settings.TIME_ZONE)
    offset = f"{timezone.localtime():%z}"
    return f"{timezone.get_current_timezone()} (UTC{offset[:3]}:{offset[3:5]})"


def _refreshed(period: Period) -> Q:
    """Return the grants with a refresh in the period, as far as it is stored. The last one always is."""
    tokens = RefreshToken.objects.filter(period.of("created_at"), generation__gt=1).order_by().values("grant")
    return Q(pk__in=tokens.union(Grant.objects.filter(period.of("refreshed_at")).order_by().values("pk")))


def _alarmed(period: Period) -> Q:
    alarms = GrantEvent.objects.filter(period.of("at"), kind=GrantEvent.Kind.REUSED)
    return Q(pk__in=alarms.order_by().values("grant"))


_OF_GRANTS: dict[str, Callable[[Period], Q]] = {
    "started": lambda period: period.of("created_at"),
    "refreshed": _refreshed,
    "revoked": lambda period: period.of("revoked_at"),
    "alarmed": _alarmed,
}
