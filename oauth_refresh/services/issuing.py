"""Start a grant and issue its first tokens (RFC 6749 §5.1)."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections
from django.utils import timezone

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidClient, InvalidGrant, InvalidScope, UnauthorizedClient
from oauth_refresh.http import NO_CLIENT_INFO, ClientInfo
from oauth_refresh.models import STAFF, Application, Grant, GrantType, password_fingerprints
from oauth_refresh.resources import default_resources, requested_resources
from oauth_refresh.scopes import OFFLINE_ACCESS, allows_access, parse_scope, scopes_at
from oauth_refresh.services.credentials import ClientCredentials, credentials_are_valid
from oauth_refresh.services.db import atomic_write, db_alias, read_with_shared_lock, retry_serialization_failure
from oauth_refresh.services.tokens import (
    Access,
    IssuedTokens,
    RequestedAccess,
    first_wrong_scope,
    make_pair,
    permitted_scopes,
    store,
)

_STARTING_GRANT_TYPES = frozenset({*GrantType.values, STAFF} - {GrantType.REFRESH_TOKEN})


@retry_serialization_failure
def issue_tokens(
    application: Application,
    *,
    user: Any,
    grant_type: str,
    scope: str | None = None,
    resources: Sequence[str] = (),
    client_info: ClientInfo = NO_CLIENT_INFO,
    credentials: ClientCredentials | None = None,
) -> IssuedTokens:
    """Start a grant of ``application`` for ``user`` (None for client_credentials) and return its first tokens.

    ``grant_type`` is how the grant starts, one of GrantType or STAFF; it decides whether there is a refresh token.
    ``resources`` are identifiers of ``RESOURCES`` (RFC 8707). ``credentials`` are what the application authenticated
    with, if it did. Raises InvalidScope if ``scope`` is unknown, or wider than application and user may have;
    InvalidTarget for an unknown resource; InvalidGrant if the user
    or application is inactive or deleted, or the password has changed; InvalidClient if the credentials were withdrawn
    meanwhile; ValueError for a grant type that starts no grant, or that needs a user.
    """
    if grant_type not in _STARTING_GRANT_TYPES or (user is None and grant_type != GrantType.CLIENT_CREDENTIALS):
        raise ValueError(f"{grant_type!r} cannot start a grant {'without' if user is None else 'for'} a user.")
    now = timezone.now()
    # Outside the transaction: the project's own policy may take its time, and locks are held inside.
    requested = RequestedAccess(scope=scope, resources=resources)
    access = grantable_access(application, requested, user=user, grant_type=grant_type)
    refreshable = yields_refresh_token(application, grant_type)
    grant = new_grant(application, user=user, grant_type=grant_type, access=access, client_info=client_info, now=now)
    grant.generation = grant.access_floor = 1
    grant.idle_expires_at = grant.next_idle_expiry(now, refreshable=refreshable)
    with atomic_write(durable=False):
        lock_active_application(application, credentials=credentials, now=now)
        lock_active_user(grant)
        grant.save(using=db_alias(), force_insert=True)
        tokens = make_pair(grant, access=access, now=now, client_info=client_info, refreshable=refreshable)
        return store(tokens, grant_type=grant_type, now=now)


def issue_by_staff(
    application: Application,
    *,
    user: Any,
    scope: str | None = None,
    resources: Sequence[str] = (),
    client_info: ClientInfo = NO_CLIENT_INFO,
) -> IssuedTokens:
    """Start a grant without a request of the client, as WSO2's "generate tokens", and return its first tokens.

    ``user`` None: for the application itself. Raises UnauthorizedClient if it may not act for itself, otherwise as
    ``issue_tokens``.
    """
    if user is None and (application.is_public or not application.allows_grant_type(GrantType.CLIENT_CREDENTIALS)):
        raise UnauthorizedClient("The application may not act for itself (client_credentials), so it needs a user.")
    grant_type = STAFF if user is not None else GrantType.CLIENT_CREDENTIALS
    return issue_tokens(
        application, user=user, grant_type=grant_type, scope=scope, resources=resources, client_info=client_info
    )


def lock_active_application(application: Application, *, credentials: ClientCredentials | None, now: datetime) -> None:
    """Lock the application until the grant is committed, and require that it and the ``credentials`` are still valid.

    A deactivation, or the withdrawal of a secret, then either comes first, and the grant does not start, or it waits,
    and revokes the grant. The application is locked before the user, as by a deletion of the user, to avoid deadlocks.
    Raises InvalidGrant if the application is gone or inactive, InvalidClient if the ``credentials`` were withdrawn.
    """
    stored = read_with_shared_lock(Application, application.pk)
    if stored is None:
        raise InvalidGrant("A grant cannot start: the application is gone.")
    if not stored.is_active:
        raise InvalidGrant("A grant cannot start: application inactive.")
    if credentials is not None and not credentials_are_valid(credentials, stored, read=application, now=now):
        raise InvalidClient("The client's credentials were withdrawn while its grant was about to start.")


def lock_active_user(grant: Grant) -> None:
    """Lock the user until the grant is committed, and require that the grant is not blocked. Raises InvalidGrant.

    A deactivation either comes first, or waits, and revokes the grant.
    """
    require_active_user(grant, lock_users([] if grant.user is None else [grant.user.pk]))


def lock_users(keys: Collection[Any]) -> dict[Any, Any]:
    """Lock users until commit, in the order of their keys to avoid deadlocks. Return those that exist, by key."""
    no_key = connections[db_alias()].features.has_select_for_no_key_update
    users = get_user_model()._base_manager.using(db_alias()).select_for_update(no_key=no_key)
    # A join that Meta.ordering asks for could not be locked.
    return {user.pk: user for user in users.filter(pk__in=keys).order_by("pk")}


def require_active_user(grant: Grant, users: Mapping[Any, Any]) -> None:
    """Give the grant its user as locked, and require that it is not blocked. Raises InvalidGrant.

    The caller's row of the user may be from a replica.
    """
    if grant.user is not None:
        grant.user = users.get(grant.user.pk)
        if grant.user is None:
            raise InvalidGrant("A grant cannot start: the user is gone.")
    if (reason := grant.block_reason()) is not None:
        raise InvalidGrant(f"A grant cannot start: {reason}.")


def new_grant(
    application: Application,
    *,
    user: Any,
    grant_type: str,
    access: Access,
    client_info: ClientInfo,
    now: datetime,
) -> Grant:
    """Return an unsaved grant that is not started: generation 0, and no idle expiry yet."""
    return Grant(
        application=application,
        user=user,
        grant_type=grant_type,
        scope=" ".join(access.scope),
        resources=" ".join(access.resources),
        created_at=now,
        expires_at=application.grant_expiry(now),
        password_fingerprint=next(password_fingerprints(user), ""),
        address=client_info.address,
        user_agent=client_info.user_agent,
    )


def yields_refresh_token(application: Application, grant_type: str) -> bool:
    """Whether a grant that starts by ``grant_type`` has refresh tokens: the server and the application must agree."""
    return (
        (grant_type == STAFF or grant_type.rpartition(":")[2] in app_settings.refresh_token_grant_types)
        and GrantType.REFRESH_TOKEN in app_settings.grant_types
        and application.allows_grant_type(GrantType.REFRESH_TOKEN)
    )


def grantable_access(application: Application, requested: RequestedAccess, *, user: Any, grant_type: str) -> Access:
    """Return what to grant: of the scopes requested, those that ``user`` may grant (RFC 6749 §3.3), at the resources.

    If no scope is requested, those of ``DEFAULT_SCOPES``; where that is empty, the application's own list. What the
    resources do not have is left out (RFC 8707 §2), and ``offline_access`` without a refresh token. If no resource is
    requested, it is the only one there is. Raises InvalidTarget for an unknown resource, InvalidScope if a scope is
    unknown or not allowed to the application, or if nothing is left where the project has scopes.
    """
    resources = requested_resources(requested.resources) or default_resources()
    scope = _grantable_scope(application, requested.scope, user=user, grant_type=grant_type, resources=resources)
    return Access(scope=scope, resources=resources)


def _grantable_scope(
    application: Application, requested: str | None, *, user: Any, grant_type: str, resources: tuple[str, ...]
) -> tuple[str, ...]:
    known = {*application.allowed_scopes, OFFLINE_ACCESS}
    if requested is None:
        asked = tuple(name for name in app_settings.default_scopes or application.scope.split() if name in known)
    else:
        asked = parse_scope(requested)
    if not asked and app_settings.scopes:
        raise InvalidScope("Request a scope: this application has none by default.")
    unknown = next((name for name in asked if name not in known), None)
    if unknown is not None:
        raise InvalidScope("A requested scope is unknown, or this application may not request it.", scope=unknown)
    refreshable = yields_refresh_token(application, grant_type)
    permitted = permitted_scopes(user, application=application, scopes=asked, refreshable=refreshable)
    granted = scopes_at(resources, permitted)
    if app_settings.scopes and not allows_access(granted):
        raise InvalidScope(
            "The resource has none of the requested scopes."
            if allows_access(permitted)
            else "This user cannot grant any of the requested scopes to this application.",
            scope=None if requested is None else first_wrong_scope(asked, granted=granted),
        )
    return granted
