"""The retry window: who gets the current pair, who is refused, and when a repetition is still theft."""

import logging
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F

from oauth_refresh import crypto
from oauth_refresh.errors import InvalidGrant, InvalidScope, TooManyRetries
from oauth_refresh.http import ClientInfo
from oauth_refresh.models import AccessToken, Application, Grant, GrantEvent, RefreshToken
from oauth_refresh.models.retry_slots import MOST_SLOTS, SLOTS_BYTES, read_slots
from oauth_refresh.services import refresh, revoke_grant
from oauth_refresh.services.revocation import revoke_access_token
from oauth_refresh.signals import refresh_retried, refresh_token_reused, tokens_issued
from tests.conftest import NOW
from tests.database import database_snapshot
from tests.factories import ApplicationFactory, GrantFactory
from tests.interference import deadlock_once, run_after_select, run_after_token_lookup
from tests.oauth import OAuthClient
from tests.signals import recorded

WINDOW = timedelta(seconds=30)
HOME = ClientInfo(address="192.0.2.1", user_agent="notes/1.0")
ELSEWHERE = ClientInfo(address="192.0.2.66", user_agent="thief/1.0")

TOO_OFTEN = "The retry is refused: RETRY_LIMIT is reached."
UNREACHABLE = "The retry is refused: a slot is missing, SECRET_KEY was changed, or a row was altered."
NO_REFRESH_TOKEN = "The retry is refused: the refresh token of the pair was deleted."
NO_ACCESS_TOKEN = "The retry is refused: the access token of the pair was deleted or altered."
ANOTHER_SCOPE = "The retry is refused: it asks for another scope or resource than was issued."
WAITED = "The retry is refused: it waited until the window was over."
USER_INACTIVE = "The retry is refused, because the grant is not active: user inactive."
DEAD = "The retry is refused: a token of the pair is no longer valid."
NOT_GRANTED = "A requested scope was not granted."
SPENT = "The refresh token was spent before."


class Session:
    """A client whose first refresh has just been answered, at ``NOW``; it still holds the predecessor."""

    def __init__(self, client_app):
        self.application = client_app.application
        self.predecessor = client_app.refresh_token
        self.first = self.present()

    def present(self, raw=None, **parameters):
        application = Application.objects.get(pk=self.application.pk)
        return refresh(application, raw_refresh_token=raw or self.predecessor, **{"client_info": HOME, **parameters})

    def go_on(self):
        """Refresh with the newest token."""
        return self.present(self.first.refresh_token)

    @property
    def grant(self):
        return Grant.objects.get()


@pytest.fixture
def client(stopped_clock, oauth_settings, client_app):
    oauth_settings(RETRY_WINDOW=WINDOW)
    return Session(client_app)


def refusal_of(client, error=InvalidGrant, **parameters):
    with pytest.raises(error) as refusal:
        client.present(**parameters)
    return refusal.value.reason


def pair(issued):
    return issued.refresh_token, issued.access_token


def generations(grant):
    return [slot.generation for slot in read_slots(grant.retry_slots)]


def events():
    return list(GrantEvent.objects.order_by("pk").values_list("kind", "generation", "address", "user_agent"))


def without(rows, *changed):
    """Return all rows as they are, but for columns of the grant and the events."""
    (grant,) = rows["Grant"]
    return {**rows, "Grant": {name: value for name, value in grant.items() if name not in changed}, "GrantEvent": None}


def test_retry_returns_the_same_pair(client):
    assert pair(client.present()) == pair(client.first)


def test_retry_changes_nothing_but_its_count(client, stopped_clock):
    before = database_snapshot()
    stopped_clock.shift(10)

    client.present()

    assert client.grant.retries == 1
    assert without(database_snapshot(), "retries") == without(before, "retries")


def test_retry_extends_nothing_and_says_how_much_time_is_left(client, stopped_clock):
    stopped_clock.shift(10)

    again = client.present()

    assert (client.first.expires_in, again.expires_in) == (3600, 3590)
    assert again.refresh_token_expires_in == client.first.refresh_token_expires_in - 10


