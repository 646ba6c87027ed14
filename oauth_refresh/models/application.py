"""The client (RFC 6749 §2): how it authenticates, and what it may ask for."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.models.choices import AuthMethod, GrantType
from oauth_refresh.models.client_authentication import ClientAuthentication
from oauth_refresh.models.redirects import matches_redirect_uri, validate_redirect_uris
from oauth_refresh.models.token_settings import TokenSettings
from oauth_refresh.models.validators import (
    validate_grant_types,
    validate_resources,
    validate_scope,
    validate_visible_ascii,
)


class Application(ClientAuthentication, TokenSettings):
    """A registered client."""

    client_id = models.CharField(_("client ID"), max_length=255, validators=[validate_visible_ascii])
    name = models.CharField(_("name"), max_length=255)
    # Only for information: an application goes on working when the person who registered it leaves.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("owner"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Untick to refuse this application at once and revoke all its grants.")
    )
    grant_types = models.TextField(
        _("grant types"),
        default="authorization_code refresh_token",
        validators=[validate_grant_types],
        help_text=_("Separated by spaces."),
    )
    redirect_uris = models.TextField(
        _("redirect URIs"),
        blank=True,
        validators=[validate_redirect_uris],
        help_text=_("One to a line; they are compared character by character."),
    )
    repeats_redirect_uri = models.BooleanField(
        _("repeats the redirect URI"),
        default=True,
        help_text=_(
            "Whether it sends the redirect URI to the token endpoint too (RFC 6749); OAuth 2.1 clients do not."
        ),
    )
    requires_pkce = models.BooleanField(
        _("requires PKCE"),
        default=True,
        help_text=_("Untick only for an old application with a secret that cannot send a code challenge (RFC 7636)."),
    )
    is_trusted = models.BooleanField(
        _("trusted"),
        default=False,
        help_text=_("Do not ask users for their consent, except superusers: for applications of your own."),
    )
    is_resource_server = models.BooleanField(
        _("resource server"),
        default=False,
        db_default=False,
        help_text=_("An API that may introspect the access tokens of every application, not only its own (RFC 7662)."),
    )
    resources = models.TextField(
        _("resources"),
        blank=True,
        validators=[validate_resources],
        help_text=_("A resource server only: which of the project's resources it is, separated by spaces. Empty: all."),
    )
    scope = models.TextField(
        _("scope"),
        blank=True,
        validators=[validate_scope],
        help_text=_("What this application may ask for, separated by spaces. Empty: any scope of the project."),
    )
    from_metadata_document = models.BooleanField(
        _("described by its metadata document"),
        default=False,
        db_default=False,
        editable=False,
        help_text=_("Its client ID is the URL of a document that decides its name, redirect URIs and keys."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("application")
        verbose_name_plural = _("applications")
        permissions = [
            ("issue_tokens", "Can generate tokens for a user"),
            ("mark_resource_server", "Can mark applications as resource servers"),
            ("trust_application", "Can mark applications as trusted"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["client_id"], name="oauth_application_client_id"),
            models.CheckConstraint(
                condition=~Q(auth_method=AuthMethod.NONE)
                | Q(rotate_refresh_tokens=None)
                | Q(rotate_refresh_tokens=True),
                name="oauth_application_public_rotates",
                violation_error_message=_("A public application must rotate its refresh tokens (RFC 9700 §4.14.2)."),
            ),
            models.CheckConstraint(
                condition=~Q(auth_method=AuthMethod.NONE) | Q(requires_pkce=True),
                name="oauth_application_public_pkce",
                violation_error_message=_("A public application must use PKCE (RFC 9700 §2.1.1)."),
            ),
        ]
        indexes = [models.Index(fields=["owner"], name="oauth_application_owner")]

    def __str__(self) -> str:
        return self.name or self.client_id

    def clean(self) -> None:
        """Raise ValidationError if the application's own values contradict each other."""
        super().clean()
        if self.resources and not self.is_resource_server:
            raise ValidationError({"resources": _("Only a resource server is one of the project's resources.")})
        for grant_type in (GrantType.CLIENT_CREDENTIALS, GrantType.JWT_BEARER):
            if self.is_public and self.allows_grant_type(grant_type):
                raise ValidationError(
                    {"grant_types": _("A public application cannot authenticate, so it cannot use %s.") % grant_type}
                )
        longest = self.effective("grant_lifetime")
        if self.effective("access_token_lifetime") > self.effective("refresh_token_lifetime"):
            raise ValidationError({"access_token_lifetime": _("An access token may not outlive the refresh token.")})
        if longest is not None and self.effective("refresh_token_lifetime") > longest:
            raise ValidationError({"refresh_token_lifetime": _("A refresh token may not outlive the grant.")})
        # A retry is answered with the same access token, which must not have expired inside the window.
        window = self.effective("retry_window")
        if window and not timedelta(0) < window < self.effective("access_token_lifetime"):
            raise ValidationError(
                {"retry_window": _("The retry window must be shorter than the lifetime of an access token, or 0.")}
            )

    def effective(self, name: str) -> Any:
        """Return the value in force of the setting ``name``, such as ``retry_window``: its own, or the project's."""
        own = getattr(self, name)
        return getattr(app_settings, name) if own is None else own

    def grant_expiry(self, now: datetime) -> datetime | None:
        """Return when a grant that starts at ``now`` ends, however often it is refreshed; None: never."""
        longest = self.effective("grant_lifetime")
        return None if longest is None else now + longest

    @property
    def revokes_access_on_refresh(self) -> bool:
        """Whether a rotation revokes the access token that came with the spent refresh token."""
        return bool(self.effective("revoke_access_tokens_on_refresh"))

    def allows_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_types.split()

    def allows_redirect_uri(self, uri: str) -> bool:
        """Whether ``uri`` is one of its own, character by character but for the port of a loopback address."""
        return any(matches_redirect_uri(uri, registered) for registered in self.redirect_uris.split())

    @property
    def redirect_uris_digest(self) -> str:
        """Return a digest of the redirect URIs that does not depend on their order."""
        return crypto.digest(" ".join(sorted(set(self.redirect_uris.split()))))

    def require_redirect_uri(self) -> None:
        """Raise ValidationError if it may use the authorization code grant, but has no redirect URI for the code."""
        # Not part of clean(), so that a project can import or create such a row: the endpoint refuses its use.
        if self.allows_grant_type(GrantType.AUTHORIZATION_CODE) and not self.redirect_uris.split():
            raise ValidationError(
                {
                    "redirect_uris": _(
                        "The authorization code grant needs a redirect URI: add one, or remove the grant type."
                    )
                }
            )

    @property
    def allowed_scopes(self) -> tuple[str, ...]:
        """Return the scopes it may have now: its own list, as far as the project still knows them."""
        known = tuple(app_settings.scopes)
        if not self.scope:
            return known
        return tuple(name for name in self.scope.split() if name in known)

    @property
    def resource_names(self) -> tuple[str, ...]:
        """Return the identifiers of the resources that this resource server is; none: it may be any."""
        return tuple(self.resources.split())

    @property
    def rotates(self) -> bool:
        """Whether a refresh spends the refresh token. A public application always rotates (RFC 9700 §4.14.2)."""
        return self.is_public or bool(self.effective("rotate_refresh_tokens"))
