"""How an application authenticates (RFC 6749 §2.3)."""

from datetime import datetime

from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from oauth_refresh.models.choices import SECRET_METHODS, AuthMethod
from oauth_refresh.models.validators import validate_https_uri, validate_jwks, validate_password_hash


class ClientAuthentication(models.Model):
    """The method, and the secrets or public keys. Secrets are columns: two are valid while one is being replaced."""

    auth_method = models.CharField(
        _("authentication"), max_length=32, choices=AuthMethod, default=AuthMethod.CLIENT_SECRET_BASIC
    )
    strict_auth_method = models.BooleanField(
        _("only by this method"),
        default=False,
        help_text=_("Refuse a secret that is sent by the other of the two methods for secrets."),
    )
    # Two columns, not a table: two secrets are valid while one is replaced, and no more.
    secret_digest = models.CharField(max_length=64, blank=True, editable=False)
    old_secret_digest = models.CharField(max_length=64, blank=True, editable=False)
    old_secret_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    # Of another server, by one of PASSWORD_HASHERS. It stands for the digest that is missing: of the current secret, or
    # beside a digest of the old one.
    imported_secret_hash = models.CharField(
        max_length=255, blank=True, editable=False, validators=[validate_password_hash]
    )
    imported_secret_is_short = models.BooleanField(default=False, db_default=False, editable=False)
    jwks = models.JSONField(
        _("public keys"),
        null=True,
        blank=True,
        validators=[validate_jwks],
        help_text=_("A JSON Web Key Set with the public keys of signed assertions."),
    )
    jwks_uri = models.CharField(
        _("URL of the public keys"),
        max_length=500,
        blank=True,
        validators=[validate_https_uri],
        help_text=_("Instead of the set itself: where to fetch it, by https."),
    )

    class Meta:
        abstract = True

    def clean(self) -> None:
        """Raise ValidationError if it has nothing to authenticate with by its method."""
        super().clean()
        if self.uses_secret and not self.has_credentials:
            raise ValidationError({"auth_method": _("The application has no secret to authenticate with.")})
        if self.uses_assertion and not self.has_credentials:
            raise ValidationError({"jwks": _("private_key_jwt needs the application's public keys, or their URL.")})

    @property
    def is_public(self) -> bool:
        """Whether it cannot keep a secret (RFC 6749 §2.1)."""
        return self.auth_method == AuthMethod.NONE

    @property
    def uses_secret(self) -> bool:
        return self.auth_method in SECRET_METHODS

    @property
    def uses_assertion(self) -> bool:
        return self.auth_method == AuthMethod.PRIVATE_KEY_JWT

    @property
    def has_credentials(self) -> bool:
        """Whether it has anything to authenticate with; a public application needs nothing."""
        if self.uses_secret:
            now = timezone.now()
            return bool(self.live_secret_digests(now) or self.live_secret_hash(now))
        return self.is_public or bool(self.jwks_uri or (isinstance(self.jwks, dict) and self.jwks.get("keys")))

    @property
    def has_current_secret(self) -> bool:
        return bool(self.secret_digest or self.imported_secret_hash)

    def has_two_secrets(self, now: datetime) -> bool:
        """Whether an old secret is valid beside the current one."""
        return len(self.live_secret_digests(now)) + bool(self.live_secret_hash(now)) > 1

    def live_secret_digests(self, now: datetime) -> tuple[str, ...]:
        """Return the digests a secret may match now: the current one, and the old one while both work."""
        old_digest = self.old_secret_digest if self._old_secret_is_live(now) else ""
        return tuple(digest for digest in (self.secret_digest, old_digest) if digest)

    def live_secret_hash(self, now: datetime) -> str:
        """Return the imported password hash that a secret may match now; empty if there is none."""
        return self.imported_secret_hash if not self.secret_digest or self._old_secret_is_live(now) else ""

    def _old_secret_is_live(self, now: datetime) -> bool:
        return self.old_secret_expires_at is not None and self.old_secret_expires_at > now
