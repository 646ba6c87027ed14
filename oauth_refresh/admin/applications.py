"""Applications in the admin: what they may do, their secrets, and tokens handed out by hand."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from oauth_refresh.admin.discreet import DiscreetAdmin
from oauth_refresh.admin.forms import ApplicationForm
from oauth_refresh.admin.handing_out import HandingOutAdmin, old_secret_works_until
from oauth_refresh.admin.revoking import RevokingAdmin
from oauth_refresh.models import Application, Grant
from oauth_refresh.models.risks import risks_of


@admin.register(Application)
class ApplicationAdmin(HandingOutAdmin, RevokingAdmin, DiscreetAdmin):
    form = ApplicationForm
    grants_of_rows = ("application", "pk")
    revoke_label = gettext_lazy("Revoke everything of selected applications")
    list_display = ("name", "client_id", "auth_method", "is_active", "live_grants", "created_at")
    list_filter = ("is_active", "auth_method")
    search_fields = ("name", "client_id")
    ordering = ("name", "pk")
    raw_id_fields = ("owner",)
    fieldsets = (
        (None, {"fields": ("name", "client_id", "owner", "is_active", "live_grants", "created_at")}),
        (gettext_lazy("What it may do"), {"fields": ("grant_types", "scope", "redirect_uris", "is_resource_server")}),
        (
            gettext_lazy("How it proves who it is"),
            {"fields": ("auth_method", "secret", "strict_auth_method", "jwks", "jwks_uri")},
        ),
        (gettext_lazy("How users allow it"), {"fields": ("requires_pkce", "repeats_redirect_uri", "is_trusted")}),
        (
            gettext_lazy("How long its tokens live"),
            {
                "fields": (
                    "access_token_lifetime",
                    "refresh_token_lifetime",
                    "grant_lifetime",
                    "rotate_refresh_tokens",
                    "revoke_access_tokens_on_refresh",
                    "retry_window",
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        live = Grant.objects.live().filter(application=OuterRef("pk")).values("application").annotate(n=Count("pk"))
        applications: QuerySet[Application] = super().get_queryset(request)
        counted: QuerySet[Any] = applications.annotate(live=Coalesce(Subquery(live.values("n")), 0))
        return counted

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out of the form for a new one what it does not have yet."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is not None:
            return fieldsets
        absent = {"live_grants", "created_at", "secret"}
        return [
            (title, {**options, "fields": tuple(name for name in options["fields"] if name not in absent)})
            for title, options in fieldsets
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("client_id", "live_grants", "created_at", "secret")

    def page_context(self, request: HttpRequest, row: Application) -> dict[str, Any]:
        return super().page_context(request, row) | {
            "risks": risks_of(row),
            "may_change": self.has_change_permission(request, row),
            "may_issue": self.may_issue_tokens(request),
        }

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Write what was changed, and no more: the rest of the row, a secret above all, may be newer than the form."""
        if not change:
            super().save_model(request, obj, form, change)
        elif form.changed_data:
            obj.save(update_fields=form.changed_data)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the first secret of an application that needs one, for the only time."""
        if not obj.uses_secret:
            return super().response_add(request, obj, post_url_continue)
        return self.hand_out_secret(request, obj, overlap=timedelta(0))

    @admin.display(description=gettext_lazy("live grants"))
    def live_grants(self, application: Any) -> int:
        return int(application.live)

    @admin.display(description=gettext_lazy("secret"))
    def secret(self, application: Application) -> str:
        if not application.secret_digest:
            return _("none")
        if until := old_secret_works_until(application):
            return _("stored as a digest; an old one works until %(time)s") % {"time": until}
        return _("stored as a digest")
