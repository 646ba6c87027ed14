"""Refresh tokens, access tokens, codes and events: to look at, and to revoke the grants they belong to."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from oauth_refresh.admin.base import ReadOnlyAdmin
from oauth_refresh.admin.display import (
    alarm_meaning,
    badge,
    grant_url,
    isolated_cell,
    origin,
    time_column,
    token_state,
    two_line_cell,
)
from oauth_refresh.admin.export import ExportMixin
from oauth_refresh.admin.export_columns import access_token_columns, event_columns, refresh_token_columns
from oauth_refresh.admin.network_filter import NetworkFilter
from oauth_refresh.admin.revocation import RevocationAdminMixin
from oauth_refresh.admin.time_filter import TimeFilter
from oauth_refresh.models import AccessToken, AuthorizationCode, GrantEvent, RefreshToken
from oauth_refresh.models.users import with_hidden_users

_AT = time_column("at", gettext_lazy("at"))
_EXPIRES = time_column("expires_at", gettext_lazy("expires"))
_ISSUED = time_column("created_at", gettext_lazy("issued"))
_REVOKED = time_column("revoked_at", gettext_lazy("revoked"))


class GrantChildAdmin(ReadOnlyAdmin):
    """Rows of a grant: their list says whose grant it is, and leads to it."""

    list_select_related = ("grant__user", "grant__application")

    @admin.display(description=gettext_lazy("grant"))
    def grant_link(self, row: Any) -> SafeString:
        url = grant_url(self.admin_site, "change", row.grant_id)
        text = two_line_cell(isolated_cell(row.grant.user or _("no user")), isolated_cell(row.grant.application))
        return text if url is None else format_html('<a href="{}">{}</a>', url, text)

    @admin.display(description=gettext_lazy("from"))
    def origin(self, row: Any) -> SafeString:
        return origin(row)


class TokenAdmin(ExportMixin, RevocationAdminMixin, GrantChildAdmin):
    grants_of_rows = ("pk", "grant")
    list_filter: ClassVar[Any] = (TimeFilter,)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return with_hidden_users(super().get_queryset(request), path="grant__")

    @admin.display(description=gettext_lazy("state"))
    def state(self, token: Any) -> SafeString:
        token.grant.user_is_hidden = getattr(token, "user_is_hidden", None)
        return badge(token_state(token))


@admin.register(RefreshToken)
class RefreshTokenAdmin(TokenAdmin):
    export_columns = refresh_token_columns
    list_display = ("generation", "state", "grant_link", _ISSUED, _EXPIRES, "origin")
    list_filter = (NetworkFilter, TimeFilter)
    fields = ("state", "grant", "generation", _ISSUED, _EXPIRES, "origin")


@admin.register(AccessToken)
class AccessTokenAdmin(TokenAdmin):
    export_columns = access_token_columns
    list_display = ("generation", "state", "grant_link", "scope", _ISSUED, _EXPIRES, _REVOKED)
    fields = ("state", "grant", "generation", "scope", "audience", _ISSUED, _EXPIRES, _REVOKED)


@admin.register(GrantEvent)
class GrantEventAdmin(ExportMixin, GrantChildAdmin):
    export_columns = event_columns
    list_display = (_AT, "kind", "meaning", "grant_link", "generation", "origin")
    list_filter = (NetworkFilter, TimeFilter, "kind")
    fields = ("grant", "kind", "meaning", "generation", _AT, "seconds_since_spent", "same_caller", "origin")

    @admin.display(description=gettext_lazy("meaning"))
    def meaning(self, event: GrantEvent) -> str:
        """Return what an alarm most likely is; other events are none."""
        is_alarm = event.kind == GrantEvent.Kind.REUSED
        return capfirst(alarm_meaning(looks_concurrent=event.looks_concurrent)) if is_alarm else "-"


@admin.register(AuthorizationCode)
class AuthorizationCodeAdmin(GrantChildAdmin):
    list_display = (_ISSUED, "grant_link")
    fields = ("grant", "redirect_uri", _ISSUED)
