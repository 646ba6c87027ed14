"""What the list of grants can be narrowed to, and that what is not understood never widens it."""

import re
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib import admin
from django.utils import timezone

from oauth_refresh.models import Grant, RevocationReason
from tests.admin.pages import address, browser, column, links, staff, text_of
from tests.factories import ApplicationFactory, GrantFactory

pytestmark = pytest.mark.django_db

LIST_AND_REVOCATION = pytest.mark.parametrize("page", ["grant_changelist", "grant_revoke_list"])


def listed(operator, **query):
    """Return what is listed, by the scope that each test gives its grants as a name."""
    return set(column(operator.get(address("grant_changelist", **query)), "granted"))


@pytest.fixture
def grants(db):
    """A grant in every state there is, with the name of the state as its scope."""
    states = {
        "live": {},
        "for itself": {"without_user": True},
        "endless": {"expires_at": None},
        "revoked": {"revoked": True},
        "revoked after expiry": {"revoked": True, "expired": True},
        "expired": {"expired": True},
        "at its end": {
            "created_at": timezone.now() - timedelta(days=91),
            "idle_expires_at": timezone.now() + timedelta(days=1),
        },
        "user inactive": {"user__is_active": False},
        "application inactive": {"application__is_active": False},
        "expired of an inactive user": {"expired": True, "user__is_active": False},
        "password changed": {"password_fingerprint": "0" * 64},
    }
    return {name: GrantFactory(scope=name, **bent) for name, bent in states.items()}


STATES = {
    "live": {"live", "for itself", "endless", "password changed"},
    "revoked": {"revoked", "revoked after expiry"},
    "expired": {"expired", "at its end", "expired of an inactive user"},
    "barred": {"user inactive", "application inactive"},
}


@pytest.mark.parametrize(("state", "names"), STATES.items())
def test_list_is_narrowed_to_a_state(operator, grants, state, names):
    assert listed(operator, state=state) == names


def test_every_grant_has_exactly_one_state(grants):
    assert sorted(name for names in STATES.values() for name in names) == sorted(grants)


@pytest.mark.parametrize("reason", [*RevocationReason.values, "lost device"])
def test_list_is_narrowed_to_a_reason(operator, reason):
    for each in (*RevocationReason.values, "lost device"):
        GrantFactory(revoked=True, revoked_reason=each, scope=each)
    GrantFactory()

    assert listed(operator, reason=reason) == {reason}


def test_list_is_narrowed_to_operators_own_words(operator):
    for each in (*RevocationReason.values, "lost device", "incident 7"):
        GrantFactory(revoked=True, revoked_reason=each, scope=each)
    GrantFactory()

    assert listed(operator, reason="other") == {"lost device", "incident 7"}


def test_states_and_reasons_to_choose_from_are_told_in_words(operator):
    html = operator.get(address("grant_changelist")).content.decode()

    assert re.findall(r'href="\?(state|reason)=(\w+)"', html) == [
        *[("state", state) for state in STATES],
        *[("reason", reason) for reason in (*RevocationReason.values, "other")],
    ]


@pytest.fixture
def web(db):
    """An application with one grant, beside another with one."""
    application = ApplicationFactory(client_id="web")
    GrantFactory(application=application, scope="of web")
    GrantFactory(application__client_id="phone", scope="of phone")
    return application


def test_list_is_narrowed_to_an_application_chosen_by_autocompletion(operator, web):
    assert listed(operator, application=web.pk) == {"of web"}


def test_list_is_narrowed_to_an_application_by_its_client_id(operator, web):
    assert listed(operator, client_id="web") == {"of web"}


def test_form_of_a_browser_with_javascript_sends_both_fields(operator, web):
    assert listed(operator, application=web.pk, client_id="") == {"of web"}


def test_form_of_a_browser_without_javascript_sends_both_fields(operator, web):
    assert listed(operator, application="", client_id="web") == {"of web"}


def test_form_that_is_sent_empty_shows_all(operator, web):
    assert listed(operator, application="", client_id="", state="", reason="") == {"of web", "of phone"}


