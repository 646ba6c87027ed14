"""Register the applications of django-oauth-toolkit here, with their client IDs and secrets."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth.hashers import identify_hasher, make_password
from django.core.exceptions import ValidationError
from django.db import transaction

from oauth_refresh.conf import app_settings
from oauth_refresh.contrib.toolkit import old_rows
from oauth_refresh.crypto import MINIMUM_GIVEN_SECRET_LENGTH
from oauth_refresh.models import Application, AuthMethod, GrantType
from oauth_refresh.models.redirects import is_usable_redirect_uri
from oauth_refresh.services.clients import create_application, find_application
from oauth_refresh.services.db import db_alias

GRANT_TYPES = {
    "authorization-code": (GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN),
    "client-credentials": (GrantType.CLIENT_CREDENTIALS,),
    "password": (GrantType.PASSWORD, GrantType.REFRESH_TOKEN),
}
"""What each grant type of django-oauth-toolkit is here; where its endpoint issues a refresh token, with that."""

_NOT_HERE = {
    "implicit": "the implicit grant",
    "openid-hybrid": "the hybrid grant of OpenID Connect",
    "urn:ietf:params:oauth:grant-type:device_code": "the device grant",
}

_PUBLIC_WITHOUT_PKCE = "A public application must use PKCE here, which PKCE_REQUIRED did not ask of it."
_SHORT_SECRET = f"Its secret has fewer than {MINIMUM_GIVEN_SECRET_LENGTH} characters: replace it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something of an application that could not be brought along. ``is_refusal``: the application itself."""

    client_id: str
    text: str
    is_refusal: bool = False


@dataclass(slots=True, kw_only=True)
class ImportedApplications:
    """How many applications were imported, were registered here before, and were refused; and what to look at."""

    imported: int = 0
    existing: int = 0
    refused: int = 0
    problems: list[Problem] = field(default_factory=list)


def import_applications(*, dry_run: bool = False) -> ImportedApplications:
    """Register all old applications whose client ID is not registered here, each in a transaction of its own.

    An application that is registered here stays as it is. With ``dry_run`` nothing is stored.
    """
    old_rows.require_installed()
    result = ImportedApplications()
    for old in old_rows.applications().order_by("pk").select_related("user").iterator():
        if find_application(old.client_id) is not None:
            result.existing += 1
            continue
        with transaction.atomic(using=db_alias()):
            application, problems = import_application(old)
            transaction.set_rollback(dry_run, using=db_alias())
        result.imported += application is not None
        result.refused += application is None
        result.problems += problems
    return result


def import_application(old: Any) -> tuple[Application | None, list[Problem]]:
    """Register one old application, and return it with its problems; None if it is refused as a whole."""
    candidate = _Candidate(old)
    if (reason := candidate.refusal()) is not None:
        return None, [Problem(client_id=old.client_id, text=reason, is_refusal=True)]
    try:
        with transaction.atomic(using=db_alias()):
            application, _secret = create_application(**candidate.columns())
    except ValidationError as error:
        text = " ".join(f"{name}: {message}" for name, messages in error.message_dict.items() for message in messages)
        return None, [Problem(client_id=old.client_id, text=text, is_refusal=True)]
    return application, [Problem(client_id=old.client_id, text=text) for text in candidate.losses()]


