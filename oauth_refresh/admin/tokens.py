"""Refresh tokens, access tokens, codes and events: to look at, and to revoke the grants they belong to."""

from typing import Any

from django.contrib import admin
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from oauth_refresh.admin.cells import badge, grant_url, two_lines
from oauth_refresh.admin.discreet import ReadOnlyAdmin
from oauth_refresh.admin.revoking import RevokingAdmin
from oauth_refresh.models import AccessToken, AuthorizationCode, GrantEvent, RefreshToken


class OfGrantAdmin(ReadOnlyAdmin):
    """Rows of a grant: their list says whose grant it is, and leads to it."""

    list_select_related = ("grant__user", "grant__application")

    @admin.display(description=gettext_lazy("grant"))
    def of(self, row: Any) -> SafeString:
        url = grant_url(self.admin_site, row.grant_id)
        whose = two_lines(row.grant.user or _("no user"), row.grant.application)
        return whose if url is None else format_html('<a href="{}">{}</a>', url, whose)

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Any) -> SafeString:
        if row.is_live_at(timezone.now()):
            return badge(_("live"), look="live")
        return badge(_("dead"), look="expired")


@admin.register(RefreshToken)
class RefreshTokenAdmin(RevokingAdmin, OfGrantAdmin):
    grants_of_rows = ("pk", "grant")
    revoke_label = gettext_lazy("Revoke the grants of selected refresh tokens")
    list_display = ("generation", "state", "of", "created_at", "expires_at", "address")
    list_filter = ("created_at",)
    fields = ("state", "grant", "generation", "created_at", "expires_at", "address", "user_agent")


@admin.register(AccessToken)
class AccessTokenAdmin(RevokingAdmin, OfGrantAdmin):
    grants_of_rows = ("pk", "grant")
    revoke_label = gettext_lazy("Revoke the grants of selected access tokens")
    list_display = ("generation", "state", "of", "scope", "created_at", "expires_at", "revoked_at")
    list_filter = ("created_at",)
    fields = ("state", "grant", "generation", "scope", "created_at", "expires_at", "revoked_at")


@admin.register(GrantEvent)
class GrantEventAdmin(OfGrantAdmin):
    list_display = ("at", "kind", "of", "generation", "address")
    list_filter = ("kind",)
    fields = ("grant", "kind", "generation", "at", "address", "user_agent")


@admin.register(AuthorizationCode)
class AuthorizationCodeAdmin(OfGrantAdmin):
    list_display = ("created_at", "expires_at", "of")
    fields = ("grant", "redirect_uri", "created_at", "expires_at")