@pytest.mark.parametrize("seconds", [0, 29.999])
def test_repeated_pair_is_usable(client, stopped_clock, seconds):
    stopped_clock.shift(seconds)
    again = client.present()

    newest = client.present(again.refresh_token)

    assert AccessToken.objects.live().get().digest == crypto.digest(newest.access_token)
    assert client.grant.generation == 3


@pytest.mark.parametrize("seconds", [30, 31, 3600])
def test_after_the_window_a_repeated_token_is_reuse(client, stopped_clock, seconds):
    stopped_clock.shift(seconds)

    assert refusal_of(client) == SPENT
    assert client.grant.revoked_reason == "reuse_detected"


@pytest.mark.parametrize("refreshes", range(1, MOST_SLOTS))
def test_token_that_is_several_refreshes_old_gets_the_current_pair(client, stopped_clock, refreshes):
    newest = client.first
    for _turn in range(refreshes):
        stopped_clock.shift(1)
        newest = client.present(newest.refresh_token)

    again = client.present()

    assert pair(again) == pair(newest)
    assert events() == [("retried", 1, HOME.address, HOME.user_agent)]


def test_token_that_is_older_than_the_slots_reach_is_refused(client):
    """More refreshes followed inside the window than the grant has slots for."""
    newest = client.first
    for _turn in range(MOST_SLOTS):
        newest = client.present(newest.refresh_token)

    assert refusal_of(client) == UNREACHABLE
    assert pair(client.present(client.first.refresh_token)) == pair(newest)
    assert (client.grant.revoked_at, len(client.grant.retry_slots)) == (None, SLOTS_BYTES)


@pytest.mark.parametrize(
    ("refreshes", "reason"), [(1, None), (4, None), (MOST_SLOTS - 1, None), (MOST_SLOTS, UNREACHABLE)]
)
def test_retry_follows_a_grant_that_is_refreshed_at_each_attempt(client, refreshes, reason):
    """Refresh the grant between the look-up of the spent token and the update that counts its retry."""
    newest = [client.first]

    def refresh_on():
        newest.append(client.present(newest[-1].refresh_token))
        if len(newest) <= refreshes:
            stack.enter_context(run_after_select(AccessToken, refresh_on))

    with ExitStack() as stack:
        stack.enter_context(run_after_select(AccessToken, refresh_on))
        if reason is None:
            assert pair(client.present()) == pair(newest[-1])
        else:
            assert refusal_of(client) == reason
    assert (client.grant.revoked_at, len(newest)) == (None, refreshes + 1)


def test_each_rotation_has_a_window_of_its_own(client, stopped_clock):
    stopped_clock.shift(29)
    second = client.go_on()
    stopped_clock.shift(29)

    assert pair(client.present(client.first.refresh_token)) == pair(second)
    assert refusal_of(client) == SPENT


def test_each_rotation_has_a_salt_of_its_own_and_drops_those_whose_windows_are_over(client, stopped_clock):
    [first] = read_slots(client.grant.retry_slots)
    stopped_clock.shift(29)
    newest = client.go_on()
    kept, second = read_slots(client.grant.retry_slots)
    stopped_clock.shift(1)
    client.present(newest.refresh_token)

    assert (kept, kept.salt != second.salt) == (first, True)
    assert generations(client.grant) == [2, 3]


def test_retries_are_counted_up_to_the_limit_since_the_last_refresh(client, oauth_settings):
    oauth_settings(RETRY_LIMIT=3)
    for _retry in range(3):
        assert pair(client.present()) == pair(client.first)
    assert refusal_of(client, TooManyRetries) == TOO_OFTEN
    assert client.grant.retries == 3

    newest = client.go_on()

    assert [pair(client.present()) for _retry in range(3)] == [pair(newest)] * 3
    assert refusal_of(client, TooManyRetries) == TOO_OFTEN