class _Candidate:
    """An old application, and what it is here."""

    def __init__(self, old: Any) -> None:
        self.old = old
        self.is_public = old.client_type == "public"
        self.grant_types = tuple(
            dict.fromkeys(
                ours for theirs, group in GRANT_TYPES.items() if old.allows_grant_type(theirs) for ours in group
            )
        )
        self.redirect_uris = old.redirect_uris.split()
        # A backend of the project may allow an application less than all scopes.
        backend = old_rows.scopes_backend()
        available = set(backend.get_available_scopes(application=old))
        self.is_limited = not available.issuperset(backend.get_all_scopes())
        self.scopes = [name for name in app_settings.scopes if name in available]

    def refusal(self) -> str | None:
        """Return why it cannot be registered, if it cannot."""
        if not self.grant_types:
            names = self._missing_grant_types() or [self.old.authorization_grant_type]
            return f"Its grant type is not offered here: {', '.join(names)}."
        if not self.is_public and not self.old.client_secret:
            return "It is confidential, and has no secret."
        if self.is_limited and not self.scopes:  # an empty list would allow every scope
            return "SCOPES has none of the scopes that its SCOPES_BACKEND_CLASS allows it."
        return None

    def columns(self) -> dict[str, Any]:
        """Return the arguments of ``create_application``."""
        old = self.old
        return {
            **self._secret(),
            "client_id": old.client_id,
            "name": old.name or old.client_id,
            "owner": old.user,
            "auth_method": AuthMethod.NONE if self.is_public else AuthMethod.CLIENT_SECRET_BASIC,
            "grant_types": " ".join(self.grant_types),
            "redirect_uris": "\n".join(uri for uri in self.redirect_uris if is_usable_redirect_uri(uri)),
            "requires_pkce": self.is_public or old_rows.requires_pkce(self.old.client_id),
            "is_trusted": old.skip_authorization,
            "scope": " ".join(self.scopes) if self.is_limited else "",
            "created_at": old.created,
        }

    def losses(self) -> list[str]:
        """Return what is not the same here, and what to do about it."""
        unusable = [uri for uri in self.redirect_uris if not is_usable_redirect_uri(uri)]
        not_offered = [name for name in self.grant_types if name not in app_settings.grant_types]
        has_codes = GrantType.AUTHORIZATION_CODE in self.grant_types
        facts = (
            (has_codes and self.is_public and not old_rows.requires_pkce(self.old.client_id), _PUBLIC_WITHOUT_PKCE),
            (bool(self.old.algorithm), "It gets no ID tokens here: OpenID Connect is not offered."),
            (self._has_short_secret(), _SHORT_SECRET),
        )
        return [
            *(f"Without {name}, which is not offered here." for name in self._missing_grant_types()),
            *(f"GRANT_TYPES does not offer {name}, so it cannot use that yet." for name in not_offered),
            *(f"Without the redirect URI {uri}: see the rules for redirect URIs." for uri in unusable),
            *(text for applies, text in facts if applies),
        ]

    def _missing_grant_types(self) -> list[str]:
        return [text for name, text in _NOT_HERE.items() if self.old.allows_grant_type(name)]

    def _has_short_secret(self) -> bool:
        """Whether its secret is readable, and shorter than one whose digest may be stored."""
        text = self.old.client_secret
        return not self.is_public and not is_hash(text) and len(text) < MINIMUM_GIVEN_SECRET_LENGTH

    def _secret(self) -> dict[str, Any]:
        """Return the secret: as text, which is stored as a digest; or as a hash, where it is one or is too short."""
        stored = self.old.client_secret
        if self.is_public:
            return {}
        if is_hash(stored):
            return {"imported_secret_hash": stored}
        if self._has_short_secret():
            return {"imported_secret_hash": make_password(stored), "imported_secret_is_short": True}
        return {"raw_secret": stored}


def is_hash(text: str) -> bool:
    """Whether django-oauth-toolkit takes ``text`` for the hash of a secret, not for the secret."""
    try:
        identify_hasher(text)
    except ValueError:
        return False
    return True


def import_for_dry_run(keys: Collection[Any]) -> dict[Any, Application]:
    """Return our applications for these old ones, and register those that are missing.

    For a transaction that is rolled back: so a dry run also counts the sessions of applications it would import.
    """
    from_keys = {}
    for old in old_rows.applications().filter(pk__in=keys):
        application = find_application(old.client_id) or import_application(old)[0]
        if application is not None:
            from_keys[old.pk] = application
    return from_keys
