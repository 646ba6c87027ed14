"""Client authentication (RFC 6749 §2.3), registration, and the replacement of a secret."""

from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from oauth_refresh import crypto
from oauth_refresh.errors import InvalidClient
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import Application, AuthMethod
from oauth_refresh.services.assertions import AssertionRefused, verify_client_assertion
from oauth_refresh.services.credentials import ClientCredentials
from oauth_refresh.services.db import atomic_write, db_alias, is_valid_text, retry_serialization_failure
from oauth_refresh.services.failure_counts import count_authentication_failure
from oauth_refresh.services.guess_limit import count_guess
from oauth_refresh.services.imported_secrets import is_imported_secret
from oauth_refresh.signals import client_authentication_failed

_NO_SECRETS = {
    "secret_digest": "",
    "old_secret_digest": "",
    "old_secret_expires_at": None,
    "imported_secret_hash": "",
    "imported_secret_is_short": False,
}

# Compared where there is no secret: an unknown client takes as long as a wrong secret, and cannot be told apart.
_NO_DIGEST = "0" * 64
_UNKNOWN = "The client is unknown."
_WRONG = "The secret is wrong."


class SecretReplaced(Exception):
    """Another request replaced the secret first. To replace it again would invalidate the one that it returned."""


def authenticate_client(
    credentials: ClientCredentials,
    *,
    client_info: ClientInfo,
    address: str | None = None,
    known: Application | None = None,
) -> Application:
    """Return the application that the credentials authenticate; a public one needs only its client ID.

    ``known``: the application of the token that was presented, as just read. If it has the client ID of the request,
    it need not be read again. Raises InvalidClient, the same for an unknown client as for a wrong secret;
    TooManyAttempts instead if ``address`` sent too many wrong secrets.
    """
    same = known is not None and known.client_id == credentials.client_id
    application = known if same else find_application(credentials.client_id)
    now = timezone.now()
    refusal = _refusal_reason(application, credentials, now=now)
    is_counted = False
    if refusal == _WRONG and application is not None and application.live_secret_hash(now):
        is_counted = True
        if is_imported_secret(application, credentials.raw_secret or "", address=address, now=now):
            return application
    if application is None or refusal is not None:
        reason = refusal or _UNKNOWN
        count_authentication_failure(timezone.now())
        # Only after the comparison, which costs nothing: a right secret is too long to be a guess, so others' guesses
        # must not keep its owner out, and a refresh that succeeds does not wait for the cache. Without a secret, or
        # where another method is required, nothing was guessed.
        if (reason == _WRONG and not is_counted) or (application is None and credentials.raw_secret is not None):
            count_guess("client", account=application and application.pk, address=address)
        client_authentication_failed.send_robust(
            sender=Application, application=application, reason=reason, client_info=client_info
        )
        raise InvalidClient(reason)
    return application


def find_application(client_id: str) -> Application | None:
    """Return the application with exactly this client ID."""
    if not is_valid_text(client_id):
        return None
    application = Application.objects.using(db_alias()).filter(client_id=client_id).first()
    # A case-insensitive or padding collation (MariaDB) finds what is not the same.
    return application if application is not None and application.client_id == client_id else None


def _refusal_reason(application: Application | None, credentials: ClientCredentials, *, now: datetime) -> str | None:
    # Hashed and compared before anything can return, so that the time tells nothing of the client.
    digests = () if application is None else application.live_secret_digests(now)
    secret_matches = crypto.matches_any_digest(credentials.raw_secret or "", digests or (_NO_DIGEST,))
    if application is None:
        return _UNKNOWN
    public, by_secret, by_assertion = application.is_public, application.uses_secret, application.uses_assertion
    # Many clients send a secret by the other of the two methods than they registered; the secret is as good.
    right_method = application.auth_method in credentials.methods or not application.strict_auth_method
    refusals = (
        (not application.is_active, "The application is not active."),
        (public and credentials.methods != {AuthMethod.NONE}, "A public application sent a secret or an assertion."),
        (by_assertion and credentials.assertion is None, "The application authenticates by an assertion only."),
        (by_secret and credentials.raw_secret is None, "An application that has a secret sent none."),
        (by_secret and not right_method, "The secret was sent by the wrong method."),
        (by_secret and not secret_matches, _WRONG),
    )
    refusal = next((reason for refused, reason in refusals if refused), None)
    # Last, because it fetches keys and consumes the assertion.
    if refusal is None and credentials.assertion is not None:
        try:
            verify_client_assertion(application, credentials.assertion, now=now)
        except AssertionRefused as error:
            return f"The assertion is refused: {error}."
    return refusal


def create_application(*, raw_secret: str | None = None, **fields: Any) -> tuple[Application, str | None]:
    """Register an application and return it with its raw secret, which cannot be shown again.

    The secret is None for public applications, for private_key_jwt, and beside an ``imported_secret_hash``.

    ``raw_secret`` brings a secret along; otherwise one is generated where the method needs it. ``fields`` are columns
    of Application. ``imported_secret_hash`` among them brings along the password hash of a secret that is not known: by
    one of ``PASSWORD_HASHERS``. Raises ValidationError, by field.
    """
    application = Application(**{"client_id": crypto.generate_client_id(), **fields})
    if application.imported_secret_hash:
        _require_no_other_secret(application, raw_secret)
    elif application.uses_secret or raw_secret is not None:
        raw_secret = _set_secret(application, raw_secret)
    application.full_clean()
    application.save(using=db_alias(), force_insert=True)
    return application, raw_secret


