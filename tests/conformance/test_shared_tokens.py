"""Clients that share a refresh token: one pair for all inside the retry window, and the reuse rule after it."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.urls import reverse

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Grant, GrantEvent, RefreshToken
from oauth_refresh.models.retry_slots import MOST_SLOTS, read_slots
from oauth_refresh.services import prune, revoke_grant
from tests.database import database_snapshot
from tests.factories import SECRET, ApplicationFactory
from tests.oauth import OAuthClient
from tests.refusals import INVALID_GRANT, INVALID_SCOPE, answer_of, invalid_scope, read_refusal

WINDOW = 30
TOO_OFTEN = (
    HTTPStatus.TOO_MANY_REQUESTS,
    {
        "error": "temporarily_unavailable",
        "error_description": (
            "The refresh token was presented too often at once. Use the newest one, or try again later."
        ),
    },
)


pytestmark = pytest.mark.usefixtures("stopped_clock")  # before the grant is started


@pytest.fixture
def first(oauth_settings, client_app):
    """The first refresh token of ``client_app``, for which there is a retry window."""
    oauth_settings(RETRY_WINDOW=WINDOW)
    return client_app.refresh_token


def tokens_of(response):
    assert response.status_code == HTTPStatus.OK, response.content
    return response.json()["access_token"], response.json()["refresh_token"]


def held_by(client):
    return client.access_token, client.refresh_token


def events():
    return list(GrantEvent.objects.order_by("pk").values_list("kind", "generation"))


def test_sh_001_without_a_window_a_spent_token_revokes_the_grant(client_app):
    spent = client_app.refresh_token
    client_app.rotate()

    assert read_refusal(client_app.refresh(spent)) == INVALID_GRANT

    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert answer_of(client_app.refresh()) == INVALID_GRANT


@pytest.mark.parametrize("siblings", [2, 3, 12, 21])
def test_sh_002_all_who_present_one_token_get_one_pair(client_app, first, siblings):
    pairs = {tokens_of(client_app.refresh(first)) for _sibling in range(siblings)}

    assert len(pairs) == 1
    assert Grant.objects.get().generation == 2
    assert (RefreshToken.objects.count(), AccessToken.objects.count()) == (2, 2)
    assert events() == [("retried", 1)] * (siblings - 1)


def test_sh_003_sibling_two_refreshes_late_gets_the_current_pair(client_app, first, stopped_clock):
    client_app.rotate()
    for _turn in range(2):
        stopped_clock.shift(10)
        client_app.rotate()
    stopped_clock.shift(9.999)

    late = client_app.refresh(first)

    assert tokens_of(late) == held_by(client_app)
    assert late.json()["expires_in"] == 3591
    assert (Grant.objects.get().generation, events()) == (4, [("retried", 1)])
    client_app.rotate()


@pytest.mark.parametrize("seconds", [WINDOW, WINDOW + 1, 86_400])
def test_sh_004_after_the_window_it_is_reuse(client_app, first, stopped_clock, seconds):
    client_app.rotate()
    stopped_clock.shift(seconds - 1)
    client_app.rotate()
    stopped_clock.shift(1)

    assert read_refusal(client_app.refresh(first)) == INVALID_GRANT

    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert events() == [("reused", 1)]


def test_sh_005_more_repeats_than_the_limit_are_answered_with_429(client_app, first, stopped_clock):
    client_app.rotate()
    for _repeat in range(20):
        assert tokens_of(client_app.refresh(first)) == held_by(client_app)
    before = database_snapshot()

    refused = client_app.refresh(first)

    assert read_refusal(refused) == TOO_OFTEN
    assert refused.headers["Retry-After"] == "1"
    assert database_snapshot() == before
    client_app.rotate()
    assert tokens_of(client_app.refresh(first)) == held_by(client_app)


def test_sh_005_token_that_was_answered_with_429_is_no_alarm_after_the_window(client_app, first, stopped_clock):
    client_app.rotate()
    Grant.objects.update(retries=20)
    assert read_refusal(client_app.refresh(first)) == TOO_OFTEN
    stopped_clock.shift(WINDOW)

    assert read_refusal(client_app.refresh(first)) == INVALID_GRANT

    assert (Grant.objects.get().revoked_at, events()) == (None, [("refused", 1)])


@pytest.mark.parametrize(
    ("issued", "asked", "refusal"),
    [
        ("notes:read notes:write", "notes:read", INVALID_GRANT),
        ("notes:read", "notes:read notes:write", INVALID_GRANT),
        ("notes:read", "notes:write", INVALID_GRANT),
        ("notes:read", "PRODUCTION", invalid_scope("PRODUCTION")),
        ("notes:read", 'notes:"read"', INVALID_SCOPE),
    ],
)
def test_sh_006_repeat_with_another_scope_is_refused_and_ends_nothing(client_app, first, issued, asked, refusal):
    client_app.rotate(scope=issued)

    assert read_refusal(client_app.refresh(first, scope=asked)) == refusal

    assert (Grant.objects.get().revoked_at, Grant.objects.get().retries, events()) == (None, 0, [("refused", 1)])
    assert tokens_of(client_app.refresh(first)) == held_by(client_app)


def test_sh_007_repeat_by_another_client_changes_nothing(client_app, first, refused):
    client_app.rotate()
    other = OAuthClient(ApplicationFactory(raw_secret=SECRET), SECRET)

    assert refused(lambda: other.refresh(first)) == INVALID_GRANT


def revoked(client):
    revoke_grant(client.grant, reason="lost device")


def user_deactivated(client):
    client.grant.user.is_active = False
    client.grant.user.save()


def user_deactivated_past_the_signals(client):
    type(client.grant.user).objects.update(is_active=False)


def password_changed(client):
    client.grant.user.set_password("another password")
    client.grant.user.save()


def password_changed_past_the_signals(client):
    type(client.grant.user).objects.update(password="!another")


@pytest.mark.parametrize(
    "end",
    [
        revoked,
        user_deactivated,
        user_deactivated_past_the_signals,
        password_changed,
        password_changed_past_the_signals,
    ],
)
def test_sh_008_repeat_after_the_grant_has_ended_is_refused(client_app, first, end):
    client_app.rotate()
    end(client_app)

    assert read_refusal(client_app.refresh(first)) == INVALID_GRANT

    assert Grant.objects.get().revoked_reason != "reuse_detected"
    assert answer_of(client_app.refresh()) == INVALID_GRANT


def test_sh_009_token_that_the_slots_do_not_reach_is_refused_and_ends_nothing(client_app, first):
    client_app.rotate()
    second = client_app.refresh_token
    for _turn in range(MOST_SLOTS):
        client_app.rotate()

    assert read_refusal(client_app.refresh(first)) == INVALID_GRANT

    assert (Grant.objects.get().revoked_at, events()) == (None, [("refused", 1)])
    assert tokens_of(client_app.refresh(second)) == held_by(client_app)


def derivable_from(raw, grant):
    """Return the refresh token that who has the database and the project's key can derive from an old one."""
    [key] = crypto.server_keys([django_settings.SECRET_KEY])
    for slot in read_slots(grant.retry_slots):
        secret = crypto.derive_refresh_secret(
            raw, server_key=key, salt=slot.salt, client_id=grant.application.client_id
        )
        raw = crypto.mint_refresh_token(
            public_id=grant.public_id,
            generation=slot.generation + 1,
            mac_key=bytes(grant.mac_key),
            prefix="ort_",
            secret=secret,
        )
    return raw


