"""The retry window: who gets the same pair again, who is refused, and when a repetition is still theft."""

import logging
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from django.db.models import F

from oauth_refresh import crypto
from oauth_refresh.errors import InvalidGrant, InvalidScope
from oauth_refresh.models import AccessToken, Application, ClientInfo, Grant, GrantEvent, RefreshToken
from oauth_refresh.services import refresh, revoke_grant
from oauth_refresh.services.revocation import revoke_access_token
from oauth_refresh.signals import refresh_retried, refresh_token_reused, tokens_issued
from tests.factories import ApplicationFactory, GrantFactory
from tests.interference import (
    everything,
    fails_once,
    heard,
    rival_acts_after_a_look_at,
    rival_acts_after_the_token_was_read,
)
from tests.oauth import OAuthClient

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = timedelta(seconds=30)
HOME = ClientInfo(address="192.0.2.1", user_agent="notes/1.0")
ELSEWHERE = ClientInfo(address="192.0.2.66", user_agent="thief/1.0")

TOO_OFTEN = "The retry is refused: it came too often."
NOT_THE_SAME = "The retry is refused: another scope was asked for, or the key or the pair is gone."
DEAD = "The retry is refused: a token of the pair is dead."
NOT_GRANTED = "A requested scope was not granted, or is no longer allowed."
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
def clock(time_machine):
    """A clock that stands at ``NOW`` until it is moved."""
    time_machine.move_to(NOW, tick=False)
    return time_machine


@pytest.fixture
def session(clock, settings, client_app):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "RETRY_WINDOW": WINDOW}
    return Session(client_app)


def refusal_of(session, error=InvalidGrant, **parameters):
    with pytest.raises(error) as refusal:
        session.present(**parameters)
    return refusal.value.reason


def pair(issued):
    return issued.refresh_token, issued.access_token


def events():
    return list(GrantEvent.objects.order_by("pk").values_list("kind", "generation", "address", "user_agent"))


def without(rows, *changed):
    """Return all rows as they are, but for columns of the grant and the events."""
    (grant,) = rows["Grant"]
    return {**rows, "Grant": {name: value for name, value in grant.items() if name not in changed}, "GrantEvent": None}


def test_same_pair_comes_again(session):
    assert pair(session.present()) == pair(session.first)


def test_retry_changes_nothing_but_its_count(session, clock):
    before = everything()
    clock.shift(10)

    session.present()

    assert session.grant.retries == 1
    assert without(everything(), "retries") == without(before, "retries")


def test_retry_extends_nothing_and_tells_the_time_that_is_left(session, clock):
    clock.shift(10)

    again = session.present()

    assert (session.first.expires_in, again.expires_in) == (3600, 3590)
    assert again.refresh_token_expires_in == session.first.refresh_token_expires_in - 10


@pytest.mark.parametrize("seconds", [0, 29.999])
def test_repeated_pair_is_usable(session, clock, seconds):
    clock.shift(seconds)
    again = session.present()

    newest = session.present(again.refresh_token)

    assert AccessToken.objects.live().get().digest == crypto.digest(newest.access_token)
    assert session.grant.generation == 3


@pytest.mark.parametrize("seconds", [30, 31, 3600])
def test_window_closes_and_the_predecessor_is_a_spent_token_again(session, clock, seconds):
    clock.shift(seconds)

    assert refusal_of(session) == SPENT
    assert session.grant.revoked_reason == "reuse_detected"


def test_successor_that_was_used_ends_the_window(session):
    session.go_on()

    assert refusal_of(session) == SPENT
    assert session.grant.revoked_reason == "reuse_detected"


def test_older_ancestor_is_theft_inside_the_window_too(session):
    session.go_on()
    newest = session.grant

    assert newest.retry_salt is not None
    assert refusal_of(session) == SPENT


def test_each_rotation_has_a_window_and_a_salt_of_its_own(session, clock):
    first_salt = bytes(session.grant.retry_salt)
    clock.shift(29)
    session.present()
    second = session.go_on()
    clock.shift(29)

    assert pair(session.present(session.first.refresh_token)) == pair(second)
    assert (bytes(session.grant.retry_salt) != first_salt, session.grant.retries) == (True, 1)