def test_retries_of_all_spent_tokens_count_together(client, oauth_settings):
    oauth_settings(RETRY_LIMIT=2)
    client.go_on()
    client.present()
    client.present(client.first.refresh_token)

    assert refusal_of(client, TooManyRetries, raw=client.predecessor) == TOO_OFTEN
    assert refusal_of(client, TooManyRetries, raw=client.first.refresh_token) == TOO_OFTEN


def test_retry_over_the_limit_changes_nothing_and_says_when_to_try_again(client, oauth_settings):
    oauth_settings(RETRY_LIMIT=0)
    before = database_snapshot()

    with pytest.raises(TooManyRetries) as refusal:
        client.present()

    assert (refusal.value.reason, refusal.value.retry_after) == (TOO_OFTEN, 1)
    assert database_snapshot() == before


def test_token_that_was_told_to_wait_is_no_theft_once_its_window_is_over(client, oauth_settings, stopped_clock):
    oauth_settings(RETRY_LIMIT=0)
    refusal_of(client, TooManyRetries)
    stopped_clock.shift(30)

    assert refusal_of(client) == WAITED
    assert client.grant.revoked_at is None
    assert events() == [("refused", 1, HOME.address, HOME.user_agent)]


def test_token_that_nobody_told_to_wait_is_reuse_at_the_limit_too(client, oauth_settings, stopped_clock):
    stopped_clock.shift(30)
    client.go_on()  # drops the slot of the first token
    Grant.objects.update(retries=20)

    assert refusal_of(client) == SPENT
    assert client.grant.revoked_reason == "reuse_detected"


# What is refused without revoking the grant: the change to a row or the settings, the request, and the reason.


def nothing(client, settings):
    pass


def other_key(client, settings):
    settings.SECRET_KEY = "another key, and the old one is forgotten"


def other_client_id(client, settings):
    Application.objects.update(client_id="renamed")


def slots_cut_off(client, settings):
    Grant.objects.update(retry_slots=bytes(client.grant.retry_slots)[:-1])


def slots_gone(client, settings):
    Grant.objects.update(retry_slots=None)


def slots_emptied(client, settings):
    Grant.objects.update(retry_slots=b"")


def salt_altered(client, settings):
    slots = bytes(client.grant.retry_slots)
    Grant.objects.update(retry_slots=slots[:-1] + bytes([slots[-1] ^ 1]))


def time_of_the_slot_out_of_range(client, settings):
    slots = bytes(client.grant.retry_slots)
    Grant.objects.update(retry_slots=slots[:4] + b"\x7f" + b"\xff" * 7 + slots[12:])


def generation_of_the_slot_altered(client, settings):
    slots = bytes(client.grant.retry_slots)
    Grant.objects.update(retry_slots=b"\x00\x00\x00\x02" + slots[4:])


def digest_altered(client, settings):
    RefreshToken.objects.filter(generation=2).update(digest="0" * 64)


def token_between_gone(client, settings):
    newest = client.go_on()
    client.present(newest.refresh_token)
    RefreshToken.objects.filter(generation=3).delete()


def current_refresh_token_gone(client, settings):
    client.go_on()
    RefreshToken.objects.filter(generation=3).delete()


def access_token_altered(client, settings):
    AccessToken.objects.filter(generation=2).update(digest="0" * 64)


def scope_of_the_access_token_altered(client, settings):
    AccessToken.objects.filter(generation=2).update(scope="notes:read PRODUCTION")


def access_token_gone(client, settings):
    AccessToken.objects.filter(generation=2).delete()


def access_token_revoked(client, settings):
    revoke_access_token(AccessToken.objects.get(generation=2))


def successor_expired(client, settings):
    RefreshToken.objects.filter(generation=2).update(created_at=NOW - timedelta(seconds=1), expires_at=NOW)


def user_inactive(client, settings):
    client.grant.user._meta.model.objects.update(is_active=False)


def password_changed(client, settings):
    client.grant.user._meta.model.objects.update(password="!another")


