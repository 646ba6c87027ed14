"""Who may ask for tokens: applications, and the issuers whose assertions start grants."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.forms import TextInput
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from oauth_refresh.admin.base import ReadOnlyAdmin, SafeLookupAdmin
from oauth_refresh.admin.credentials import CredentialsAdminMixin, old_secret_works_until
from oauth_refresh.admin.display import grant_url, time_column
from oauth_refresh.admin.forms import ApplicationForm, KeySetField
from oauth_refresh.admin.revocation import RevocationAdminMixin
from oauth_refresh.admin.rights import (
    is_superuser,
    may_change_credentials,
    may_manage_issuers,
    reserved_columns,
)
from oauth_refresh.models import Application, Grant, TrustedIssuer, UsedAssertion
from oauth_refresh.models.misfits import misfits_of
from oauth_refresh.models.risks import risks_of
from oauth_refresh.models.token_settings import TokenSettings
from oauth_refresh.services.account_events import delete_applications
from oauth_refresh.services.client_documents import DOCUMENT_COLUMNS

_CREATED = time_column("created_at", gettext_lazy("created"))


@admin.register(Application)
class ApplicationAdmin(CredentialsAdminMixin, RevocationAdminMixin, SafeLookupAdmin):
    form = ApplicationForm
    formfield_overrides = {
        models.DurationField: {"widget": TextInput({"placeholder": gettext_lazy("days hh:mm:ss")})},
        models.JSONField: {"form_class": KeySetField},
    }
    grants_of_rows = ("application", "pk")
    list_display = ("name", "client_id", "auth_method", "is_active", "active_grants", _CREATED)
    list_filter = ("is_active", "auth_method", "from_metadata_document")
    search_fields = ("name", "client_id")
    ordering = ("name", "pk")
    readonly_fields = ("active_grants", "secret", "from_metadata_document", _CREATED)
    fieldsets = (
        (None, {"fields": readonly_fields}),
        (None, {"fields": ("name", "client_id", "owner", "is_active")}),
        (
            gettext_lazy("Grant types and scope"),
            {"fields": ("grant_types", "scope", "redirect_uris", "is_resource_server", "resources")},
        ),
        (gettext_lazy("Authentication"), {"fields": ("auth_method", "strict_auth_method", "jwks", "jwks_uri")}),
        (gettext_lazy("User consent"), {"fields": ("requires_pkce", "repeats_redirect_uri", "is_trusted")}),
        (gettext_lazy("Lifetimes and rotation"), {"fields": [field.name for field in TokenSettings._meta.fields]}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        active = Grant.objects.live().filter(application=OuterRef("pk")).values("application").annotate(n=Count("pk"))
        applications: QuerySet[Any] = super().get_queryset(request)
        counted: QuerySet[Any] = applications.annotate(active=Coalesce(Subquery(active.values("n")), 0))
        return counted

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form: Any = super().get_form(request, obj, change, **options)
        form.names_url = self.names_url(request)
        return form

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Leave out of the page for a new application what it does not have yet."""
        fieldsets = super().get_fieldsets(request, obj)
        return [part for part in fieldsets if obj is not None or part[1]["fields"] != self.readonly_fields]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = self.readonly_fields if obj is None else (*self.readonly_fields, "client_id")
        described = DOCUMENT_COLUMNS if obj is not None and obj.from_metadata_document else ()
        return (*fixed, *sorted({*described, *reserved_columns(request, obj)}))

    def render_change_form(  # type: ignore[override]  # Django passes the options by name
        self, request: HttpRequest, context: dict[str, Any], *, obj: Any = None, **options: Any
    ) -> HttpResponse:
        context |= {"risks": [], "misfits": []} if obj is None else {"risks": risks_of(obj), "misfits": misfits_of(obj)}
        may_change = self.has_change_permission(request, obj) if obj is not None else self.has_add_permission(request)
        context["has_reserved_fields"] = may_change and bool(reserved_columns(request, obj))
        context["may_change_secret"] = obj is not None and may_change and may_change_credentials(request, obj)
        return super().render_change_form(request, context, obj=obj, **options)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Write only what was changed: a form that was opened earlier must not bring back a secret replaced since."""
        if not change:
            super().save_model(request, obj, form, change)
            self._warn_of(request, obj, known=())
        elif form.changed_data:
            # A superuser may have marked it as trusted after this request read it.
            stored = Application.objects.select_for_update().get(pk=obj.pk)
            if reserved_columns(request, stored) & set(form.changed_data):
                raise PermissionDenied
            obj.save(update_fields=form.changed_data)
            self._warn_of(request, obj, known=[*risks_of(stored), *misfits_of(stored)])

    def _warn_of(self, request: HttpRequest, application: Application, *, known: Iterable[Any]) -> None:
        """Name what is risky or does not fit since this change: the page to which saving leads may be another."""
        stood = set(map(str, known))
        risks = [] if application.uses_secret and not stood else risks_of(application)
        for text in map(str, [*risks, *misfits_of(application)]):
            if text not in stood:
                self.message_user(request, text, messages.WARNING)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        delete_applications(Application.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        delete_applications(queryset)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the first secret of an application that needs one, for the only time."""
        if not obj.uses_secret:
            return super().response_add(request, obj, post_url_continue)
        return self.issue_secret(request, obj, overlap=timedelta(0))

    @admin.display(description=gettext_lazy("active grants"))
    def active_grants(self, application: Any) -> SafeString | int:
        """Return how many there are, as a link to the list of them."""
        url = grant_url(self.admin_site, "changelist")
        query = urlencode({"client_id": application.client_id, "state": "active"})
        count: int = application.active
        return count if url is None else format_html('<a href="{}?{}">{}</a>', url, query, count)

    @admin.display(description=gettext_lazy("secret"))
    def secret(self, application: Application) -> str:
        if not application.has_current_secret:
            return _("none")
        if not application.secret_digest:
            return _("imported as a password hash")
        if until := old_secret_works_until(application):
            return _("stored as a digest; the old one is valid until %(time)s") % {"time": until}
        return _("stored as a digest")


@admin.register(TrustedIssuer)
class TrustedIssuerAdmin(SafeLookupAdmin):
    """Say whose signed assertions start grants; untick "active" to trust an issuer no longer.

    An issuer gets tokens of users. So Django's own permissions are not enough to change one: staff also need
    ``manage_trusted_issuers``, and only superusers change an issuer that may act for superusers.
    """

    list_display = ("issuer", "is_active", "algorithms", "subject_field", "scope")
    list_filter = ("is_active", "allows_superusers")
    search_fields = ("issuer",)
    formfield_overrides = {models.JSONField: {"form_class": KeySetField}}

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if is_superuser(request) else ("allows_superusers",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return may_manage_issuers(request) and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_manage_issuers(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_manage_issuers(request, obj) and super().has_delete_permission(request, obj)


@admin.register(UsedAssertion)
class UsedAssertionAdmin(ReadOnlyAdmin):
    list_display = ("expires_at",)
    fields = ("expires_at",)
