"""The filters of the list of grants: a value that is not understood never widens the list."""

import re
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib import admin
from django.utils import timezone

from oauth_refresh.models import Grant, RevocationReason
from tests.admin.pages import admin_url, column, links, page_text
from tests.factories import ApplicationFactory, GrantFactory

pytestmark = pytest.mark.django_db

LIST_AND_REVOCATION = pytest.mark.parametrize("page", ["grant_changelist", "grant_revoke_list"])


def listed(admin_browser, **query):
    """Return what is listed, by the scope that each test gives its grants as a name."""
    return set(column(admin_browser.get(admin_url("grant_changelist", **query)), "scope"))


@pytest.fixture
def grants(db):
    """A grant in every state, with the name of the state as its scope."""
    states = {
        "active": {},
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
    "active": {"active", "for itself", "endless", "password changed"},
    "revoked": {"revoked", "revoked after expiry"},
    "expired": {"expired", "at its end", "expired of an inactive user"},
    "blocked": {"user inactive", "application inactive"},
}


@pytest.mark.parametrize(("state", "names"), STATES.items())
def test_list_is_narrowed_to_a_state(admin_browser, grants, state, names):
    assert listed(admin_browser, state=state) == names


def test_every_grant_has_exactly_one_state(grants):
    assert sorted(name for names in STATES.values() for name in names) == sorted(grants)


@pytest.mark.parametrize("reason", [*RevocationReason.values, "lost device"])
def test_list_is_narrowed_to_a_reason(admin_browser, reason):
    for each in (*RevocationReason.values, "lost device"):
        GrantFactory(revoked=True, revoked_reason=each, scope=each)
    GrantFactory()

    assert listed(admin_browser, reason=reason) == {reason}


def test_list_is_narrowed_to_reasons_written_by_staff(admin_browser):
    for each in (*RevocationReason.values, "lost device", "incident 7"):
        GrantFactory(revoked=True, revoked_reason=each, scope=each)
    GrantFactory()

    assert listed(admin_browser, reason="other") == {"lost device", "incident 7"}


def test_states_and_reasons_are_offered(admin_browser):
    html = admin_browser.get(admin_url("grant_changelist")).content.decode()

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


def test_list_is_narrowed_to_an_application_by_its_client_id(admin_browser, web):
    assert listed(admin_browser, client_id="web") == {"of web"}


def test_empty_filters_narrow_nothing(admin_browser, web):
    assert listed(admin_browser, client_id="", state="", reason="") == {"of web", "of phone"}


GARBAGE = [
    {"client_id": "WEB or phone"},
    {"client_id": "' OR 1=1 --"},
    {"client_id": "\N{GOAT}"},
    {"state": "alive"},
    {"reason": "no such reason"},
    {"state": "active", "client_id": "x"},
]


@pytest.mark.parametrize("query", GARBAGE, ids=str)
def test_filter_that_is_not_understood_lists_nothing(admin_browser, web, query):
    assert listed(admin_browser, **query) == set()


@pytest.mark.parametrize("query", GARBAGE, ids=str)
def test_filter_that_is_not_understood_selects_nothing_to_revoke(admin_browser, web, query):
    response = admin_browser.post(admin_url("grant_revoke_list", **query), {"confirm": "yes", "reason": "leak"})

    assert response.status_code == HTTPStatus.FOUND
    assert not Grant.objects.exclude(revoked_at=None).exists()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"created_at__gte": "2026-02-01 00:00:00+00:00"}, {"march"}),
        ({"created_at__lt": "2026-02-01 00:00:00+00:00"}, {"january"}),
        ({"created_at__gte": "2026-01-01T00:00Z", "created_at__lt": "2026-04-01T00:00Z"}, {"january", "march"}),
    ],
)
def test_list_is_narrowed_to_a_time(admin_browser, query, names):
    for month, start in {"january": "2026-01-15T12:00:00Z", "march": "2026-03-15T12:00:00Z"}.items():
        grant = GrantFactory(scope=month)
        Grant.objects.filter(pk=grant.pk).update(created_at=start)

    assert listed(admin_browser, **query) == names


def test_list_offers_times_to_choose_from(admin_browser):
    GrantFactory()

    urls = links(admin_browser.get(admin_url("grant_changelist")))

    assert sum("time=started" in url and "from=" in url for url in urls) == 3


def test_filters_and_search_narrow_together(admin_browser):
    web, user = ApplicationFactory(client_id="web"), {"user__username": "alice"}
    GrantFactory(application=web, scope="wanted", revoked=True, revoked_reason="theft", **user)
    for other in (
        {"application": web, "user__username": "bob", "revoked": True, "revoked_reason": "theft"},
        {"user": Grant.objects.get().user, "revoked": True, "revoked_reason": "theft"},
        {"application": web, "user": Grant.objects.get().user},
        {"application": web, "user": Grant.objects.get().user, "revoked": True},
    ):
        GrantFactory(scope="other", **other)

    assert listed(admin_browser, client_id="web", state="revoked", reason="other", q="alice") == {"wanted"}


