"""The search of the list of grants: by user, application, or the ID of a grant or revocation."""

from contextlib import suppress
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.utils.text import smart_split, unescape_string_literal

from oauth_refresh.admin.network_filter import network_condition
from oauth_refresh.models import Application, Grant

_LONGEST_SEARCH = 200  # characters; each word of a search is several conditions, and SQLite takes 1,000


def search_grants(grants: QuerySet[Any], text: str, *, by_user: bool) -> QuerySet[Any]:
    """Keep the grants that match every word of ``text``; ``by_user``: also the names of their users.

    Each word is matched among users and applications first, so that indexes lead from there to the grants.
    """
    if len(text) > _LONGEST_SEARCH or any(not word.strip("\"'") for word in smart_split(text)):
        return grants.none()
    for word in smart_split(text):
        grants = grants.filter(_matches(word, by_user=by_user))
    return grants


def _matches(word: str, *, by_user: bool) -> Q:
    """Return the condition that ``word`` is an address or network, an ID, or part of a name.

    The name is that of a grant's application or user.
    """
    with suppress(ValueError):
        return network_condition(Grant, word)
    if len(word) > 1 and word[0] in {'"', "'"} and word[0] == word[-1]:
        word = unescape_string_literal(word)
    applications = Application.objects.filter(Q(name__icontains=word) | Q(client_id__icontains=word))
    found = Q(application__in=applications.values("pk"))
    if by_user:
        found |= Q(user__in=_users_named(word).values("pk"))
    with suppress(ValueError):
        found |= Q(public_id=UUID(word)) | Q(revocation_id=UUID(word))
    return found


def _users_named(word: str) -> QuerySet[Any]:
    users = get_user_model()
    columns = {field.name for field in users._meta.get_fields()}
    names = [name for name in (users.USERNAME_FIELD, getattr(users, "EMAIL_FIELD", None)) if name in columns]
    named = reduce(or_, (Q(**{f"{name}__icontains": word}) for name in names))
    found: QuerySet[Any] = users._base_manager.filter(named)
    return found
