"""What went wrong, or nearly, in a grant's life: an append-only record beside the rows that move."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from oauth_refresh.models.grant import USER_AGENT_LENGTH, Grant


class GrantEvent(models.Model):
    """Something out of the ordinary in a grant's life. Append-only; a normal refresh never writes one."""

    class Kind(models.TextChoices):
        RETRIED = "retried", _("a lost response was asked for again")
        REUSED = "reused", _("a spent refresh token came back")
        REFUSED = "refused", _("a retry was refused")

    grant = models.ForeignKey(
        Grant, verbose_name=_("grant"), on_delete=models.CASCADE, db_index=False, related_name="events"
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    generation = models.PositiveIntegerField(_("generation presented"))
    at = models.DateTimeField(_("at"), default=timezone.now)
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=USER_AGENT_LENGTH, blank=True)

    class Meta:
        verbose_name = _("grant event")
        verbose_name_plural = _("grant events")
        indexes = [models.Index(fields=["grant", "at"], name="oauth_grant_event_grant")]

    def __str__(self) -> str:
        return gettext("%(event)s (generation %(number)d)") % {
            "event": self.get_kind_display(),
            "number": self.generation,
        }
