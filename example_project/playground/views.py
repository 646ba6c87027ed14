"""The playground's pages. Every button is a form: it posts, the client acts, and the browser goes back to the page."""

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
from example_project.playground.buttons import BUTTONS, OWNERS, THIEFS, label_of
from example_project.playground.captions import GONE, WELCOME, caption, ending
from example_project.playground.client import DemoClient, Refused, Unreachable, new_secret
from example_project.playground.family import family, find_grant
from example_project.playground.heard import heard_of
from example_project.playground.holding import APPLICATIONS, OWNER, Connecting, Holding, Round, with_holding
from example_project.playground.tokens import held_tokens
from example_project.wire import Exchange
from oauth_refresh.models import Application, Grant

HoldingView = Callable[[HttpRequest, Holding], HttpResponse]


def playground_view(view: HoldingView) -> Callable[[HttpRequest], HttpResponse]:
    """Serve the view only in a demonstration, and only under the one address that client and server agree on."""

    @never_cache
    @wraps(view)
    def wrapped(request: HttpRequest) -> HttpResponse:
        if not settings.DEBUG:
            raise Http404("The demonstration's passwords are public, so it exists only with DEBUG on.")
        if request.get_host() != urlsplit(_issuer()).netloc:
            context = {"address": _issuer() + reverse("playground:index")}
            return render(request, "playground/elsewhere.html", context, status=HTTPStatus.MISDIRECTED_REQUEST)
        return with_holding(view)(request)

    return wrapped


def pressed(view: HoldingView) -> HoldingView:
    """Let only a button do it: whoever comes by a link, or a reload, is sent to the page."""

    @wraps(view)
    def wrapped(request: HttpRequest, holding: Holding) -> HttpResponse:
        return view(request, holding) if request.method == "POST" else redirect("playground:index")

    return wrapped


@require_safe
@playground_view
def index(request: HttpRequest, holding: Holding) -> HttpResponse:
    grant = _grant(holding)
    shown = WELCOME if not holding.rounds else caption(holding.rounds[0].action, holding.rounds[0].ending)
    context = {
        "holding": holding,
        "grant": grant,
        "family": family(grant) if grant else None,
        "heard": heard_of(grant) if grant else [],
        "caption": GONE if grant is None else shown,
        "next": BUTTONS.get(shown.next),
        "tokens": held_tokens(holding.pair),
        "stolen": held_tokens(holding.stolen),
        "groups": [(group.title, [(one, one.is_ready(holding)) for one in group.buttons]) for group in OWNERS],
        "thiefs": THIEFS,
        "rounds": [(label_of(made.action), made.exchanges) for made in holding.rounds],
    }
    return render(request, "playground/index.html", context)


@playground_view
@pressed
def connect(request: HttpRequest, holding: Holding) -> HttpResponse:
    """Begin an authorization (RFC 6749 §4.1.1), and send the browser to the server's authorization endpoint."""
    kind = request.POST.get("kind", "")
    if kind not in APPLICATIONS:
        return redirect("playground:index")
    client = DemoClient(APPLICATIONS[kind], program=OWNER)
    if not Application.objects.filter(client_id=client.application.client_id, is_active=True).exists():
        return _to_the_page(request, "The demonstration's data is not there. Start the site by manage.py demo.")
    try:
        client.discover(_issuer())
    except Unreachable:
        return _to_the_page(request, caption("connect", "unreachable").text)
    holding.server, state, verifier = client.server, new_secret(), new_secret()
    url = client.authorization_url(redirect_uri=_redirect_uri(), state=state, verifier=verifier)
    holding.begin(state, Connecting(kind=kind, verifier=verifier, url=url, exchanges=client.exchanges))
    return redirect(url)


