"""The client (RFC 6749 §2): who may ask for tokens, how it authenticates, and what it may have."""

from datetime import datetime, timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from oauth_refresh.conf import app_settings
from oauth_refresh.models.validators import validate_client_id, validate_jwks, validate_redirect_uris, validate_scope

at_least_a_second = MinValueValidator(timedelta(seconds=1))


class AuthMethod(models.TextChoices):
    """How a client authenticates (RFC 7591 §2, ``token_endpoint_auth_method``)."""

    CLIENT_SECRET_BASIC = "client_secret_basic", _("secret, by HTTP Basic (or in the body)")
    CLIENT_SECRET_POST = "client_secret_post", _("secret, in the body (or by HTTP Basic)")
    PRIVATE_KEY_JWT = "private_key_jwt", _("signed assertion")
    NONE = "none", _("none: a public application, which cannot keep a secret")


class GrantType(models.TextChoices):
    """What an application may send as ``grant_type`` (RFC 6749 §4, RFC 7523 §2.1)."""

    AUTHORIZATION_CODE = "authorization_code", _("authorization code")
    CLIENT_CREDENTIALS = "client_credentials", _("client credentials")
    JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer", _("signed assertion of a trusted issuer")
    PASSWORD = "password", _("password")
    REFRESH_TOKEN = "refresh_token", _("refresh token")


def validate_grant_types(text: str) -> None:
    """Raise ValidationError for a word that is no grant type."""
    unknown = [word for word in text.split() if word not in GrantType.values]
    if unknown:
        raise ValidationError(
            _("Unknown grant type: %(unknown)s. Choose from: %(known)s."),
            params={"unknown": " ".join(unknown), "known": " ".join(GrantType.values)},
        )


SECRET_METHODS = frozenset({AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST})


