"""The rows of django-oauth-toolkit: which of them are a session, and their locks.

"Old" is what belongs to django-oauth-toolkit. Its models may be swapped for models of the project.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import router
from django.db.models import Case, Exists, F, Model, OuterRef, QuerySet, When, Window
from django.db.models.functions import RowNumber

from oauth_refresh.services.db import db_alias
from oauth_refresh.services.import_rows import MOST_SPENT

try:
    from oauth2_provider.scopes import get_scopes_backend
    from oauth2_provider.settings import oauth2_settings
except ImportError:  # uninstalled after the move: this app stays longer, for the tokens that clients still hold
    get_scopes_backend = oauth2_settings = None

_DELETED_AT_ONCE = 1_000


def application_model() -> type[Model]:
    return apps.get_model(oauth2_settings.APPLICATION_MODEL)


def access_token_model() -> type[Model]:
    return apps.get_model(oauth2_settings.ACCESS_TOKEN_MODEL)


def refresh_token_model() -> type[Model]:
    return apps.get_model(oauth2_settings.REFRESH_TOKEN_MODEL)


def applications() -> QuerySet[Any]:
    return application_model()._default_manager.using(db_alias())


def access_tokens() -> QuerySet[Any]:
    return access_token_model()._default_manager.using(db_alias())


def refresh_tokens() -> QuerySet[Any]:
    return refresh_token_model()._default_manager.using(db_alias())


def is_installed() -> bool:
    """Whether django-oauth-toolkit is in ``INSTALLED_APPS``, so that there are its models."""
    return apps.is_installed("oauth2_provider")


def scopes_backend() -> Any:
    """Return the backend that says which scopes there are, and which of them an application may have."""
    return get_scopes_backend()


def default_scopes() -> list[str]:
    """Return the scopes that a client gets there if it names none."""
    return list(scopes_backend().get_default_scopes())


def requires_pkce(client_id: str) -> bool:
    """Whether authorization codes of this application need PKCE there."""
    required = oauth2_settings.PKCE_REQUIRED
    return bool(required(client_id) if callable(required) else required)


def require_installed() -> None:
    """Raise ImproperlyConfigured unless django-oauth-toolkit is installed."""
    if not is_installed():
        raise ImproperlyConfigured("oauth2_provider is not in INSTALLED_APPS: there is nothing to move from or to.")


def require_readable() -> None:
    """Raise ImproperlyConfigured unless sessions can be moved: by digest, and in one transaction."""
    require_installed()
    model = refresh_token_model()
    try:
        model._meta.get_field("token_checksum")
    except FieldDoesNotExist as error:
        raise ImproperlyConfigured(
            f"{model._meta.label} has no token_checksum: update to django-oauth-toolkit 3.4, and migrate."
        ) from error
    for old in (application_model(), access_token_model(), model):
        if (alias := router.db_for_write(old)) != db_alias():
            raise ImproperlyConfigured(
                f"{old._meta.label} is in the database {alias!r}, and oauth_refresh in {db_alias()!r}. A session is "
                "moved in one transaction, so both must be in one."
            )


def longest_idle_time() -> timedelta | None:
    """Return how long a refresh token is valid there after its access token has expired; None: without limit."""
    value = oauth2_settings.REFRESH_TOKEN_EXPIRE_SECONDS
    if not value:
        return None
    return value if isinstance(value, timedelta) else timedelta(seconds=value)


def is_expired(access_token: Any, now: datetime) -> bool:
    """Whether the refresh token that came with ``access_token`` is expired."""
    longest = longest_idle_time()
    return longest is not None and access_token.expires + longest <= now


def end_of_grace(now: datetime) -> datetime:
    """Return when a refresh token was spent there at the latest, if its use is an alarm here.

    A client that relies on REFRESH_TOKEN_GRACE_PERIOD_SECONDS may use one that was spent since, just when the servers
    are switched. It is refused, and its session goes on; a thief gains nothing by it either.
    """
    return now - timedelta(seconds=oauth2_settings.REFRESH_TOKEN_GRACE_PERIOD_SECONDS)


def owners_of(checksums: Collection[str]) -> tuple[set[Any], set[Any]]:
    """Return the keys of the users and of the old applications that live refresh tokens with these texts belong to."""
    rows = list(refresh_tokens().filter(token_checksum__in=checksums, revoked=None).values("user_id", "application_id"))
    return {row["user_id"] for row in rows} - {None}, {row["application_id"] for row in rows}


def lock_live_texts(checksums: Collection[str]) -> list[Any]:
    """Lock and return the live refresh tokens that these texts are; nothing but one row each, as a rule.

    A row that its endpoint has spent meanwhile is left out. It waits for this lock before it issues a successor, and
    will not find the row.
    """
    rows = refresh_tokens().filter(token_checksum__in=checksums, revoked=None).defer("token")
    return list(rows.order_by("pk").select_for_update())


def lock_access_tokens(keys: Iterable[Any]) -> dict[Any, Any]:
    """Lock and return access tokens by their key, after the refresh tokens: its endpoint takes them in this order."""
    rows = access_tokens().filter(pk__in=[key for key in keys if key is not None]).defer("token")
    return {row.pk: row for row in rows.order_by("pk").select_for_update()}


def newest_spent(families: Collection[Any], *, now: datetime, presented: str | None = None) -> dict[Any, list[str]]:
    """Return for each family the checksums of its refresh tokens that are an alarm now, the newest ``MOST_SPENT``.

    The oldest comes first. ``presented`` takes the place of the oldest of them, if it is one, since it is about to be
    looked up here.
    """
    is_presented = Case(When(token_checksum=presented or "", then=0), default=1)
    from_newest = Window(RowNumber(), partition_by=F("token_family"), order_by=[is_presented, F("pk").desc()])
    rows = refresh_tokens().filter(token_family__in=families, revoked__lte=end_of_grace(now))
    numbered = rows.annotate(age=from_newest).filter(age__lte=MOST_SPENT).order_by("pk")
    found: dict[Any, list[str]] = {}
    for family, checksum in numbered.values_list("token_family", "token_checksum"):
        found.setdefault(family, []).append(checksum)
    return found


def live_texts_of(families: Collection[Any]) -> set[str]:
    """Return the checksums of the live refresh tokens of these families."""
    rows = refresh_tokens().filter(token_family__in=families, revoked=None)
    return set(rows.values_list("token_checksum", flat=True))


def delete_session(*, refresh_keys: Collection[Any], access_keys: Collection[Any], families: Collection[Any]) -> None:
    """Delete moved refresh tokens, their access tokens, and what is spent of their families, in bounded portions."""
    refresh_tokens().filter(pk__in=refresh_keys).delete()
    access_tokens().filter(pk__in=access_keys).delete()
    spent = refresh_tokens().filter(token_family__in=families, revoked__isnull=False).order_by("pk")
    while keys := list(spent.values_list("pk", flat=True)[:_DELETED_AT_ONCE]):
        refresh_tokens().filter(pk__in=keys).delete()


def count_live() -> int:
    """Return how many live refresh tokens there are."""
    return refresh_tokens().filter(revoked=None).count()


def count_without_refresh_token(now: datetime) -> int:
    """Return how many access tokens are valid that no refresh token belongs to, such as those of client credentials."""
    bound = refresh_tokens().filter(access_token=OuterRef("pk"))
    return access_tokens().filter(~Exists(bound), expires__gt=now).count()


def without_live_refresh_token() -> QuerySet[Any]:
    """Return the access tokens of revoked sessions, and those that no session belongs to."""
    return access_tokens().filter(~Exists(refresh_tokens().filter(access_token=OuterRef("pk"), revoked=None)))


def live_batches(size: int) -> Iterator[list[str]]:
    """Yield the checksums of all live refresh tokens, ``size`` at a time, in the order in which they were issued."""
    last: Any = None
    live = refresh_tokens().filter(revoked=None).order_by("pk")
    while True:
        beyond = live if last is None else live.filter(pk__gt=last)
        batch = list(beyond.values_list("pk", "token_checksum")[:size])
        if not batch:
            return
        last = batch[-1][0]
        yield [checksum for _pk, checksum in batch]
