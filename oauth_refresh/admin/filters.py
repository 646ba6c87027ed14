"""Filters of the list of grants: links, so that they work without JavaScript."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from oauth_refresh.admin.choosing import ProposingInput
from oauth_refresh.admin.display import STATES, application_url, isolated
from oauth_refresh.models import Application, Grant, RevocationReason
from oauth_refresh.models.grant import live_grant

_OTHER = "other"
_NOTHING = Q(pk__in=[])  # for a value that is not known: the whole list might be revoked by mistake
_MOST_APPLICATIONS = 30


class StateFilter(admin.SimpleListFilter):
    """The state as far as columns tell: a changed password shows only in the row."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(state, STATES[state]) for state in ("active", "revoked", "expired", "blocked")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> QuerySet[Grant]:
        now = timezone.now()
        expired = Q(idle_expires_at__lte=now) | Q(expires_at__lte=now, expires_at__isnull=False)
        conditions = {
            "": Q(),
            "active": live_grant(now),
            "revoked": Q(revoked_at__isnull=False),
            "expired": Q(revoked_at=None) & expired,
            "blocked": Q(revoked_at=None) & ~expired & ~live_grant(now),
        }
        return queryset.filter(conditions.get(self.value() or "", _NOTHING))


class ReasonFilter(admin.SimpleListFilter):
    """The app's own reasons by name; what staff wrote is too various to list."""

    title = _("reason")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*RevocationReason.choices, (_OTHER, _("other, written by staff"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> QuerySet[Grant]:
        reason = self.value()
        if reason == _OTHER:
            return queryset.filter(revoked_at__isnull=False).exclude(revoked_reason__in=RevocationReason.values)
        return queryset.filter(revoked_reason=reason) if reason else queryset


class ApplicationFilter(admin.SimpleListFilter):
    """One application by its client ID; where there are too many to list, typed into a field that proposes names."""

    title = _("application")
    parameter_name = "client_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        may_view = any(request.user.has_perm(f"oauth_refresh.{verb}_application") for verb in ("view", "change"))
        offered = Application.objects.order_by("name", "pk")[: _MOST_APPLICATIONS + 1]
        if may_view and len(offered) > _MOST_APPLICATIONS:
            self.template = "admin/oauth_refresh/application_filter.html"
            self.field = ProposingInput({"aria-label": self.title, "autocomplete": "off"})
            self.field.url = application_url(model_admin.admin_site, "names") or ""
            self.kept = [(key, value) for key, value in request.GET.items() if key not in {self.parameter_name, "p"}]
        if not may_view or len(offered) > _MOST_APPLICATIONS:
            return [(self.value() or "", self.value())] if self.value() else []
        return [(application.client_id, isolated(application)) for application in offered]

    def rendered_field(self) -> SafeString:
        return self.field.render(self.parameter_name, self.value(), {"id": "oauth-application"})

    def has_output(self) -> bool:
        return True  # Django does not apply a filter that offers nothing, and would list everything

    def queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> QuerySet[Grant]:
        client_id = self.value()
        return queryset.filter(application__client_id=client_id) if client_id else queryset
