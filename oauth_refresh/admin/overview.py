"""The overview: what happened in the last hour, day, week or month, and who is affected."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from oauth_refresh.admin.base import ExtraPagesAdmin, may_view_users
from oauth_refresh.admin.charts import Chart, make_chart, typed_period
from oauth_refresh.admin.display import (
    alarm_meaning,
    format_time,
    grant_badge,
    grant_state,
    grant_url,
    one_direction,
    program,
)
from oauth_refresh.admin.links import list_url, row_url
from oauth_refresh.admin.time_filter import zone_name
from oauth_refresh.models import Grant, GrantEvent, Overview, RefreshToken, RevocationReceiver
from oauth_refresh.services import overview, upkeep
from oauth_refresh.services.suspects import Suspect, find_suspects

_PERIODS = {
    "hour": gettext_lazy("Last hour"),
    "day": gettext_lazy("Last 24 hours"),
    "week": gettext_lazy("Last 7 days"),
    "month": gettext_lazy("Last 30 days"),
}
_MOST_ALARMS = 20
_MOST_SUSPECTS = 20

_SERIES: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "alarms": (gettext_lazy("Alarms"), GrantEvent, {"kind__exact": GrantEvent.Kind.REUSED}),
    "refused": (gettext_lazy("Refused retries"), GrantEvent, {"kind__exact": GrantEvent.Kind.REFUSED}),
    "failures": (gettext_lazy("Failed client authentications"), None, {}),
    "refreshes": (gettext_lazy("Refreshes"), RefreshToken, {"generation__gt": 1}),
    "started": (gettext_lazy("New grants"), Grant, {"time": "started"}),
    "revoked": (gettext_lazy("Revoked grants"), Grant, {"time": "revoked"}),
}
"""Of each chart: its title, and the list of what it counts."""


@admin.register(Overview)
class OverviewAdmin(ExtraPagesAdmin):
    """One page, for staff with ``view_overview``. Users, addresses and grants need the right to view grants as well."""

    def get_urls(self) -> list[URLPattern]:
        """Leave out the pages of rows: they would show a grant to staff who may only see this page."""
        view = self.admin_site.admin_view(self.changelist_view)
        return [path("", view, name=f"{self.opts.app_label}_{self.opts.model_name}_changelist")]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        period, now = request.GET.get("period", ""), timezone.now()
        period = period if period in _PERIODS else "day"
        limits = overview.period_limits(period, now)
        context = {
            "title": _("Overview"),
            "periods": [(name, label, name == period) for name, label in _PERIODS.items()],
            "zone": zone_name(),
            "charts": list(self._charts(request, limits)),
            "shows_grants": list_url(request, self.admin_site, Grant) is not None,
            **self._affected(request, limits),
            **self._upkeep(request, now, limits),
            **(extra_context or {}),
        }
        return self.render_page(request, "overview", **context)

    def _charts(self, request: HttpRequest, limits: list[datetime]) -> Iterator[Chart]:
        counted = {series.name: series for series in overview.count_series(limits)}
        for name, (title, model, query) in _SERIES.items():
            if (series := counted.get(name)) is None:
                continue

            def link(since: datetime, until: datetime, model: Any = model, query: dict[str, Any] = query) -> str | None:
                named = query | typed_period(since, until)
                return model and list_url(request, self.admin_site, model, **named)

            note = _("Counted in the cache. The log names the clients.") if model is None else ""
            yield make_chart(name, title, counts=series.counts, limits=limits, link=link, note=note)

    def _affected(self, request: HttpRequest, limits: list[datetime]) -> dict[str, Any]:
        """Return what is shown of grants, users and addresses; without the right to view grants, applications alone."""
        since, alarmed = limits[0], {"time": "alarmed", **typed_period(limits[0], limits[-1])}

        def linked(found: list[overview.Affected], name: str) -> list[tuple[overview.Affected, str | None]]:
            return [(one, list_url(request, self.admin_site, Grant, **alarmed, **{name: one.key})) for one in found]

        largest = [(_("Applications"), linked(overview.affected_applications(since), "client_id"))]
        if list_url(request, self.admin_site, Grant) is None:
            return {"largest": largest}
        users = linked(overview.affected_users(since), "user")
        if not may_view_users(request):  # the list refuses to be filtered by user
            users = [(one, None) for one, _url in users]
        largest += [
            (_("Users"), users),
            (_("Addresses"), linked(overview.affected_addresses(since), "address")),
        ]
        return {"largest": largest, **self._alarms(request, since), **self._suspects(request, since)}

    def _alarms(self, request: HttpRequest, since: datetime) -> dict[str, Any]:
        alarms = overview.newest_alarms(since, most=_MOST_ALARMS)
        rows = [
            {
                "at": format_time(alarm.at),
                "what": capfirst(alarm_meaning(looks_concurrent=alarm.looks_concurrent)),
                "state": grant_badge(alarm.grant),
                "first": self._origin(request, alarm.first_address, alarm.first_user_agent),
                **self._row(request, alarm),
            }
            for alarm in alarms
        ]
        return {"alarms": rows}

    def _suspects(self, request: HttpRequest, since: datetime) -> dict[str, Any]:
        suspects = find_suspects(since)

        def rows(found: list[Suspect]) -> list[dict[str, Any]]:
            return [
                {
                    "at": format_time(suspect.token.created_at),
                    "usual": self._origin(request, suspect.usual_address, suspect.usual_user_agent),
                    **self._row(request, suspect.token),
                }
                for suspect in found[:_MOST_SUSPECTS]
            ]

        strong = [suspect for suspect in suspects.found if suspect.is_another_program]
        weak = [suspect for suspect in suspects.found if not suspect.is_another_program]
        return {
            "suspects": rows(strong),
            "suspect_count": len(strong),
            "moved": rows(weak),
            "moved_count": len(weak),
            "compared_since": format_time(suspects.compared_since) if suspects.compared_since > since else None,
        }

    def _row(self, request: HttpRequest, row: GrantEvent | RefreshToken) -> dict[str, Any]:
        """Return the cells that alarms and suspects share: whose grant, and from where."""
        return {
            "user": one_direction(row.grant.user or _("the application itself")),
            "application": one_direction(row.grant.application),
            "url": row_url(request, self.admin_site, row.grant),
            "origin": self._origin(request, row.address, row.user_agent),
            **self._revocation(request, row.grant),
        }

    def _revocation(self, request: HttpRequest, grant: Grant) -> dict[str, Any]:
        """Return the page that revokes the grant or, if an alarm ended it already, those that its user still has."""
        if not request.user.has_perm("oauth_refresh.revoke_grant"):
            return {}
        if grant_state(grant) in {"active", "blocked"}:
            return {"revoke_url": grant_url(self.admin_site, "revoke", grant.pk), "revoke_label": _("Revoke…")}
        if grant.user is None:
            return {}
        url = grant_url(self.admin_site, "revoke_user", grant.pk)
        return {"revoke_url": url, "revoke_label": _("Revoke all grants of the user…")}

    def _origin(self, request: HttpRequest, address: str | None, user_agent: str | None) -> dict[str, Any]:
        url = list_url(request, self.admin_site, Grant, address=address) if address else None
        return {"address": address, "url": url, "program": program(user_agent) if user_agent else ""}

    def _upkeep(self, request: HttpRequest, now: datetime, limits: list[datetime]) -> dict[str, Any]:
        run = upkeep.last_prune_run()
        due = upkeep.refresh_tokens_due(now, run)
        many = _("more than %(count)d") % {"count": upkeep.MOST_DUE}
        return {
            "prune_run": run,
            "pruned_at": run and format_time(run.finished_at),
            "due": many if due > upkeep.MOST_DUE else due,
            "notices": upkeep.notices_since(limits[0]),
            "receivers": upkeep.receivers_behind(),
            "receivers_url": list_url(request, self.admin_site, RevocationReceiver),
        }
