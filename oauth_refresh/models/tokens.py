"""What belongs to a grant: refresh tokens, access tokens, its code and its events.

A refresh changes none of these rows. Only an access token that is revoked by itself is updated.
"""

from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from oauth_refresh.bearer import BearerToken
from oauth_refresh.http import USER_AGENT_LENGTH
from oauth_refresh.models.application import Application
from oauth_refresh.models.grant import Grant, live_grant
from oauth_refresh.models.retry_slots import read_slots

_CONCURRENT_SECONDS = 60

LOOKS_CONCURRENT = Q(
    same_caller=True, seconds_since_spent__gt=-_CONCURRENT_SECONDS, seconds_since_spent__lt=_CONCURRENT_SECONDS
)
"""The condition of an event that ``looks_concurrent``."""


class RefreshTokenQuerySet(models.QuerySet["RefreshToken"]):
    def live(self, now: datetime | None = None) -> Self:
        """Keep those that a refresh would accept, as far as columns tell."""
        now = now or timezone.now()
        return self.filter(live_grant(now, path="grant__"), generation=F("grant__generation"), expires_at__gt=now)


class RefreshToken(models.Model):
    """One refresh token of a grant. It is live if it is of the grant's generation, unexpired, and its grant is live."""

    grant: models.ForeignKey[Grant, Grant] = models.ForeignKey(
        Grant, verbose_name=_("grant"), on_delete=models.CASCADE, db_index=False, related_name="refresh_tokens"
    )
    generation = models.PositiveIntegerField(_("generation"))
    digest = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(_("issued"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"))
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=USER_AGENT_LENGTH, blank=True)

    objects: ClassVar[RefreshTokenQuerySet] = RefreshTokenQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name = _("refresh token")
        verbose_name_plural = _("refresh tokens")
        # For staff: by address, and counted by time. A row is inserted at every refresh, and never changed.
        indexes = [
            models.Index(fields=["address"], name="oauth_refresh_token_address"),
            models.Index(fields=["created_at", "generation"], name="oauth_refresh_token_created"),
        ]
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
        return (
            self.generation == self.grant.generation
            and self.expires_at > now
            and self.grant.inactive_reason(now) is None
        )


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


@BearerToken.register
class AccessToken(models.Model):
    """An access token of a grant: what an API accepts (RFC 6750).

    It is live if its generation is not below the grant's ``access_floor``, it is unexpired and not revoked itself, and
    its grant is live. Below the floor, it is accepted for the retry window that follows its replacement; ``live()``
    leaves it out.
    """

    grant: models.ForeignKey[Grant, Grant] = models.ForeignKey(
        Grant, verbose_name=_("grant"), on_delete=models.CASCADE, db_index=False, related_name="access_tokens"
    )
    generation = models.PositiveIntegerField(_("generation"))
    digest = models.CharField(max_length=64, editable=False)
    scope = models.TextField(_("scope"), blank=True)
    audience = models.TextField(_("audience"), blank=True)
    created_at = models.DateTimeField(_("issued"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)

    objects: ClassVar[AccessTokenQuerySet] = AccessTokenQuerySet.as_manager()  # type: ignore[assignment]

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
    def resource_names(self) -> tuple[str, ...]:
        """Return the identifiers of the resources it was issued for; none: this server as a whole."""
        return tuple(self.audience.split())

    @property
    def is_live(self) -> bool:
        return self.is_live_at(timezone.now())

    def is_live_at(self, now: datetime) -> bool:
        return (
            (self.generation >= self.grant.access_floor or self._was_replaced_lately(now))
            and self.expires_at > now
            and self.revoked_at is None
            and self.grant.inactive_reason(now) is None
        )

    def _was_replaced_lately(self, now: datetime) -> bool:
        """Whether a refresh replaced it, and clients that share it may not know it yet.

        Without this a request that is under way would be refused, and its client would refresh again, and take the new
        access token from all others.
        """
        window = self.grant.application.effective("retry_window")
        slots = read_slots(self.grant.retry_slots) if window else ()
        return any(slot.generation == self.generation and abs(now - slot.spent_at) < window for slot in slots)


class AuthorizationCode(models.Model):
    """A user's consent on its way to the application (RFC 6749 §4.1.2): what starts a grant of generation 0.

    The row never changes. Its grant says whether it was redeemed, and when it expires. It is kept as long as the
    grant, and records which redirect URIs the application had when the user consented.
    """

    grant: models.ForeignKey[Grant, Grant] = models.ForeignKey(
        Grant, verbose_name=_("grant"), on_delete=models.CASCADE, db_index=False, related_name="authorization_codes"
    )
    digest = models.CharField(max_length=64, editable=False)
    redirect_uri = models.TextField(
        _("redirect URI"), blank=True, help_text=_("As the authorization request named it; empty if it named none.")
    )
    redirect_uris_digest = models.CharField(max_length=64, blank=True, editable=False)
    code_challenge = models.CharField(_("code challenge"), max_length=43, blank=True, editable=False)
    created_at = models.DateTimeField(_("issued"), default=timezone.now)

    class Meta:
        verbose_name = _("authorization code")
        verbose_name_plural = _("authorization codes")
        constraints = [
            models.UniqueConstraint(fields=["digest"], name="oauth_code_digest"),
            models.UniqueConstraint(fields=["grant"], name="oauth_code_grant"),
        ]

    def __str__(self) -> str:
        return gettext("authorization code of grant %(grant)s") % {"grant": self.grant_id}


class GrantEvent(models.Model):
    """A refresh token was presented that was spent before. A normal refresh writes no event."""

    class Kind(models.TextChoices):
        RETRIED = "retried", _("a refresh was repeated")
        REUSED = "reused", _("a spent refresh token was used again")
        REFUSED = "refused", _("a retry was refused")

    grant = models.ForeignKey(
        Grant, verbose_name=_("grant"), on_delete=models.CASCADE, db_index=False, related_name="events"
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    generation = models.PositiveIntegerField(_("generation presented"))
    at = models.DateTimeField(_("at"), default=timezone.now)
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=USER_AGENT_LENGTH, blank=True)
    seconds_since_spent = models.FloatField(_("seconds since the token was spent"), null=True, blank=True)
    same_caller = models.BooleanField(_("same caller as the refresh"), null=True, blank=True)

    class Meta:
        verbose_name = _("grant event")
        verbose_name_plural = _("grant events")
        indexes = [
            models.Index(fields=["grant", "at"], name="oauth_grant_event_grant"),
            models.Index(fields=["kind", "at"], name="oauth_grant_event_kind"),
            models.Index(fields=["address"], name="oauth_grant_event_address"),
        ]

    def __str__(self) -> str:
        return gettext("%(event)s (generation %(number)d)") % {
            "event": self.get_kind_display(),
            "number": self.generation,
        }

    @property
    def looks_concurrent(self) -> bool:
        """Whether the client most likely refreshed twice at once: it came seconds later, and looks the same.

        Otherwise the event is to be treated as theft.
        """
        seconds = self.seconds_since_spent
        return self.same_caller is True and seconds is not None and abs(seconds) < _CONCURRENT_SECONDS
