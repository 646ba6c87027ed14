"""Trusted issuers and what staff may enter for them; used assertions, which cannot be edited."""

import json
from http import HTTPStatus

import pytest

from oauth_refresh.models import TrustedIssuer, UsedAssertion
from tests.admin.pages import admin_url, browser, form_errors, staff
from tests.factories import TrustedIssuerFactory, UsedAssertionFactory
from tests.jwts import EC_KEY, RSA_KEY, jwks

ADDRESS = "https://issuer.example/keys"
GOOD = {
    "issuer": "https://issuer.example",
    "is_active": "on",
    "jwks": json.dumps(jwks(EC_KEY)),
    "jwks_uri": "",
    "algorithms": "RS256 ES256",
    "subject_field": "username",
    "scope": "",
}


GOOD_KEY = EC_KEY.as_dict(private=False)


def page(name, *arguments):
    return admin_url(f"trustedissuer_{name}", *arguments)


def test_issuer_is_created(admin_browser):
    response = admin_browser.post(page("add"), GOOD)

    assert response.status_code == HTTPStatus.FOUND
    issuer = TrustedIssuer.objects.get()
    assert (issuer.issuer, issuer.jwks, issuer.jwks_uri) == ("https://issuer.example", jwks(EC_KEY), "")
    assert issuer.is_active


def test_issuer_is_created_with_the_address_of_its_keys(admin_browser):
    admin_browser.post(page("add"), GOOD | {"jwks": "", "jwks_uri": ADDRESS})

    assert TrustedIssuer.objects.values_list("jwks", "jwks_uri").get() == (None, ADDRESS)


def test_page_to_create_an_issuer_proposes_the_defaults(admin_browser):
    form = admin_browser.get(page("add")).context["adminform"].form

    assert (form["algorithms"].value(), form["subject_field"].value()) == ("RS256 ES256", "username")


NO_SET = ['Write a JSON Web Key Set: {"keys": [...]} with at least one key.']
UNREADABLE = ["A key of the set cannot be read."]
NO_URI = ["Write an absolute https URI without user, password or fragment."]
BAD = [
    ({"issuer": ""}, {"issuer": ["This field is required."]}),
    ({"issuer": "https://known.example"}, {"issuer": ["Trusted issuer with this Issuer already exists."]}),
    ({"jwks": ""}, {"jwks": ["Give either the public keys or their URL."]}),
    ({"jwks_uri": ADDRESS}, {"jwks": ["Give either the public keys or their URL."]}),
    ({"jwks": "{"}, {"jwks": ["Enter a valid JSON."]}),
    ({"jwks": "[1]"}, {"jwks": NO_SET}),
    ({"jwks": '{"keys": []}'}, {"jwks": NO_SET}),
    ({"jwks": '{"keys": [{"kty": "EC"}]}'}, {"jwks": UNREADABLE}),
    (
        {"jwks": json.dumps({"keys": [EC_KEY.as_dict(private=True)]})},
        {"jwks": ["Leave private and symmetric keys out: the set may hold public keys only."]},
    ),
    # What a parser fails on, or a database refuses.
    ({"jwks": "[" * 100_000}, {"jwks": ["Enter a valid JSON."]}),
    ({"jwks": '{"keys": ' * 100_000}, {"jwks": ["Enter a valid JSON."]}),
    ({"jwks": f'{{"keys": [{"1" * 5_000}]}}'}, {"jwks": ["Enter a valid JSON."]}),
    (
        {"jwks": json.dumps({"keys": [GOOD_KEY], "more": None}).replace("null", "[" * 800 + "]" * 800)},
        {"jwks": UNREADABLE},
    ),
    ({"jwks": json.dumps({"keys": [GOOD_KEY], "more": "\x00"})}, {"jwks": UNREADABLE}),
    ({"jwks": json.dumps({"keys": [GOOD_KEY | {"kid": "\ud800"}]})}, {"jwks": UNREADABLE}),
    ({"jwks": json.dumps({"keys": [GOOD_KEY], "more": None}).replace("null", "1e999")}, {"jwks": UNREADABLE}),
    ({"jwks": json.dumps({"keys": [GOOD_KEY | {"x": "A"}]})}, {"jwks": UNREADABLE}),
    ({"jwks": "", "jwks_uri": "http://issuer.example/keys"}, {"jwks_uri": NO_URI}),
    ({"jwks": "", "jwks_uri": "javascript:alert(1)"}, {"jwks_uri": NO_URI}),
    ({"algorithms": ""}, {"algorithms": ["This field is required."]}),
    ({"subject_field": "nick"}, {"subject_field": ["The user model has no field nick."]}),
    (
        {"subject_field": "first_name"},
        {"subject_field": ["The field first_name is not unique, so a subject could name two users."]},
    ),
]


