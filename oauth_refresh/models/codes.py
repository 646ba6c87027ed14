"""Authorization codes (RFC 6749 §4.1.2): a user's consent on its way to the application."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from oauth_refresh.models.grant import Grant


class AuthorizationCode(models.Model):
    """What redeems a grant that is not started yet. Never changes: the grant's generation says whether it is spent."""

    grant = models.ForeignKey(
        Grant, verbose_name=_("grant"), on_delete=models.CASCADE, db_index=False, related_name="authorization_codes"
    )
    digest = models.CharField(max_length=64, editable=False)
    redirect_uri = models.TextField(
        _("redirect URI"), blank=True, help_text=_("As the authorization request named it; empty if it named none.")
    )
    code_challenge = models.CharField(_("code challenge"), max_length=43, blank=True, editable=False)
    created_at = models.DateTimeField(_("issued"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"))

    class Meta:
        verbose_name = _("authorization code")
        verbose_name_plural = _("authorization codes")
        constraints = [
            models.UniqueConstraint(fields=["digest"], name="oauth_code_digest"),
            models.UniqueConstraint(fields=["grant"], name="oauth_code_grant"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("created_at")), name="oauth_code_expires_later"),
        ]

    def __str__(self) -> str:
        return gettext("authorization code of grant %(grant)s") % {"grant": self.grant_id}