GARBAGE = [
    {"application": "x"},
    {"application": "-1"},
    {"application": "1.0"},
    {"application": "9" * 19},
    {"application": "9" * 5000},
    {"application": "0"},
    {"application": "\x00"},
    {"application": "\N{SUPERSCRIPT TWO}"},
    {"application": "x", "client_id": "web"},
    {"client_id": "WEB or phone"},
    {"client_id": "\x00"},
    {"client_id": "' OR 1=1 --"},
    {"client_id": "\N{GOAT}"},
    {"state": "dead"},
    {"state": "\x00"},
    {"reason": "no such reason"},
    {"reason": "\x00"},
    {"state": "live", "application": "x"},
]


@pytest.mark.parametrize("query", GARBAGE, ids=str)
def test_filter_that_is_not_understood_lists_nothing(operator, web, query):
    assert listed(operator, **query) == set()


@pytest.mark.parametrize("query", GARBAGE, ids=str)
def test_filter_that_is_not_understood_selects_nothing_to_revoke(operator, web, query):
    response = operator.post(address("grant_revoke_list", **query), {"confirm": "yes", "reason": "leak"})

    assert response.status_code == HTTPStatus.FOUND
    assert not Grant.objects.exclude(revoked_at=None).exists()


def test_number_in_other_digits_is_a_number(operator, web):
    arabic = "".join(chr(ord("\N{ARABIC-INDIC DIGIT ZERO}") + int(digit)) for digit in str(web.pk))

    assert listed(operator, application=arabic) == {"of web"}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"created_at__gte": "2026-02-01 00:00:00+00:00"}, {"march"}),
        ({"created_at__lt": "2026-02-01 00:00:00+00:00"}, {"january"}),
        ({"created_at__gte": "2026-01-01T00:00Z", "created_at__lt": "2026-04-01T00:00Z"}, {"january", "march"}),
    ],
)
def test_list_is_narrowed_to_a_time(operator, query, names):
    for month, start in {"january": "2026-01-15T12:00:00Z", "march": "2026-03-15T12:00:00Z"}.items():
        grant = GrantFactory(scope=month)
        Grant.objects.filter(pk=grant.pk).update(created_at=start)

    assert listed(operator, **query) == names


def test_list_offers_times_to_choose_from(operator):
    GrantFactory()

    html = operator.get(address("grant_changelist")).content.decode()

    assert html.count("?created_at__gte=") == 4


def test_filters_and_search_narrow_together(operator):
    web, user = ApplicationFactory(client_id="web"), {"user__username": "alice"}
    GrantFactory(application=web, scope="wanted", revoked=True, revoked_reason="theft", **user)
    for other in (
        {"application": web, "user__username": "bob", "revoked": True, "revoked_reason": "theft"},
        {"user": Grant.objects.get().user, "revoked": True, "revoked_reason": "theft"},
        {"application": web, "user": Grant.objects.get().user},
        {"application": web, "user": Grant.objects.get().user, "revoked": True},
    ):
        GrantFactory(scope="other", **other)

    assert listed(operator, application=web.pk, state="revoked", reason="other", q="alice") == {"wanted"}


def test_other_filters_go_along_with_the_form_of_the_application(operator, web):
    html = operator.get(
        address("grant_changelist", state="live", q='"a b"', o="3", p="1", application=web.pk, client_id="")
    ).content.decode()

    form = re.search(r'<form method="get" class="oauth-filter">(.*?)</form>', html, re.DOTALL)[1]
    assert re.findall(r'<input type="hidden" name="(.*?)" value="(.*?)">', form) == [
        ("state", "live"),
        ("q", "&quot;a b&quot;"),
        ("o", "3"),
    ]


def test_application_chosen_is_shown_with_a_way_back(operator, web):
    response = operator.get(address("grant_changelist", application=web.pk, state="live"))

    assert f'<option value="{web.pk}" selected>{web}</option>' in response.content.decode()
    assert "?state=live" in links(response)