@pytest.mark.parametrize(("change", "errors"), BAD)
def test_wrong_input_is_refused_at_its_field_and_creates_nothing(admin_browser, change, errors):
    known = TrustedIssuerFactory(issuer="https://known.example")

    response = admin_browser.post(page("add"), GOOD | change)

    # Where a field is wrong in itself, the model may add what follows from leaving it out.
    assert {name: form_errors(response)[name][:1] for name in errors} == errors
    assert list(TrustedIssuer.objects.all()) == [known]


@pytest.mark.parametrize(
    ("field", "value", "start"),
    [
        ("algorithms", "HS256", "Choose from: RS256 "),
        ("algorithms", "ES256 none", "Choose from: RS256 "),
        ("scope", "notes:delete", "Unknown scope: notes:delete."),
        ("scope", 'a"b', "The scope holds a character"),
    ],
)
def test_unknown_values_are_refused_with_the_known_ones(admin_browser, field, value, start):
    errors = form_errors(admin_browser.post(page("add"), GOOD | {field: value}))

    assert list(errors) == [field]
    assert errors[field][0].startswith(start)
    assert not TrustedIssuer.objects.exists()


def test_issuer_is_edited(admin_browser):
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY))
    change = {"issuer": issuer.issuer, "jwks": json.dumps(jwks(RSA_KEY)), "scope": "notes:read", "subject_field": "id"}

    response = admin_browser.post(page("change", issuer.pk), GOOD | change)

    assert response.status_code == HTTPStatus.FOUND
    issuer.refresh_from_db()
    assert (issuer.jwks, issuer.scope, issuer.subject_field) == (jwks(RSA_KEY), "notes:read", "id")


def test_issuer_is_trusted_no_longer(admin_browser):
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY))

    admin_browser.post(page("change", issuer.pk), {k: v for k, v in GOOD.items() if k != "is_active"})

    assert not TrustedIssuer.objects.get().is_active


def test_page_of_an_issuer_saves_what_it_shows(admin_browser):
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY), scope="notes:read", algorithms="ES256")
    before = TrustedIssuer.objects.values().get()
    form = admin_browser.get(page("change", issuer.pk)).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields}

    admin_browser.post(page("change", issuer.pk), shown)

    assert TrustedIssuer.objects.values().get() == before


@pytest.mark.parametrize(("change", "errors"), [pair for pair in BAD if "already" not in str(pair)])
def test_wrong_input_is_refused_at_its_field_and_changes_nothing(admin_browser, change, errors):
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY))
    before = TrustedIssuer.objects.values().get()

    response = admin_browser.post(page("change", issuer.pk), GOOD | change)

    assert {name: form_errors(response)[name][:1] for name in errors} == errors
    assert TrustedIssuer.objects.values().get() == before


def test_issuers_are_found_by_name(admin_browser):
    TrustedIssuerFactory(issuer="https://one.example")
    TrustedIssuerFactory(issuer="https://two.example")

    found = admin_browser.get(page("changelist"), {"q": "two"}).context["cl"].queryset

    assert [issuer.issuer for issuer in found] == ["https://two.example"]


def test_used_assertion_is_not_deleted_by_hand(admin_browser):
    used = UsedAssertionFactory()

    response = admin_browser.post(admin_url("usedassertion_delete", used.pk), {"post": "yes"})

    assert response.status_code == HTTPStatus.FORBIDDEN
    assert UsedAssertion.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["add", "changelist"])
def test_pages_are_for_staff_with_the_permission(name):
    response = browser(staff()).get(page(name))

    assert response.status_code == HTTPStatus.FORBIDDEN
