"""How far each receiver of the setting ``REVOCATION_RECEIVERS`` has been sent the notices of revocations."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from oauth_refresh.conf import app_settings
from oauth_refresh.crypto import digest
from oauth_refresh.models.revocation_notices import RevocationNotice


class RevocationReceiver(models.Model):
    """The cursor of one receiver. Its URL is in the settings alone, since a path may hold a secret; here is its digest.

    ``position``: the number up to which it has every notice, and none can be committed any more. ``attempts``: how
    often in succession it did not accept. ``next_attempt_at``: no process posts to it before.
    """

    url_digest = models.CharField(_("digest of the URL"), max_length=64)
    position = models.BigIntegerField(_("last notice delivered"), default=0)
    attempts = models.PositiveIntegerField(_("failed attempts"), default=0)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    delivered_at = models.DateTimeField(_("last success"), null=True, blank=True)
    failed_at = models.DateTimeField(_("last failure"), null=True, blank=True)
    last_error = models.CharField(_("last error"), max_length=100, blank=True)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now)

    class Meta:
        verbose_name = _("receiver of revocations")
        verbose_name_plural = _("receivers of revocations")
        constraints = [models.UniqueConstraint(fields=("url_digest",), name="oauth_receiver_url_digest")]

    def __str__(self) -> str:
        return self.host or self.url_digest

    @property
    def host(self) -> str:
        """Return the host of its URL; an empty text if the settings no longer name it."""
        named = (one.host for one in app_settings.revocation_receivers if digest(one.url) == self.url_digest)
        return next(named, "")

    @property
    def waiting(self) -> int:
        """Return how many notices it should have by now, but has not. Those of the last seconds do not count."""
        notices = RevocationNotice.objects.using(self._state.db)
        return notices.settled().filter(pk__gt=self.position).count()
