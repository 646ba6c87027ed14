"""Grants in the admin: find the one that a leaked token belongs to, see what happened to it, end it."""

from collections.abc import Callable
from contextlib import suppress
from functools import reduce
from itertools import islice
from operator import or_
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db.models import Q, QuerySet
from django.forms import Media
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import Truncator, capfirst, smart_split, unescape_string_literal
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from oauth_refresh.admin.cells import moment, state_badge, two_lines
from oauth_refresh.admin.discreet import ReadOnlyAdmin
from oauth_refresh.admin.filters import ApplicationFilter, ReasonFilter, StateFilter
from oauth_refresh.admin.revoking import CarefulList, RevokingAdmin
from oauth_refresh.admin.timeline import reason_in_words, timeline
from oauth_refresh.models import AccessToken, Application, Grant
from oauth_refresh.services.lookup import PresentedRefreshToken, find_tokens_in

_ACCESS_TOKENS = 25
_MOST_LISTED = 200
"""Their keys go into an address, of which some servers take 4,094 characters, and Django's links escape it twice."""
_MOST_WORDS = 20
_FOR_ANY_LENGTH = "oauth_revoke_grants --token-stdin"


@admin.register(Grant)
class GrantAdmin(RevokingAdmin, ReadOnlyAdmin):
    grants_of_rows = ("pk", "pk")
    revoke_label = gettext_lazy("Revoke selected grants")
    list_display = ("state", "who", "started", "last_refreshed", "granted", "place", "revocation")
    list_filter = (StateFilter, ApplicationFilter, "created_at", ReasonFilter)
    list_select_related = ("user", "application", "revoked_by")
    ordering = ("-created_at",)
    search_fields = ("user", "application")  # see get_search_results
    search_help_text = gettext_lazy("User name, e-mail address, application, or the ID of a grant or revocation.")
    fieldsets = (
        (None, {"fields": ("public_id", "application", "user", "scope", "started_by", "consented")}),
        (gettext_lazy("Lifetime"), {"fields": ("created_at", "refreshed_at", "idle_expires_at", "expires_at")}),
        (gettext_lazy("Tokens"), {"fields": ("generation", "access_floor", "address", "user_agent")}),
        (gettext_lazy("Revocation"), {"fields": ("revoked_at", "reason", "revoked_by", "revocation_id")}),
    )

    @property
    def media(self) -> Media:
        application = Grant._meta.get_field("application")
        return super().media + AutocompleteSelect(application, self.admin_site).media

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out grants whose code was not redeemed yet: they are nobody's session."""
        return super().get_queryset(request).filter(generation__gt=0)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return GrantList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look each word up among users and applications first, so that indexes lead from there to the grants."""
        words = list(islice(smart_split(search_term), _MOST_WORDS + 1))
        if len(words) > _MOST_WORDS:
            return queryset.none(), False
        for word in words:
            queryset = queryset.filter(_matches(word))
        return queryset, False

    def get_urls(self) -> list[URLPattern]:
        # Marked before anything can fail: to find out who asks is a statement, too.
        find_view = sensitive_post_parameters()(self._told_if_too_long(self.admin_site.admin_view(self.find_view)))
        return [path("find/", find_view, name="oauth_refresh_grant_find"), *super().get_urls()]

    def _told_if_too_long(self, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        """Answer a text over the server's limit in words; Django would refuse it before the view is reached.

        Exempt from Django's middleware, which reads the form outside; ``admin_view`` checks its token as well.
        """

        @csrf_exempt
        def read(request: HttpRequest) -> HttpResponse:
            try:
                return view(request)
            except RequestDataTooBig:
                text = _("The text is too long for one page. Paste less of it, or use %(command)s.")
                self.message_user(request, text % {"command": _FOR_ANY_LENGTH}, messages.WARNING)
                return HttpResponseRedirect(self._url("changelist"))

        return read

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(
            request, {"title": capfirst(self.opts.verbose_name_plural), **(extra_context or {})}
        )

    @sensitive_variables()
    def find_view(self, request: HttpRequest) -> HttpResponse:
        """``POST find/``: go to the grants of the tokens in a pasted text. Nothing of the text is kept."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        if request.method != "POST":  # after signing in anew: what was pasted before is gone, and is asked for again
            return self._away_from_token(request) or HttpResponseRedirect(self._url("changelist"))
        tokens = find_tokens_in(request.POST.get("text", ""))
        if not tokens:
            self.message_user(request, _("No such token."), messages.WARNING)
            return HttpResponseRedirect(self._url("changelist"))
        if len(tokens) == 1:
            self.message_user(request, _presented(tokens[0]))
            return HttpResponseRedirect(self._url("change", tokens[0].grant.pk))
        if len(tokens) > _MOST_LISTED:
            text = ngettext(
                "%(count)d grant was found, of which %(listed)d are listed. %(command)s takes them all.",
                "%(count)d grants were found, of which %(listed)d are listed. %(command)s takes them all.",
                len(tokens),
            )
            values = {"count": len(tokens), "listed": _MOST_LISTED, "command": _FOR_ANY_LENGTH}
            self.message_user(request, text % values, messages.WARNING)
        keys = ",".join(str(token.grant.pk) for token in tokens[:_MOST_LISTED])
        return HttpResponseRedirect(f"{self._url('changelist')}?id__in={keys}")

    def page_context(self, request: HttpRequest, row: Grant) -> dict[str, Any]:
        now = timezone.now()
        access_tokens = row.access_tokens.order_by("-generation", "-pk")[:_ACCESS_TOKENS]
        context = super().page_context(request, row)
        if row.why_ended(now) is not None:
            context["revoke_url"] = None
        return context | {
            "title": _("%(application)s for %(user)s") % {"application": row.application, "user": _user(row)},
            "state": state_badge(row),
            "timeline": timeline(row),
            "access_tokens": [(token, token.is_live_at(now)) for token in access_tokens],
        }

    @admin.display(description=gettext_lazy("state"))
    def state(self, grant: Grant) -> SafeString:
        return state_badge(grant)

    @admin.display(description=gettext_lazy("user and application"))
    def who(self, grant: Grant) -> SafeString:
        return two_lines(_user(grant), grant.application)

    @admin.display(description=gettext_lazy("started"), ordering="created_at")
    def started(self, grant: Grant) -> SafeString:
        return two_lines(moment(grant.created_at), _("by %(grant_type)s") % {"grant_type": self.started_by(grant)})

    @admin.display(description=gettext_lazy("last refreshed"))
    def last_refreshed(self, grant: Grant) -> SafeString:
        if grant.refreshed_at is None:
            return two_lines(_("never refreshed"))
        count = grant.generation - 1
        times = ngettext("refreshed %(count)d time", "refreshed %(count)d times", count) % {"count": count}
        return two_lines(moment(grant.refreshed_at), times if count else _("refreshed"))

    @admin.display(description=gettext_lazy("scope"))
    def granted(self, grant: Grant) -> str:
        return grant.scope or "-"  # not the column itself, which could be sorted by, and no index helps there

    @admin.display(description=gettext_lazy("from"))
    def place(self, grant: Grant) -> SafeString:
        return two_lines(grant.address or "", Truncator(grant.user_agent).chars(32))

    @admin.display(description=gettext_lazy("revoked"), ordering="revoked_at")
    def revocation(self, grant: Grant) -> SafeString:
        if grant.revoked_at is None:
            return two_lines("")
        by = _("by %(user)s") % {"user": grant.revoked_by} if grant.revoked_by is not None else ""
        why = ", ".join(filter(None, [Truncator(self.reason(grant)).chars(60), by]))
        return two_lines(moment(grant.revoked_at), why)

    @admin.display(description=gettext_lazy("started by"))
    def started_by(self, grant: Grant) -> str:
        return grant.grant_type.rpartition(":")[2]

    @admin.display(description=gettext_lazy("reason"))
    def reason(self, grant: Grant) -> str:
        return reason_in_words(grant.revoked_reason) or "-"


