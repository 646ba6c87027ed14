"""Refresh tokens, access tokens, codes and events: to look at, and to revoke the grants they belong to."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from oauth_refresh.admin.base import ReadOnlyAdmin
from oauth_refresh.admin.display import alarm_meaning, badge, grant_url, token_state, two_line_cell
from oauth_refresh.admin.revocation import RevocationAdminMixin
from oauth_refresh.models import AccessToken, AuthorizationCode, GrantEvent, RefreshToken
from oauth_refresh.models.users import with_hidden_users


class GrantChildAdmin(ReadOnlyAdmin):
    """Rows of a grant: their list says whose grant it is, and leads to it."""

    list_select_related = ("grant__user", "grant__application")

    @admin.display(description=gettext_lazy("grant"))
    def grant_link(self, row: Any) -> SafeString:
        url = grant_url(self.admin_site, "change", row.grant_id)
        text = two_line_cell(row.grant.user or _("no user"), row.grant.application)
        return text if url is None else format_html('<a href="{}">{}</a>', url, text)


class TokenAdmin(RevocationAdminMixin, GrantChildAdmin):
    grants_of_rows = ("pk", "grant")
    list_filter = ("created_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_hidden_users(super().get_queryset(request), path="grant__")

    @admin.display(description=gettext_lazy("state"))
    def state(self, token: Any) -> SafeString:
        token.grant.user_is_hidden = getattr(token, "user_is_hidden", None)
        return badge(token_state(token))


@admin.register(RefreshToken)
class RefreshTokenAdmin(TokenAdmin):
    list_display = ("generation", "state", "grant_link", "created_at", "expires_at", "address")
    fields = ("state", "grant", "generation", "created_at", "expires_at", "address", "user_agent")


@admin.register(AccessToken)
class AccessTokenAdmin(TokenAdmin):
    list_display = ("generation", "state", "grant_link", "scope", "created_at", "expires_at", "revoked_at")
    fields = ("state", "grant", "generation", "scope", "created_at", "expires_at", "revoked_at")


@admin.register(GrantEvent)
class GrantEventAdmin(GrantChildAdmin):
    list_display = ("at", "kind", "meaning", "grant_link", "generation", "address")
    list_filter = ("kind",)
    fields = (
        *("grant", "kind", "meaning", "generation", "at"),
        *("seconds_since_spent", "same_caller", "address", "user_agent"),
    )

    @admin.display(description=gettext_lazy("meaning"))
    def meaning(self, event: GrantEvent) -> str:
        """Return what an alarm most likely is; other events are none."""
        is_alarm = event.kind == GrantEvent.Kind.REUSED
        return capfirst(alarm_meaning(looks_concurrent=event.looks_concurrent)) if is_alarm else "-"


@admin.register(AuthorizationCode)
class AuthorizationCodeAdmin(GrantChildAdmin):
    list_display = ("created_at", "grant_link")
    fields = ("grant", "redirect_uri", "created_at")
