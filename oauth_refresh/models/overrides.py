"""What an application may do otherwise than the project's settings say; an empty column follows them."""

from datetime import datetime, timedelta

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from oauth_refresh.conf import LONGEST_DURATION, app_settings

sensible = (MinValueValidator(timedelta(seconds=1)), MaxValueValidator(LONGEST_DURATION))


class Overrides(models.Model):
    """The columns, and what is in force: the own value, else that of the settings."""

    access_token_lifetime = models.DurationField(
        _("access token lifetime"),
        validators=sensible,
        null=True,
        blank=True,
        help_text=_("Empty: as the project's settings say."),
    )
    refresh_token_lifetime = models.DurationField(
        _("refresh token lifetime"),
        validators=sensible,
        null=True,
        blank=True,
        help_text=_("How long a refresh token may wait for its use. Empty: as the project's settings say."),
    )
    grant_lifetime = models.DurationField(
        _("grant lifetime"),
        validators=sensible,
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

    class Meta:
        abstract = True

    @property
    def effective_access_token_lifetime(self) -> timedelta:
        return app_settings.access_token_lifetime if self.access_token_lifetime is None else self.access_token_lifetime

    @property
    def effective_refresh_token_lifetime(self) -> timedelta:
        return (
            app_settings.refresh_token_lifetime if self.refresh_token_lifetime is None else self.refresh_token_lifetime
        )

    @property
    def effective_retry_window(self) -> timedelta:
        return app_settings.retry_window if self.retry_window is None else self.retry_window

    @property
    def effective_grant_lifetime(self) -> timedelta | None:
        return app_settings.grant_lifetime if self.grant_lifetime is None else self.grant_lifetime

    def grant_expiry(self, now: datetime) -> datetime | None:
        """Return when a grant that starts at ``now`` ends, however often it is refreshed; None: never."""
        longest = self.effective_grant_lifetime
        return None if longest is None else now + longest

    @property
    def rotates(self) -> bool:
        """Whether a refresh spends the refresh token."""
        own = self.rotate_refresh_tokens
        return app_settings.rotate_refresh_tokens if own is None else own

    @property
    def kills_old_access_tokens(self) -> bool:
        own = self.revoke_access_tokens_on_refresh
        return app_settings.revoke_access_tokens_on_refresh if own is None else own