def test_retries_are_counted_up_to_the_limit(session):
    for _retry in range(3):
        assert pair(session.present()) == pair(session.first)

    assert refusal_of(session) == TOO_OFTEN
    assert session.grant.retries == 3


def test_project_sets_the_limit(session, settings):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "RETRY_LIMIT": 0}

    assert refusal_of(session) == TOO_OFTEN


# What is refused without an alarm: how a row or the settings are bent, the request, and the reason.


def nothing(session, settings):
    pass


def exhausted(session, settings):
    Grant.objects.update(retries=3)


def other_key(session, settings):
    settings.SECRET_KEY = "another key, and the old one is forgotten"


def other_client_id(session, settings):
    Application.objects.update(client_id="renamed")


def successor_gone(session, settings):
    RefreshToken.objects.filter(generation=2).delete()


def access_token_gone(session, settings):
    AccessToken.objects.filter(generation=2).delete()


def access_token_revoked(session, settings):
    revoke_access_token(AccessToken.objects.get(generation=2))


def successor_expired(session, settings):
    RefreshToken.objects.filter(generation=2).update(created_at=NOW - timedelta(days=15), expires_at=NOW)


def user_inactive(session, settings):
    session.grant.user._meta.model.objects.update(is_active=False)


def scope_withdrawn(session, settings):
    Application.objects.update(scope="notes:read")


REFUSED = {
    "too often": (exhausted, None, TOO_OFTEN),
    "narrower scope": (nothing, "notes:read", NOT_THE_SAME),
    "scope withdrawn": (scope_withdrawn, None, NOT_THE_SAME),
    "key gone": (other_key, None, NOT_THE_SAME),
    "client renamed": (other_client_id, None, NOT_THE_SAME),
    "successor gone": (successor_gone, None, NOT_THE_SAME),
    "access token gone": (access_token_gone, None, NOT_THE_SAME),
    "access token revoked": (access_token_revoked, None, DEAD),
    "successor expired": (successor_expired, None, DEAD),
    "user inactive": (user_inactive, None, DEAD),
}


@pytest.mark.parametrize(("bend", "scope", "reason"), REFUSED.values(), ids=REFUSED)
def test_refused_retry_revokes_nothing_and_is_written_down(session, settings, bend, scope, reason):
    bend(session, settings)
    before = everything()

    assert refusal_of(session, client_info=ELSEWHERE, scope=scope) == reason

    assert without(everything()) == without(before)
    assert events() == [("refused", 1, "192.0.2.66", "thief/1.0")]


def test_retry_with_a_scope_that_was_never_granted_is_refused_and_written_down(session):
    assert refusal_of(session, InvalidScope, scope="notes:read PRODUCTION") == NOT_GRANTED

    assert session.grant.revoked_at is None
    assert events() == [("refused", 1, HOME.address, HOME.user_agent)]


def test_revoked_grant_is_refused_without_an_event(session):
    revoke_grant(session.grant, reason="lost device")

    assert refusal_of(session) == "The grant is revoked."
    assert events() == []


def test_another_application_gets_and_changes_nothing(session):
    before = everything()

    with pytest.raises(InvalidGrant) as refusal:
        refresh(ApplicationFactory(), raw_refresh_token=session.predecessor)

    assert refusal.value.reason == "The refresh token was issued to another application."
    assert everything() == before


def test_same_scope_in_other_words_is_the_same(session):
    for scope in (None, "notes:read notes:write", "notes:write notes:read"):
        assert pair(session.present(scope=scope)) == pair(session.first)


def test_narrowed_refresh_is_repeated_with_the_same_narrow_scope(session):
    second = session.present(session.first.refresh_token, scope="notes:read")

    again = session.present(session.first.refresh_token, scope="notes:read")

    assert (pair(again), again.scope) == (pair(second), "notes:read")


@pytest.mark.parametrize("old", ["text", b"bytes"])
def test_key_that_became_a_fallback_still_derives_the_pair(clock, settings, client_app, old):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "RETRY_WINDOW": WINDOW}
    settings.SECRET_KEY = old
    Grant.objects.update(password_fingerprint="")  # the key is part of it
    session = Session(client_app)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new", ["older", old]

    assert pair(session.present()) == pair(session.first)


