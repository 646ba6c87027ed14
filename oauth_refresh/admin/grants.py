"""Grants in the admin: find the one that a leaked token belongs to, see what happened to it, revoke it."""

from collections.abc import Callable
from contextlib import suppress
from functools import reduce
from operator import or_
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db.models import BooleanField, Case, OuterRef, Q, QuerySet, Subquery, When
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import Truncator, smart_split, unescape_string_literal
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from oauth_refresh.admin import display
from oauth_refresh.admin.base import ReadOnlyAdmin, may_view_users
from oauth_refresh.admin.filters import ApplicationFilter, ReasonFilter, StateFilter
from oauth_refresh.admin.revocation import RevocationAdminMixin
from oauth_refresh.admin.timeline import timeline
from oauth_refresh.models import AccessToken, Application, Grant, GrantEvent, RefreshToken
from oauth_refresh.models.tokens import LOOKS_CONCURRENT
from oauth_refresh.models.users import with_hidden_users
from oauth_refresh.services.lookup import PresentedRefreshToken, find_tokens_in

_ACCESS_TOKENS_SHOWN = 25
_MOST_FOUND = 200  # their keys go into an address: some servers take 4,094 characters, and Django's links escape twice
_LONGEST_SEARCH = 200  # characters; each word of a search is several conditions, and SQLite takes 1,000


