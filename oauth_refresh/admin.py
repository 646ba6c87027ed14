"""The app's rows in the Django admin: to look at, not to edit, and never a digest or key."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from oauth_refresh.models import AccessToken, Application, Grant, GrantEvent, RefreshToken

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin  # takes no type argument when it runs


class ReadOnlyAdmin(ModelAdmin):
    """Rows that only services write: no adding, no changing, no deleting."""

    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Application)
class ApplicationAdmin(ModelAdmin):
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
    list_display = ("created_at", "user", "application", "grant_type", "refreshed_at", "revoked_at", "revoked_reason")
    list_filter = ("grant_type", "revoked_reason")
    list_select_related = ("user", "application")
    date_hierarchy = "created_at"
    sortable_by = ("created_at", "revoked_at")
    fields = (
        ("public_id", "application", "user"),
        ("grant_type", "scope"),
        ("generation", "access_floor"),
        ("created_at", "refreshed_at", "idle_expires_at", "expires_at"),
        ("address", "user_agent"),
        ("revoked_at", "revoked_reason", "revoked_by", "revocation_id"),
    )


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
