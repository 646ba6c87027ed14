"""What the list of grants can be narrowed to, without listing a whole table and without JavaScript."""

from collections.abc import Iterator
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.db.models import Q, QuerySet
from django.forms import ModelChoiceField
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from oauth_refresh.models import Application, Grant, RevocationReason
from oauth_refresh.models.grant import live_grant
from oauth_refresh.services.lookup import is_storable

_OTHER = "other"
_NOTHING = Q(pk__in=[])
"""For a filter that is not understood: the whole list is what somebody might revoke by mistake."""
_LONGEST_KEY = 18  # digits of a number that fits into a column


class StateFilter(admin.SimpleListFilter):
    """Live as far as columns tell: a changed password shows only in the row."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("live", _("live")),
            ("revoked", _("revoked")),
            ("expired", _("expired")),
            ("barred", _("barred: user or application inactive")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> QuerySet[Grant]:
        now = timezone.now()
        expired = Q(idle_expires_at__lte=now) | Q(expires_at__lte=now, expires_at__isnull=False)
        conditions = {
            "": Q(),
            "live": live_grant(now),
            "revoked": Q(revoked_at__isnull=False),
            "expired": Q(revoked_at=None) & expired,
            "barred": Q(revoked_at=None) & ~expired & ~live_grant(now),
        }
        return queryset.filter(conditions.get(self.value() or "", _NOTHING))


class ReasonFilter(admin.SimpleListFilter):
    """The reasons of our own by name; what operators wrote is too various to list."""

    title = _("reason")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*RevocationReason.choices, (_OTHER, _("an operator's own words"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> QuerySet[Grant]:
        reason = self.value() or ""
        if not is_storable(reason):
            return queryset.filter(_NOTHING)
        if reason == _OTHER:
            return queryset.filter(revoked_at__isnull=False).exclude(revoked_reason__in=RevocationReason.values)
        return queryset.filter(revoked_reason=reason) if reason else queryset


class ApplicationFilter(admin.ListFilter):
    """One application, chosen by autocompletion; without JavaScript, by its client ID."""

    title = _("application")
    template = "admin/oauth_refresh/application_filter.html"
    parameters: ClassVar[tuple[str, str]] = ("application", "client_id")

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        key, self.client_id = (_last(params.pop(name, "")) for name in self.parameters)
        self.key = _number(key) if key else None
        # Everything else that the list was asked for goes along with the form of this filter.
        self.others = [
            (name, value)
            for name, values in request.GET.lists()
            if name not in {*self.parameters, "p", "e"}
            for value in values
        ]
        widget = AutocompleteSelect(Grant._meta.get_field("application"), model_admin.admin_site)
        self.field = ModelChoiceField(Application.objects.all(), widget=widget, required=False)
        self.offers_names = request.user.has_perm("oauth_refresh.view_application") or request.user.has_perm(
            "oauth_refresh.change_application"
        )

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return [*self.parameters]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        yield {"query_string": changelist.get_query_string(remove=[*self.parameters])}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Grant]) -> QuerySet[Grant]:
        if self.key is not None:
            return queryset.filter(application=self.key)
        if not is_storable(self.client_id):
            return queryset.filter(_NOTHING)
        return queryset.filter(application__client_id=self.client_id) if self.client_id else queryset

    @property
    def is_used(self) -> bool:
        return self.key is not None or bool(self.client_id)

    @property
    def select(self) -> SafeString:
        attributes = {"id": "oauth-application", "aria-label": str(self.title)}
        widget: AutocompleteSelect = self.field.widget
        return widget.render("application", self.key, attrs=attributes)


def _number(key: str) -> int:
    """Return the key that ``key`` is in digits; zero, which no row has, for any other text."""
    return int(key) if key.isdecimal() and len(key) <= _LONGEST_KEY else 0


def _last(value: Any) -> str:
    return str(value[-1] if isinstance(value, list) else value)
