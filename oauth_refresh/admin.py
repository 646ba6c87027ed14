"""The app's rows in the Django admin: to look at, not to edit, and never a digest or key."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from oauth_refresh.models import (
    AccessToken,
    Application,
    AuthorizationCode,
    Grant,
    GrantEvent,
    RefreshToken,
    TrustedIssuer,
    UsedAssertion,
)

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin  # takes no type argument when it runs


_SECRET_COLUMNS = frozenset(
    {"code_challenge", "digest", "mac_key", "old_secret_digest", "password_fingerprint", "retry_salt", "secret_digest"}
)


class DiscreetAdmin(ModelAdmin):
    """No filter in the address bar may ask for a digest or key, letter by letter."""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return not _SECRET_COLUMNS & set(lookup.split("__")) and super().lookup_allowed(lookup, value, request)


class ReadOnlyAdmin(DiscreetAdmin):
    """Rows that only services write: no adding, no changing, and no deleting but with the user or application."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow it where a user or application that may be deleted takes it along, but not on pages of its own."""
        page = request.resolver_match.url_name if request.resolver_match else None
        is_own_page = (page or "").startswith(f"{self.opts.app_label}_{self.opts.model_name}_")
        return not is_own_page and super().has_delete_permission(request, obj)


@admin.register(Application)
class ApplicationAdmin(DiscreetAdmin):
    """Edit an application; it is created by ``oauth_create_application``, which shows its secret once."""

    list_display = ("name", "client_id", "auth_method", "is_active", "created_at")
    list_filter = ("is_active", "auth_method")
    search_fields = ("name", "client_id")
    readonly_fields = ("client_id", "created_at")
    raw_id_fields = ("owner",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "user", "application", "state", "refreshed_at")
    list_filter = ("grant_type", "revoked_reason")
    list_select_related = ("user", "application")
    date_hierarchy = "created_at"
    sortable_by = ("created_at",)
    fields = (
        ("public_id", "application", "user"),
        ("grant_type", "scope"),
        ("generation", "access_floor"),
        ("created_at", "refreshed_at", "idle_expires_at", "expires_at"),
        ("address", "user_agent"),
        ("revoked_at", "revoked_reason", "revoked_by", "revocation_id"),
    )

    @admin.display(description=_("state"))
    def state(self, grant: Grant) -> str:
        if grant.revoked_at:
            return f"{gettext('revoked')}: {grant.revoked_reason}"
        return grant.why_dead(timezone.now()) or gettext("live")


@admin.register(RefreshToken)
class RefreshTokenAdmin(ReadOnlyAdmin):
    list_display = ("grant", "generation", "created_at", "expires_at", "address")
    list_select_related = ("grant",)
    fields = ("grant", "generation", "created_at", "expires_at", "address", "user_agent")


@admin.register(AccessToken)
class AccessTokenAdmin(ReadOnlyAdmin):
    list_display = ("grant", "generation", "scope", "created_at", "expires_at", "revoked_at")
    list_select_related = ("grant",)
    fields = ("grant", "generation", "scope", "created_at", "expires_at", "revoked_at")


@admin.register(GrantEvent)
class GrantEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "kind", "grant", "generation", "address")
    list_filter = ("kind",)
    list_select_related = ("grant",)
    fields = ("grant", "kind", "generation", "at", "address", "user_agent")


@admin.register(AuthorizationCode)
class AuthorizationCodeAdmin(ReadOnlyAdmin):
    list_display = ("grant", "created_at", "expires_at")
    list_select_related = ("grant",)
    fields = ("grant", "redirect_uri", "created_at", "expires_at")


@admin.register(TrustedIssuer)
class TrustedIssuerAdmin(ModelAdmin):
    """Say whose signed assertions start grants; untick "active" to believe an issuer no longer."""

    list_display = ("issuer", "is_active", "algorithms", "subject_field", "scope")
    list_filter = ("is_active",)
    search_fields = ("issuer",)


@admin.register(UsedAssertion)
class UsedAssertionAdmin(ReadOnlyAdmin):
    list_display = ("expires_at",)
    fields = ("expires_at",)
