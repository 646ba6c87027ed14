"""A client secret is replaced while both work, and the old one is withdrawn."""

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
import time_machine
from django.test import Client

from oauth_refresh import crypto
from oauth_refresh.models import Application, Grant
from tests.admin.applications import accepts, seen, value
from tests.admin.pages import address, browser, links, log, staff, text_of, told
from tests.conftest import SECRET
from tests.factories import ApplicationFactory, GrantFactory

NOW = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
OVERLAPS = {
    "0": "not at all: the old secret has leaked",
    "3600": "for one hour",
    "86400": "for one day",
    "604800": "for seven days",
    "2592000": "for thirty days",
}

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def replaced(client, application, *, overlap="0", **options):
    url = address("application_secret", application.pk)
    return client.post(url, {"overlap": overlap, "replaces": seen(client, application)}, **options)


@pytest.fixture
def two(operator, application):
    """An application with two secrets; the old one works for an hour. Return its present one as well."""
    return application, value(replaced(operator, application, overlap="3600"), "client-secret")


def test_page_offers_how_long_both_secrets_may_work(operator, application):
    html = operator.get(address("application_secret", application.pk)).content.decode()

    found = re.findall(
        r'<label.*?><input type="radio" name="overlap" value="(\d+)".*?>\s*(.*?)</label>', html, re.DOTALL
    )
    assert dict(found) == OVERLAPS


def test_page_proposes_one_day(operator, application):
    html = operator.get(address("application_secret", application.pk)).content.decode()

    assert re.findall(r'value="(\d+)"[^>]* checked', html) == ["86400"]


@pytest.mark.parametrize("overlap", [overlap for overlap in OVERLAPS if overlap != "0"])
def test_both_secrets_work_until_the_overlap_is_over(operator, application, clock, overlap):
    new = value(replaced(operator, application, overlap=overlap), "client-secret")

    both = [accepts(application, SECRET), accepts(application, new)]
    clock.shift(timedelta(seconds=int(overlap) - 1))
    just_before = accepts(application, SECRET)
    clock.shift(timedelta(seconds=1))

    assert (both, just_before) == ([True, True], True)
    assert [accepts(application, SECRET), accepts(application, new)] == [False, True]


def test_without_an_overlap_the_old_secret_is_dead_at_once(operator, application):
    new = value(replaced(operator, application), "client-secret")

    assert [accepts(application, SECRET), accepts(application, new)] == [False, True]


def test_third_secret_kills_the_oldest(operator, two):
    application, second = two

    third = value(replaced(operator, application, overlap="604800"), "client-secret")

    assert [accepts(application, secret) for secret in (SECRET, second, third)] == [False, True, True]


def test_page_with_the_secret_says_until_when_the_old_one_works(operator, application):
    response = replaced(operator, application, overlap="3600")

    assert "The old secret works until 2026-03-01 13:30:15 ." in text_of(response)
    assert value(response, "client-id") == application.client_id
    assert address("application_change", application.pk) in links(response)


def test_page_with_the_secret_says_nothing_of_an_old_one_that_is_dead(operator, application):
    assert "The old secret works" not in text_of(replaced(operator, application))


def test_page_with_the_secret_is_stored_by_nobody_and_shown_once(operator, application):
    response = replaced(operator, application)

    secret = value(response, "client-secret")
    pages = [
        operator.get(address(f"application_{page}", application.pk)).content.decode()
        for page in ("secret", "change", "history")
    ]
    assert "no-store" in response.headers["Cache-Control"]
    assert [secret in page or crypto.digest(secret) in page for page in pages] == [False] * 3
    assert secret not in repr([dict(operator.session), log(), response.headers, response.cookies])
    assert Application.objects.get().secret_digest == crypto.digest(secret)


@pytest.mark.parametrize(
    ("overlap", "message"),
    [
        ("0", "Generated a secret; no other works."),
        ("3600", "Generated a secret; the old one works until 2026-03-01 13:30:15."),
    ],
)
def test_log_says_that_a_secret_was_generated(operator, application, overlap, message):
    replaced(operator, application, overlap=overlap)

    assert log() == [("application", str(application.pk), application.name, message)]


def test_replacing_a_secret_ends_no_grant(operator, client_app):
    replaced(operator, client_app.application)

    assert Grant.objects.get().is_live


def test_page_says_that_two_secrets_work(operator, two):
    text = text_of(operator.get(address("application_secret", two[0].pk)))

    assert "Two secrets work now. The old one works until 2026-03-01 13:30:15 . Withdraw the old secret now" in text
    assert "Only two can work at a time: the old one above dies now if you replace the secret again." in text


def test_page_of_an_application_with_one_secret_has_none_to_withdraw(operator, application):
    assert "Withdraw" not in text_of(operator.get(address("application_secret", application.pk)))


def test_old_secret_that_expired_is_none_to_withdraw(operator, two, clock):
    clock.shift(timedelta(hours=1))

    assert "Withdraw" not in text_of(operator.get(address("application_secret", two[0].pk)))


