"""Which kept answers count, step by step, on a clock that stands still."""

import pytest

from oauth_refresh.resource_server.remote import RemoteToken
from oauth_refresh.resource_server.remote.answers import Introspection
from oauth_refresh.resource_server.remote.memory import INACTIVE_SECONDS, MISSING, Memory

INACTIVE = Introspection(token=None)
KEY = b"1"


def answer(number=1, *, seconds_left=3600.0, **changed):
    members = {"sub": "42", "client_id": "phone", "grant_id": str(number)} | changed
    token = RemoteToken(username="ada", scopes=(), expires_at=None, **members)
    return Introspection(token=token, seconds_left=seconds_left)


@pytest.fixture
def memory(clock):
    made = Memory(max_age=30, max_lag=2)
    made.polled(began_at=clock.now)
    return made


def test_nothing_is_found_before_it_is_kept(memory):
    assert memory.find(KEY) is MISSING


def test_kept_answer_counts_until_the_feed_was_not_read_for_too_long(memory, clock):
    memory.keep(KEY, answer(), asked_at=clock.now)
    clock.now += 2

    assert memory.find(KEY) == answer().token
    clock.now += 0.1
    assert (memory.find(KEY), memory.is_fresh, memory.stale_refusals) == (MISSING, False, 1)
    memory.polled(began_at=clock.now)
    assert memory.find(KEY) == answer().token


@pytest.mark.parametrize(("seconds_left", "kept_for"), [(None, 30), (3600, 30), (10, 10), (0, 0), (-300, 0)])
def test_answer_is_kept_for_its_age_and_not_beyond_its_expiry(memory, clock, seconds_left, kept_for):
    asked_at = clock.now
    memory.keep(KEY, answer(seconds_left=seconds_left), asked_at=asked_at)

    found = []
    for age in range(32):
        clock.now = asked_at + age
        memory.polled(began_at=clock.now)
        found.append(memory.find(KEY) is not MISSING)

    assert found == [True] * kept_for + [False] * (32 - kept_for)
    assert len(memory) == 0


@pytest.mark.parametrize("name", ["grant_id", "sub", "client_id"])
def test_answer_that_no_notice_could_name_is_not_kept(memory, clock, name):
    memory.keep(KEY, answer(**{name: None}), asked_at=clock.now)

    assert memory.find(KEY) is MISSING


@pytest.mark.parametrize("name", [("grant_id", "1"), ("sub", "42"), ("client_id", "phone")])
def test_notice_drops_what_was_asked_before_it_arrived_and_nothing_else(memory, clock, name):
    memory.keep(KEY, answer(), asked_at=clock.now)
    memory.keep(b"2", answer(2, sub="43", client_id="desktop"), asked_at=clock.now)
    clock.now += 1
    memory.drop((name,), at=clock.now)

    assert memory.find(KEY) is MISSING
    assert memory.find(b"2") is not MISSING
    memory.keep(KEY, answer(), asked_at=clock.now + 0.1)
    assert memory.find(KEY) == answer().token


def test_answer_that_arrives_after_its_notice_does_not_count(memory, clock):
    memory.drop((("grant_id", "1"),), at=clock.now + 1)

    assert memory.was_named_since(answer().token, clock.now)
    memory.keep(KEY, answer(), asked_at=clock.now)
    assert memory.find(KEY) is MISSING


def test_everything_can_be_dropped(memory, clock):
    memory.keep(KEY, answer(), asked_at=clock.now)
    memory.drop_everything(at=clock.now)

    assert memory.find(KEY) is MISSING
    assert memory.was_named_since(answer(grant_id=None).token, clock.now)


def test_more_names_than_are_noted_drop_everything(clock):
    memory = Memory(max_age=30, max_lag=2, most_names=10)
    memory.polled(began_at=clock.now)
    memory.keep(KEY, answer(), asked_at=clock.now)
    memory.drop(tuple(("grant_id", str(number)) for number in range(100, 111)), at=clock.now)

    assert memory.find(KEY) is MISSING


def test_notice_is_noted_for_as_long_as_an_answer_from_before_it_could_count(memory, clock):
    asked_at = clock.now
    clock.now += 0.1
    memory.drop((("grant_id", "1"),), at=clock.now)
    clock.now = asked_at + 29.9
    memory.polled(began_at=clock.now)
    memory.keep(KEY, answer(), asked_at=asked_at)

    assert memory.find(KEY) is MISSING
    clock.now += 60
    memory.polled(began_at=clock.now)
    assert not memory._named


def test_token_that_is_not_active_is_known_for_seconds_also_while_the_feed_is_silent(memory, clock):
    memory.keep(KEY, answer(), asked_at=clock.now)
    memory.keep(KEY, INACTIVE, asked_at=clock.now)
    clock.now += INACTIVE_SECONDS - 0.1

    assert memory.find(KEY) is None
    clock.now += 0.2
    assert memory.find(KEY) is MISSING
    clock.now += 60
    memory.polled(began_at=clock.now)
    assert memory.inactive_count == 0


def test_flood_of_unknown_tokens_evicts_no_active_one_and_is_bounded(memory, clock):
    for number in range(1000):
        memory.keep(b"good %d" % number, answer(number), asked_at=clock.now)
    for number in range(100_000):
        memory.keep(b"unknown %d" % number, INACTIVE, asked_at=clock.now)

    assert (len(memory), memory.inactive_count) == (1000, 10_000)
    assert all(memory.find(b"good %d" % number) is not MISSING for number in range(1000))


def test_oldest_active_answer_is_removed_first(clock):
    memory = Memory(max_age=30, max_lag=2, most_active=2)
    memory.polled(began_at=clock.now)
    for number in range(3):
        memory.keep(b"%d" % number, answer(number), asked_at=clock.now)

    assert [memory.find(b"%d" % number) is MISSING for number in range(3)] == [True, False, False]
