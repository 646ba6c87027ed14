"""Where a user sees which applications act in their name, and signs them out."""

from datetime import timedelta

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from oauth_refresh.models import Grant
from oauth_refresh.services.sessions import find_session, sessions_of, sign_out, sign_out_of_all
from oauth_refresh.web.protection import SignedInView, protected

SESSIONS_PER_PAGE = 25


class ApplicationsView(SignedInView):
    """``GET applications/``: every session of every application, a page at a time."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest) -> HttpResponse:
        page = Paginator(sessions_of(request.user), SESSIONS_PER_PAGE).get_page(request.GET.get("page"))
        # Not left to the context processor, which the project may not have.
        told = messages.get_messages(request)
        return _page(request, "oauth_refresh/applications.html", page=page, messages=told)


class SignOutView(SignedInView):
    """``GET applications/<grant>/revoke`` asks, ``POST`` signs out of that session; once is enough."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest, public_id: str) -> HttpResponse:
        session = _session_or_404(request, public_id)
        if not session.is_live:
            return _tell_it_is_over(request, session)
        return _page(request, "oauth_refresh/sign_out.html", session=session)

    def post(self, request: HttpRequest, public_id: str) -> HttpResponse:
        session = _session_or_404(request, public_id)
        if not sign_out(session):
            return _tell_it_is_over(request, session)
        text = _("The session of %(application)s was signed out.") % {"application": session.application}
        return _to_the_list(request, messages.SUCCESS, text)


class SignOutOfAllView(SignedInView):
    """``GET applications/revoke`` asks, ``POST`` signs out of everything."""

    http_method_names = ["get", "head", "post"]

    def get(self, request: HttpRequest) -> HttpResponse:
        count = sessions_of(request.user).count()
        if not count:
            return _tell_nothing_is_left(request)
        return _page(request, "oauth_refresh/sign_out.html", session=None, count=count)

    def post(self, request: HttpRequest) -> HttpResponse:
        count = sign_out_of_all(request.user)
        if not count:
            return _tell_nothing_is_left(request)
        text = ngettext("%(count)d session was signed out.", "%(count)d sessions were signed out.", count)
        return _to_the_list(request, messages.SUCCESS, text % {"count": count})


def _session_or_404(request: HttpRequest, public_id: str) -> Grant:
    session = find_session(request.user, public_id)
    if session is None:
        raise Http404("The user has no such session.")
    return session


def _page(request: HttpRequest, template: str, **context: object) -> HttpResponse:
    a_minute_ago = timezone.now() - timedelta(minutes=1)
    return protected(render(request, template, {**context, "user": request.user, "a_minute_ago": a_minute_ago}))


def _tell_it_is_over(request: HttpRequest, session: Grant) -> HttpResponse:
    text = _("The session of %(application)s was already signed out.") % {"application": session.application}
    return _to_the_list(request, messages.INFO, text)


def _tell_nothing_is_left(request: HttpRequest) -> HttpResponse:
    return _to_the_list(request, messages.INFO, _("You were already signed out of all applications."))


def _to_the_list(request: HttpRequest, level: int, text: str) -> HttpResponse:
    """Redirect within the mount that was asked: a project may include the app more than once."""
    messages.add_message(request, level, text, fail_silently=True)
    match = request.resolver_match
    return redirect(reverse("oauth_refresh:applications", current_app=match.namespace if match else None))
