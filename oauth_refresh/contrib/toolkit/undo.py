"""Give applications and sessions back to django-oauth-toolkit, as long as they were not used here."""

import uuid
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.contrib.toolkit import old_rows
from oauth_refresh.contrib.toolkit.applications import is_hash
from oauth_refresh.models import Application, Grant
from oauth_refresh.services.account_events import lock_applications
from oauth_refresh.services.clients import find_application
from oauth_refresh.services.db import db_alias, retry_serialization_failure
from oauth_refresh.services.import_reversal import (
    delete_imports,
    delete_unused_application,
    imports,
    lock_unused_imports,
    unused_imports,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """How many were given back; ``kept``: how many stay, because they were used, changed or refused here."""

    returned: int
    kept: int


def undo_sessions(*, batch_size: int, dry_run: bool = False) -> Iterator[int]:
    """Write unused sessions back, a transaction for each ``batch_size`` of them. Yield how many each gave back.

    Only digests are known, so the column ``token`` stays empty, as where django-oauth-toolkit stores no readable token.
    """
    old_rows.require_readable()
    applications = dict(old_rows.applications().values_list("client_id", "pk"))
    last = 0
    while True:
        grants = unused_imports().filter(application__client_id__in=applications, pk__gt=last).order_by("pk")
        keys = list(grants.values_list("pk", flat=True)[:batch_size])
        if not keys:
            return
        last = keys[-1]
        yield _give_back(keys, applications, dry_run=dry_run)


def count_imported() -> int:
    """Return how many sessions of its applications were imported, and not revoked since."""
    client_ids = list(old_rows.applications().values_list("client_id", flat=True))
    return imports().filter(application__client_id__in=client_ids).count()


@retry_serialization_failure
def _give_back(keys: Collection[int], applications: dict[str, Any], *, dry_run: bool) -> int:
    with transaction.atomic(using=db_alias()):
        grants = lock_unused_imports(keys)
        for grant in grants:
            _restore(grant, application_key=applications[grant.application.client_id])
        delete_imports(grants)
        transaction.set_rollback(dry_run, using=db_alias())
    return len(grants)


def _restore(grant: Grant, *, application_key: Any) -> None:
    """Write the rows of one session: access token, current refresh token, and the spent ones of its family."""
    *spent, current = sorted(grant.refresh_tokens.all(), key=lambda token: token.generation)
    now = timezone.now()
    live = [token for token in grant.access_tokens.all() if token.revoked_at is None]
    owner = {"user_id": grant.user_id, "application_id": application_key}
    access_token = old_rows.access_tokens().create(
        **owner,
        resource=list(live[0].resource_names if live else grant.resource_names),
        # Its endpoint refuses a refresh token without an access token. One that no text belongs to will do.
        token_checksum=live[0].digest if live else crypto.digest(uuid.uuid4().hex),
        scope=live[0].scope if live else grant.scope,
        expires=live[0].expires_at if live else now,
    )
    family = uuid.uuid4()
    owner["resource"] = list(grant.resource_names)
    model: Any = old_rows.refresh_token_model()
    rows = [
        model(**owner, token_checksum=token.digest, token_family=family, revoked=None if token is current else now)
        for token in (*spent, current)
    ]
    rows[-1].access_token = access_token
    old_rows.refresh_tokens().bulk_create(rows)


def undo_applications(*, dry_run: bool = False) -> Undone:
    """Delete the applications that were imported and are active, have no grant here, and whose secret was not used."""
    old_rows.require_installed()
    counts: Counter[bool] = Counter()
    for old in old_rows.applications().order_by("pk").iterator():
        with transaction.atomic(using=db_alias()):
            lock_applications(client_id=old.client_id)  # so that no session moves here meanwhile
            ours = find_application(old.client_id)
            if ours is None or ours.created_at != old.created:  # not imported, but registered here
                continue
            counts[_is_as_imported(ours, old) and delete_unused_application(ours)] += 1
            transaction.set_rollback(dry_run, using=db_alias())
    return Undone(returned=counts[True], kept=counts[False])


def _is_as_imported(ours: Application, old: Any) -> bool:
    """Whether it is still active, with its old secret, which becomes a digest here when it is first used."""
    secret: str = old.client_secret
    if not ours.is_active or ours.is_public:
        return ours.is_active
    if is_hash(secret):
        return ours.imported_secret_hash == secret
    return ours.secret_digest == ("" if ours.imported_secret_is_short else crypto.digest(secret))