@retry_serialization_failure
def update_application(
    client_id: str, *, raw_secret: str | None = None, new_secret: bool = False, **fields: Any
) -> tuple[Application, str | None]:
    """Change ``fields`` of a registered application, and return it with its new raw secret, if it got one.

    ``raw_secret`` sets this secret, ``new_secret`` a generated one; the present secrets are invalid then.
    A new source of keys replaces the other, and an ``imported_secret_hash`` the present secrets. Raises
    Application.DoesNotExist, and ValidationError by field.
    """
    with atomic_write(durable=False):
        found = find_application(client_id)
        if found is None:
            raise Application.DoesNotExist
        application = _locked(found)
        if "jwks" in fields or "jwks_uri" in fields:
            fields = {"jwks": None, "jwks_uri": "", **fields}
        if fields.get("imported_secret_hash"):
            _require_no_other_secret(application, raw_secret)
            fields = {**_NO_SECRETS, **fields}
        for column, value in fields.items():
            setattr(application, column, value)
        if new_secret or raw_secret is not None:
            raw_secret = _set_secret(application, raw_secret)
            fields |= dict.fromkeys(_NO_SECRETS)
        # Only what is changed: an older row may hold what is refused today, such as a scope that was dropped.
        application.clean_fields(exclude={field.name for field in Application._meta.fields} - fields.keys())
        application.clean()
        application.validate_constraints()
        if fields.keys() & {"grant_types", "redirect_uris"}:
            application.require_redirect_uri()
        application.save(using=db_alias(), update_fields=fields)
    return application, raw_secret


def _set_secret(application: Application, raw_secret: str | None) -> str:
    """Set this secret, or a generated one, and remove the old one. Raises ValidationError."""
    if not application.uses_secret:
        raise ValidationError({"client_secret": _("This authentication method has no secret; leave it out.")})
    raw_secret = raw_secret or crypto.generate_client_secret()
    _require_long_secret(raw_secret)
    for column, value in {**_NO_SECRETS, "secret_digest": crypto.digest(raw_secret)}.items():
        setattr(application, column, value)
    return raw_secret


def _require_no_other_secret(application: Application, raw_secret: str | None) -> None:
    """Refuse an imported hash where no secret is used, or where one is given. Raises ValidationError."""
    if not application.uses_secret:
        raise ValidationError({"imported_secret_hash": _("This authentication method has no secret; leave it out.")})
    if raw_secret is not None:
        raise ValidationError({"client_secret": _("Leave it out: the hash of another secret is imported.")})


def _require_long_secret(raw_secret: str) -> None:
    if len(raw_secret) < crypto.MINIMUM_GIVEN_SECRET_LENGTH:
        raise ValidationError(
            {
                "client_secret": _(
                    "A secret is stored as a plain digest, so it must be random and at least %(length)d characters "
                    "long; leave it out to have one generated."
                )
                % {"length": crypto.MINIMUM_GIVEN_SECRET_LENGTH}
            }
        )


@retry_serialization_failure
def replace_secret(application: Application, *, overlap: timedelta) -> str:
    """Give the application a new secret and return it, raw, for the only time.

    The present secret keeps working for ``overlap``; with none it is invalid at once. An older one, still in its own
    overlap, becomes invalid: two can be valid, not three. Raises SecretReplaced, with nothing changed, if the present
    secret is not the one that ``application`` was read with.
    """
    raw_secret = crypto.generate_client_secret()
    with atomic_write(durable=False):
        stored = _locked(application)
        if stored.secret_digest != application.secret_digest:
            raise SecretReplaced
        keeps_old = stored.has_current_secret and overlap > timedelta(0)
        if stored.secret_digest or not keeps_old:  # otherwise the imported hash stays, now as that of the old secret
            stored.imported_secret_hash, stored.imported_secret_is_short = "", False
        stored.old_secret_digest = stored.secret_digest if keeps_old else ""
        stored.old_secret_expires_at = timezone.now() + overlap if keeps_old else None
        stored.secret_digest = crypto.digest(raw_secret)
        stored.save(using=db_alias(), update_fields=_NO_SECRETS)
    _copy_secrets(application, stored)
    return raw_secret


@retry_serialization_failure
def withdraw_old_secret(application: Application) -> bool:
    """End the overlap now. Return whether there was an old secret that was still valid."""
    with atomic_write(durable=False):
        stored = _locked(application)
        now = timezone.now()
        had_two = stored.has_two_secrets(now)
        stored.old_secret_digest, stored.old_secret_expires_at = "", None
        if stored.secret_digest:
            stored.imported_secret_hash, stored.imported_secret_is_short = "", False
        stored.save(using=db_alias(), update_fields=_NO_SECRETS)
    _copy_secrets(application, stored)
    return had_two


def _locked(application: Application) -> Application:
    """Return the application as stored, locked until commit, so that of two replacements the second sees the first."""
    return Application.objects.using(db_alias()).select_for_update().get(pk=application.pk)


def _copy_secrets(application: Application, stored: Application) -> None:
    """Let the caller's row hold what is stored; only after the commit, since a second attempt compares it again."""
    for column in _NO_SECRETS:
        setattr(application, column, getattr(stored, column))
