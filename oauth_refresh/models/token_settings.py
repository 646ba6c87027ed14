"""The settings of the token life cycle that an application may have of its own."""

from datetime import timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from oauth_refresh.conf.values import LONGEST_DURATION

_LIFETIME = (MinValueValidator(timedelta(seconds=1)), MaxValueValidator(LONGEST_DURATION))


class TokenSettings(models.Model):
    """What an application may do otherwise than the project's settings say; an empty column follows them."""

    access_token_lifetime = models.DurationField(
        _("access token lifetime"),
        validators=_LIFETIME,
        null=True,
        blank=True,
        help_text=_("Empty: as the project's settings say."),
    )
    refresh_token_lifetime = models.DurationField(
        _("refresh token lifetime"),
        validators=_LIFETIME,
        null=True,
        blank=True,
        help_text=_("How long a refresh token may wait for its use. Empty: as the project's settings say."),
    )
    grant_lifetime = models.DurationField(
        _("grant lifetime"),
        validators=_LIFETIME,
        null=True,
        blank=True,
        help_text=_("How long a grant may last in all. Empty: as the project's settings say."),
    )
    rotate_refresh_tokens = models.BooleanField(
        _("rotate refresh tokens"),
        null=True,
        blank=True,
        help_text=_("Only an application with a secret or key may keep one refresh token for the whole grant."),
    )
    revoke_access_tokens_on_refresh = models.BooleanField(
        _("a refresh revokes the old access token"),
        null=True,
        blank=True,
    )
    retry_window = models.DurationField(
        _("retry window"),
        null=True,
        blank=True,
        help_text=_(
            "How long after a refresh clients that share the old refresh token get the current tokens. "
            "0: not at all. Empty: as the project's settings say."
        ),
    )
    revoke_on_reuse = models.BooleanField(
        _("reuse revokes the grant"),
        null=True,
        blank=True,
        help_text=_("Whether a spent refresh token that is used again revokes the whole grant."),
    )

    class Meta:
        abstract = True