@require_safe
@playground_view
def callback(request: HttpRequest, holding: Holding) -> HttpResponse:
    """Take the code that the browser brings back, and trade it for the first pair (RFC 6749 §4.1.2, RFC 9207)."""
    begun = holding.connecting.pop(request.GET.get("state", ""), None)
    if begun is None:
        return _to_the_page(request, "That sign-in was finished already, or began in another browser.")
    if "error" in request.GET:
        return _to_the_page(request, "You said no, so the client got nothing.")
    if request.GET.get("iss") != holding.server.get("issuer"):
        return _to_the_page(request, "The answer came from another server than the client had asked, so it is ignored.")
    holding.start(begun.kind)
    client = holding.client()
    try:
        pair = client.redeem(request.GET.get("code", ""), redirect_uri=_redirect_uri(), verifier=begun.verifier)
    except Refused:
        return _to_the_page(request, "The code was refused: it counts once, and for a minute. Connect again.")
    except Unreachable:
        return _to_the_page(request, caption("connect", "unreachable").text)
    holding.take(pair)
    exchanges = [*begun.exchanges, _in_the_browser(begun.url, request), *client.exchanges]
    holding.write_down(Round(action="connect", ending="worked", exchanges=exchanges))
    return redirect("playground:index")


@playground_view
@pressed
def act(request: HttpRequest, holding: Holding) -> HttpResponse:
    """Press a button."""
    button, before = BUTTONS.get(request.POST.get("action", "")), _grant(holding)
    if button is None or before is None:
        return redirect("playground:index")  # which says what there is, and how to go on
    if not button.is_ready(holding):
        return _to_the_page(request, button.missing)
    try:
        done = button.action(holding)
    except Unreachable:
        holding.write_down(Round(action=button.name, ending="unreachable", exchanges=[]))
        return redirect("playground:index")
    after = Grant.objects.select_related("application", "user").filter(pk=before.pk).first()
    how = ending(button.name, before=before, after=after or before, worked=done.worked)
    holding.write_down(Round(action=button.name, ending=how, exchanges=done.exchanges))
    return redirect("playground:index")


@playground_view
@pressed
def forget(request: HttpRequest, holding: Holding) -> HttpResponse:
    """Let the client forget everything, without telling the server."""
    holding.start(holding.kind)
    return redirect("playground:index")


@playground_view
@pressed
def look(request: HttpRequest, holding: Holding) -> HttpResponse:
    """Sign in as the demonstration's admin, or its user, and show what they see of this session."""
    grant = _grant(holding)
    if request.POST.get("as") == "user":
        return _signed_in(request, USER, reverse("oauth_refresh:applications"))
    grants = reverse("admin:oauth_refresh_grant_changelist")
    return _signed_in(request, ADMIN, reverse("admin:oauth_refresh_grant_change", args=[grant.pk]) if grant else grants)


def _signed_in(request: HttpRequest, person: DemoUser, url: str) -> HttpResponse:
    """Sign in by the public password, so that nobody gets in where somebody has chosen another."""
    if request.user.get_username() != person.username:
        user = authenticate(request, username=person.username, password=person.password)
        if user is None:
            return _to_the_page(request, f"{person.username} no longer has the demonstration's password.")
        login(request, user)
    return redirect(url)


def _grant(holding: Holding) -> Grant | None:
    return find_grant(holding.pair["refresh_token"]) if holding.pair else None


def _to_the_page(request: HttpRequest, text: str) -> HttpResponse:
    messages.info(request, text)
    return redirect("playground:index")


def _issuer() -> str:
    return str(settings.OAUTH_REFRESH["ISSUER"])


def _redirect_uri() -> str:
    return _issuer() + reverse("playground:callback")


def _in_the_browser(url: str, request: HttpRequest) -> Exchange:
    return Exchange(
        method="GET",
        url=url,
        headers={},
        body="",
        status=HTTPStatus.SEE_OTHER,
        answer_headers={"Location": request.build_absolute_uri()},
        answer="",
        note="In the browser, not by the client: in between the user signed in and agreed.",
    )
