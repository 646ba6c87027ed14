"""Grants in the admin: find the one that a leaked token belongs to, see what happened to it, revoke it."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import BooleanField, Case, OuterRef, Q, QuerySet, Subquery, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from oauth_refresh.admin import display
from oauth_refresh.admin.base import ReadOnlyAdmin, may_view_users
from oauth_refresh.admin.display import time_column
from oauth_refresh.admin.export import TimelineExportMixin
from oauth_refresh.admin.export_columns import grant_columns
from oauth_refresh.admin.filters import ApplicationFilter, ReasonFilter, StateFilter
from oauth_refresh.admin.grant_search import search_grants
from oauth_refresh.admin.leaked_tokens import LeakedTokensMixin
from oauth_refresh.admin.network_filter import NetworkFilter
from oauth_refresh.admin.related import list_title, related_grants
from oauth_refresh.admin.time_filter import ORDERING, TimeFilter
from oauth_refresh.admin.timeline import timeline
from oauth_refresh.models import Grant, GrantEvent
from oauth_refresh.models.tokens import LOOKS_CONCURRENT
from oauth_refresh.models.users import with_hidden_users

_ACCESS_TOKENS_SHOWN = 25
_IDLE_EXPIRY = time_column("idle_expires_at", gettext_lazy("expires unless refreshed"))
_EXPIRY = time_column("expires_at", gettext_lazy("expires"))


@admin.register(Grant)
class GrantAdmin(LeakedTokensMixin, TimelineExportMixin, ReadOnlyAdmin):
    export_columns = grant_columns
    grants_of_rows = ("pk", "pk")
    revoke_label = gettext_lazy("Revoke selected grants")
    list_display = ("state", "user_and_application", "started", "last_refreshed", "scope", "origin", "revocation")
    list_display_links = ("state", "user_and_application")
    sortable_by = ("started",)  # the other columns have no index
    list_filter = (NetworkFilter, TimeFilter, StateFilter, ApplicationFilter, ReasonFilter)
    list_select_related = ("user", "application", "revoked_by")
    search_fields = ("user", "application")  # see get_search_results
    search_help_text = gettext_lazy("Application, address or network, or the ID of a grant or revocation.")
    fieldsets = (
        (None, {"fields": ("public_id", "application", "user", "scope", "resources", "consented")}),
        (gettext_lazy("Lifetime"), {"fields": ("started", "last_refreshed", _IDLE_EXPIRY, _EXPIRY)}),
        (gettext_lazy("Tokens"), {"fields": ("generation", "access_floor", "address", "program")}),
        (gettext_lazy("Revocation"), {"fields": ("revocation", "revocation_id")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out grants whose code was not redeemed yet: they have no token."""
        alarms = GrantEvent.objects.filter(grant=OuterRef("pk"), kind=GrantEvent.Kind.REUSED).order_by("-pk")
        concurrent = Case(When(LOOKS_CONCURRENT, then=True), default=False)
        newest = Subquery(alarms.annotate(concurrent=concurrent).values("concurrent")[:1], BooleanField(null=True))
        grants: QuerySet[Any] = super().get_queryset(request).annotate(alarm_looks_concurrent=newest)
        return with_hidden_users(grants).filter(generation__gt=0)

    def get_ordering(self, request: HttpRequest) -> tuple[str]:
        shows_revoked = request.GET.get("state") == "revoked" or request.GET.get("reason")
        filtered = ORDERING.get(request.GET.get("time", ""), "-created_at")
        return ("-revoked_at",) if shows_revoked else (filtered,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # Otherwise staff could find out e-mail addresses letter by letter: does "alice@e" still find a grant?
        return search_grants(queryset, search_term, by_user=may_view_users(request)), False

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist = super().get_changelist_instance(request)
        changelist.title = list_title(request) or changelist.title
        if may_view_users(request):
            changelist.search_help_text = _(
                "User name, e-mail address, application, address or network, or the ID of a grant or revocation."
            )
        return changelist

    def render_change_form(  # type: ignore[override]  # Django passes the options by name
        self, request: HttpRequest, context: dict[str, Any], *, obj: Grant, **options: Any
    ) -> HttpResponse:
        may_change_application = request.user.has_perm("oauth_refresh.change_application")
        access_tokens = obj.access_tokens.order_by("-generation", "-pk")[:_ACCESS_TOKENS_SHOWN]
        context |= {
            "title": _("%(application)s for %(user)s")
            % {"application": display.isolated(obj.application), "user": display.isolated(_user_name(obj))},
            "state": display.grant_badge(obj),
            "related": related_grants(request, self.admin_site, obj, may_revoke=self.has_revoke_permission(request)),
            "timeline": timeline(obj),
            "window_url": display.retry_window_url(self.admin_site, obj) if may_change_application else None,
            "access_tokens": [(token, display.badge(display.token_state(token))) for token in access_tokens],
        }
        return super().render_change_form(request, context, obj=obj, **options)

    def has_something_to_revoke(self, row: Grant) -> bool:
        """Whether the grant has not ended. A code that is not redeemed yet has no page."""
        return row.end_reason(timezone.now()) is None

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.revoke_user_view)
        return [
            path("<path:object_id>/revoke-user/", view, name="oauth_refresh_grant_revoke_user"),
            *super().get_urls(),
        ]

    def revoke_user_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """``<grant>/revoke-user/``: revoke all grants of the user of a grant, also codes that are not redeemed yet."""
        grant = self.visible_row(request, object_id)
        if grant.user is None:
            raise Http404
        rows, selector = self.get_queryset(request).filter(user=grant.user_id), Q(user=grant.user_id)
        selection = _("All grants of %(user)s.") % {"user": display.isolated(grant.user)}
        selected = f"all grants of user {grant.user}"
        back = self.page_url("change", grant.pk)
        return self.confirm_and_revoke(
            request, rows, back=back, selector=selector, selected=selected, selection=selection, row=grant
        )

    @admin.display(description=gettext_lazy("state"))
    def state(self, grant: Grant) -> SafeString:
        return display.grant_badge(grant)

    @admin.display(description=gettext_lazy("user and application"))
    def user_and_application(self, grant: Grant) -> SafeString:
        return display.two_line_cell(display.isolated_cell(_user_name(grant)), display.isolated_cell(grant.application))

    @admin.display(description=gettext_lazy("started"), ordering="created_at")
    def started(self, grant: Grant) -> SafeString:
        how = _("by %(grant_type)s") % {"grant_type": display.how_started(grant)}
        return display.two_line_cell(display.format_time(grant.created_at), how)

    @admin.display(description=gettext_lazy("last refreshed"))
    def last_refreshed(self, grant: Grant) -> SafeString:
        if grant.refreshed_at is None:
            return display.two_line_cell(_("never refreshed"))
        count = grant.refresh_count  # stays 0 where rotation is off
        times = ngettext("refreshed %(count)d time", "refreshed %(count)d times", count) % {"count": count}
        return display.two_line_cell(display.format_time(grant.refreshed_at), times if count else _("refreshed"))

    @admin.display(description=gettext_lazy("from"))
    def origin(self, grant: Grant) -> SafeString:
        return display.origin(grant)

    @admin.display(description=gettext_lazy("user agent"))
    def program(self, grant: Grant) -> SafeString:
        return display.program(grant.user_agent)

    @admin.display(description=gettext_lazy("revoked"))
    def revocation(self, grant: Grant) -> SafeString:
        if grant.revoked_at is None:
            return display.two_line_cell("-")
        why = display.end_description(grant, length=60)
        looks_concurrent: bool | None = getattr(grant, "alarm_looks_concurrent", None)  # None: there was no alarm
        if looks_concurrent is not None:
            why = f"{why}: {display.alarm_meaning(looks_concurrent=looks_concurrent)}"
        return display.two_line_cell(display.format_time(grant.revoked_at), why)


def _user_name(grant: Grant) -> str:
    return str(grant.user or _("the application itself"))
