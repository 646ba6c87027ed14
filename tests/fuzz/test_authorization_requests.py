"""Authorization requests of any kind: a page or a redirect to the registered address, and nothing has changed."""

from http import HTTPStatus
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from oauth_refresh.models import Grant
from tests.consent import CHALLENGE, REDIRECT_URI, read_answer, start_flow
from tests.database import database_snapshot
from tests.fuzz.texts import CONTENT_TYPES, SENDABLE_TEXT, bounded, escaped, forms

# RFC 6749 §4.1.2.1
REGISTERED = {
    "invalid_request",
    "unauthorized_client",
    "access_denied",
    "unsupported_response_type",
    "invalid_scope",
}
FAULTLESS = {
    "response_type": "code",
    "redirect_uri": REDIRECT_URI,
    "scope": "notes:read",
    "state": "state",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
}
VALUES = [
    *FAULTLESS.values(),
    "token",
    "plain",
    "https://evil.example/",
    "javascript:alert(1)",
    "notes:write PRODUCTION",
]


def queries(application):
    """Strategies for query strings: faultless ones but for a few parameters, and those that are nothing but faults."""
    names = ["client_id", *FAULTLESS]
    values = [*VALUES, application.client_id]
    value = (st.sampled_from(values) | SENDABLE_TEXT).flatmap(lambda text: escaped(text) | st.just(quote_plus(text)))
    changed = st.dictionaries(st.sampled_from(names), st.lists(value, max_size=2), max_size=3)
    faultless = {name: [quote_plus(text)] for name, text in FAULTLESS.items()} | {"client_id": [application.client_id]}
    mostly_faultless = changed.map(
        lambda changes: "&".join(f"{n}={v}" for n, found in (faultless | changes).items() for v in found)
    )
    # Too many fields are refused by Django itself, before any view.
    few_fields = forms(names, values).filter(lambda body: body.count(b"&") < 900)
    return mostly_faultless | few_fields.map(lambda body: body.decode("latin-1"))


def assert_page_or_redirect(response, *, page=HTTPStatus.OK):
    assert response.status_code in {HTTPStatus.SEE_OTHER, HTTPStatus.BAD_REQUEST, page}
    assert "no-store" in response.headers["Cache-Control"]
    if response.status_code == HTTPStatus.SEE_OTHER:
        assert response.headers["Location"].startswith(f"{REDIRECT_URI}?")
        assert read_answer(response)["error"] in REGISTERED


def test_any_authorization_request_is_shown_or_sent_back(user):
    flow = start_flow(user)
    before, url = database_snapshot(), reverse("oauth_refresh:authorize")

    @bounded(300)
    @given(query=queries(flow.client.application))
    def ask(query):
        assert_page_or_redirect(flow.browser.get(url, QUERY_STRING=query))
        assert_page_or_redirect(Client().get(url, QUERY_STRING=query), page=HTTPStatus.FOUND)

    ask()

    assert database_snapshot() == before


def test_any_form_but_consent_starts_nothing(user):
    flow = start_flow(user)
    before, url = database_snapshot(), flow.url()
    checked = Client(enforce_csrf_checks=True)
    checked.force_login(user)

    @bounded(150)
    @given(body=forms(["decision", "csrfmiddlewaretoken"], ["deny", "allow "]), content_type=CONTENT_TYPES)
    def decide(body, content_type):
        assert checked.generic("POST", url, body, content_type).status_code in {400, 403}

    decide()

    assert database_snapshot() == before


def test_state_is_returned_as_it_was_sent(user):
    flow = start_flow(user)

    @bounded(200)
    @given(st.text(st.characters(codec="utf-8"), min_size=1))
    def refuse(state):
        assert read_answer(flow.decide("deny", state=state))["state"] == state

    refuse()

    assert not Grant.objects.exists()


def test_login_page_leads_back_to_the_same_request(user):
    flow = start_flow(user)

    @bounded(200)
    @given(state=SENDABLE_TEXT)
    def ask(state):
        query = urlencode({**FAULTLESS, "client_id": flow.client.application.client_id, "state": state})
        response = Client().get(reverse("oauth_refresh:authorize"), QUERY_STRING=query)
        (name, after_login), *others = parse_qsl(urlsplit(response.headers["Location"]).query)
        assert (name, others) == ("next", [])
        assert dict(parse_qsl(urlsplit(after_login).query)).get("state", "") == state

    ask()
