"""Whatever can happen to tokens, in any order, mostly by HTTP; ``reference`` says what must follow."""

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
from tests.conftest import SECRET
from tests.factories import ApplicationFactory, UserFactory
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
    Family,
    Party,
    saved,
)
from tests.interference import everything
from tests.oauth import OAuthClient
from tests.test_leaks import every_column

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


class Session:
    """One grant: the model of it, and the raw tokens that its client was given, the oldest first."""

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


class LifeOfTokens(RuleBasedStateMachine):
    sessions = Bundle("sessions")

    def __init__(self):
        super().__init__()
        self.now, self.all_sessions, self.browser = 0, [], Client()
        self.world = ExitStack()
        self.clock = self.world.enter_context(time_machine.travel(START, tick=False))
        sandbox = transaction.atomic()
        sandbox._from_testcase = True  # as the transaction around it: what must be outermost may be inside
        self.world.enter_context(sandbox)
        self.world.callback(transaction.set_rollback, True)

    @initialize(target=sessions)
    def settle(self):
        """Let everybody be there, and every application have a session."""
        self.clients, self.parties, self.rows = {}, {}, {}
        for name, fields in APPLICATIONS.items():
            application = ApplicationFactory(raw_secret=SECRET, name=name, **fields)
            self.clients[name] = OAuthClient(application, None if fields.get("public") else SECRET)
            party = self.parties[name] = Party(
                rotates=fields.get("rotate_refresh_tokens", True),
                keeps_access_tokens=not fields.get("revoke_access_tokens_on_refresh", True),
                retry_window=RETRY_WINDOW if "retry_window" in fields else 0,
            )
            self.rows[party] = application
        for name in USERS:
            party = self.parties[name] = Party()
            self.rows[party] = UserFactory(username=name, raw_password="password 0")
        return multiple(*(self._begin(name, "alice") for name in APPLICATIONS))

    def teardown(self):
        self.world.close()

    # What clients do.

    @rule(target=sessions, application=st.sampled_from(list(APPLICATIONS)), user=st.sampled_from(USERS))
    def begin(self, application, user):
        return self._begin(application, user) or multiple()

    def _begin(self, application, user):
        party = self.parties[user]
        credentials = {"username": user, "password": f"password {party.password}"}
        response = self.clients[application].token(grant_type="password", scope="notes:read notes:write", **credentials)
        return self._begun(response, application, party, GRANT if not party.active else OK)

    @rule(target=sessions, application=st.sampled_from(["usual", "without rotation"]))
    def begin_without_user(self, application):
        response = self.clients[application].token(grant_type="client_credentials", scope="notes:read notes:write")
        return self._begun(response, application, None, OK) or multiple()

    def _begun(self, response, application, user, expected):
        expected = expected if self.parties[application].active else CLIENT
        assert answer_of(response) == expected
        if expected != OK:
            return None
        family = Family(self.parties[application], user, self.now, FULL)
        session = Session(self.clients[application], family, response.json())
        self.all_sessions.append(session)
        self._check_pair(session, response.json())
        return session

    @rule(session=sessions, scope=st.sampled_from(SCOPES))
    def refresh(self, session, scope):
        self._refresh(session, session.client, back=0, scope=scope)

    @rule(session=sessions, times=st.integers(1, 3))
    def refresh_in_a_row(self, session, times):
        for _time in range(times):
            self._refresh(session, session.client, back=0, scope=None)

    @rule(
        which=st.integers(0, 3),
        scope=st.sampled_from(SCOPES[:5]),
        times=st.sampled_from([RETRY_LIMIT + 1, 1]),
        other_scope=st.sampled_from([None, None, *SCOPES]),
    )
    def lose_response(self, which, scope, times, other_scope):
        """Refresh where a response may be asked for again, and ask for it."""
        patient = [session for session in self.all_sessions if session.family.application.retry_window]
        alive = [session for session in patient if session.family.is_live(self.now)]
        if alive:
            session = alive[which % len(alive)]
            self._refresh(session, session.client, back=0, scope=scope)
            for _time in range(times):
                self._refresh(session, session.client, back=1, scope=other_scope or scope)

    @rule(session=sessions, back=st.integers(1, 4), scope=st.sampled_from(SCOPES))
    def reuse(self, session, back, scope):
        self._refresh(session, session.client, back=back, scope=scope)

    @rule(session=sessions, name=st.sampled_from(list(APPLICATIONS)), back=st.integers(0, 2), kind=st.integers(0, 2))
    def present_as_somebody(self, session, name, back, kind):
        if kind:
            self._revoke(session, self.clients[name], back=back, by_access_token=kind == 1)
        else:
            self._refresh(session, self.clients[name], back=back, scope=None)

    def _refresh(self, session, client, *, back, scope):
        if not session.refresh_tokens:
            return
        generation, raw = session.refresh_token(back)
        asked = FULL if scope is None else frozenset(scope.split())
        before, was_revoked, was_over = everything(), session.family.revoked, session.family.is_over(self.now)
        expected = session.family.refresh(self.now, self._party_of(client), generation, asked)
        response = client.refresh(raw, **({} if scope is None else {"scope": scope}))
        assert answer_of(response) == (OK if expected == SAME else expected)
        if expected == OK:
            session.take(response.json())
        if expected in {OK, SAME}:
            self._check_pair(session, response.json())
        if expected != OK and session.family.revoked == was_revoked:
            after = everything()
            if generation < session.family.generation and not was_over:
                forget_attempts(before, after)
            assert after == before

    def _check_pair(self, session, body):
        """The answer says what was given out, and for how long."""
        family = session.family
        _generation, scope, end = family.access_tokens[-1]
        assert set(body["scope"].split()) == scope
        assert body["expires_in"] == ceil((end - self.now) / 1000)
        assert body["access_token"] == session.access_tokens[-1]
        if session.refresh_tokens:
            assert body["refresh_token"] == session.refresh_tokens[-1]
            assert body["refresh_token_expires_in"] == ceil((family.idle - self.now) / 1000)
        assert len(session.refresh_tokens) == (0 if family.user is None else family.generation)

    @rule(session=sessions, back=st.integers(0, 3), kind=st.booleans())
    def revoke(self, session, back, kind):
        self._revoke(session, session.client, back=back, by_access_token=kind)

    def _revoke(self, session, client, *, back, by_access_token):
        raw_tokens = session.access_tokens if by_access_token or not session.refresh_tokens else session.refresh_tokens
        raw = raw_tokens[max(len(raw_tokens) - 1 - back, 0)]
        before, caller = everything(), self._party_of(client)
        is_unknown = session.is_pruned or (raw in session.pruned and raw in session.access_tokens)
        was_revoked = Grant.objects.filter(pk=session.grant_id, revoked_at__isnull=False).exists()
        known = session.family.revoke(caller) if not is_unknown else OK if caller.active else CLIENT
        assert answer_of(client.revoke(raw)) == known
        if was_revoked or is_unknown or known != OK:
            assert everything() == before

    @rule(session=sessions, back=st.integers(0, 3))
    def use_access_token(self, session, back):
        number = max(len(session.access_tokens) - 1 - back, 0)
        before = everything()
        response = self.browser.get(
            reverse("notes"), headers={"Authorization": f"Bearer {session.access_tokens[number]}"}
        )
        live = session.family.is_live_access_token(self.now, number)
        allowed = "notes:read" in session.family.access_tokens[number][1]
        assert response.status_code == (401 if not live else 200 if allowed else 403)
        assert everything() == before

    # What operators and users do, and time.

    @rule(session=sessions, whose=st.sampled_from(["grant", "application", "user"]))
    def revoke_as_operator(self, session, whose):
        if session.is_pruned:
            return
        grant = Grant.objects.get(pk=session.grant_id)
        selector = Q(pk=grant.pk) if whose == "grant" else Q(**{whose: getattr(grant, whose)})
        revoke_grants(selector, reason="stolen laptop")
        for other in self.all_sessions:
            is_same = getattr(other.family, whose, other) is getattr(session.family, whose, session)
            other.family.revoked = other.family.revoked or is_same

    @rule(
        session=sessions,
        deed=st.sampled_from(["switch application", "switch user", "change password"]),
        is_told=st.booleans(),
    )
    def change_somebody(self, session, deed, is_told):
        """Switch somebody off or on, or change a password: by a save, which sends a signal, or past all signals."""
        party = session.family.application if deed == "switch application" else session.family.user
        if party is None:
            return
        if deed == "change password":
            party.password += 1
            columns = {"password": make_password(f"password {party.password}")}
        else:
            party.active = not party.active
            columns = {"is_active": party.active}
        row = self.rows[party]
        type(row).objects.filter(pk=row.pk).update(**columns)
        if is_told:
            type(row).objects.get(pk=row.pk).save()
            saved(party, [session.family for session in self.all_sessions])

    @rule(retain=st.sampled_from([0, 0, 1_000, IDLE]), batch_size=st.sampled_from([1, 3, 1000]))
    def prune(self, retain, batch_size):
        """Only what is dead for good may go; then requests are answered as before, but for texts nobody knows now."""
        prune(retain=timedelta(milliseconds=retain), batch_size=batch_size)
        grants = set(Grant.objects.values_list("pk", flat=True))
        rows = {
            digest for model in (RefreshToken, AccessToken) for digest in model.objects.values_list("digest", flat=True)
        }
        for session in self.all_sessions:
            family = session.family
            session.is_pruned = session.grant_id not in grants
            assert not session.is_pruned or family.is_over(self.now)
            gone_before = session.pruned
            session.pruned = {raw for raw in session.raw_tokens if crypto.digest(raw) not in rows}
            if not session.is_pruned:
                assert session.pruned.isdisjoint(session.refresh_tokens[-2:])
                ends = [
                    end
                    for (*_rest, end), raw in zip(family.access_tokens, session.access_tokens, strict=True)
                    if raw in session.pruned - gone_before  # the others went when less was to be retained
                ]
                assert all(end < self.now - retain for end in ends)

    @rule(seconds=st.sampled_from([1, 60, 1000, 20_000]))
    def wait(self, seconds):
        self._move_to(self.now + seconds * 1000)

    @rule(session=sessions, which=st.integers(0, 2), difference=st.sampled_from([0, -1, 1]))
    def wait_for_a_limit(self, session, which, difference):
        """Go to just before, at or just after the end of something."""
        family = session.family
        retry_end = family.refreshed + family.application.retry_window
        limits = sorted({retry_end, family.idle, family.start + CAP, *(end for *_rest, end in family.access_tokens)})
        ahead = [limit + difference for limit in limits if limit + difference > self.now]
        if ahead:
            self._move_to(ahead[which % len(ahead)])

    def _move_to(self, now):
        self.now = now
        self.clock.move_to(START + timedelta(milliseconds=now))

    def _party_of(self, client):
        return self.parties[client.application.name]

    # What must hold after every step.

    @invariant()
    def rows_are_as_live_as_the_rules_say(self):
        refresh_tokens, access_tokens = {}, {}
        for session in self.all_sessions:
            family = session.family
            for number, raw in enumerate(session.access_tokens):
                if raw not in session.pruned:
                    access_tokens[crypto.digest(raw)] = family.is_live_access_token(self.now, number)
            for generation, raw in enumerate(session.refresh_tokens, 1):
                if raw not in session.pruned:
                    refresh_tokens[crypto.digest(raw)] = generation == family.generation and family.is_live(self.now)
        barred = [session.grant_id for session in self.all_sessions if session.family.has_barred_user()]
        assert liveness(RefreshToken, barred=barred) == refresh_tokens
        assert liveness(AccessToken, barred=barred) == access_tokens

    @invariant()
    def grants_are_as_the_rules_say(self):
        expected = {
            session.grant_id: (
                session.family.is_over(self.now),
                session.family.is_live(self.now),
                session.family.generation,
            )
            for session in self.all_sessions
            if not session.is_pruned
        }
        grants = Grant.objects.select_related("application", "user")
        now = START + timedelta(milliseconds=self.now)
        assert {g.pk: (g.why_ended(now) is not None, g.is_live, g.generation) for g in grants} == expected

    @invariant()
    def no_row_holds_a_raw_value(self):
        stored = "\n".join(every_column())
        raw_values = [raw for session in self.all_sessions for raw in session.raw_tokens]
        assert [raw for raw in [SECRET, *raw_values] if raw in stored] == []


def forget_attempts(*states):
    """Leave out what a repeated request may change: the events, and how often it came."""
    for state in states:
        del state["GrantEvent"]
        for grant in state["Grant"]:
            del grant["retries"]


def answer_of(response):
    return OK if response.status_code == 200 else response.json()["error"]


def liveness(model, *, barred):
    """Return each row's digest and whether it lives; the query agrees on all that columns can tell."""
    rows = list(model.objects.select_related("grant__application", "grant__user"))
    live = {row for row in rows if row.is_live}
    assert live == set(model.objects.live().exclude(grant__in=barred))
    return {row.digest: row in live for row in rows}