def test_page_lists_no_application_that_was_not_chosen(operator, web):
    html = operator.get(address("grant_changelist")).content.decode()

    select = re.search(r'<select name="application".*?</select>', html, re.DOTALL)[0]
    assert re.findall(r"<option.*?>(.*?)</option>", select) == [""]
    assert f'data-ajax--url="{address("grant_changelist").split("oauth")[0]}autocomplete/"' in select


def test_applications_are_completed_for_the_filter(operator, web):
    query = {"app_label": "oauth_refresh", "model_name": "grant", "field_name": "application", "term": "we"}

    response = operator.get("/admin/autocomplete/", query)

    assert response.json() == {"results": [{"id": str(web.pk), "text": str(web)}], "pagination": {"more": False}}


NOSCRIPT = r'<noscript><input name="client_id" value="(.*?)"'
PLAIN = r'(?<!<noscript>)<input name="client_id" value="(.*?)"'


@pytest.mark.parametrize(
    ("permissions", "patterns"),
    [
        (["view_grant", "view_application"], [NOSCRIPT, '<select name="application"']),
        (["view_grant", "change_application"], [NOSCRIPT, '<select name="application"']),
        (["view_grant"], [PLAIN]),
    ],
)
def test_application_is_named_by_its_client_id_where_it_cannot_be_completed(web, permissions, patterns):
    html = browser(staff(*permissions)).get(address("grant_changelist", client_id='web"')).content.decode()

    assert [pattern for pattern in (NOSCRIPT, PLAIN, '<select name="application"') if re.search(pattern, html)] == (
        patterns
    )
    assert 'value="web&quot;"' in html


def test_page_loads_what_completes_an_application(operator):
    html = operator.get(address("grant_changelist")).content.decode()

    assert "admin/js/autocomplete.js" in html
    assert "oauth_refresh/admin.css" in html


def test_project_may_let_the_filters_count(operator, grants, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(Grant), "show_facets", admin.ShowFacets.ALWAYS)

    text = text_of(operator.get(address("grant_changelist")))

    assert [f"{state} ({len(names)})" in text for state, names in STATES.items() if state != "barred"] == [True] * 3


@pytest.mark.parametrize(
    "query", [{"created_at__gte": "yesterday"}, {"id__in": "x"}, {"no_such_field": "1"}, {"generation": "x"}], ids=str
)
@LIST_AND_REVOCATION
def test_wacky_filter_leads_back_to_the_list(operator, web, page, query):
    response = operator.get(address(page, **query))

    assert (response.status_code, response.url) == (HTTPStatus.FOUND, address("grant_changelist", e="1"))


def test_wacky_filter_revokes_nothing(operator, web):
    operator.post(address("grant_revoke_list", created_at__gte="x"), {"confirm": "yes", "reason": "leak"})

    assert not Grant.objects.exclude(revoked_at=None).exists()


@pytest.mark.parametrize(
    "lookup",
    [
        "mac_key__isnull",
        "password_fingerprint__startswith",
        "retry_salt__isnull",
        "refresh_tokens__digest__startswith",
        "access_tokens__digest__startswith",
        "authorization_codes__code_challenge__startswith",
        "application__secret_digest__startswith",
        "user__password__startswith",
    ],
)
@LIST_AND_REVOCATION
def test_nothing_secret_is_asked_for_letter_by_letter(operator, web, page, lookup):
    response = operator.get(address(page, **{lookup: "a"}))

    assert response.status_code == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("application", "secret_digest"),
        ("application", "secret_digest__startswith"),
        ("application", "old_secret_digest__startswith"),
        ("application", "grants__mac_key__isnull"),
        ("refreshtoken", "digest__startswith"),
        ("refreshtoken", "grant__mac_key__isnull"),
        ("accesstoken", "digest__regex"),
        ("authorizationcode", "digest__startswith"),
        ("authorizationcode", "code_challenge__startswith"),
        ("grantevent", "grant__password_fingerprint__startswith"),
        ("usedassertion", "digest__startswith"),
    ],
)
def test_no_list_is_filtered_by_a_secret_column(operator, model, lookup):
    response = operator.get(address(f"{model}_changelist", **{lookup: "a"}))

    assert response.status_code == HTTPStatus.BAD_REQUEST
