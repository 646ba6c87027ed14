"""The pages of the playground. Each button posts a form: the client acts, and the browser is redirected to the page."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import authenticate, login
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from example_project.demo.accounts import ADMIN, USER, DemoUser
from example_project.demo.far_api import start_command
from example_project.http_log import Exchange
from example_project.playground.actions import MCP
from example_project.playground.buttons import BUTTONS, CLIENT_GROUPS, THIEF_BUTTONS, label_of
from example_project.playground.captions import CONNECTED, GRANT_MISSING, caption, outcome_of
from example_project.playground.client import DemoClient, Refused, Unreachable, new_secret
from example_project.playground.client_state import (
    APPLICATIONS,
    CLIENT_AGENT,
    ClientState,
    LogEntry,
    PendingAuthorization,
    with_client_state,
)
from example_project.playground.grant_diagram import diagram_of, find_grant
from example_project.playground.signal_log import signals_about
from example_project.playground.token_cards import token_cards
from oauth_refresh.models import Application, Grant

StateView = Callable[[HttpRequest, ClientState], HttpResponse]


def playground_view(view: StateView) -> Callable[[HttpRequest], HttpResponse]:
    """Serve the view only while DEBUG is on, and only at the address of the issuer.

    At another address the browser would not send the session cookies back after the redirect to the issuer.
    """

    @never_cache
    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        if not settings.DEBUG:
            raise Http404("The passwords of the demonstration are public, so it exists only with DEBUG on.")
        if request.get_host() != urlsplit(_issuer()).netloc:
            context = {"address": _issuer() + reverse("playground:index")}
            return render(request, "playground/other_address.html", context, status=HTTPStatus.MISDIRECTED_REQUEST)
        return with_client_state(view)(request)

    return wrapped


def redirect_unless_post(view: StateView) -> StateView:
    """Redirect other methods to the page: a link, a reload or the browser's history must not repeat an action."""

    @wraps(view)
    def wrapped(request: HttpRequest, state: ClientState) -> HttpResponse:
        return view(request, state) if request.method == "POST" else redirect("playground:index")

    return wrapped


@require_safe
@playground_view
def index(request: HttpRequest, state: ClientState) -> HttpResponse:
    grant = _grant(state)
    shown = caption(state.log[0].action, state.log[0].outcome) if state.log else CONNECTED
    context = {
        "client": state,
        "grant": grant,
        "diagram": diagram_of(grant) if grant else None,
        "signals": signals_about(grant) if grant else [],
        "caption": shown if grant else GRANT_MISSING,
        "next": BUTTONS.get(shown.next),
        "delays": state.log[0].delays if state.log else {},
        "start_far_api": start_command(issuer=_issuer()),
        "client_tokens": token_cards(state.pair),
        "thief_tokens": token_cards(state.thief_pair),
        "groups": [(group.title, [(one, one.is_enabled(state)) for one in group.buttons]) for group in CLIENT_GROUPS],
        "thief_buttons": THIEF_BUTTONS,
        "log": [(label_of(entry.action), entry.exchanges) for entry in state.log],
    }
    return render(request, "playground/index.html", context)


@playground_view
@redirect_unless_post
def connect(request: HttpRequest, state: ClientState) -> HttpResponse:
    """Send the browser to the authorization endpoint (RFC 6749 §4.1.1)."""
    kind = request.POST.get("kind", "")
    if kind not in APPLICATIONS:
        return redirect("playground:index")
    client = DemoClient(APPLICATIONS[kind], user_agent=CLIENT_AGENT)
    if not Application.objects.filter(client_id=client.application.client_id, is_active=True).exists():
        return _to_page(request, "The data of the demonstration is missing. Start the site with manage.py demo.")
    try:
        client.discover(_issuer())
    except Unreachable:
        return _to_page(request, caption("connect", "unreachable").text)
    state.server, raw_state, verifier = client.server, new_secret(), new_secret()
    url = client.authorization_url(
        redirect_uri=_redirect_uri(), state=raw_state, verifier=verifier, resources=[_issuer(), _issuer() + MCP]
    )
    authorization = PendingAuthorization(kind=kind, verifier=verifier, url=url, exchanges=client.exchanges)
    state.add_pending(raw_state, authorization)
    return redirect(url)


