"""The grant: what one application may do for one user, and the family of all its tokens.

Its row is the only one that a refresh changes. Its generation says which refresh token is current, so spending a token,
winning a race and revoking all tokens are each one conditional update of one row.
"""

import uuid
from datetime import datetime
from typing import Any, ClassVar, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from oauth_refresh import crypto
from oauth_refresh.conf import app_settings
from oauth_refresh.http import USER_AGENT_LENGTH
from oauth_refresh.models.application import Application
from oauth_refresh.models.choices import GrantType
from oauth_refresh.models.retry_slots import SLOTS_BYTES
from oauth_refresh.models.users import (
    cascade_first,
    is_hidden,
    may_hide_users,
    password_fingerprints,
    shows_user,
    users_have_is_active,
)
from oauth_refresh.scopes import scope_texts
from oauth_refresh.user_agents import program_name

REASON_LENGTH = 255


def live_grant(now: datetime, *, path: str = "") -> Q:
    """Return the condition of a live grant in columns, for a query that reaches the grant by ``path``."""
    condition = Q(
        Q(**{f"{path}expires_at": None}) | Q(**{f"{path}expires_at__gt": now}),
        **{
            f"{path}generation__gt": 0,
            f"{path}revoked_at": None,
            f"{path}idle_expires_at__gt": now,
            f"{path}application__is_active": True,
        },
    )
    if users_have_is_active():
        condition &= Q(**{f"{path}user": None}) | Q(**{f"{path}user__is_active": True})
    if may_hide_users():
        condition &= Q(**{f"{path}user": None}) | Q(shows_user(path))
    return condition


class GrantQuerySet(models.QuerySet["Grant"]):
    def live(self, now: datetime | None = None) -> Self:
        """Keep the live ones, as far as columns tell; a row also compares its password fingerprint."""
        return self.filter(live_grant(now or timezone.now()))

    def unrevoked(self) -> Self:
        return self.filter(revoked_at=None)

    def for_user(self, user: models.Model) -> Self:
        return self.filter(user=user)

    def usable_for(self, user: models.Model, now: datetime | None = None) -> Self:
        """Keep the live ones of ``user`` that started with the password the user has now."""
        usable = self.live(now).for_user(user)
        fingerprints = tuple(password_fingerprints(user)) if app_settings.revoke_on_password_change else ()
        return usable.filter(password_fingerprint__in=("", *fingerprints)) if fingerprints else usable

    def for_application(self, application: Application) -> Self:
        return self.filter(application=application)


