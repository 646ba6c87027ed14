"""A client's secret: a new one beside the old, and the old one withdrawn, also where two operators do it at once."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import OperationalError, transaction

from oauth_refresh import crypto
from oauth_refresh.models import Application, Grant
from oauth_refresh.services.clients import SecretReplaced, replace_secret, withdraw_old_secret
from tests.factories import SECRET, ApplicationFactory, GrantFactory
from tests.interference import deadlock_once

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False):
        yield


def columns():
    return Application.objects.values_list("secret_digest", "old_secret_digest", "old_secret_expires_at").get()


@pytest.mark.parametrize(
    ("overlap", "old"),
    [(HOUR, (crypto.digest(SECRET), NOW + HOUR)), (timedelta(0), ("", None)), (-HOUR, ("", None))],
    ids=str,
)
def test_secret_is_replaced_and_the_old_one_kept_for_the_overlap(application, overlap, old):
    raw_secret = replace_secret(application, overlap=overlap)

    assert columns() == (crypto.digest(raw_secret), *old)
    assert application.live_secret_digests(NOW) == tuple(filter(None, (crypto.digest(raw_secret), old[0])))


def test_secret_has_256_bits_in_characters_that_need_no_encoding(application):
    first, second = replace_secret(application, overlap=HOUR), replace_secret(application, overlap=HOUR)

    assert first != second
    assert [len(secret) for secret in (first, second)] == [43, 43]
    assert (first + second).replace("-", "").replace("_", "").isalnum()


def test_first_secret_has_no_predecessor(public_application):
    raw_secret = replace_secret(public_application, overlap=HOUR)

    assert columns() == (crypto.digest(raw_secret), "", None)


def test_third_secret_ends_the_oldest(application):
    second = replace_secret(application, overlap=timedelta(days=7))

    third = replace_secret(application, overlap=HOUR)

    assert columns() == (crypto.digest(third), crypto.digest(second), NOW + HOUR)


def test_replacement_without_overlap_ends_both(application):
    replace_secret(application, overlap=HOUR)

    third = replace_secret(application, overlap=timedelta(0))

    assert columns() == (crypto.digest(third), "", None)


def test_second_of_two_replacements_of_a_secret_is_refused_and_changes_nothing(application):
    stale = Application.objects.get()
    replace_secret(application, overlap=HOUR)
    before = columns()

    with pytest.raises(SecretReplaced):
        replace_secret(stale, overlap=HOUR)

    assert columns() == before


def test_withdrawal_on_a_stale_page_keeps_the_present_secret(application):
    stale = Application.objects.get()
    present = replace_secret(application, overlap=HOUR)

    was_alive = withdraw_old_secret(stale)

    assert was_alive
    assert columns() == (crypto.digest(present), "", None)
    assert stale.secret_digest == crypto.digest(present)


def test_nothing_but_the_secret_is_written(application):
    stale = Application.objects.get()
    Application.objects.update(name="Renamed meanwhile", is_trusted=True)

    replace_secret(stale, overlap=HOUR)

    assert Application.objects.values_list("name", "is_trusted").get() == ("Renamed meanwhile", True)


@pytest.mark.parametrize(
    "old",
    [
        {},
        {"old_secret_digest": "0ld" * 21, "old_secret_expires_at": NOW},
        {"old_secret_digest": "0ld" * 21, "old_secret_expires_at": None},
    ],
    ids=str,
)
def test_withdrawing_says_that_no_old_secret_was_valid(old):
    application = ApplicationFactory(raw_secret=SECRET, **old)

    was_alive = withdraw_old_secret(application)

    assert not was_alive
    assert columns() == (crypto.digest(SECRET), "", None)


@pytest.mark.parametrize("act", [lambda a: replace_secret(a, overlap=timedelta(0)), withdraw_old_secret])
def test_grants_outlive_a_secret(application, act):
    GrantFactory(application=application)
    replace_secret(application, overlap=HOUR)

    act(application)

    assert Grant.objects.get().is_live


def test_caller_may_roll_a_replacement_back(application):
    before = columns()

    with transaction.atomic():
        replace_secret(application, overlap=HOUR)
        transaction.set_rollback(True)

    assert columns() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", [lambda a: bool(replace_secret(a, overlap=HOUR)), withdraw_old_secret])
def test_deadlock_is_tried_again(act):
    application = ApplicationFactory(raw_secret=SECRET, old_secret_digest="0ld" * 21, old_secret_expires_at=NOW + HOUR)

    with deadlock_once("UPDATE") as tried:
        done = act(application)

    assert (done, len(tried)) == (True, 2)


def test_deadlock_in_the_callers_transaction_is_raised(application):
    with deadlock_once("UPDATE") as tried, pytest.raises(OperationalError), transaction.atomic():
        replace_secret(application, overlap=HOUR)

    assert len(tried) == 1


def test_secret_is_not_logged(application, caplog):
    caplog.set_level(logging.DEBUG)

    raw_secret = replace_secret(application, overlap=HOUR)

    assert raw_secret not in caplog.text
    assert raw_secret not in repr(vars(application))
