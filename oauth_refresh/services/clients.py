"""Client authentication (RFC 6749 §2.3) and registration."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from oauth_refresh import crypto
from oauth_refresh.errors import InvalidClient
from oauth_refresh.jose import SignedJWT
from oauth_refresh.models import Application, AuthMethod, ClientInfo
from oauth_refresh.services.assertions import AssertionRefused, accept_client_assertion
from oauth_refresh.services.compiled import Lookup
from oauth_refresh.services.lookup import is_storable
from oauth_refresh.services.transactions import write_alias
from oauth_refresh.signals import client_authentication_failed

# Something is compared even where there is no secret: an unknown client takes the path and time of a wrong secret.
_NO_DIGEST = "0" * 64
_UNKNOWN = "The client is unknown."

_BY_CLIENT_ID = Lookup(Application, by="client_id")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClientCredentials:
    """What a request says of its client. ``methods`` are the ways in which it tries to authenticate, or ``none``."""

    client_id: str
    raw_secret: str | None = None
    assertion: SignedJWT | None = None
    methods: frozenset[AuthMethod]


def authenticate_client(credentials: ClientCredentials, *, client_info: ClientInfo) -> Application:
    """Return the application that the credentials prove, or for a public one, name.

    Raises InvalidClient, the same for an unknown client as for a wrong secret.
    """
    application = find_application(credentials.client_id)
    refusal = _why_refused(application, credentials, now=timezone.now())
    if application is None or refusal is not None:
        reason = refusal or _UNKNOWN
        client_authentication_failed.send_robust(
            sender=Application, application=application, reason=reason, client_info=client_info
        )
        raise InvalidClient(reason)
    return application


def find_application(client_id: str) -> Application | None:
    """Return the application with exactly this client ID."""
    if not is_storable(client_id):
        return None
    application = _BY_CLIENT_ID.find(client_id)
    # A case-insensitive or padding collation (MariaDB) finds what is not the same.
    return application if application is not None and application.client_id == client_id else None


def _why_refused(application: Application | None, credentials: ClientCredentials, *, now: datetime) -> str | None:
    digests = () if application is None else application.live_secret_digests(now)
    secret_matches = crypto.matches_any_digest(credentials.raw_secret or "", digests or (_NO_DIGEST,))
    if application is None:
        return _UNKNOWN
    public, by_secret, by_assertion = application.is_public, application.uses_secret, application.uses_assertion
    right_method = application.auth_method in credentials.methods or not application.strict_auth_method
    refusals = (
        (not application.is_active, "The application is not active."),
        (public and credentials.methods != {AuthMethod.NONE}, "A public application sent a secret or an assertion."),
        (by_assertion and credentials.assertion is None, "The application authenticates by an assertion only."),
        (by_secret and credentials.raw_secret is None, "An application that has a secret sent none."),
        (by_secret and not right_method, "The secret was sent by the wrong method."),
        (by_secret and not secret_matches, "The secret is wrong."),
    )
    refusal = next((reason for refused, reason in refusals if refused), None)
    if refusal is None and credentials.assertion is not None:
        try:
            accept_client_assertion(application, credentials.assertion, now=now)
        except AssertionRefused as error:
            return f"The assertion is refused: {error}."
    return refusal


def create_application(*, raw_secret: str | None = None, **fields: Any) -> tuple[Application, str | None]:
    """Register an application and return it with its raw secret, which cannot be shown again; public ones have none.

    ``raw_secret`` brings a secret along; otherwise one is generated where the method needs it. ``fields`` are columns
    of Application. Raises ValidationError, by field.
    """
    application = Application(**{"client_id": crypto.generate_client_id(), **fields})
    if application.uses_secret:
        raw_secret = raw_secret or crypto.generate_client_secret()
        _require_long_secret(raw_secret)
        application.secret_digest = crypto.digest(raw_secret)
    elif raw_secret is not None:
        raise ValidationError({"client_secret": _("This authentication method has no secret; leave it out.")})
    application.full_clean()
    application.save(using=write_alias(), force_insert=True)
    return application, raw_secret


def _require_long_secret(raw_secret: str) -> None:
    if len(raw_secret) < crypto.MINIMUM_BROUGHT_SECRET_LENGTH:
        raise ValidationError(
            {
                "client_secret": _(
                    "A secret is stored as a plain digest, so it must be random and at least %(length)d characters "
                    "long; leave it out to have one generated."
                )
                % {"length": crypto.MINIMUM_BROUGHT_SECRET_LENGTH}
            }
        )
