"""Counting guesses: what each kind of cache is asked, and what happens if it fails in between."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.locmem import LocMemCache

from oauth_refresh.errors import TooManyAttempts, WrongPassword
from oauth_refresh.services.guess_limit import count_guess, limited_guess

HERE = "203.0.113.66"
LIMIT = 3


class AddOnlyCache(LocMemCache):
    """A cache without an ``incr`` that is atomic, as the database cache."""

    incr = BaseCache.incr


class ForgetfulCache(LocMemCache):
    """A cache that makes room at the wrong moment."""

    def decr(self, *args, **kwargs):
        self.clear()
        return super().decr(*args, **kwargs)


def use(settings, backend):
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.{backend.__name__}", "LOCATION": "guesses"}}
    cache.clear()


@pytest.fixture(params=[LocMemCache, AddOnlyCache])
def limited(request, settings, oauth_settings):
    """Three guesses a minute, counted by either kind of cache."""
    use(settings, request.param)
    oauth_settings(FAILURE_RATE=f"{LIMIT}/min")
    yield
    cache.clear()


def guess(account=1, address=HERE):
    return count_guess("user", account=account, address=address)


def number_of_guesses_left(**who):
    for number in range(LIMIT + 1):
        try:
            guess(**who)
        except TooManyAttempts:
            return number
    raise AssertionError


def test_guess_that_is_one_too_many_is_not_counted(limited):
    taken = [guess() for _number in range(LIMIT)]
    for _number in range(5):
        with pytest.raises(TooManyAttempts):
            guess()

    for take_back in taken:
        take_back()

    assert number_of_guesses_left() == LIMIT


@pytest.mark.parametrize("limit", [100, 101, 250])
def test_limit_may_be_high(limited, oauth_settings, limit):
    oauth_settings(FAILURE_RATE=f"{limit}/day")
    for _number in range(limit):
        guess()

    with pytest.raises(TooManyAttempts):
        guess()


def test_guess_that_is_taken_back_no_longer_counts(limited):
    taken = [guess() for _number in range(LIMIT)]

    taken[1]()

    assert number_of_guesses_left() == 1


@pytest.mark.parametrize(
    ("rate", "seconds"),
    [("3/s", 1), ("3/sec", 1), ("3/m", 60), ("3/min", 60), ("3/h", 3600), ("3/hour", 3600), ("3/d", 86400)],
)
def test_guesses_are_counted_for_the_time_of_the_rate(limited, oauth_settings, stopped_clock, rate, seconds):
    oauth_settings(FAILURE_RATE=rate)
    for _number in range(LIMIT):
        guess()

    with pytest.raises(TooManyAttempts) as refusal:
        guess()
    assert refusal.value.retry_after == seconds
    stopped_clock.shift(timedelta(seconds=seconds - 0.001))
    with pytest.raises(TooManyAttempts) as refusal:
        guess()
    assert refusal.value.retry_after == 1
    stopped_clock.shift(timedelta(seconds=0.001))
    assert number_of_guesses_left() == LIMIT


def known_keys():
    return [key.removeprefix(":1:") for key in list(cache._cache)]


@pytest.mark.parametrize(
    ("address", "same", "other"),
    [
        ("203.0.113.66", ["203.0.113.66", "::ffff:203.0.113.66"], ["203.0.113.67", "::ffff:203.0.113.68"]),
        ("2001:db8::1", ["2001:db8::2", "2001:db8::ffff:0:0:1"], ["2001:db8:0:1::1", "::1"]),
        (None, [None], ["127.0.0.1"]),
    ],
)
def test_caller_is_an_address_or_an_ipv6_network(limited, address, same, other):
    for _number in range(LIMIT):
        guess(address=address)

    assert [number_of_guesses_left(address=one) for one in same] == [0] * len(same)
    assert [number_of_guesses_left(address=one) for one in other] == [LIMIT] * len(other)


def test_kinds_are_counted_by_themselves(limited):
    for _number in range(LIMIT):
        guess()

    count_guess("client", account=1, address=HERE)


def test_account_may_have_any_key_and_none_is_no_account(limited):
    for account in (1, "1", None):
        assert number_of_guesses_left(account=account) == LIMIT


def test_without_a_limit_nothing_is_counted(limited, oauth_settings):
    oauth_settings(FAILURE_RATE=None)

    for _number in range(LIMIT + 1):
        guess()()

    assert known_keys() == []


def test_cache_that_forgets_a_counter_is_an_error_in_the_log_and_no_refusal(settings, oauth_settings, caplog):
    use(settings, ForgetfulCache)
    oauth_settings(FAILURE_RATE=f"{LIMIT}/min")

    with limited_guess("user", account=1, address=HERE, failure=WrongPassword):
        pass

    assert caplog.messages == ["The cache is down (ValueError), so failed attempts are not limited."]
