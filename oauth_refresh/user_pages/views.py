"""Pages where users see their connected applications and disconnect them."""

import re
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
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
from oauth_refresh.models import Grant
from oauth_refresh.user_pages.grants import connected_grants, disconnect, disconnect_all, find_grant

GRANTS_PER_PAGE = 25

_PAGE = re.compile(r"(?:^|&)(page=[0-9]{1,9})(?:&|$)")


@method_decorator(PAGE_DECORATORS, name="dispatch")
class SignedInView(View):
    """A page for a signed-in user; other visitors are sent to sign in first."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            require_https(request)
        except InvalidRequest as error:
            return refusal_page(request, error, template="oauth_refresh/insecure.html")
        if not request.user.is_authenticated:
            page = _PAGE.search(request.META.get("QUERY_STRING", ""))  # all that these pages read of a query
            return redirect_to_sign_in(request, page[1] if page else "")
        return super().dispatch(request, *args, **kwargs)


class ApplicationsView(SignedInView):
    """``GET applications/``: the active grants of every application, a page at a time."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest) -> HttpResponse:
        page = Paginator(connected_grants(request.user), GRANTS_PER_PAGE).get_page(request.GET.get("page"))
        # Passed here, since the project may not use the context processor.
        shown = messages.get_messages(request)
        return _page(request, "oauth_refresh/applications.html", page=page, messages=shown)


class DisconnectView(SignedInView):
    """``GET applications/<grant>/revoke`` asks, ``POST`` revokes that grant; a second time changes nothing."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest, public_id: str) -> HttpResponse:
        grant = _grant_or_404(request, public_id)
        if not grant.is_live:
            return _already_disconnected(request, grant)
        return _page(request, "oauth_refresh/disconnect.html", grant=grant)

    def post(self, request: HttpRequest, public_id: str) -> HttpResponse:
        grant = _grant_or_404(request, public_id)
        if not disconnect(grant):
            return _already_disconnected(request, grant)
        stays = connected_grants(request.user).for_application(grant.application).exists()
        text = (
            _("One connection of %(application)s was ended. The others stay.")
            if stays
            else _("%(application)s was disconnected.")
        )
        return _redirect_to_list(request, messages.SUCCESS, text % {"application": grant.application})


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
    common = {"user": request.user, "a_minute_ago": a_minute_ago, "namespace": url_namespace(request)}
    return protect_page(render(request, template, {**context, **common}))


def _already_disconnected(request: HttpRequest, grant: Grant) -> HttpResponse:
    text = _("%(application)s was already disconnected.") % {"application": grant.application}
    return _redirect_to_list(request, messages.INFO, text)


def _nothing_connected(request: HttpRequest) -> HttpResponse:
    return _redirect_to_list(request, messages.INFO, _("All applications were already disconnected."))


def _redirect_to_list(request: HttpRequest, level: int, text: str) -> HttpResponse:
    """Show ``text`` on the list of the mount that was called: a project may include the app more than once."""
    messages.add_message(request, level, text, fail_silently=True)
    return redirect(reverse(f"{url_namespace(request)}:applications"))