def withdrawn(client, application, **options):
    return client.post(address("application_secret", application.pk), {"withdraw": "yes"}, **options)


def test_withdrawn_secret_is_dead_at_once(operator, two):
    application, present = two

    response = withdrawn(operator, application, follow=True)

    assert response.redirect_chain == [(address("application_change", application.pk), HTTPStatus.FOUND)]
    assert told(response) == [("success", "The old secret is dead.")]
    assert [accepts(application, SECRET), accepts(application, present)] == [False, True]
    assert log()[1:] == [("application", str(application.pk), application.name, "Withdrew the old secret.")]


@pytest.mark.parametrize("state", ["one", "expired"])
def test_nothing_to_withdraw_is_told_and_not_logged(operator, application, clock, state):
    if state == "expired":
        Application.objects.update(old_secret_digest="0ld" * 21, old_secret_expires_at=NOW)

    response = withdrawn(operator, application, follow=True)

    assert told(response) == [("warning", "There was no old secret that still worked.")]
    assert log() == []
    assert accepts(application, SECRET)


def test_withdrawing_an_old_secret_ends_no_grant(operator, two):
    GrantFactory(application=two[0])

    withdrawn(operator, two[0])

    assert Grant.objects.get().is_live


@pytest.mark.parametrize("overlap", ["", "1", "-3600", "3600.0", "forever", "\x00"])
def test_overlap_that_was_not_offered_is_refused_and_changes_nothing(operator, application, overlap):
    before = Application.objects.values().get()

    response = replaced(operator, application, overlap=overlap)

    assert list(response.context["form"].errors) == ["overlap"]
    assert response.context["form"].errors["overlap"][0] in text_of(response)
    assert Application.objects.values().get() == before
    assert log() == []


def test_application_without_a_secret_gets_one(operator, public_application):
    page = operator.get(address("application_secret", public_application.pk))

    secret = value(replaced(operator, public_application), "client-secret")

    text = text_of(page)
    assert "The application has no secret. One is generated and shown once." in text
    assert (
        "The application does not authenticate by a secret now. After this, choose such a method on its page." in text
    )
    assert Application.objects.values_list("secret_digest", "old_secret_digest").get() == (crypto.digest(secret), "")


def test_public_application_becomes_confidential_by_way_of_its_new_secret(operator, public_application):
    secret = value(replaced(operator, public_application, overlap="3600"), "client-secret")
    Application.objects.update(auth_method="client_secret_basic", grant_types="client_credentials")

    assert accepts(public_application, secret)


FORBIDDEN = {
    "view only": ["view_application"],
    "to issue tokens": ["view_application", "issue_tokens", "add_application", "delete_application"],
    "nothing": [],
}


@pytest.mark.parametrize("permissions", FORBIDDEN.values(), ids=FORBIDDEN)
def test_whoever_may_not_change_applications_sees_and_changes_nothing(two, permissions):
    client, url = browser(staff(*permissions)), address("application_secret", two[0].pk)
    before, logged = Application.objects.values().get(), log()

    answers = [client.get(url), *[client.post(url, data) for data in ({"overlap": "0"}, {"withdraw": "yes"})]]

    assert [answer.status_code for answer in answers] == [HTTPStatus.FORBIDDEN] * 3
    assert Application.objects.values().get() == before
    assert log() == logged


def test_whoever_may_change_applications_replaces_secrets(application):
    new = value(replaced(browser(staff("change_application")), application), "client-secret")

    assert accepts(application, new)


def test_who_is_not_signed_in_signs_in_first(application):
    response = replaced(Client(), application)

    assert response.url == f"/admin/login/?next={address('application_secret', application.pk)}"
    assert accepts(application, SECRET)


def test_other_sites_replace_and_withdraw_nothing(superuser, two):
    client = browser(superuser, enforce_csrf_checks=True)
    before = Application.objects.values().get()

    answers = [replaced(client, two[0]), withdrawn(client, two[0])]

    assert [answer.status_code for answer in answers] == [HTTPStatus.FORBIDDEN] * 2
    assert Application.objects.values().get() == before


def test_a_link_replaces_and_withdraws_nothing(operator, two):
    before = Application.objects.values().get()

    response = operator.get(address("application_secret", two[0].pk, overlap="0", withdraw="yes"))

    assert response.status_code == HTTPStatus.OK
    assert Application.objects.values().get() == before


@pytest.mark.parametrize("page", ["application_secret", "application_tokens"])
@pytest.mark.parametrize("key", ["999", "x", "1/2"])
def test_application_that_does_not_exist_is_not_found(operator, page, key):
    answers = [operator.get(address(page, key)), operator.post(address(page, key), {"overlap": "0"})]

    assert [answer.status_code for answer in answers] == [HTTPStatus.NOT_FOUND] * 2


def test_secret_of_another_application_stays(operator, application):
    other = ApplicationFactory(raw_secret=f"{SECRET}-2")

    replaced(operator, application)

    assert accepts(other, f"{SECRET}-2")