REFUSED = {
    "narrower scope": (nothing, "notes:read", ANOTHER_SCOPE),
    "key gone": (other_key, None, "The retry is refused, because the grant is not active: password changed."),
    "client renamed": (other_client_id, None, UNREACHABLE),
    "slots cut off": (slots_cut_off, None, UNREACHABLE),
    "slots gone": (slots_gone, None, UNREACHABLE),
    "slots emptied": (slots_emptied, None, UNREACHABLE),
    "salt altered": (salt_altered, None, UNREACHABLE),
    "time of the slot out of range": (time_of_the_slot_out_of_range, None, UNREACHABLE),
    "generation of the slot altered": (generation_of_the_slot_altered, None, UNREACHABLE),
    "digest altered": (digest_altered, None, UNREACHABLE),
    "token between gone": (token_between_gone, None, UNREACHABLE),
    "current refresh token gone": (current_refresh_token_gone, None, NO_REFRESH_TOKEN),
    "access token gone": (access_token_gone, None, NO_ACCESS_TOKEN),
    "access token altered": (access_token_altered, None, NO_ACCESS_TOKEN),
    "scope of the access token altered": (scope_of_the_access_token_altered, None, NO_ACCESS_TOKEN),
    "access token revoked": (access_token_revoked, None, DEAD),
    "successor expired": (successor_expired, None, DEAD),
    "user inactive": (user_inactive, None, USER_INACTIVE),
    "password changed": (
        password_changed,
        None,
        "The retry is refused, because the grant is not active: password changed.",
    ),
}


