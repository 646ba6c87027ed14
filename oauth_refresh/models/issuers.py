"""Trusted issuers of assertions (RFC 7523 §3), and the assertions that were used."""

from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from oauth_refresh import jose
from oauth_refresh.models.validators import validate_https_uri, validate_jwks, validate_scope, validate_visible_ascii
from oauth_refresh.scopes import OFFLINE_ACCESS


def validate_algorithms(text: str) -> None:
    """Allow only algorithms with a public key."""
    unknown = [word for word in text.split() if word not in jose.ALGORITHMS]
    if unknown or not text.split():
        raise ValidationError(_("Choose from: %(known)s."), params={"known": " ".join(jose.ALGORITHMS)})


def validate_user_field(name: str) -> None:
    """Allow only a field that names one user: a unique one of the user model."""
    try:
        field = get_user_model()._meta.get_field(name)
    except FieldDoesNotExist as error:
        raise ValidationError(_("The user model has no field %(name)s."), params={"name": name}) from error
    # A subject that fits two users would let an issuer act for either.
    if not getattr(field, "unique", False):
        raise ValidationError(
            _("The field %(name)s is not unique, so a subject could name two users."), params={"name": name}
        )


def default_subject_field() -> str:
    return str(get_user_model().USERNAME_FIELD)


class TrustedIssuer(models.Model):
    """An issuer whose signed assertions about a user start a grant. It has a key set, or the address of one."""

    issuer = models.CharField(
        _("issuer"),
        max_length=255,
        validators=[validate_visible_ascii],
        help_text=_("As the claim iss says it, character by character."),
    )
    is_active = models.BooleanField(_("active"), default=True)
    jwks = models.JSONField(_("public keys"), null=True, blank=True, validators=[validate_jwks])
    jwks_uri = models.CharField(
        _("URL of the public keys"), max_length=500, blank=True, validators=[validate_https_uri]
    )
    algorithms = models.CharField(
        _("algorithms"), max_length=255, default="RS256 ES256", validators=[validate_algorithms]
    )
    subject_field = models.CharField(
        _("subject"),
        max_length=100,
        default=default_subject_field,
        validators=[validate_user_field],
        help_text=_("The field of the user model that the claim sub names."),
    )
    scope = models.TextField(
        _("scope"),
        blank=True,
        validators=[validate_scope],
        help_text=_("What it may start grants for. Empty: any scope."),
    )
    allows_superusers = models.BooleanField(
        _("may act for superusers"),
        default=False,
        db_default=False,
        help_text=_("Anyone who controls its keys can then get the tokens of any superuser."),
    )

    class Meta:
        verbose_name = _("trusted issuer")
        verbose_name_plural = _("trusted issuers")
        permissions = [("manage_trusted_issuers", "Can decide which issuers are trusted")]
        constraints = [models.UniqueConstraint(fields=["issuer"], name="oauth_issuer_issuer")]

    def __str__(self) -> str:
        return self.issuer

    def clean(self) -> None:
        """Raise ValidationError unless there is exactly one source of keys."""
        # With both, it would be unclear which keys count after a rotation.
        if bool(self.jwks) == bool(self.jwks_uri):
            raise ValidationError({"jwks": _("Give either the public keys or their URL.")})

    def allows_scope(self, name: str) -> bool:
        """Whether it may start grants for this scope; ``offline_access`` need not stand in its list."""
        return not self.scope or name in {*self.scope.split(), OFFLINE_ACCESS}


class UsedAssertion(models.Model):
    """An assertion that was accepted, so that it is not accepted again before it expires."""

    digest = models.CharField(max_length=64, editable=False)
    expires_at = models.DateTimeField(_("expires"))

    class Meta:
        verbose_name = _("used assertion")
        verbose_name_plural = _("used assertions")
        constraints = [models.UniqueConstraint(fields=["digest"], name="oauth_used_assertion_digest")]

    def __str__(self) -> str:
        return gettext("used assertion, expires %(time)s") % {"time": self.expires_at}