def test_predecessor_without_a_row_is_known_by_its_mac(session):
    RefreshToken.objects.filter(generation=1).delete()

    assert pair(session.present()) == pair(session.first)


def test_predecessor_that_has_expired_since_is_repeated(session):
    RefreshToken.objects.filter(generation=1).update(created_at=NOW - timedelta(days=15), expires_at=NOW)

    assert pair(session.present()) == pair(session.first)


# When the window is open at all.


def test_strict_rotation_leaves_no_salt_and_its_repetition_is_theft(clock, client_app):
    session = Session(client_app)

    assert session.grant.retry_salt is None
    assert refusal_of(session) == SPENT
    assert session.grant.revoked_reason == "reuse_detected"


def test_window_that_opens_later_covers_no_earlier_rotation(clock, settings, client_app):
    session = Session(client_app)
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "RETRY_WINDOW": WINDOW}

    assert refusal_of(session) == SPENT


def test_window_that_was_closed_since_covers_nothing(session, settings):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "RETRY_WINDOW": 0}

    assert refusal_of(session) == SPENT


def test_application_has_a_window_of_its_own(clock, client_app):
    Application.objects.update(retry_window=timedelta(seconds=5))
    session = Session(client_app)
    clock.shift(4)
    assert pair(session.present()) == pair(session.first)

    clock.shift(1)

    assert refusal_of(session) == SPENT


def test_application_may_have_no_window_where_the_project_has_one(clock, settings, client_app):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "RETRY_WINDOW": WINDOW}
    Application.objects.update(retry_window=timedelta(0))
    session = Session(client_app)

    assert session.grant.retry_salt is None
    assert refusal_of(session) == SPENT


def test_refresh_without_rotation_leaves_no_window(session, clock):
    Application.objects.update(rotate_refresh_tokens=False)
    clock.shift(20)
    session.go_on()

    assert session.grant.retry_salt is None
    Application.objects.update(rotate_refresh_tokens=True)
    assert refusal_of(session) == SPENT


def test_predecessor_is_spent_once_rotation_was_switched_off(session):
    Application.objects.update(rotate_refresh_tokens=False)

    assert refusal_of(session) == SPENT


def test_window_is_as_long_on_the_night_the_clocks_change(clock, settings, client_app):
    settings.TIME_ZONE = "Europe/Berlin"
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "RETRY_WINDOW": WINDOW}
    clock.move_to(datetime(2026, 10, 25, 0, 59, 50, tzinfo=UTC), tick=False)  # 02:59:50, which comes twice
    Grant.objects.update(created_at=NOW, idle_expires_at=F("idle_expires_at") + timedelta(days=300), expires_at=None)
    RefreshToken.objects.update(expires_at=F("expires_at") + timedelta(days=300))
    session = Session(client_app)
    clock.shift(29)
    assert pair(session.present()) == pair(session.first)

    clock.shift(1)

    assert refusal_of(session) == SPENT


def test_rotation_that_another_machine_dated_a_little_ahead_has_its_window(session, clock):
    clock.shift(-29)

    assert pair(session.present()) == pair(session.first)


def test_rotation_that_a_wrong_clock_dated_ahead_is_not_open_until_then(session, clock):
    clock.shift(-3600)

    assert refusal_of(session) == SPENT
    assert session.grant.revoked_reason == "reuse_detected"


# What is told and written down.


def test_retry_is_told_after_commit(session, django_capture_on_commit_callbacks):
    with (
        heard(refresh_retried) as retried,
        heard(tokens_issued) as issued,
        heard(refresh_token_reused) as reused,
        django_capture_on_commit_callbacks(execute=True),
    ):
        session.present(client_info=ELSEWHERE)
        told_before_commit = list(retried)

    assert told_before_commit == []
    assert retried == [{"grant": session.grant, "generation": 1, "client_info": ELSEWHERE, "same_caller": False}]
    assert (issued, reused) == ([], [])


@pytest.mark.parametrize(
    ("caller", "same"),
    [
        (HOME, True),
        (ClientInfo(address=HOME.address, user_agent="thief/1.0"), False),
        (ClientInfo(address="192.0.2.66", user_agent=HOME.user_agent), False),
    ],
)
def test_listeners_learn_whether_the_caller_looked_the_same(session, django_capture_on_commit_callbacks, caller, same):
    with heard(refresh_retried) as retried, django_capture_on_commit_callbacks(execute=True):
        session.present(client_info=caller)

    assert [told["same_caller"] for told in retried] == [same]