@pytest.mark.parametrize(("change", "scope", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused_retry_revokes_nothing_and_is_recorded(client, settings, change, scope, reason):
    change(client, settings)
    before = database_snapshot()

    assert refusal_of(client, client_info=ELSEWHERE, scope=scope) == reason

    assert without(database_snapshot()) == without(before)
    assert events() == [("refused", 1, "192.0.2.66", "thief/1.0")]


def test_rotated_key_alone_refuses_the_retry_too(client, settings):
    Grant.objects.update(password_fingerprint="")  # the key is part of it, and another reason to refuse
    settings.SECRET_KEY = "another key, and the old one is forgotten"

    assert refusal_of(client) == UNREACHABLE
    assert client.grant.revoked_at is None


def test_retry_of_an_inactive_user_is_not_told_to_wait(client, oauth_settings, settings):
    oauth_settings(RETRY_LIMIT=0)
    user_inactive(client, settings)

    assert refusal_of(client) == USER_INACTIVE


def test_client_refreshes_on_after_its_slots_were_lost(client, settings):
    slots_cut_off(client, settings)

    newest = client.go_on()

    assert pair(client.present(client.first.refresh_token)) == pair(newest)
    assert generations(client.grant) == [2]


def test_retry_without_the_row_of_its_successor_is_outside_the_window(client):
    client.go_on()
    RefreshToken.objects.filter(generation=2).delete()

    assert refusal_of(client) == SPENT
    assert client.grant.revoked_reason == "reuse_detected"


@pytest.mark.parametrize("scope", ["notes:read", "notes:write", "notes:read notes:write"])
def test_scope_that_was_withdrawn_since_stays_in_the_pair_until_it_expires(client, scope):
    Application.objects.update(scope=scope)

    again = client.present()

    assert (pair(again), again.scope) == (pair(client.first), "notes:read notes:write")


def test_retry_may_name_a_scope_that_was_withdrawn_before_the_refresh(stopped_clock, client_app, oauth_settings):
    oauth_settings(RETRY_WINDOW=WINDOW)
    Application.objects.update(scope="notes:read")
    client_app.application.refresh_from_db()
    both = {"scope": "notes:read notes:write"}
    issued = refresh(client_app.application, raw_refresh_token=client_app.refresh_token, **both)

    again = refresh(client_app.application, raw_refresh_token=client_app.refresh_token, **both)

    assert (pair(again), again.scope) == (pair(issued), "notes:read")


def test_retry_with_a_scope_that_was_never_granted_is_refused_and_recorded(client):
    assert refusal_of(client, InvalidScope, scope="notes:read PRODUCTION") == NOT_GRANTED

    assert client.grant.revoked_at is None
    assert events() == [("refused", 1, HOME.address, HOME.user_agent)]


def test_revoked_grant_is_refused_without_an_event(client):
    revoke_grant(client.grant, reason="lost device")

    assert refusal_of(client) == "The grant is revoked."
    assert events() == []


def test_another_application_gets_and_changes_nothing(client):
    before = database_snapshot()

    with pytest.raises(InvalidGrant) as refusal:
        refresh(ApplicationFactory(), raw_refresh_token=client.predecessor)

    assert refusal.value.reason == "The refresh token was issued to another application."
    assert database_snapshot() == before


def test_retry_may_name_the_same_scope_in_another_order(client):
    for scope in (None, "notes:read notes:write", "notes:write notes:read", "notes:write notes:read notes:write"):
        assert pair(client.present(scope=scope)) == pair(client.first)


@pytest.mark.parametrize("scope", ["notes:read", None])
def test_narrowed_refresh_is_repeated_as_it_is(client, scope):
    second = client.present(client.first.refresh_token, scope="notes:read")

    again = client.present(client.first.refresh_token, scope=scope)

    assert (pair(again), again.scope) == (pair(second), "notes:read")


@pytest.mark.parametrize("old", ["text", b"bytes"])
def test_key_that_became_a_fallback_still_derives_the_pair(stopped_clock, settings, oauth_settings, client_app, old):
    oauth_settings(RETRY_WINDOW=WINDOW)
    settings.SECRET_KEY = old
    Grant.objects.update(password_fingerprint="")  # the key is part of it
    client = Session(client_app)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["older", old]

    assert pair(client.present()) == pair(client.first)


def test_predecessor_without_a_row_is_known_by_its_mac(client):
    RefreshToken.objects.filter(generation=1).delete()

    assert pair(client.present()) == pair(client.first)


def test_predecessor_that_has_expired_since_is_repeated(client):
    RefreshToken.objects.filter(generation=1).update(created_at=NOW - timedelta(days=15), expires_at=NOW)

    assert pair(client.present()) == pair(client.first)


# When the window is open at all.


def test_rotation_without_a_window_stores_no_salt_and_its_repetition_is_reuse(stopped_clock, client_app):
    client = Session(client_app)

    assert client.grant.retry_slots is None
    assert refusal_of(client) == SPENT
    assert client.grant.revoked_reason == "reuse_detected"


def test_window_that_opens_later_covers_no_earlier_rotation_and_raises_no_alarm(
    stopped_clock, oauth_settings, client_app
):
    client = Session(client_app)
    oauth_settings(RETRY_WINDOW=WINDOW)

    assert refusal_of(client) == UNREACHABLE
    assert (client.grant.revoked_at, events()) == (None, [("refused", 1, HOME.address, HOME.user_agent)])


def test_window_that_was_switched_off_since_covers_nothing(client, oauth_settings):
    oauth_settings(RETRY_WINDOW=0)

    assert refusal_of(client) == SPENT


def test_application_has_a_window_of_its_own(stopped_clock, client_app):
    Application.objects.update(retry_window=timedelta(seconds=5))
    client = Session(client_app)
    stopped_clock.shift(4)
    assert pair(client.present()) == pair(client.first)

    stopped_clock.shift(1)

    assert refusal_of(client) == SPENT


def test_application_may_have_no_window_where_the_project_has_one(stopped_clock, oauth_settings, client_app):
    oauth_settings(RETRY_WINDOW=WINDOW)
    Application.objects.update(retry_window=timedelta(0))
    client = Session(client_app)

    assert client.grant.retry_slots is None
    assert refusal_of(client) == SPENT


def test_refresh_without_rotation_leaves_no_window(client, stopped_clock):
    Application.objects.update(rotate_refresh_tokens=False)
    stopped_clock.shift(20)
    client.go_on()

    assert client.grant.retry_slots is None
    Application.objects.update(rotate_refresh_tokens=True)
    assert refusal_of(client) == UNREACHABLE


def test_predecessor_is_spent_once_rotation_was_switched_off(client):
    Application.objects.update(rotate_refresh_tokens=False)

    assert refusal_of(client) == SPENT


def test_window_is_as_long_on_the_night_the_clocks_change(stopped_clock, settings, oauth_settings, client_app):
    settings.TIME_ZONE = "Europe/Berlin"
    oauth_settings(RETRY_WINDOW=WINDOW)
    stopped_clock.move_to(datetime(2026, 10, 25, 0, 59, 50, tzinfo=UTC), tick=False)  # 02:59:50, which comes twice
    Grant.objects.update(created_at=NOW, idle_expires_at=F("idle_expires_at") + timedelta(days=300), expires_at=None)
    RefreshToken.objects.update(expires_at=F("expires_at") + timedelta(days=300))
    client = Session(client_app)
    stopped_clock.shift(29)
    assert pair(client.present()) == pair(client.first)

    stopped_clock.shift(1)

    assert refusal_of(client) == SPENT


def test_rotation_that_another_machine_dated_a_little_ahead_has_its_window(client, stopped_clock):
    stopped_clock.shift(-29)

    assert pair(client.present()) == pair(client.first)


def test_rotation_that_a_wrong_clock_dated_ahead_is_not_open_until_then(client, stopped_clock):
    stopped_clock.shift(-3600)

    assert refusal_of(client) == SPENT
    assert client.grant.revoked_reason == "reuse_detected"


# Which signals are sent and which events are recorded.


def test_retry_sends_a_signal_after_commit(client, stopped_clock, django_capture_on_commit_callbacks):
    stopped_clock.shift(12.5)

    with (
        recorded(refresh_retried) as retried,
        recorded(tokens_issued) as issued,
        recorded(refresh_token_reused) as reused,
        django_capture_on_commit_callbacks(execute=True),
    ):
        client.present(client_info=ELSEWHERE)
        sent_before_commit = list(retried)

    assert sent_before_commit == []
    assert retried == [
        {
            "grant": client.grant,
            "generation": 1,
            "client_info": ELSEWHERE,
            "same_caller": False,
            "seconds_since_spent": 12.5,
        }
    ]
    assert (issued, reused) == ([], [])


@pytest.mark.parametrize(
    ("caller", "same"),
    [
        (HOME, True),
        (ClientInfo(address=HOME.address, user_agent="thief/1.0"), False),
        (ClientInfo(address="192.0.2.66", user_agent=HOME.user_agent), False),
    ],
)
def test_signal_says_whether_the_caller_is_the_same(client, django_capture_on_commit_callbacks, caller, same):
    with recorded(refresh_retried) as retried, django_capture_on_commit_callbacks(execute=True):
        client.present(client_info=caller)

    assert [sent["same_caller"] for sent in retried] == [same]


@pytest.mark.parametrize(("then", "now"), [(HOME, ClientInfo()), (ClientInfo(), HOME), (ClientInfo(), ClientInfo())])
def test_callers_are_not_compared_where_one_is_not_recorded(stopped_clock, oauth_settings, client_app, then, now):
    oauth_settings(RETRY_WINDOW=WINDOW)
    client = Session(client_app)
    RefreshToken.objects.filter(generation=2).update(address=then.address, user_agent=then.user_agent)

    client.present(client_info=now)

    assert GrantEvent.objects.get().same_caller is None


def test_retry_is_recorded_with_its_caller(client, caplog):
    with caplog.at_level(logging.INFO):
        client.present(client_info=ELSEWHERE)

    assert events() == [("retried", 1, "192.0.2.66", "thief/1.0")]
    assert (GrantEvent.objects.get().seconds_since_spent, GrantEvent.objects.get().same_caller) == (0, False)
    assert (
        f"Refresh token 1 of grant {client.grant.public_id} was used again 0 seconds after it was spent, by another "
        "caller; it was answered with the current pair."
    ) in caplog.messages


def test_hook_that_fails_does_not_use_up_a_retry(client, oauth_settings):
    def fail(**kwargs):
        raise LookupError

    oauth_settings(TOKEN_RESPONSE_FIELDS=fail)
    before = database_snapshot()

    with pytest.raises(LookupError):
        client.present()

    assert database_snapshot() == before


# Races, one step at a time.


@pytest.mark.django_db(transaction=True)
def test_slower_of_two_refreshes_gets_the_pair_of_the_faster(stopped_clock, oauth_settings, client_app):
    oauth_settings(RETRY_WINDOW=WINDOW)
    winners = []

    with run_after_token_lookup(lambda: winners.append(Session(client_app).first)):
        loser = Session(client_app).first

    assert [pair(winner) for winner in winners] == [pair(loser)]
    assert (Grant.objects.get().generation, Grant.objects.get().retries) == (2, 1)


def exhaust(client):
    Grant.objects.update(retries=20)


def revoke(client):
    revoke_grant(client.grant, reason="lost device")


@pytest.mark.parametrize(
    ("act", "error", "reason"),
    [(exhaust, TooManyRetries, TOO_OFTEN), (revoke, InvalidGrant, "The grant is revoked.")],
)
@pytest.mark.django_db(transaction=True)
def test_retry_is_judged_again_after_another_request_changed_the_grant(client, act, error, reason):
    with run_after_select(AccessToken, lambda: act(client)):
        assert refusal_of(client, error) == reason

    assert client.grant.retries in {0, 20}


@pytest.mark.django_db(transaction=True)
def test_retry_follows_a_refresh_that_came_between(client):
    newest = []

    with run_after_select(AccessToken, lambda: newest.append(client.go_on())):
        again = client.present()

    assert [pair(again)] == [pair(one) for one in newest]
    assert (client.grant.generation, client.grant.retries) == (3, 1)


@pytest.mark.django_db(transaction=True)
def test_slower_refresh_is_told_to_wait_if_another_one_took_the_last_retry(stopped_clock, oauth_settings, client_app):
    """Two attempts would not be enough: another request may still take what the second one finds."""
    oauth_settings(RETRY_WINDOW=WINDOW, RETRY_LIMIT=3)

    with ExitStack() as later:

        def win_and_leave_one_retry():
            winner = Session(client_app)
            for _number in range(2):
                winner.present()
            later.enter_context(run_after_select(AccessToken, winner.present))

        with run_after_token_lookup(win_and_leave_one_retry), pytest.raises(TooManyRetries) as refusal:
            Session(client_app)

    assert refusal.value.reason == TOO_OFTEN
    assert (Grant.objects.get().retries, Grant.objects.get().revoked_at) == (3, None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", ["UPDATE", "INSERT"])
def test_retry_that_a_deadlock_rolls_back_is_tried_again(client, statement):
    with deadlock_once(statement) as tried:
        again = client.present()

    assert (pair(again), client.grant.retries, len(tried)) == (pair(client.first), 1, 2)


def test_retry_leaves_other_grants_alone(client, user):
    other = GrantFactory(application=client.application, user=user)
    before = Grant.objects.values().get(pk=other.pk)

    refresh(client.application, raw_refresh_token=client.predecessor)

    assert Grant.objects.values().get(pk=other.pk) == before


def test_public_client_may_retry_too(stopped_clock, oauth_settings, public_client):
    oauth_settings(RETRY_WINDOW=WINDOW)
    client = Session(public_client)

    assert pair(client.present()) == pair(client.first)


def test_failed_client_authentication_uses_up_no_retry(client):
    before = database_snapshot()

    answer = OAuthClient(client.application, "wrong-secret-that-is-long-enough").refresh(client.predecessor)

    assert answer.status_code == 401
    assert database_snapshot() == before
