"""A client secret is replaced while both are valid, and the old one is withdrawn."""

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
import time_machine
from django.contrib.auth.hashers import make_password
from django.test import Client

from oauth_refresh import crypto
from oauth_refresh.models import Application, Grant
from tests.admin.applications import accepts_secret, copyable_value, replaces_field
from tests.admin.pages import admin_url, browser, links, log_entries, messages_on, page_text, staff
from tests.factories import SECRET, ApplicationFactory, GrantFactory

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
    url = admin_url("application_secret", application.pk)
    return client.post(url, {"overlap": overlap, "replaces": replaces_field(client, application)}, **options)


@pytest.fixture
def two(admin_browser, application):
    """An application with two secrets, of which the old one is valid for an hour; and the present one."""
    return application, copyable_value(replaced(admin_browser, application, overlap="3600"), "client-secret")


def test_page_offers_how_long_both_secrets_may_work(admin_browser, application):
    html = admin_browser.get(admin_url("application_secret", application.pk)).content.decode()

    found = re.findall(
        r'<label.*?><input type="radio" name="overlap" value="(\d+)".*?>\s*(.*?)</label>', html, re.DOTALL
    )
    assert dict(found) == OVERLAPS


def test_page_proposes_one_day(admin_browser, application):
    html = admin_browser.get(admin_url("application_secret", application.pk)).content.decode()

    assert re.findall(r'value="(\d+)"[^>]* checked', html) == ["86400"]


@pytest.mark.parametrize("overlap", [overlap for overlap in OVERLAPS if overlap != "0"])
def test_both_secrets_work_until_the_overlap_is_over(admin_browser, application, clock, overlap):
    new = copyable_value(replaced(admin_browser, application, overlap=overlap), "client-secret")

    both = [accepts_secret(application, SECRET), accepts_secret(application, new)]
    clock.shift(timedelta(seconds=int(overlap) - 1))
    just_before = accepts_secret(application, SECRET)
    clock.shift(timedelta(seconds=1))

    assert (both, just_before) == ([True, True], True)
    assert [accepts_secret(application, SECRET), accepts_secret(application, new)] == [False, True]


def test_without_an_overlap_the_old_secret_is_invalid_at_once(admin_browser, application):
    new = copyable_value(replaced(admin_browser, application), "client-secret")

    assert [accepts_secret(application, SECRET), accepts_secret(application, new)] == [False, True]


def test_third_secret_invalidates_the_first(admin_browser, two):
    application, second = two

    third = copyable_value(replaced(admin_browser, application, overlap="604800"), "client-secret")

    assert [accepts_secret(application, secret) for secret in (SECRET, second, third)] == [False, True, True]


def test_imported_secret_works_beside_its_replacement(admin_browser):
    application = ApplicationFactory(secret_digest="", imported_secret_hash=make_password(SECRET))

    new = copyable_value(replaced(admin_browser, application, overlap="3600"), "client-secret")

    assert [accepts_secret(application, SECRET), accepts_secret(application, new)] == [True, True]


def test_page_with_the_secret_says_until_when_the_old_one_works(admin_browser, application):
    response = replaced(admin_browser, application, overlap="3600")

    assert "The old secret is valid until 2026-03-01 13:30:15 ." in page_text(response)
    assert copyable_value(response, "client-id") == application.client_id
    assert admin_url("application_change", application.pk) in links(response)


def test_page_with_the_secret_does_not_mention_an_old_one_that_is_invalid(admin_browser, application):
    assert "The old secret works" not in page_text(replaced(admin_browser, application))


def test_secret_is_shown_once_and_stored_nowhere(admin_browser, application):
    response = replaced(admin_browser, application)

    secret = copyable_value(response, "client-secret")
    pages = [
        admin_browser.get(admin_url(f"application_{page}", application.pk)).content.decode()
        for page in ("secret", "change", "history")
    ]
    assert "no-store" in response.headers["Cache-Control"]
    assert [secret in page or crypto.digest(secret) in page for page in pages] == [False] * 3
    assert secret not in repr([dict(admin_browser.session), log_entries(), response.headers, response.cookies])
    assert Application.objects.get().secret_digest == crypto.digest(secret)


@pytest.mark.parametrize(
    ("overlap", "message"),
    [
        ("0", "Generated a secret; no other works."),
        ("3600", "Generated a secret; the old one works until 2026-03-01 13:30:15."),
    ],
)
def test_log_says_that_a_secret_was_generated(admin_browser, application, overlap, message):
    replaced(admin_browser, application, overlap=overlap)

    assert log_entries() == [("application", str(application.pk), application.name, message)]


def test_replacing_a_secret_ends_no_grant(admin_browser, client_app):
    replaced(admin_browser, client_app.application)

    assert Grant.objects.get().is_live


def test_page_says_that_two_secrets_work(admin_browser, two):
    text = page_text(admin_browser.get(admin_url("application_secret", two[0].pk)))

    assert "Two secrets are valid now, the old one until 2026-03-01 13:30:15 . Withdraw the old secret now" in text
    assert "Only two secrets can be valid: another new one invalidates the old one at once." in text


def test_page_of_an_application_with_one_secret_has_none_to_withdraw(admin_browser, application):
    assert "Withdraw" not in page_text(admin_browser.get(admin_url("application_secret", application.pk)))


def test_old_secret_that_expired_is_none_to_withdraw(admin_browser, two, clock):
    clock.shift(timedelta(hours=1))

    assert "Withdraw" not in page_text(admin_browser.get(admin_url("application_secret", two[0].pk)))


