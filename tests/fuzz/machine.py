"""Everything that can happen to tokens, in any order, mostly by HTTP; ``reference`` says what must follow."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from math import ceil

import time_machine
from django.contrib.auth.hashers import make_password
from django.db import transaction
from django.db.models import Q
from django.test import Client
from django.urls import reverse
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Grant, RefreshToken
from oauth_refresh.services import prune, revoke_grants
from tests.database import database_snapshot, stored_texts
from tests.factories import SECRET, ApplicationFactory, UserFactory
from tests.fuzz.reference import (
    ACCESS,
    CAP,
    CLIENT,
    GRANT,
    IDLE,
    OK,
    RETRY_LIMIT,
    RETRY_WINDOW,
    SAME,
    WAIT,
    Actor,
    Family,
    saved,
)
from tests.oauth import OAuthClient

START = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = {
    "ACCESS_TOKEN_LIFETIME": timedelta(milliseconds=ACCESS),
    "REFRESH_TOKEN_LIFETIME": timedelta(milliseconds=IDLE),
    "GRANT_LIFETIME": timedelta(milliseconds=CAP),
    "RETRY_LIMIT": RETRY_LIMIT,
}
FULL = frozenset({"notes:read", "notes:write"})
SCOPES = [None, None, "notes:read", "notes:write", "notes:read notes:write", "notes:read PRODUCTION"]
APPLICATIONS = {
    "usual": {},
    "public": {"public": True},
    "without rotation": {"rotate_refresh_tokens": False},
    "keeping access tokens": {"revoke_access_tokens_on_refresh": False},
    "with a retry window": {"retry_window": timedelta(milliseconds=RETRY_WINDOW)},
    "keeping access tokens for retries": {
        "public": True,
        "revoke_access_tokens_on_refresh": False,
        "retry_window": timedelta(milliseconds=RETRY_WINDOW),
    },
}
USERS = ["alice", "bob"]


class HeldGrant:
    """One grant: its reference, and the raw tokens that its client received, the oldest first."""

    def __init__(self, client, family, body):
        self.client, self.family = client, family
        self.access_tokens, self.refresh_tokens, self.pruned, self.is_pruned = [], [], set(), False
        self.take(body)
        token = AccessToken.objects.get(digest=crypto.digest(body["access_token"]))
        self.grant_id = token.grant_id

    def take(self, body):
        self.access_tokens.append(body["access_token"])
        if body.get("refresh_token", "") not in ["", *self.refresh_tokens[-1:]]:
            self.refresh_tokens.append(body["refresh_token"])

    @property
    def raw_tokens(self):
        return [*self.access_tokens, *self.refresh_tokens]

    def refresh_token(self, back):
        """Return the generation of the newest refresh token but ``back``, and its text."""
        generation = max(len(self.refresh_tokens) - back, 1)
        return generation, self.refresh_tokens[generation - 1]


class TokenLifecycle(RuleBasedStateMachine):
    grants = Bundle("grants")

    def __init__(self):
        super().__init__()
        self.now, self.all_grants, self.browser = 0, [], Client()
        self.cleanup = ExitStack()
        self.clock = self.cleanup.enter_context(time_machine.travel(START, tick=False))
        sandbox = transaction.atomic()
        sandbox._from_testcase = True  # durable transactions may be inside, as in a TestCase
        self.cleanup.enter_context(sandbox)
        self.cleanup.callback(transaction.set_rollback, True)

    @initialize(target=grants)
    def create_users_and_applications(self):
        """Create them, and start a grant of every application."""
        self.clients, self.actors, self.rows = {}, {}, {}
        for name, fields in APPLICATIONS.items():
            application = ApplicationFactory(raw_secret=SECRET, name=name, **fields)
            self.clients[name] = OAuthClient(application, None if fields.get("public") else SECRET)
            actor = self.actors[name] = Actor(
                rotates=fields.get("rotate_refresh_tokens", True),
                keeps_access_tokens=not fields.get("revoke_access_tokens_on_refresh", True),
                retry_window=RETRY_WINDOW if "retry_window" in fields else 0,
            )
            self.rows[actor] = application
        for name in USERS:
            actor = self.actors[name] = Actor()
            self.rows[actor] = UserFactory(username=name, raw_password="password 0")
        return multiple(*(self._start(name, "alice") for name in APPLICATIONS))

    def teardown(self):
        self.cleanup.close()

    # What clients do.

    @rule(target=grants, application=st.sampled_from(list(APPLICATIONS)), user=st.sampled_from(USERS))
    def start(self, application, user):
        return self._start(application, user) or multiple()

    def _start(self, application, user):
        actor = self.actors[user]
        credentials = {"username": user, "password": f"password {actor.password}"}
        response = self.clients[application].token(grant_type="password", scope="notes:read notes:write", **credentials)
        return self._started(response, application, actor, GRANT if not actor.active else OK)

    @rule(target=grants, application=st.sampled_from(["usual", "without rotation"]))
    def start_without_user(self, application):
        response = self.clients[application].token(grant_type="client_credentials", scope="notes:read notes:write")
        return self._started(response, application, None, OK) or multiple()

    def _started(self, response, application, user, expected):
        expected = expected if self.actors[application].active else CLIENT
        assert result_of(response) == expected
        if expected != OK:
            return None
        family = Family(self.actors[application], user, self.now, FULL)
        held = HeldGrant(self.clients[application], family, response.json())
        self.all_grants.append(held)
        self._check_pair(held, response.json())
        return held

    @rule(held=grants, scope=st.sampled_from(SCOPES))
    def refresh(self, held, scope):
        self._refresh(held, held.client, back=0, scope=scope)

    @rule(held=grants, times=st.integers(1, 3))
    def refresh_in_a_row(self, held, times):
        for _time in range(times):
            self._refresh(held, held.client, back=0, scope=None)

    @rule(
        which=st.integers(0, 3),
        scope=st.sampled_from(SCOPES[:5]),
        times=st.sampled_from([RETRY_LIMIT + 1, 1]),
        other_scope=st.sampled_from([None, None, *SCOPES]),
    )
    def lose_response(self, which, scope, times, other_scope):
        """Refresh where a lost response can be asked for again, and ask for it."""
        with_window = [held for held in self.all_grants if held.family.application.retry_window]
        active = [held for held in with_window if held.family.is_live(self.now)]
        if active:
            held = active[which % len(active)]
            self._refresh(held, held.client, back=0, scope=scope)
            for _time in range(times):
                self._refresh(held, held.client, back=1, scope=other_scope or scope)

    @rule(
        which=st.integers(0, 3),
        refreshes=st.sampled_from([1, 2, 3, 8, 9]),
        seconds=st.sampled_from([0, 1, 10, 30]),
        scope=st.sampled_from(SCOPES),
    )
    def come_late(self, which, refreshes, seconds, scope):
        """Present a token after another client that shares it has refreshed several times."""
        with_window = [held for held in self.all_grants if held.family.application.retry_window]
        active = [held for held in with_window if held.family.is_live(self.now)]
        if active:
            held = active[which % len(active)]
            for _refresh in range(refreshes):
                self._refresh(held, held.client, back=0, scope=None)
            self._move_to(self.now + seconds * 1000)
            self._refresh(held, held.client, back=refreshes, scope=scope)

    @rule(held=grants, back=st.integers(1, 4), scope=st.sampled_from(SCOPES))
    def reuse(self, held, back, scope):
        self._refresh(held, held.client, back=back, scope=scope)

    @rule(held=grants, name=st.sampled_from(list(APPLICATIONS)), back=st.integers(0, 2), kind=st.integers(0, 2))
    def present_as_any_client(self, held, name, back, kind):
        if kind:
            self._revoke(held, self.clients[name], back=back, by_access_token=kind == 1)
        else:
            self._refresh(held, self.clients[name], back=back, scope=None)

    def _refresh(self, held, client, *, back, scope):
        if not held.refresh_tokens:
            return
        generation, raw = held.refresh_token(back)
        asked = None if scope is None else frozenset(scope.split())
        before, was_revoked, had_ended = database_snapshot(), held.family.revoked, held.family.has_ended(self.now)
        expected = held.family.refresh(self.now, self._actor_of(client), generation, asked)
        response = client.refresh(raw, **({} if scope is None else {"scope": scope}))
        assert result_of(response) == (OK if expected == SAME else expected)
        if expected == OK:
            held.take(response.json())
        if expected in {OK, SAME}:
            self._check_pair(held, response.json())
        if expected != OK and held.family.revoked == was_revoked:
            after = database_snapshot()
            if generation < held.family.generation and not had_ended and expected != WAIT:
                forget_attempts(before, after)
            assert after == before

    def _check_pair(self, held, body):
        """The response describes the tokens that were issued."""
        family = held.family
        _generation, scope, end = family.access_tokens[-1]
        assert set(body["scope"].split()) == scope
        assert body["expires_in"] == ceil((end - self.now) / 1000)
        assert body["access_token"] == held.access_tokens[-1]
        if held.refresh_tokens:
            assert body["refresh_token"] == held.refresh_tokens[-1]
            assert body["refresh_token_expires_in"] == ceil((family.idle - self.now) / 1000)
        assert len(held.refresh_tokens) == (0 if family.user is None else family.generation)

    @rule(held=grants, back=st.integers(0, 3), kind=st.booleans())
    def revoke(self, held, back, kind):
        self._revoke(held, held.client, back=back, by_access_token=kind)

    def _revoke(self, held, client, *, back, by_access_token):
        raw_tokens = held.access_tokens if by_access_token or not held.refresh_tokens else held.refresh_tokens
        raw = raw_tokens[max(len(raw_tokens) - 1 - back, 0)]
        before, caller = database_snapshot(), self._actor_of(client)
        is_unknown = held.is_pruned or (raw in held.pruned and raw in held.access_tokens)
        was_revoked = Grant.objects.filter(pk=held.grant_id, revoked_at__isnull=False).exists()
        known = held.family.revoke(caller) if not is_unknown else OK if caller.active else CLIENT
        assert result_of(client.revoke(raw)) == known
        if was_revoked or is_unknown or known != OK:
            assert database_snapshot() == before

    @rule(held=grants, back=st.integers(0, 3))
    def use_access_token(self, held, back):
        number = max(len(held.access_tokens) - 1 - back, 0)
        before = database_snapshot()
        response = self.browser.get(reverse("notes"), headers={"Authorization": f"Bearer {held.access_tokens[number]}"})
        live = held.family.is_live_access_token(self.now, number)
        allowed = "notes:read" in held.family.access_tokens[number][1]
        assert response.status_code == (401 if not live else 200 if allowed else 403)
        assert database_snapshot() == before

    # What staff and users do, and the passing of time.

    @rule(held=grants, whose=st.sampled_from(["grant", "application", "user"]))
    def revoke_as_staff(self, held, whose):
        if held.is_pruned:
            return
        grant = Grant.objects.get(pk=held.grant_id)
        selector = Q(pk=grant.pk) if whose == "grant" else Q(**{whose: getattr(grant, whose)})
        revoke_grants(selector, reason="stolen laptop")
        for other in self.all_grants:
            is_same = getattr(other.family, whose, other) is getattr(held.family, whose, held)
            other.family.revoked = other.family.revoked or is_same

    @rule(
        held=grants,
        action=st.sampled_from(["switch application", "switch user", "change password"]),
        sends_signal=st.booleans(),
    )
    def change_user_or_application(self, held, action, sends_signal):
        """Change a row by a save, which sends a signal, or by an update, which sends none."""
        actor = held.family.application if action == "switch application" else held.family.user
        if actor is None:
            return
        if action == "change password":
            actor.password += 1
            columns = {"password": make_password(f"password {actor.password}")}
        else:
            actor.active = not actor.active
            columns = {"is_active": actor.active}
        row = self.rows[actor]
        type(row).objects.filter(pk=row.pk).update(**columns)
        if sends_signal:
            type(row).objects.get(pk=row.pk).save()
            saved(actor, [held.family for held in self.all_grants])

    @rule(retain=st.sampled_from([0, 0, 1_000, IDLE]), batch_size=st.sampled_from([1, 3, 1000]))
    def prune(self, retain, batch_size):
        """Only what can never be valid again may be deleted; other requests are answered as before."""
        prune(retain=timedelta(milliseconds=retain), batch_size=batch_size)
        grants = set(Grant.objects.values_list("pk", flat=True))
        rows = {
            digest for model in (RefreshToken, AccessToken) for digest in model.objects.values_list("digest", flat=True)
        }
        for held in self.all_grants:
            family = held.family
            family.prune(self.now)
            held.is_pruned = held.grant_id not in grants
            assert not held.is_pruned or family.has_ended(self.now)
            gone_before = held.pruned
            held.pruned = {raw for raw in held.raw_tokens if crypto.digest(raw) not in rows}
            if not held.is_pruned:
                open_slots = [slot for slot in family.slots if family.has_open_slot(self.now, slot)]
                assert held.pruned.isdisjoint(held.refresh_tokens[-max(2, len(open_slots)) :])
                ends = [
                    end
                    for (*_rest, end), raw in zip(family.access_tokens, held.access_tokens, strict=True)
                    if raw in held.pruned - gone_before  # the others were deleted with a shorter retention
                ]
                assert all(end < self.now - retain for end in ends)

    @rule(seconds=st.sampled_from([1, 60, 1000, 20_000]))
    def wait(self, seconds):
        self._move_to(self.now + seconds * 1000)

    @rule(held=grants, which=st.integers(0, 2), difference=st.sampled_from([0, -1, 1]))
    def wait_for_a_limit(self, held, which, difference):
        """Go to just before, at or just after a moment when something expires."""
        family = held.family
        retry_ends = [family.spent[slot] + family.application.retry_window for slot in family.slots]
        ends = [end for *_rest, end in family.access_tokens]
        limits = sorted({*retry_ends, *ends, family.idle, family.start + CAP})
        ahead = [limit + difference for limit in limits if limit + difference > self.now]
        if ahead:
            self._move_to(ahead[which % len(ahead)])

    def _move_to(self, now):
        self.now = now
        self.clock.move_to(START + timedelta(milliseconds=now))

    def _actor_of(self, client):
        return self.actors[client.application.name]

    # What must hold after every step.

    @invariant()
    def tokens_are_as_valid_as_the_rules_say(self):
        refresh_tokens, access_tokens = {}, {}
        for held in self.all_grants:
            family = held.family
            for number, raw in enumerate(held.access_tokens):
                if raw not in held.pruned:
                    access_tokens[crypto.digest(raw)] = family.is_live_access_token(self.now, number)
            for generation, raw in enumerate(held.refresh_tokens, 1):
                if raw not in held.pruned:
                    refresh_tokens[crypto.digest(raw)] = generation == family.generation and family.is_live(self.now)
        blocked = [held.grant_id for held in self.all_grants if held.family.has_blocked_user()]
        assert validity(RefreshToken, blocked=blocked) == refresh_tokens
        assert validity(AccessToken, blocked=blocked) == access_tokens

    @invariant()
    def grants_are_as_the_rules_say(self):
        expected = {
            held.grant_id: (
                held.family.has_ended(self.now),
                held.family.is_live(self.now),
                held.family.generation,
            )
            for held in self.all_grants
            if not held.is_pruned
        }
        grants = Grant.objects.select_related("application", "user")
        now = START + timedelta(milliseconds=self.now)
        assert {g.pk: (g.end_reason(now) is not None, g.is_live, g.generation) for g in grants} == expected

    @invariant()
    def no_row_holds_a_raw_value(self):
        stored = "\n".join(stored_texts())
        raw_values = [raw for held in self.all_grants for raw in held.raw_tokens]
        assert [raw for raw in [SECRET, *raw_values] if raw in stored] == []


def forget_attempts(*states):
    """Leave out what a repeated request may change: the events, and the count of retries."""
    for state in states:
        del state["GrantEvent"]
        for grant in state["Grant"]:
            del grant["retries"]


def result_of(response):
    return OK if response.status_code == 200 else response.json()["error"]


def validity(model, *, blocked):
    """Return each row's digest and whether it is valid; the query agrees on all that is held in columns."""
    rows = list(model.objects.select_related("grant__application", "grant__user"))
    live = {row for row in rows if row.is_live}
    # A replaced access token that is still honoured for the retry window is on no list.
    assert {row for row in live if row.generation >= row.grant.access_floor} == set(
        model.objects.live().exclude(grant__in=blocked)
    )
    return {row.digest: row in live for row in rows}