def test_listeners_learn_nothing_of_callers_that_are_not_recorded(
    session, settings, django_capture_on_commit_callbacks
):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "RECORD_CLIENT_INFO": False}

    with heard(refresh_retried) as retried, django_capture_on_commit_callbacks(execute=True):
        session.present(client_info=ClientInfo())

    assert [told["same_caller"] for told in retried] == [None]


def test_retry_is_written_down_with_who_asked(session, caplog):
    with caplog.at_level(logging.INFO):
        session.present(client_info=ELSEWHERE)

    assert events() == [("retried", 1, "192.0.2.66", "thief/1.0")]
    assert f"The response to refresh token 1 of grant {session.grant.public_id} was repeated." in caplog.messages


def test_hook_that_fails_takes_no_retry(session, settings):
    def fail(**kwargs):
        raise LookupError

    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "TOKEN_RESPONSE_FIELDS": fail}
    before = everything()

    with pytest.raises(LookupError):
        session.present()

    assert everything() == before


# Races, one step at a time.


@pytest.mark.django_db(transaction=True)
def test_loser_of_a_race_gets_the_pair_of_the_winner(clock, settings, client_app):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "RETRY_WINDOW": WINDOW}
    winners = []

    with rival_acts_after_the_token_was_read(lambda: winners.append(Session(client_app).first)):
        loser = Session(client_app).first

    assert [pair(winner) for winner in winners] == [pair(loser)]
    assert (Grant.objects.get().generation, Grant.objects.get().retries) == (2, 1)


def exhaust(session):
    Grant.objects.update(retries=3)


def revoke(session):
    revoke_grant(session.grant, reason="lost device")


@pytest.mark.parametrize(
    ("act", "reason"), [(exhaust, TOO_OFTEN), (revoke, "The grant is revoked."), (Session.go_on, SPENT)]
)
@pytest.mark.django_db(transaction=True)
def test_retry_that_loses_a_race_is_judged_anew(session, act, reason):
    with rival_acts_after_a_look_at(AccessToken, lambda: act(session)):
        assert refusal_of(session) == reason

    assert session.grant.retries in {0, 3}


@pytest.mark.django_db(transaction=True)
def test_who_loses_the_refresh_and_then_the_last_retry_is_refused(clock, settings, client_app):
    """Two looks would not be enough: what the second finds, somebody else may still take."""
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "RETRY_WINDOW": WINDOW}

    with ExitStack() as later:

        def win_and_leave_one_retry():
            winner = Session(client_app)
            for _number in range(2):
                winner.present()
            later.enter_context(rival_acts_after_a_look_at(AccessToken, winner.present))

        with rival_acts_after_the_token_was_read(win_and_leave_one_retry), pytest.raises(InvalidGrant) as refusal:
            Session(client_app)

    assert refusal.value.reason == TOO_OFTEN
    assert (Grant.objects.get().retries, Grant.objects.get().revoked_at) == (3, None)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", ["UPDATE", "INSERT"])
def test_retry_that_the_database_breaks_off_is_tried_once_more(session, statement):
    with fails_once(statement) as tried:
        again = session.present()

    assert (pair(again), session.grant.retries, len(tried)) == (pair(session.first), 1, 2)


def test_retry_leaves_other_grants_alone(session, user):
    other = GrantFactory(application=session.application, user=user)
    before = Grant.objects.values().get(pk=other.pk)

    refresh(session.application, raw_refresh_token=session.predecessor)

    assert Grant.objects.values().get(pk=other.pk) == before


def test_public_client_may_retry_too(clock, settings, public_client):
    settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "RETRY_WINDOW": WINDOW}
    session = Session(public_client)

    assert pair(session.present()) == pair(session.first)


def test_stranger_without_the_secret_takes_no_retry(session):
    before = everything()

    answer = OAuthClient(session.application, "wrong-secret-that-is-long-enough").refresh(session.predecessor)

    assert answer.status_code == 401
    assert everything() == before