class GrantList(CarefulList):
    """Sorted by revocation it lists revoked grants only: an index yields them, and others have nothing to sort by."""

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        queryset = super().get_queryset(request, exclude_parameters)
        by_revocation = {"revoked_at", "-revoked_at"} & {str(key) for key in queryset.query.order_by}
        return queryset.exclude(revoked_at=None) if by_revocation else queryset


def _user(grant: Grant) -> str:
    return str(grant.user or _("the application itself"))


def _matches(word: str) -> Q:
    """Return the condition that a grant's user or application has ``word`` in its name, or an ID is ``word``."""
    word = unescape_string_literal(word) if word[:1] in {'"', "'"} and word[-1:] == word[:1] and word[1:] else word
    users, user_names = get_user_model()._default_manager.all(), [get_user_model().USERNAME_FIELD]
    columns = {field.name for field in get_user_model()._meta.get_fields()}
    if (email := getattr(get_user_model(), "EMAIL_FIELD", None)) in columns:
        user_names.append(email)
    named = reduce(or_, (Q(**{f"{name}__icontains": word}) for name in user_names))
    applications = Application.objects.filter(Q(name__icontains=word) | Q(client_id__icontains=word))
    condition = Q(user__in=users.filter(named).values("pk")) | Q(application__in=applications.values("pk"))
    with suppress(ValueError):
        condition |= Q(public_id=UUID(word)) | Q(revocation_id=UUID(word))
    return condition


def _presented(token: PresentedRefreshToken | AccessToken) -> str:
    """Return in words what the pasted token is."""
    if isinstance(token, AccessToken):
        state = _("it works") if token.is_live else _("it does not work any more")
        return _("What you pasted is an access token of this grant: %(state)s.") % {"state": state}
    newest = token.generation == token.grant.generation
    state = _("the newest one") if newest else _("spent")
    if token.row is None:
        state = _("%(state)s, its row was pruned") % {"state": state}
    return _("What you pasted is refresh token %(number)d of this grant: %(state)s.") % {
        "number": token.generation,
        "state": state,
    }
