"""Links between our pages: only to those that are registered at the site, and that this person may see."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse


def list_url(
    request: HttpRequest, admin_site: AdminSite, model: type[Model], *, page: str = "changelist", **query: Any
) -> str | None:
    """Return the address of the list of ``model``, filtered by ``query``; None if there is none for this person.

    ``page``: another page that takes the filters of the list, such as ``revoke_list``. What is None is left out.
    """
    try:
        model_admin = admin_site.get_model_admin(model)
    except NotRegistered:
        return None
    if not model_admin.has_view_or_change_permission(request):
        return None
    url = reverse(f"{admin_site.name}:{model._meta.app_label}_{model._meta.model_name}_{page}")
    named = urlencode({name: value for name, value in query.items() if value is not None})
    return f"{url}?{named}" if named else url


def row_url(request: HttpRequest, admin_site: AdminSite, row: Model) -> str | None:
    """Return the address of the page of a row; None if there is none for this person."""
    if list_url(request, admin_site, type(row)) is None:
        return None
    name = f"{admin_site.name}:{row._meta.app_label}_{row._meta.model_name}_change"
    return reverse(name, args=[quote(row.pk)])