class Application(models.Model):
    """A registered client. Its secrets are columns, so that two can be live while one is being replaced."""

    client_id = models.CharField(_("client ID"), max_length=255, validators=[validate_client_id])
    name = models.CharField(_("name"), max_length=255)
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
    auth_method = models.CharField(
        _("authentication"), max_length=32, choices=AuthMethod, default=AuthMethod.CLIENT_SECRET_BASIC
    )
    strict_auth_method = models.BooleanField(
        _("only by this method"),
        default=False,
        help_text=_("Refuse a secret that is sent by the other of the two methods for secrets."),
    )
    secret_digest = models.CharField(max_length=64, blank=True, editable=False)
    old_secret_digest = models.CharField(max_length=64, blank=True, editable=False)
    old_secret_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    jwks = models.JSONField(
        _("public keys"),
        null=True,
        blank=True,
        validators=[validate_jwks],
        help_text=_("A JSON Web Key Set with the public keys of signed assertions."),
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
    scope = models.TextField(
        _("scope"),
        blank=True,
        validators=[validate_scope],
        help_text=_("What this application may ask for, separated by spaces. Empty: any scope of the project."),
    )
    access_token_lifetime = models.DurationField(
        _("access token lifetime"),
        validators=[at_least_a_second],
        null=True,
        blank=True,
        help_text=_("Empty: as the project's settings say."),
    )
    refresh_token_lifetime = models.DurationField(
        _("refresh token lifetime"),
        validators=[at_least_a_second],
        null=True,
        blank=True,
        help_text=_("How long a refresh token may wait for its use. Empty: as the project's settings say."),
    )
    grant_lifetime = models.DurationField(
        _("grant lifetime"),
        validators=[at_least_a_second],
        null=True,
        blank=True,
        help_text=_("How long a session may last in all. Empty: as the project's settings say."),
    )
    rotate_refresh_tokens = models.BooleanField(
        _("rotate refresh tokens"),
        null=True,
        blank=True,
        help_text=_("Only an application with a secret or key may keep one refresh token for the whole session."),
    )
    revoke_access_tokens_on_refresh = models.BooleanField(
        _("a refresh kills the old access token"),
        null=True,
        blank=True,
    )
    retry_window = models.DurationField(
        _("retry window"),
        null=True,
        blank=True,
        help_text=_("How long a lost response may be asked for again."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("application")
        verbose_name_plural = _("applications")
        constraints = [
            models.UniqueConstraint(fields=["client_id"], name="oauth_application_client_id"),
            models.CheckConstraint(
                condition=~Q(auth_method=AuthMethod.NONE)
                | Q(rotate_refresh_tokens=None)
                | Q(rotate_refresh_tokens=True),
                name="oauth_application_public_rotates",
                violation_error_message=_("A public application must rotate its refresh tokens (RFC 9700 §4.14.2)."),
            ),
        ]
        indexes = [models.Index(fields=["owner"], name="oauth_application_owner")]

    def __str__(self) -> str:
        return self.name or self.client_id

    def clean(self) -> None:
        """Raise ValidationError if the application's own values contradict each other."""
        if self.is_public and self.allows_grant_type(GrantType.CLIENT_CREDENTIALS):
            raise ValidationError(
                {"grant_types": _("A public application has no credentials, so it cannot use client_credentials.")}
            )
        if self.retry_window:
            raise ValidationError({"retry_window": _("This version has no retry window yet; leave it empty or 0.")})
        longest = self.effective_grant_lifetime
        if self.effective_access_token_lifetime > self.effective_refresh_token_lifetime:
            raise ValidationError({"access_token_lifetime": _("An access token may not outlive the refresh token.")})
        if longest is not None and self.effective_refresh_token_lifetime > longest:
            raise ValidationError({"refresh_token_lifetime": _("A refresh token may not outlive the grant.")})

    @property
    def is_public(self) -> bool:
        """Whether it cannot keep a secret (RFC 6749 §2.1)."""
        return self.auth_method == AuthMethod.NONE

    @property
    def uses_secret(self) -> bool:
        return self.auth_method in SECRET_METHODS

    @property
    def has_credentials(self) -> bool:
        """Whether anything is left that it could authenticate with; a public application needs nothing."""
        if self.uses_secret:
            return bool(self.live_secret_digests(timezone.now()))
        return self.is_public or bool(self.jwks and self.jwks.get("keys"))

    def live_secret_digests(self, now: datetime) -> tuple[str, ...]:
        """Return the digests a secret may match now: the current one, and the old one while both work."""
        old_is_live = self.old_secret_expires_at is not None and self.old_secret_expires_at > now
        return tuple(digest for digest in (self.secret_digest, self.old_secret_digest if old_is_live else "") if digest)

    def allows_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_types.split()

    @property
    def allowed_scopes(self) -> tuple[str, ...]:
        """Return the scopes it may have now: its own list, as far as the project still knows them."""
        known = tuple(app_settings.scopes)
        if not self.scope:
            return known
        return tuple(name for name in self.scope.split() if name in known)

    @property
    def effective_access_token_lifetime(self) -> timedelta:
        return app_settings.access_token_lifetime if self.access_token_lifetime is None else self.access_token_lifetime

    @property
    def effective_refresh_token_lifetime(self) -> timedelta:
        return (
            app_settings.refresh_token_lifetime if self.refresh_token_lifetime is None else self.refresh_token_lifetime
        )

    @property
    def effective_grant_lifetime(self) -> timedelta | None:
        return app_settings.grant_lifetime if self.grant_lifetime is None else self.grant_lifetime

    def grant_expiry(self, now: datetime) -> datetime | None:
        """Return when a grant that starts at ``now`` ends, however often it is refreshed; None: never."""
        longest = self.effective_grant_lifetime
        return None if longest is None else now + longest

    @property
    def rotates(self) -> bool:
        """Whether a refresh spends the refresh token. A public application always rotates (RFC 9700 §4.14.2)."""
        own = self.rotate_refresh_tokens
        return self.is_public or (app_settings.rotate_refresh_tokens if own is None else own)

    @property
    def kills_old_access_tokens(self) -> bool:
        own = self.revoke_access_tokens_on_refresh
        return app_settings.revoke_access_tokens_on_refresh if own is None else own
