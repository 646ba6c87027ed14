"""What our admins share: pages of their own, no lookups by secret columns, and rows that cannot be edited."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_permission_codename, get_user_model
from django.core.exceptions import FieldDoesNotExist, PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from oauth_refresh.admin.display import isolated

_SECRET_COLUMNS = frozenset(
    {
        *("code_challenge", "digest", "mac_key", "password_fingerprint", "retry_slots"),
        *("imported_secret_hash", "old_secret_digest", "secret_digest"),
    }
)


def may_view_users(request: HttpRequest) -> bool:
    """Whether staff may see what the columns of users hold, such as their e-mail addresses."""
    users = get_user_model()._meta
    codenames = [get_permission_codename(verb, users) for verb in ("view", "change")]
    return any(request.user.has_perm(f"{users.app_label}.{codename}") for codename in codenames)


class ExtraPagesAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # it takes no type argument when it runs
    """An admin with pages of its own beside Django's."""

    class Media:
        css = {"all": ["oauth_refresh/admin.css"]}

    def page_url(self, name: str, *args: Any) -> str:
        """Return the address of a page of this admin, such as ``changelist``."""
        url_name = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_{name}"
        return reverse(url_name, args=[quote(arg) for arg in args])

    def visible_row(self, request: HttpRequest, object_id: str) -> Any:
        """Return the row of a page. Raises Http404 if there is none, PermissionDenied if the user may not see it."""
        row = self.get_object(request, unquote(object_id))
        if not self.has_view_or_change_permission(request, row):
            raise PermissionDenied  # before the 404, which would tell which rows exist
        if row is None:
            raise Http404
        return row

    def render_page(self, request: HttpRequest, template: str, *, row: Any = None, **context: Any) -> HttpResponse:
        """Render a page; if it is about ``row``, it has a link back.

        It is rendered before the view returns: Django leaves the variables of a sensitive view, and of what it calls,
        out of error reports, but not those of a template that is rendered afterwards.
        """
        page = {"media": self.media, "opts": self.opts, "row": row}
        if row is not None:
            page["row_name"] = isolated(row)
            page["back"] = self.page_url("change", row.pk)
        page |= self.admin_site.each_context(request) | context
        return render(request, f"admin/oauth_refresh/{template}.html", page)


class SafeLookupAdmin(ExtraPagesAdmin):
    """Refuse to filter by digests and keys: ``?digest__startswith=a`` would give them away letter by letter.

    Filters by columns of users, such as ``?user__email__startswith=a``, are refused to staff who may not view users.
    """

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        if _SECRET_COLUMNS & set(lookup.split("__")) or not super().lookup_allowed(lookup, value, request):
            return False
        return not _reaches_users(self.model, lookup) or may_view_users(request)

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        try:
            return super().get_changelist_instance(request)
        except OverflowError as error:  # a key of thirty digits, which SQLite does not take
            raise IncorrectLookupParameters from error


def _reaches_users(model: type[Model], lookup: str) -> bool:
    """Whether ``lookup``, such as ``grant__user__email``, compares a user or a column of one."""
    for name in lookup.split("__"):
        try:
            related = model._meta.get_field(name).related_model
        except FieldDoesNotExist:  # the name of a comparison, such as "startswith", or "pk"
            return False
        if not isinstance(related, type):  # a column, or a relation to any model
            return False
        if issubclass(related, get_user_model()):
            return True
        model = related
    return False


class ReadOnlyAdmin(SafeLookupAdmin):
    """Rows that only services write. Edited by hand, a revoked grant could be revived, or what happened be hidden."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Allow it where a user or application is deleted with its grants, but not on pages of its own."""
        page = request.resolver_match.url_name if request.resolver_match else None
        is_own_page = (page or "").startswith(f"{self.opts.app_label}_{self.opts.model_name}_")
        return not is_own_page and super().has_delete_permission(request, obj)
