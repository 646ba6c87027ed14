"""Pages where users see their connected applications and disconnect them."""

import re
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import TooManyFieldsSent
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views import View

from oauth_refresh.errors import InvalidRequest
from oauth_refresh.http import (
    PAGE_DECORATORS,
    protect_page,
    redirect_to_sign_in,
    refusal_page,
    require_https,
    url_namespace,
)
from oauth_refresh.models import Application, Grant
from oauth_refresh.user_pages.ended import ended_lately
from oauth_refresh.user_pages.grants import (
    connected_grants,
    disconnect,
    disconnect_all,
    disconnect_application,
    find_grant,
)

GRANTS_PER_PAGE = 25

_PAGE = re.compile(r"[0-9]{1,9}")
_LONGEST_PATH = 500  # characters; servers and browsers limit addresses


@method_decorator(PAGE_DECORATORS, name="dispatch")
class SignedInView(View):
    """A page for a signed-in user; other visitors are sent to sign in first."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            require_https(request)
        except InvalidRequest as error:
            return refusal_page(request, error, template="oauth_refresh/insecure.html")
        if not request.user.is_authenticated:
            return redirect_to_sign_in(request, urlencode(_trail(request)))
        return super().dispatch(request, *args, **kwargs)


class ApplicationsView(SignedInView):
    """``GET applications/``: the active grants of every application, a page at a time."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest) -> HttpResponse:
        page = Paginator(connected_grants(request.user), GRANTS_PER_PAGE).get_page(request.GET.get("page"))
        # Passed here, since the project may not use the context processor.
        shown = messages.get_messages(request)
        ended = ended_lately(request.user) if page.number == 1 else []
        return _page(request, "oauth_refresh/applications.html", page=page, messages=shown, ended=ended)


class DisconnectView(SignedInView):
    """``GET applications/<grant>/revoke`` asks, ``POST`` revokes that grant; a second time changes nothing."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest, public_id: str) -> HttpResponse:
        grant = _grant_or_404(request, public_id)
        if not grant.is_live:
            return _already_disconnected(request, grant.application)
        return _page(request, "oauth_refresh/disconnect.html", grant=grant)

    def post(self, request: HttpRequest, public_id: str) -> HttpResponse:
        grant = _grant_or_404(request, public_id)
        if not disconnect(grant):
            return _already_disconnected(request, grant.application)
        stays = connected_grants(request.user).for_application(grant.application).exists()
        text = (
            _("One connection of %(application)s was ended. The others stay.")
            if stays
            else _("%(application)s was disconnected.")
        )
        return _redirect_to_list(request, messages.SUCCESS, text % {"application": grant.application})


class DisconnectApplicationView(SignedInView):
    """``GET applications/<grant>/revoke-all`` asks, ``POST`` revokes all of the user's grants for its application."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest, public_id: str) -> HttpResponse:
        application = _grant_or_404(request, public_id).application
        count = connected_grants(request.user).for_application(application).count()
        if not count:
            return _already_disconnected(request, application)
        return _page(request, "oauth_refresh/disconnect.html", grant=None, application=application, count=count)

    def post(self, request: HttpRequest, public_id: str) -> HttpResponse:
        application = _grant_or_404(request, public_id).application
        if not disconnect_application(request.user, application):
            return _already_disconnected(request, application)
        text = _("%(application)s was disconnected.") % {"application": application}
        return _redirect_to_list(request, messages.SUCCESS, text)


class DisconnectAllView(SignedInView):
    """``GET applications/revoke`` asks, ``POST`` revokes all grants."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest) -> HttpResponse:
        count = connected_grants(request.user).count()
        if not count:
            return _nothing_connected(request)
        return _page(request, "oauth_refresh/disconnect.html", grant=None, count=count)

    def post(self, request: HttpRequest) -> HttpResponse:
        count = disconnect_all(request.user)
        if not count:
            return _nothing_connected(request)
        text = ngettext("%(count)d connection was ended.", "%(count)d connections were ended.", count)
        return _redirect_to_list(request, messages.SUCCESS, text % {"count": count})


def _grant_or_404(request: HttpRequest, public_id: str) -> Grant:
    grant = find_grant(request.user, public_id)
    if grant is None:
        raise Http404("The user has no such grant.")
    return grant


def _page(request: HttpRequest, template: str, **context: object) -> HttpResponse:
    a_minute_ago = timezone.now() - timedelta(minutes=1)
    trail = _trail(request)
    common = {
        "user": request.user,
        "a_minute_ago": a_minute_ago,
        "namespace": url_namespace(request),
        "trail": f"?{urlencode(trail)}" if trail else "",
        "back": trail.get("next", ""),
        "back_query": "&" + urlencode({"next": trail["next"]}) if "next" in trail else "",
    }
    return protect_page(render(request, template, {**context, **common}))


def _trail(request: HttpRequest) -> dict[str, str]:
    """Return what leads back: the page of the list, and ``next``, the page of this site that linked to ours."""
    try:
        page, back = request.GET.get("page", ""), request.GET.get("next", "")
    except TooManyFieldsSent:  # a visitor can sign in first all the same
        return {}
    is_own_path = len(back) <= _LONGEST_PATH and url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return ({"page": page} if _PAGE.fullmatch(page) else {}) | ({"next": back} if is_own_path else {})


def _already_disconnected(request: HttpRequest, application: Application) -> HttpResponse:
    text = _("%(application)s was already disconnected.") % {"application": application}
    return _redirect_to_list(request, messages.INFO, text)


def _nothing_connected(request: HttpRequest) -> HttpResponse:
    return _redirect_to_list(request, messages.INFO, _("All applications were already disconnected."))


def _redirect_to_list(request: HttpRequest, level: int, text: str) -> HttpResponse:
    """Show ``text`` on the list of the mount that was called: a project may include the app more than once."""
    messages.add_message(request, level, text, fail_silently=True)
    trail = _trail(request)
    url = reverse(f"{url_namespace(request)}:applications")
    return redirect(f"{url}?{urlencode(trail)}" if trail else url)