def test_applications_are_offered_by_name_with_the_other_filters_kept(admin_browser, web):
    GrantFactory(application__name="Mail", application__client_id="mail & more")

    response = admin_browser.get(admin_url("grant_changelist", state="active"))

    assert "Mail" in page_text(response)
    assert "?client_id=mail+%26+more&state=active" in links(response)


def test_application_chosen_is_shown_with_a_way_back(admin_browser, web):
    html = admin_browser.get(admin_url("grant_changelist", client_id="web", state="active")).content.decode()

    selected = re.findall(r'<li class="selected">\s*<a href="(.*?)">(.*?)</a>', html)
    assert ("?client_id=web&amp;state=active", str(web)) in selected
    assert 'href="?state=active"' in html


def test_many_applications_are_not_offered_but_the_one_chosen_is(admin_browser, web):
    ApplicationFactory.create_batch(29, name="one of many")

    unfiltered, filtered = (
        page_text(admin_browser.get(admin_url("grant_changelist", **query))) for query in ({}, {"client_id": "web"})
    )

    assert [text.count("one of many") for text in (unfiltered, filtered)] == [0, 0]
    assert listed(admin_browser, client_id="web") == {"of web"}
    assert "By application Filter All By reason" in filtered


def test_unknown_client_id_lists_nothing_where_applications_are_not_offered(admin_browser, web):
    ApplicationFactory.create_batch(29)

    assert listed(admin_browser, client_id="typing error") == set()


def test_list_of_applications_leads_to_their_active_grants(admin_browser, web):
    response = admin_browser.get(admin_url("application_changelist"))

    url = admin_url("grant_changelist", client_id="web", state="active")
    assert url in links(response)
    assert set(column(admin_browser.get(url), "scope")) == {"of web"}


def test_page_loads_the_stylesheet_of_the_app(admin_browser):
    html = admin_browser.get(admin_url("grant_changelist")).content.decode()

    assert "oauth_refresh/admin.css" in html


def test_project_may_let_the_filters_count(admin_browser, grants, monkeypatch):
    monkeypatch.setattr(admin.site.get_model_admin(Grant), "show_facets", admin.ShowFacets.ALWAYS)

    text = page_text(admin_browser.get(admin_url("grant_changelist")))

    assert [f"{state} ({len(names)})" in text for state, names in STATES.items() if state != "blocked"] == [True] * 3


@pytest.mark.parametrize(
    "query",
    [
        {"created_at__gte": "yesterday"},
        {"id__in": "x"},
        {"no_such_field": "1"},
        {"generation": "x"},
        {"application": "x"},
        {"q": "a\x00b"},
        {"state": "\x00"},
        {"reason": "\x00"},
        {"client_id": "\x00"},
    ],
    ids=str,
)
@LIST_AND_REVOCATION
def test_invalid_filter_redirects_to_the_list(admin_browser, web, page, query):
    response = admin_browser.get(admin_url(page, **query))

    assert (response.status_code, response.url) == (HTTPStatus.FOUND, admin_url("grant_changelist", e="1"))


@pytest.mark.parametrize("query", [{"created_at__gte": "x"}, {"q": "\x00"}], ids=str)
def test_invalid_filter_revokes_nothing(admin_browser, web, query):
    admin_browser.post(admin_url("grant_revoke_list", **query), {"confirm": "yes", "reason": "leak"})

    assert not Grant.objects.exclude(revoked_at=None).exists()


@pytest.mark.parametrize(
    "lookup",
    [
        "mac_key__isnull",
        "password_fingerprint__startswith",
        "retry_slots__isnull",
        "refresh_tokens__digest__startswith",
        "access_tokens__digest__startswith",
        "authorization_codes__code_challenge__startswith",
        "application__secret_digest__startswith",
        "user__password__startswith",
    ],
)
@LIST_AND_REVOCATION
def test_secret_columns_cannot_be_filtered_by(admin_browser, web, page, lookup):
    response = admin_browser.get(admin_url(page, **{lookup: "a"}))

    assert response.status_code == HTTPStatus.BAD_REQUEST


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        ("application", "secret_digest"),
        ("application", "secret_digest__startswith"),
        ("application", "old_secret_digest__startswith"),
        ("application", "imported_secret_hash__startswith"),
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
def test_no_list_is_filtered_by_a_secret_column(admin_browser, model, lookup):
    response = admin_browser.get(admin_url(f"{model}_changelist", **{lookup: "a"}))

    assert response.status_code == HTTPStatus.BAD_REQUEST
