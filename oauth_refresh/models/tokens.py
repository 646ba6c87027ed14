"""Refresh and access tokens: rows that are written once; whether they still live is mostly for their grant to say."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from oauth_refresh.models.application import Application
from oauth_refresh.models.grant import USER_AGENT_LENGTH, Grant, live_grant


class RefreshTokenQuerySet(models.QuerySet["RefreshToken"]):
    def live(self, now: datetime | None = None) -> Self:
        """Keep those that a refresh would accept, as far as columns tell."""
        now = now or timezone.now()
        return self.filter(live_grant(now, path="grant__"), generation=F("grant__generation"), expires_at__gt=now)

    def for_user(self, user: models.Model) -> Self:
        return self.filter(grant__user=user)

    def for_application(self, application: Application) -> Self:
        return self.filter(grant__application=application)


class RefreshToken(models.Model):
    """One link in the chain of a grant. Live iff it is of the grant's generation, unexpired, and the grant is live."""

    grant = models.ForeignKey(
        Grant, verbose_name=_("grant"), on_delete=models.CASCADE, db_index=False, related_name="refresh_tokens"
    )
    generation = models.PositiveIntegerField(_("generation"))
    digest = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(_("issued"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"))
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=USER_AGENT_LENGTH, blank=True)

    objects = RefreshTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("refresh token")
        verbose_name_plural = _("refresh tokens")
        constraints = [
            models.UniqueConstraint(fields=["digest"], name="oauth_refresh_token_digest"),
            # The database itself forbids a forked family.
            models.UniqueConstraint(fields=["grant", "generation"], name="oauth_refresh_token_generation"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="oauth_refresh_token_expires_later"
            ),
        ]

    def __str__(self) -> str:
        return gettext("refresh token %(number)d of grant %(grant)s") % {
            "number": self.generation,
            "grant": self.grant_id,
        }

    @property
    def is_spent(self) -> bool:
        """Whether a rotation has replaced it."""
        return self.generation < self.grant.generation

    @property
    def is_live(self) -> bool:
        return self.is_live_at(timezone.now())

    def is_live_at(self, now: datetime) -> bool:
        return self.generation == self.grant.generation and self.expires_at > now and self.grant.why_dead(now) is None


class AccessTokenQuerySet(models.QuerySet["AccessToken"]):
    def live(self, now: datetime | None = None) -> Self:
        """Keep those that an API would accept, as far as columns tell."""
        now = now or timezone.now()
        return self.filter(
            live_grant(now, path="grant__"),
            generation__gte=F("grant__access_floor"),
            expires_at__gt=now,
            revoked_at=None,
        )

    def for_user(self, user: models.Model) -> Self:
        return self.filter(grant__user=user)

    def for_application(self, application: Application) -> Self:
        return self.filter(grant__application=application)


class AccessToken(models.Model):
    """Live iff its generation is not below the grant's floor, it is unexpired and unrevoked, and the grant is live."""

    grant = models.ForeignKey(
        Grant, verbose_name=_("grant"), on_delete=models.CASCADE, db_index=False, related_name="access_tokens"
    )
    generation = models.PositiveIntegerField(_("generation"))
    digest = models.CharField(max_length=64, editable=False)
    scope = models.TextField(_("scope"), blank=True)
    created_at = models.DateTimeField(_("issued"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    objects = AccessTokenQuerySet.as_manager()

    class Meta:
        verbose_name = _("access token")
        verbose_name_plural = _("access tokens")
        indexes = [models.Index(fields=["grant", "generation"], name="oauth_access_token_grant")]
        constraints = [
            models.UniqueConstraint(fields=["digest"], name="oauth_access_token_digest"),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="oauth_access_token_expires_later"
            ),
        ]

    def __str__(self) -> str:
        return gettext("access token of generation %(number)d of grant %(grant)s") % {
            "number": self.generation,
            "grant": self.grant_id,
        }

    @property
    def application(self) -> Application:
        return self.grant.application

    @property
    def scopes(self) -> tuple[str, ...]:
        return tuple(self.scope.split())

    @property
    def is_live(self) -> bool:
        return self.is_live_at(timezone.now())

    def is_live_at(self, now: datetime) -> bool:
        return (
            self.generation >= self.grant.access_floor
            and self.expires_at > now
            and self.revoked_at is None
            and self.grant.why_dead(now) is None
        )