@admin.register(Grant)
class GrantAdmin(RevocationAdminMixin, ReadOnlyAdmin):
    grants_of_rows = ("pk", "pk")
    revoke_label = gettext_lazy("Revoke selected grants")
    list_display = ("state", "user_and_application", "started", "last_refreshed", "scope", "origin", "revocation")
    sortable_by = ("started",)  # the other columns have no index
    list_filter = (StateFilter, ApplicationFilter, "created_at", ReasonFilter)
    list_select_related = ("user", "application", "revoked_by")
    search_fields = ("user", "application")  # see get_search_results
    search_help_text = gettext_lazy("Application, or the ID of a grant or revocation.")
    fieldsets = (
        (None, {"fields": ("public_id", "application", "user", "scope", "consented")}),
        (gettext_lazy("Lifetime"), {"fields": ("started", "last_refreshed", "idle_expires_at", "expires_at")}),
        (gettext_lazy("Tokens"), {"fields": ("generation", "access_floor", "address", "user_agent")}),
        (gettext_lazy("Revocation"), {"fields": ("revocation", "revocation_id")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out grants whose code was not redeemed yet: they have no token."""
        alarms = GrantEvent.objects.filter(grant=OuterRef("pk"), kind=GrantEvent.Kind.REUSED).order_by("-pk")
        concurrent = Case(When(LOOKS_CONCURRENT, then=True), default=False)
        newest = Subquery(alarms.annotate(concurrent=concurrent).values("concurrent")[:1], BooleanField(null=True))
        grants: QuerySet[Any] = super().get_queryset(request).annotate(alarm_looks_concurrent=newest)
        return with_hidden_users(grants).filter(generation__gt=0)

    def get_ordering(self, request: HttpRequest) -> tuple[str]:
        shows_revoked = request.GET.get("state") == "revoked" or request.GET.get("reason")
        return ("-revoked_at",) if shows_revoked else ("-created_at",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Match each word among users and applications first, so that indexes lead from there to the grants."""
        if len(search_term) > _LONGEST_SEARCH or any(not word.strip("\"'") for word in smart_split(search_term)):
            return queryset.none(), False
        # Otherwise staff could find out e-mail addresses letter by letter: does "alice@e" still find a grant?
        by_user = may_view_users(request)
        for word in smart_split(search_term):
            queryset = queryset.filter(_matches(word, by_user=by_user))
        return queryset, False

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        changelist = super().get_changelist_instance(request)
        if may_view_users(request):
            changelist.search_help_text = _(
                "User name, e-mail address, application, or the ID of a grant or revocation."
            )
        return changelist

    def get_urls(self) -> list[URLPattern]:
        # Outside of admin_view, which reads the user: if that fails, the error report must not hold the pasted token.
        find_view = sensitive_post_parameters()(self._hint_if_too_long(self.admin_site.admin_view(self.find_view)))
        return [path("find/", find_view, name="oauth_refresh_grant_find"), *super().get_urls()]

    def _hint_if_too_long(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """Answer a text over ``DATA_UPLOAD_MAX_MEMORY_SIZE`` with a hint.

        Exempt from the CSRF middleware, which would read the form, and fail, outside; ``admin_view`` checks as well.
        """

        @csrf_exempt
        def find(request: HttpRequest) -> HttpResponse:
            try:
                return view(request)
            except RequestDataTooBig:
                text = _("The text is too long for one page. Paste less of it, or use %(command)s.")
                self.message_user(request, text % {"command": "oauth_revoke_grants --token-stdin"}, messages.WARNING)
                return HttpResponseRedirect(self.page_url("changelist"))

        return find

    @sensitive_variables()  # the text and the tokens in it
    def find_view(self, request: HttpRequest) -> HttpResponse:
        """``POST find/``: go to the grants of the tokens in a pasted text. Nothing of the text is kept."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        if request.method != "POST":  # after a new sign-in: the text that was pasted is gone
            return self.redirect_from_token(request) or HttpResponseRedirect(self.page_url("changelist"))
        tokens = find_tokens_in(request.POST.get("text", ""))
        if len(tokens) == 1:
            self.message_user(request, _describe_token(tokens[0]))
            return HttpResponseRedirect(self.page_url("change", tokens[0].grant.pk))
        if not tokens:
            self.message_user(request, _("No token of this server was found in the text."), messages.WARNING)
            return HttpResponseRedirect(self.page_url("changelist"))
        if len(tokens) > _MOST_FOUND:
            text = _("Only the first %(listed)d of %(count)d grants are listed. Use %(command)s for all of them.")
            values = {"count": len(tokens), "listed": _MOST_FOUND, "command": "oauth_revoke_grants --token-stdin"}
            self.message_user(request, text % values, messages.WARNING)
        keys = ",".join(str(token.grant.pk) for token in tokens[:_MOST_FOUND])
        return HttpResponseRedirect(f"{self.page_url('changelist')}?id__in={keys}")

    def render_change_form(  # type: ignore[override]  # Django passes the options by name
        self, request: HttpRequest, context: dict[str, Any], *, obj: Grant, **options: Any
    ) -> HttpResponse:
        may_change_application = request.user.has_perm("oauth_refresh.change_application")
        access_tokens = obj.access_tokens.order_by("-generation", "-pk")[:_ACCESS_TOKENS_SHOWN]
        context |= {
            "title": _("%(application)s for %(user)s") % {"application": obj.application, "user": _user_name(obj)},
            "state": display.grant_badge(obj),
            "is_ended": obj.end_reason(timezone.now()) is not None,
            "timeline": timeline(obj),
            "window_url": display.retry_window_url(self.admin_site, obj) if may_change_application else None,
            "access_tokens": [(token, display.badge(display.token_state(token))) for token in access_tokens],
        }
        return super().render_change_form(request, context, obj=obj, **options)

    @admin.display(description=gettext_lazy("state"))
    def state(self, grant: Grant) -> SafeString:
        return display.grant_badge(grant)

    @admin.display(description=gettext_lazy("user and application"))
    def user_and_application(self, grant: Grant) -> SafeString:
        return display.two_line_cell(_user_name(grant), grant.application)

    @admin.display(description=gettext_lazy("started"), ordering="created_at")
    def started(self, grant: Grant) -> SafeString:
        how = _("by %(grant_type)s") % {"grant_type": display.how_started(grant)}
        return display.two_line_cell(display.format_time(grant.created_at), how)

    @admin.display(description=gettext_lazy("last refreshed"))
    def last_refreshed(self, grant: Grant) -> SafeString:
        if grant.refreshed_at is None:
            return display.two_line_cell(_("never refreshed"))
        count = grant.generation - 1  # stays 0 where rotation is off
        times = ngettext("refreshed %(count)d time", "refreshed %(count)d times", count) % {"count": count}
        return display.two_line_cell(display.format_time(grant.refreshed_at), times if count else _("refreshed"))

    @admin.display(description=gettext_lazy("from"))
    def origin(self, grant: Grant) -> SafeString:
        return display.two_line_cell(grant.address or "", Truncator(grant.user_agent).chars(32))

    @admin.display(description=gettext_lazy("revoked"))
    def revocation(self, grant: Grant) -> SafeString:
        if grant.revoked_at is None:
            return display.two_line_cell("-")
        why = display.end_description(grant, length=60)
        looks_concurrent: bool | None = getattr(grant, "alarm_looks_concurrent", None)  # None: there was no alarm
        if looks_concurrent is not None:
            why = f"{why}: {display.alarm_meaning(looks_concurrent=looks_concurrent)}"
        return display.two_line_cell(display.format_time(grant.revoked_at), why)


def _user_name(grant: Grant) -> str:
    return str(grant.user or _("the application itself"))


def _matches(word: str, *, by_user: bool) -> Q:
    """Return the condition that ``word`` is part of the name of a grant's application or user, or is an ID."""
    if len(word) > 1 and word[0] in {'"', "'"} and word[0] == word[-1]:
        word = unescape_string_literal(word)
    applications = Application.objects.filter(Q(name__icontains=word) | Q(client_id__icontains=word))
    found = Q(application__in=applications.values("pk"))
    if by_user:
        found |= Q(user__in=_users_named(word).values("pk"))
    with suppress(ValueError):
        found |= Q(public_id=UUID(word)) | Q(revocation_id=UUID(word))
    return found


def _users_named(word: str) -> QuerySet[Any]:
    users = get_user_model()
    columns = {field.name for field in users._meta.get_fields()}
    names = [name for name in (users.USERNAME_FIELD, getattr(users, "EMAIL_FIELD", None)) if name in columns]
    named = reduce(or_, (Q(**{f"{name}__icontains": word}) for name in names))
    found: QuerySet[Any] = users._base_manager.filter(named)
    return found


def _describe_token(token: PresentedRefreshToken | AccessToken) -> str:
    """Return what the pasted token is."""
    if isinstance(token, AccessToken):
        state = str(display.STATES[display.token_state(token)])
        return _("You pasted an access token of this grant: %(state)s.") % {"state": state}
    grant, number = token.grant, token.generation
    row = token.row or RefreshToken(grant=grant, generation=number, expires_at=grant.idle_expires_at)
    state = str(display.STATES[display.token_state(row)])
    if token.row is None:
        state = _("%(state)s, its row was pruned") % {"state": state}
    return _("You pasted refresh token %(number)d of this grant: %(state)s.") % {"number": number, "state": state}
