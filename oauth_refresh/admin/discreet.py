"""Rows to look at, not to edit, and never a digest or key."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin  # takes no type argument when it runs

_SECRET_COLUMNS = frozenset(
    {"code_challenge", "digest", "mac_key", "old_secret_digest", "password_fingerprint", "retry_salt", "secret_digest"}
)


def visible_row(model_admin: ModelAdmin, request: HttpRequest, object_id: str) -> Any:
    """Return the row of a page of our own. Raises Http404 if there is none, PermissionDenied if it may not be seen."""
    row = model_admin.get_object(request, unquote(object_id))
    if not model_admin.has_view_or_change_permission(request, row):
        raise PermissionDenied
    if row is None:
        raise Http404
    return row


class Stylesheet:
    """The ``Media`` of our admins."""

    css = {"all": ["oauth_refresh/admin.css"]}


class DiscreetAdmin(ModelAdmin):
    """No filter in the address bar may ask for a digest or key, letter by letter."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    Media = Stylesheet

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return not _SECRET_COLUMNS & set(lookup.split("__")) and super().lookup_allowed(lookup, value, request)


class ReadOnlyAdmin(DiscreetAdmin):
    """Rows that only services write: no adding, no changing, and no deleting but with the user or application."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow it where a user or application that may be deleted takes it along, but not on pages of its own."""
        page = request.resolver_match.url_name if request.resolver_match else None
        is_own_page = (page or "").startswith(f"{self.opts.app_label}_{self.opts.model_name}_")
        return not is_own_page and super().has_delete_permission(request, obj)