def withdrawn(client, application, **options):
    return client.post(admin_url("application_secret", application.pk), {"withdraw": "yes"}, **options)


def test_withdrawn_secret_is_invalid_at_once(admin_browser, two):
    application, present = two

    response = withdrawn(admin_browser, application, follow=True)

    assert response.redirect_chain == [(admin_url("application_change", application.pk), HTTPStatus.FOUND)]
    assert messages_on(response) == [("success", "The old secret was withdrawn.")]
    assert [accepts_secret(application, SECRET), accepts_secret(application, present)] == [False, True]
    assert log_entries()[1:] == [("application", str(application.pk), application.name, "Withdrew the old secret.")]


@pytest.mark.parametrize("state", ["one", "expired"])
def test_without_an_old_secret_there_is_a_warning_and_no_log_entry(admin_browser, application, clock, state):
    if state == "expired":
        Application.objects.update(old_secret_digest="0ld" * 21, old_secret_expires_at=NOW)

    response = withdrawn(admin_browser, application, follow=True)

    assert messages_on(response) == [("warning", "There is no old secret to withdraw.")]
    assert log_entries() == []
    assert accepts_secret(application, SECRET)


def test_withdrawing_an_old_secret_ends_no_grant(admin_browser, two):
    GrantFactory(application=two[0])

    withdrawn(admin_browser, two[0])

    assert Grant.objects.get().is_live


@pytest.mark.parametrize("overlap", ["", "1", "-3600", "3600.0", "forever", "\x00"])
def test_overlap_that_was_not_offered_is_refused_and_changes_nothing(admin_browser, application, overlap):
    before = Application.objects.values().get()

    response = replaced(admin_browser, application, overlap=overlap)

    assert list(response.context["form"].errors) == ["overlap"]
    assert response.context["form"].errors["overlap"][0] in page_text(response)
    assert Application.objects.values().get() == before
    assert log_entries() == []


def test_application_without_a_secret_gets_one(admin_browser, public_application):
    page = admin_browser.get(admin_url("application_secret", public_application.pk))

    secret = copyable_value(replaced(admin_browser, public_application), "client-secret")

    text = page_text(page)
    assert "The application has no secret. One is generated and shown once." in text
    assert (
        "The application does not authenticate with a secret yet. Choose such a method on its page afterwards." in text
    )
    assert Application.objects.values_list("secret_digest", "old_secret_digest").get() == (crypto.digest(secret), "")


def test_public_application_becomes_confidential_by_way_of_its_new_secret(admin_browser, public_application):
    secret = copyable_value(replaced(admin_browser, public_application, overlap="3600"), "client-secret")
    Application.objects.update(auth_method="client_secret_basic", grant_types="client_credentials")

    assert accepts_secret(public_application, secret)


FORBIDDEN = {
    "view only": ["view_application"],
    "to issue tokens": ["view_application", "issue_tokens", "add_application", "delete_application"],
    "nothing": [],
}


@pytest.mark.parametrize("permissions", FORBIDDEN.values(), ids=FORBIDDEN)
def test_staff_who_may_not_change_applications_are_refused(two, permissions):
    client, url = browser(staff(*permissions)), admin_url("application_secret", two[0].pk)
    before, logged = Application.objects.values().get(), log_entries()

    answers = [client.get(url), *[client.post(url, data) for data in ({"overlap": "0"}, {"withdraw": "yes"})]]

    assert [answer.status_code for answer in answers] == [HTTPStatus.FORBIDDEN] * 3
    assert Application.objects.values().get() == before
    assert log_entries() == logged


def test_staff_who_may_change_applications_replace_secrets(application):
    new = copyable_value(replaced(browser(staff("change_application")), application), "client-secret")

    assert accepts_secret(application, new)


def test_anonymous_user_is_sent_to_sign_in(application):
    response = replaced(Client(), application)

    assert response.url == f"/admin/login/?next={admin_url('application_secret', application.pk)}"
    assert accepts_secret(application, SECRET)


def test_other_sites_replace_and_withdraw_nothing(superuser, two):
    client = browser(superuser, enforce_csrf_checks=True)
    before = Application.objects.values().get()

    answers = [replaced(client, two[0]), withdrawn(client, two[0])]

    assert [answer.status_code for answer in answers] == [HTTPStatus.FORBIDDEN] * 2
    assert Application.objects.values().get() == before


def test_a_link_replaces_and_withdraws_nothing(admin_browser, two):
    before = Application.objects.values().get()

    response = admin_browser.get(admin_url("application_secret", two[0].pk, overlap="0", withdraw="yes"))

    assert response.status_code == HTTPStatus.OK
    assert Application.objects.values().get() == before


@pytest.mark.parametrize("page", ["application_secret", "application_tokens"])
@pytest.mark.parametrize("key", ["999", "x", "1/2"])
def test_application_that_does_not_exist_is_not_found(admin_browser, page, key):
    answers = [admin_browser.get(admin_url(page, key)), admin_browser.post(admin_url(page, key), {"overlap": "0"})]

    assert [answer.status_code for answer in answers] == [HTTPStatus.NOT_FOUND] * 2


def test_secret_of_another_application_stays(admin_browser, application):
    other = ApplicationFactory(raw_secret=f"{SECRET}-2")

    replaced(admin_browser, application)

    assert accepts_secret(other, f"{SECRET}-2")