@require_safe
@playground_view
def callback(request: HttpRequest, state: ClientState) -> HttpResponse:
    """Exchange the code for the first pair (RFC 6749 §4.1.2 and §4.1.3), after checking ``state`` and ``iss``."""
    authorization = state.pending.pop(request.GET.get("state", ""), None)
    if authorization is None:
        return _to_page(request, "This sign-in was completed already, or was started in another browser.")
    if "error" in request.GET:
        return _to_page(request, "You denied access, so the client received no tokens.")
    if request.GET.get("iss") != state.server.get("issuer"):  # RFC 9207 §2.4: the mix-up attack
        return _to_page(request, "The response came from another server than the client had asked, so it was ignored.")
    state.reset(authorization.kind)
    client = state.client()
    try:
        pair = client.redeem(request.GET.get("code", ""), redirect_uri=_redirect_uri(), verifier=authorization.verifier)
    except Refused:
        return _to_page(request, "The code was refused: it can be used once, within a minute. Connect again.")
    except Unreachable:
        return _to_page(request, caption("connect", "unreachable").text)
    state.store(pair)
    exchanges = [*authorization.exchanges, _browser_exchange(authorization.url, request), *client.exchanges]
    state.add_log_entry(LogEntry(action="connect", outcome="succeeded", exchanges=exchanges))
    return redirect("playground:index")


@playground_view
@redirect_unless_post
def act(request: HttpRequest, state: ClientState) -> HttpResponse:
    """Run the action of a button, and log it."""
    button, before = BUTTONS.get(request.POST.get("action", "")), _grant(state)
    if button is None or before is None:
        return redirect("playground:index")  # which shows the buttons that exist, or how to connect again
    if not button.is_enabled(state):
        return _to_page(request, button.missing)
    try:
        result = button.action(state)
    except Unreachable:
        state.add_log_entry(LogEntry(action=button.name, outcome="unreachable", exchanges=[]))
        return redirect("playground:index")
    after = Grant.objects.select_related("application", "user").filter(pk=before.pk).first() or before
    outcome = result.outcome or outcome_of(button.name, before=before, after=after, succeeded=result.succeeded)
    state.add_log_entry(LogEntry(action=button.name, outcome=outcome, exchanges=result.exchanges, delays=result.delays))
    return redirect("playground:index")


@playground_view
@redirect_unless_post
def forget(request: HttpRequest, state: ClientState) -> HttpResponse:
    """Delete the client's tokens without revoking them."""
    state.reset(state.kind)
    return redirect("playground:index")


@playground_view
@redirect_unless_post
def sign_in(request: HttpRequest, state: ClientState) -> HttpResponse:
    """Sign in as the demonstration's admin or user, and open their page about this grant."""
    grant = _grant(state)
    if request.POST.get("as") == "user":
        return _signed_in(request, USER, reverse("oauth_refresh:applications"))
    grants = reverse("admin:oauth_refresh_grant_changelist")
    return _signed_in(request, ADMIN, reverse("admin:oauth_refresh_grant_change", args=[grant.pk]) if grant else grants)


def _signed_in(request: HttpRequest, demo_user: DemoUser, url: str) -> HttpResponse:
    """Sign in with the public password, which fails if the user has been given another one."""
    if request.user.get_username() != demo_user.username:
        user = authenticate(request, username=demo_user.username, password=demo_user.password)
        if user is None:
            return _to_page(request, f"The password of {demo_user.username} was changed, so you are not signed in.")
        login(request, user)
    return redirect(url)


def _grant(state: ClientState) -> Grant | None:
    return find_grant(state.pair["refresh_token"]) if state.pair else None


def _to_page(request: HttpRequest, text: str) -> HttpResponse:
    messages.info(request, text)
    return redirect("playground:index")


def _issuer() -> str:
    return str(settings.OAUTH_REFRESH["ISSUER"])


def _redirect_uri() -> str:
    return _issuer() + reverse("playground:callback")


def _browser_exchange(url: str, request: HttpRequest) -> Exchange:
    return Exchange(
        method="GET",
        url=url,
        headers={},
        body="",
        status=HTTPStatus.SEE_OTHER,
        response_headers={"Location": request.build_absolute_uri()},
        response_body="",
        note="Sent by the browser. Then the user signed in and allowed access.",
    )
