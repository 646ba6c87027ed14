"""A text with leaked tokens is pasted into the list of grants: what they are, and what to do."""

import logging
from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables

from oauth_refresh.admin import display
from oauth_refresh.admin.revocation import RevocationAdminMixin
from oauth_refresh.errors import ImporterFailed
from oauth_refresh.http import clear_local_variables
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.services.leaked_tokens import TextSearch, ask_importers_about, search_text
from oauth_refresh.services.lookup import PresentedRefreshToken

logger = logging.getLogger(__name__)

_MOST_FOUND = 200  # their keys go into an address: some servers take 4,094 characters, and Django's links escape twice
_COMMAND = "oauth_revoke_grants --token-stdin"

FoundToken = PresentedRefreshToken | AccessToken


class LeakedTokensMixin(RevocationAdminMixin):
    """``find/``, for the admin of grants: from the tokens in a text to their grants. Nothing of the text is kept."""

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
                self.message_user(request, text % {"command": _COMMAND}, messages.WARNING)
                return HttpResponseRedirect(self.page_url("changelist"))

        return find

    @sensitive_variables()  # the text and the tokens in it
    def find_view(self, request: HttpRequest) -> HttpResponse:
        """``POST find/``: go to the grant of the token in a pasted text, or to the list of the grants of several."""
        if not self.has_view_or_change_permission(request):
            raise PermissionDenied
        if request.method != "POST":  # after a new sign-in: the text that was pasted is gone
            return self.redirect_from_token(request) or HttpResponseRedirect(self.page_url("changelist"))
        text = request.POST.get("text", "")
        try:
            ask_importers_about(text)
        except ImporterFailed as error:
            clear_local_variables(error)
            logger.exception("The tokens in a pasted text could not be looked up at the other server.")
            warning = _("Tokens of the server that you move from could not be looked up: the log says why.")
            self.message_user(request, warning, messages.WARNING)
        found = search_text(text)
        for level, text in _verdicts(found):
            self.message_user(request, text, level)
        if len(found.tokens) == 1:
            return HttpResponseRedirect(self.page_url("change", found.tokens[0].grant.pk))
        keys = ",".join(str(token.grant.pk) for token in found.tokens[:_MOST_FOUND])
        return HttpResponseRedirect(self.page_url("changelist") + (f"?id__in={keys}" if keys else ""))


def _verdicts(found: TextSearch) -> list[tuple[int, str]]:
    """Return the messages about what was found, each with its level."""
    if not found.tokens:
        return [(messages.WARNING, _("No token of this server was found in the text."))]
    if len(found.tokens) == 1:
        verdicts = [_verdict(found.tokens[0])]
        if found.found + found.unknown > 1:
            verdicts.append((messages.INFO, _summary(found)))
        return verdicts
    has_active = any(_is_usable(token.grant) for token in found.tokens)
    verdicts = [(messages.WARNING if has_active else messages.SUCCESS, _summary(found))]
    if len(found.tokens) > _MOST_FOUND:
        text = _("Only the first %(listed)d of %(count)d grants are listed. Use %(command)s for all of them.")
        values = {"count": len(found.tokens), "listed": _MOST_FOUND, "command": _COMMAND}
        verdicts.append((messages.WARNING, text % values))
    return verdicts


def _summary(found: TextSearch) -> str:
    """Return how many tokens were found, how many of their grants are active, and how many texts are unknown."""
    values = {
        "found": found.found,
        "grants": len(found.tokens),
        "active": sum(_is_usable(token.grant) for token in found.tokens),
        "unknown": found.unknown,
    }
    summary = _("Tokens found: %(found)d. Grants: %(grants)d, of which active: %(active)d.") % values
    return summary + (
        _(" Texts of the same form that are unknown here: %(unknown)d.") % values if found.unknown else ""
    )


def _is_usable(grant: Grant) -> bool:
    """Whether the grant is active, or blocked by what may be undone."""
    return display.grant_state(grant) in {"active", "blocked"}


def _verdict(token: FoundToken) -> tuple[int, str]:
    """Return what the only token of a text is, and what to do: a warning while its grant may be used."""
    what, grant_state = _description(token), display.grant_state(token.grant)
    if not _is_usable(token.grant):
        advice = _("No token of this grant works any more: there is nothing to revoke.")
        return messages.SUCCESS, f"{what} {advice}"
    if grant_state == "blocked":
        advice = _("The grant is blocked only for now.")
    elif _state(token) in {"active", "current"}:
        advice = _("It works: who has it can act for the user now.")
    else:
        advice = _("It works no more, but the grant is active: who has it may have the current tokens as well.")
    meaning = capfirst(display.alarm_meaning(looks_concurrent=False))
    return messages.WARNING, f"{what} {advice} {meaning}."


def _description(token: FoundToken) -> str:
    state = str(display.STATES[_state(token)])
    if isinstance(token, AccessToken):
        return _("You pasted an access token of this grant: %(state)s.") % {"state": state}
    if token.row is None:
        state = _("%(state)s, its row was pruned") % {"state": state}
    values = {"number": token.generation, "state": state}
    return _("You pasted refresh token %(number)d of this grant: %(state)s.") % values


def _state(token: FoundToken) -> str:
    if isinstance(token, AccessToken):
        return display.token_state(token)
    grant = token.grant
    row = token.row or RefreshToken(grant=grant, generation=token.generation, expires_at=grant.idle_expires_at)
    return display.token_state(row)