def prune_nothing(client):
    prune(retain=timedelta(days=30))


def refresh_again(client):
    client.rotate()


@pytest.mark.parametrize("erase", [prune_nothing, refresh_again])
def test_sh_010_old_token_and_database_do_not_yield_the_present_token(client_app, first, stopped_clock, erase):
    client_app.rotate()
    client_app.rotate()
    assert derivable_from(first, Grant.objects.get()) == client_app.refresh_token  # while the window is open
    stopped_clock.shift(WINDOW + 1)

    erase(client_app)

    assert derivable_from(first, Grant.objects.get()) != client_app.refresh_token
    assert 1 not in [slot.generation for slot in read_slots(Grant.objects.get().retry_slots)]


def test_sh_010_without_a_window_nothing_can_be_derived_at_any_time(client_app):
    client_app.rotate()

    assert Grant.objects.get().retry_slots is None


@pytest.mark.parametrize(("seconds", "status"), [(0, 200), (29.999, 200), (WINDOW, 401), (3600, 401)])
def test_access_token_that_a_refresh_replaced_is_honoured_for_the_window(
    oauth_settings, stopped_clock, client_app, seconds, status
):
    """A sibling whose request is under way would otherwise refresh again, and take the pair from the others."""
    oauth_settings(RETRY_WINDOW=WINDOW)
    replaced = client_app.access_token
    client_app.rotate()
    stopped_clock.shift(seconds)

    response = Client().get(reverse("notes"), headers={"Authorization": f"Bearer {replaced}"})

    assert response.status_code == status


def test_access_token_that_a_refresh_replaced_is_refused_at_once_without_a_window(client, client_app):
    replaced = client_app.access_token
    client_app.rotate()

    response = client.get(reverse("notes"), headers={"Authorization": f"Bearer {replaced}"})

    assert response.status_code == HTTPStatus.UNAUTHORIZED
