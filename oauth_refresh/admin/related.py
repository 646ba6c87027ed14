"""From a grant, or a user, to the grants beside it: of the same user, of the application, of the same revocation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from oauth_refresh.admin.base import may_view_users
from oauth_refresh.admin.display import grant_url, isolated
from oauth_refresh.models import Grant
from oauth_refresh.models.grant import GrantQuerySet
from oauth_refresh.services.db import db_alias

_MOST_COUNTED = 1_000
"""An application may have millions of grants: a page that counted them all would take seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedGrants:
    """A set of grants: what it is, and where it is listed and revoked; a URL is None where there is no such page."""

    text: str
    url: str | None
    revoke_url: str | None = None


def related_grants(request: HttpRequest, site: AdminSite, grant: Grant, *, may_revoke: bool) -> list[RelatedGrants]:
    """Return the sets of other grants that a grant belongs to, none of them empty. One statement for each."""
    return [
        *_of_same_user(request, site, grant, may_revoke=may_revoke),
        *_of_same_application(site, grant),
        *_of_same_revocation(site, grant),
    ]


def _of_same_user(request: HttpRequest, site: AdminSite, grant: Grant, *, may_revoke: bool) -> Iterator[RelatedGrants]:
    if grant.user is None:
        return
    if count := _count(_live().for_user(grant.user).exclude(pk=grant.pk)):
        text = ngettext(
            "%(user)s has %(count)s other active grant", "%(user)s has %(count)s other active grants", count
        )
        yield RelatedGrants(
            text=text % {"user": isolated(grant.user), "count": _shown(count)},
            url=_user_list_url(request, site, grant.user),
            revoke_url=grant_url(site, "revoke_user", grant.pk) if may_revoke else None,
        )


def _of_same_application(site: AdminSite, grant: Grant) -> Iterator[RelatedGrants]:
    if count := _count(_live().for_application(grant.application).exclude(pk=grant.pk)):
        text = ngettext(
            "%(application)s has %(count)s other active grant",
            "%(application)s has %(count)s other active grants",
            count,
        )
        yield RelatedGrants(
            text=text % {"application": isolated(grant.application), "count": _shown(count)},
            url=_list_url(site, client_id=grant.application.client_id, state="active"),
        )


def _of_same_revocation(site: AdminSite, grant: Grant) -> Iterator[RelatedGrants]:
    if grant.revocation_id is None:
        return
    together = Grant.objects.using(db_alias()).filter(revocation_id=grant.revocation_id)
    if count := _count(together.exclude(pk=grant.pk)):
        text = ngettext(
            "%(count)s other grant was revoked with this one",
            "%(count)s other grants were revoked with this one",
            count,
        )
        url = _list_url(site, revocation_id=grant.revocation_id)
        yield RelatedGrants(text=text % {"count": _shown(count)}, url=url)


def grants_of_user(request: HttpRequest, site: AdminSite, user: Any) -> RelatedGrants:
    """Return the active grants of a user, for the user's own page. One statement."""
    count = _count(_live().for_user(user))
    text = ngettext("%(count)s active grant", "%(count)s active grants", count) % {"count": _shown(count)}
    return RelatedGrants(text=text, url=_user_list_url(request, site, user) if count else None)


def list_title(request: HttpRequest) -> str | None:
    """Return the title of a list of grants that links of these pages lead to; None for any other. One statement."""
    if request.GET.get("revocation_id"):
        return _("Grants that were revoked together")
    if request.GET.get("id__in"):
        return _("Grants of the tokens that were found")
    key = request.GET.get("user")
    user = get_user_model()._base_manager.filter(pk=key).first() if key and may_view_users(request) else None
    return None if user is None else _("Grants of %(user)s") % {"user": isolated(user)}


def _live() -> GrantQuerySet:
    return Grant.objects.using(db_alias()).live()


def _count(grants: GrantQuerySet) -> int:
    return grants.order_by()[: _MOST_COUNTED + 1].count()


def _shown(count: int) -> str:
    return str(count) if count <= _MOST_COUNTED else _("over %(count)d") % {"count": _MOST_COUNTED}


def _user_list_url(request: HttpRequest, site: AdminSite, user: Any) -> str | None:
    """Return the list of the user's active grants; None for staff who may not filter by users."""
    return _list_url(site, user=user.pk, state="active") if may_view_users(request) else None


def _list_url(site: AdminSite, **query: Any) -> str | None:
    url = grant_url(site, "changelist")
    return url and f"{url}?{urlencode(query)}"