class Grant(models.Model):
    """A family of tokens. It is live if it was started, is neither revoked nor expired, and nothing blocks its use.

    ``user_is_hidden`` says whether the user model's default manager leaves its user out; None if that was not read yet.
    """

    user_is_hidden: bool | None = None

    public_id = models.UUIDField(_("public ID"), default=uuid.uuid4, editable=False)
    application: models.ForeignKey[Application, Application] = models.ForeignKey(
        Application, verbose_name=_("application"), on_delete=models.CASCADE, db_index=False, related_name="grants"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=cascade_first,
        null=True,
        blank=True,
        db_index=False,
        related_name="oauth_grants",
    )
    grant_type = models.CharField(_("started by"), max_length=64)
    scope = models.TextField(_("scope"), blank=True)
    resources = models.TextField(_("resources"), blank=True)
    consented = models.BooleanField(_("the user was asked"), default=False)
    mac_key = models.BinaryField(max_length=crypto.MAC_KEY_BYTES, default=crypto.generate_mac_key, editable=False)
    generation = models.PositiveIntegerField(_("generation"), default=0)
    access_floor = models.PositiveIntegerField(_("oldest valid access token generation"), default=0)
    # Up to this generation the texts of its refresh tokens are of another server, so no MAC tells them from noise.
    imported_generation = models.PositiveIntegerField(
        _("newest imported refresh token generation"), default=0, db_default=0, editable=False
    )
    created_at = models.DateTimeField(_("started"), default=timezone.now)
    refreshed_at = models.DateTimeField(_("last refreshed"), null=True, blank=True)
    idle_expires_at = models.DateTimeField(_("expires unless refreshed"))
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    password_fingerprint = models.CharField(max_length=64, blank=True, editable=False)
    retry_slots = models.BinaryField(max_length=SLOTS_BYTES, null=True, blank=True, editable=False)
    retries = models.PositiveSmallIntegerField(_("retries"), default=0)
    address = models.GenericIPAddressField(_("address"), null=True, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=USER_AGENT_LENGTH, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    revoked_reason = models.CharField(_("reason"), max_length=REASON_LENGTH, blank=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("revoked by"),
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
    )
    revocation_id = models.UUIDField(_("revocation"), null=True, blank=True)

    objects: ClassVar[GrantQuerySet] = GrantQuerySet.as_manager()  # type: ignore[assignment]  # has the methods of both

    class Meta:
        verbose_name = _("grant")
        verbose_name_plural = _("grants")
        permissions = [("export_grant", "Can export grants and their history"), ("revoke_grant", "Can revoke grants")]
        # No index may hold a column that a refresh changes (generation, refreshed_at, idle_expires_at, access_floor,
        # the retry slots): PostgreSQL then updates the row in place (heap-only tuples).
        indexes = [
            models.Index(fields=["application", "created_at"], name="oauth_grant_application"),
            models.Index(fields=["user", "created_at"], name="oauth_grant_user"),
            models.Index(fields=["created_at"], name="oauth_grant_created"),
            models.Index(fields=["revoked_at"], name="oauth_grant_revoked"),
            models.Index(fields=["revoked_by"], name="oauth_grant_revoked_by"),
            models.Index(fields=["revocation_id"], name="oauth_grant_revocation"),
            models.Index(fields=["address"], name="oauth_grant_address"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["public_id"], name="oauth_grant_public_id"),
            models.CheckConstraint(
                condition=Q(user__isnull=False) | Q(grant_type=GrantType.CLIENT_CREDENTIALS),
                name="oauth_grant_has_user",
            ),
            models.CheckConstraint(
                condition=Q(idle_expires_at__gt=F("created_at"))
                & (Q(expires_at=None) | Q(expires_at__gt=F("created_at"))),
                name="oauth_grant_expires_later",
            ),
            models.CheckConstraint(
                condition=(Q(revoked_at=None) & Q(revoked_reason=""))
                | (Q(revoked_at__isnull=False) & ~Q(revoked_reason="")),
                name="oauth_grant_revoked_why",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id)

    @property
    def scopes(self) -> tuple[str, ...]:
        return tuple(self.scope.split())

    @property
    def resource_names(self) -> tuple[str, ...]:
        """Return the identifiers of the resources it is for; none: this server as a whole."""
        return tuple(self.resources.split())

    @property
    def scope_texts(self) -> dict[str, str]:
        """Return scope name to what a user reads: the name again where the project no longer has a text for it."""
        texts = scope_texts()
        return {name: texts.get(name, name) for name in self.scopes}

    @property
    def refresh_count(self) -> int:
        """Return how often its refresh token was rotated by this server."""
        return self.generation - max(1, self.imported_generation)

    @property
    def program(self) -> str:
        """Return the program that it was started from, such as "Firefox on Windows"; "" if that was not recorded."""
        return program_name(self.user_agent)

    @property
    def last_active_at(self) -> datetime:
        return self.refreshed_at or self.created_at

    @property
    def is_live(self) -> bool:
        return self.inactive_reason(timezone.now()) is None

    def inactive_reason(self, now: datetime) -> str | None:
        """Return why the grant cannot be used at ``now``, as words for the log; None if it is live."""
        ended = self.end_reason(now)
        if ended is None and self.generation == 0:
            return "not started"
        return ended or self.block_reason()

    def block_reason(self) -> str | None:
        """Return what blocks the application or the user of the grant, as words for the log; None if nothing does."""
        if not self.application.is_active:
            return "application inactive"
        if not getattr(self.user, "is_active", True):
            return "user inactive"
        if self.user is not None and self._has_hidden_user(self.user):
            return "user hidden"
        if self.user is not None and app_settings.revoke_on_password_change and not self.has_fingerprint_of(self.user):
            return "password changed"
        return None

    def _has_hidden_user(self, user: models.Model) -> bool:
        return is_hidden(user.pk, using=user._state.db) if self.user_is_hidden is None else self.user_is_hidden

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        super().refresh_from_db(*args, **kwargs)
        self.user_is_hidden = None

    def end_reason(self, now: datetime) -> str | None:
        """Return "revoked" or "expired" if it was ended on purpose or by time; None if not."""
        if self.revoked_at is not None:
            return "revoked"
        if self.idle_expires_at <= now or (self.expires_at is not None and self.expires_at <= now):
            return "expired"
        return None

    def next_idle_expiry(self, now: datetime, *, refreshable: bool = True) -> datetime:
        """Return until when the grant lives if tokens are issued at ``now`` and nothing follows; never past its end."""
        lifetime = self.application.effective("refresh_token_lifetime" if refreshable else "access_token_lifetime")
        latest: datetime = now + lifetime
        return latest if self.expires_at is None else min(latest, self.expires_at)

    def access_token_expiry(self, now: datetime) -> datetime:
        """Return when an access token issued at ``now`` ends: it never outlives the grant it needs."""
        latest: datetime = now + self.application.effective("access_token_lifetime")
        return min(latest, self.idle_expires_at)

    def has_fingerprint_of(self, user: Any) -> bool:
        """Whether the user's password is the one this grant started with; always True, where there are no passwords."""
        fingerprints = tuple(password_fingerprints(user))
        return not fingerprints or not self.password_fingerprint or self.password_fingerprint in fingerprints
