"""What a set-based revocation would end, before it does: counted by the database, however large the set."""

from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.db.models import Count, Q

from oauth_refresh.services.revocation import grants_to_revoke


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How many of the grants belong to one user, or to one application, whose ``title`` is what people call it."""

    name: str
    title: str
    grants: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationPreview:
    """Totals, and the users (by name) and applications (by client ID) with the most grants, largest share first."""

    grants: int
    users: int
    applications: int
    largest_users: tuple[Share, ...]
    largest_applications: tuple[Share, ...]


def preview_revocation(selector: Q, *, largest: int = 5) -> RevocationPreview:
    """Count what ``revoke_grants`` would end now, with the ``largest`` shares. Three statements."""
    grants = grants_to_revoke(selector).order_by()
    totals = grants.aggregate(
        grants=Count("pk"), users=Count("user", distinct=True), applications=Count("application", distinct=True)
    )

    def shares(name: str, title: str) -> tuple[Share, ...]:
        counted = grants.exclude(**{name: None}).values_list(name, title).annotate(n=Count("pk")).order_by("-n", name)
        return tuple(Share(name=str(key), title=str(words), grants=n) for key, words, n in counted[:largest])

    username = f"user__{get_user_model().USERNAME_FIELD}"
    return RevocationPreview(
        **totals,
        largest_users=shares(username, username),
        largest_applications=shares("application__client_id", "application__name"),
    )
