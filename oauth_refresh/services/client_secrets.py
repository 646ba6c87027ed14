"""A client's secret: a new one beside the old while both work, and the old one withdrawn (RFC 6749 §2.3.1)."""

from datetime import timedelta

from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.models import Application
from oauth_refresh.services.transactions import retry_serialization_failure, write_alias, writing

_SECRET_COLUMNS = ("secret_digest", "old_secret_digest", "old_secret_expires_at")


class SecretReplaced(Exception):
    """Somebody else replaced the secret meanwhile; once more would kill the one that they were told works on."""


@retry_serialization_failure
def replace_secret(application: Application, *, overlap: timedelta) -> str:
    """Give the application a new secret and return it, raw, for the only time.

    The present secret works on for ``overlap``; with none it is dead at once. An older one, still in its own overlap,
    dies now: two can live, not three. Raises SecretReplaced, with nothing done, if the present secret is not the one
    that ``application`` was read with.
    """
    raw_secret = crypto.generate_client_secret()
    with writing(durable=False):
        stored = _locked(application)
        if stored.secret_digest != application.secret_digest:
            raise SecretReplaced
        keeps_old = bool(stored.secret_digest) and overlap > timedelta(0)
        stored.old_secret_digest = stored.secret_digest if keeps_old else ""
        stored.old_secret_expires_at = timezone.now() + overlap if keeps_old else None
        stored.secret_digest = crypto.digest(raw_secret)
        stored.save(using=write_alias(), update_fields=_SECRET_COLUMNS)
    _take_over(application, stored)
    return raw_secret


@retry_serialization_failure
def withdraw_old_secret(application: Application) -> bool:
    """End the overlap now. Return whether there was a secret that this killed."""
    with writing(durable=False):
        stored = _locked(application)
        now = timezone.now()
        had_two = len(stored.live_secret_digests(now)) > 1
        stored.old_secret_digest, stored.old_secret_expires_at = "", None
        stored.save(using=write_alias(), update_fields=_SECRET_COLUMNS)
    _take_over(application, stored)
    return had_two


def _locked(application: Application) -> Application:
    """Return the application as stored, held until commit: of two who replace the secret, the second sees the first."""
    return Application.objects.using(write_alias()).select_for_update().get(pk=application.pk)


def _take_over(application: Application, stored: Application) -> None:
    """Let the caller's row say what is stored; not before it is, or a second try would take itself for a stranger."""
    for column in _SECRET_COLUMNS:
        setattr(application, column, getattr(stored, column))
