"""The refresh token grant: RFC 6749 §6 and §10.4, RFC 9700 §2.2.2 and §4.14."""

import base64
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Application, Grant, GrantEvent, RefreshToken
from oauth_refresh.services import revoke_grant
from oauth_refresh.signals import refresh_token_exchanged, refresh_token_reused
from tests.consent import start_flow
from tests.database import database_snapshot
from tests.factories import PASSWORD, ApplicationFactory, RefreshTokenFactory, UserFactory
from tests.interference import error_after_insert, run_after_token_lookup
from tests.oauth import OAuthClient, basic, post_form
from tests.refusals import (
    INVALID_CLIENT,
    INVALID_GRANT,
    INVALID_SCOPE,
    UNAUTHORIZED_CLIENT,
    UNAVAILABLE,
    invalid_scope,
    missing,
    read_refusal,
)
from tests.signals import connected, recorded

FULL_SCOPE = "notes:read notes:write"
OTHER_SECRET = "the-secret-of-another-application"


@pytest.fixture
def other_client(db):
    """A confidential client of another application."""
    return OAuthClient(ApplicationFactory(raw_secret=OTHER_SECRET), OTHER_SECRET)


@pytest.fixture
def spent(client_app):
    """A refresh token of ``client_app`` that it has used."""
    spent = client_app.refresh_token
    client_app.rotate()
    return spent


def form(raw_refresh_token):
    return {"grant_type": "refresh_token", "refresh_token": raw_refresh_token}


def test_rt_001_owner_gets_a_new_access_token(client_app):
    old = client_app.access_token

    body = client_app.rotate()

    assert body["access_token"] != old
    assert AccessToken.objects.live().get().digest == crypto.digest(body["access_token"])


@pytest.mark.parametrize("fixture", ["client_app", "public_client"])
def test_rt_002_refresh_returns_a_new_refresh_token(request, fixture):
    client = request.getfixturevalue(fixture)
    old = client.refresh_token

    body = client.rotate()

    assert body["refresh_token"] != old
    assert RefreshToken.objects.live().get().digest == crypto.digest(body["refresh_token"])


def test_rt_003_public_application_cannot_switch_rotation_off(public_application):
    public_application.rotate_refresh_tokens = False

    with pytest.raises(ValidationError):
        public_application.full_clean()
    with pytest.raises(IntegrityError):
        public_application.save()


def test_rt_003_public_client_rotates_even_where_the_project_does_not(public_client, oauth_settings):
    oauth_settings(ROTATE_REFRESH_TOKENS=False)
    old = public_client.refresh_token

    assert public_client.rotate()["refresh_token"] != old
    assert read_refusal(public_client.refresh(old)) == INVALID_GRANT


def test_rt_004_without_rotation_the_same_refresh_token_stays_valid(client_app):
    Application.objects.update(rotate_refresh_tokens=False)
    old = client_app.refresh_token

    first, second = client_app.rotate(), client_app.rotate()

    assert first["refresh_token"] == second["refresh_token"] == old
    assert AccessToken.objects.live().count() == 3


def test_rt_005_refresh_without_scope_has_the_scope_first_granted(client_app):
    client_app.rotate(scope="notes:read")

    body = client_app.rotate()

    assert body["scope"] == FULL_SCOPE
    assert AccessToken.objects.live().get().scope == FULL_SCOPE


def test_rt_006_refresh_may_narrow_the_scope(client_app):
    body = client_app.rotate(scope="notes:write")

    assert body["scope"] == "notes:write"
    assert AccessToken.objects.live().get().scope == "notes:write"


def test_rt_007_narrowed_refresh_does_not_narrow_the_refresh_token(client_app):
    client_app.rotate(scope="notes:write")

    assert client_app.rotate(scope="notes:read")["scope"] == "notes:read"
    assert Grant.objects.get().scope == FULL_SCOPE


def test_rt_008_scope_beyond_what_was_granted_is_refused(client_app, refused):
    assert refused(lambda: client_app.refresh(scope=f"{FULL_SCOPE} SANDBOX")) == invalid_scope("SANDBOX")
    assert client_app.rotate()["scope"] == FULL_SCOPE


BAD_SCOPES = {
    "quotation mark": 'notes:read "',
    "backslash": "notes:read \\",
    "control character": "notes:read \n",
    "tab for a space": "notes:read\tnotes:write",
    "not ASCII": "nötes:read",
    "NUL": "notes:read\x00",
    "spaces only": " ",
}


@pytest.mark.parametrize("scope", BAD_SCOPES.values(), ids=BAD_SCOPES)
def test_rt_009_malformed_scope_is_refused_and_not_repeated(client_app, refused, scope):
    assert refused(lambda: client_app.refresh(scope=scope)) == INVALID_SCOPE


@pytest.mark.parametrize("scope", ["notes:delete", "notes:read notes:delete", "notes:delete SANDBOX offline_access"])
def test_rt_009_unknown_scope_is_refused_and_the_first_is_named(client_app, refused, scope):
    assert refused(lambda: client_app.refresh(scope=scope)) == invalid_scope("notes:delete")


def test_rt_009_scope_of_any_length_is_refused_and_a_long_one_not_repeated(client_app, refused):
    assert refused(lambda: client_app.refresh(scope="x" * 200)) == invalid_scope("x" * 200)
    assert refused(lambda: client_app.refresh(scope="x" * 201)) == INVALID_SCOPE


@pytest.mark.parametrize(
    "scope", ["notes:write notes:read", "notes:write notes:read notes:write", "  notes:write  notes:read "]
)
def test_rt_010_order_repetition_and_spaces_of_scopes_do_not_matter(client_app, scope):
    assert client_app.rotate(scope=scope)["scope"] == "notes:write notes:read"


@pytest.mark.parametrize("scope", ["Notes:Read", "NOTES:READ"])
def test_rt_011_scopes_are_case_sensitive(client_app, refused, scope):
    assert refused(lambda: client_app.refresh(scope=scope)) == invalid_scope(scope)


def test_rt_012_scope_taken_from_the_application_is_dropped(client_app):
    Application.objects.update(scope="notes:read")

    assert client_app.rotate()["scope"] == "notes:read"
    assert Grant.objects.get().scope == FULL_SCOPE


def test_rt_012_scope_taken_from_the_application_is_dropped_from_what_is_requested(client_app):
    Application.objects.update(scope="notes:read")

    assert client_app.rotate(scope="notes:write notes:read")["scope"] == "notes:read"


def test_rt_012_scope_taken_from_the_application_cannot_be_requested_alone(client_app, refused):
    Application.objects.update(scope="notes:read")

    assert refused(lambda: client_app.refresh(scope="notes:write")) == invalid_scope("notes:write")


def test_rt_012_scope_that_was_never_granted_is_refused_though_the_application_may_have_it(client_app, refused):
    Application.objects.update(scope="notes:read SANDBOX")

    assert refused(lambda: client_app.refresh(scope="notes:read notes:write SANDBOX")) == invalid_scope("SANDBOX")


def test_rt_012_nothing_is_issued_where_no_scope_is_left(client_app, refused):
    Application.objects.update(scope="SANDBOX")

    assert refused(client_app.refresh) == INVALID_SCOPE


def test_rt_013_refresh_token_of_another_client_is_refused(client_app, other_client, refused):
    assert refused(lambda: other_client.refresh(client_app.refresh_token)) == INVALID_GRANT
    assert client_app.refresh().status_code == HTTPStatus.OK


@pytest.mark.parametrize("names_itself", [True, False])
def test_rt_014_confidential_client_must_authenticate(client_app, refused, names_itself):
    named = {"client_id": client_app.application.client_id} if names_itself else {}

    assert refused(lambda: post_form("token", {**form(client_app.refresh_token), **named})) == INVALID_CLIENT
    assert client_app.refresh().status_code == HTTPStatus.OK


def test_rt_015_refresh_token_of_another_public_client_is_refused(public_client, refused):
    other = OAuthClient(ApplicationFactory(public=True))

    assert refused(lambda: other.refresh(public_client.refresh_token)) == INVALID_GRANT


def test_rt_016_public_client_must_name_itself(public_client, refused):
    assert refused(lambda: post_form("token", form(public_client.refresh_token))) == INVALID_CLIENT


def test_rt_017_refresh_token_is_required(client_app, refused):
    assert refused(lambda: client_app.token(grant_type="refresh_token")) == missing("refresh_token")


CHANGES = {
    "unknown": lambda token: "ort_" + "A" * 92,
    "of no form": lambda token: "<retoken>",
    "truncated": lambda token: token[:-1],
    "altered": lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
    "in another case": lambda token: token.swapcase(),
    "without its prefix": lambda token: token.removeprefix("ort_"),
    "10 kB": lambda token: token + "A" * 10_000,
    "space before": lambda token: " " + token,
    "space behind": lambda token: token + " ",
    "line feed behind": lambda token: token + "\n",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_rt_018_text_that_is_not_the_token_is_refused(client_app, refused, change):
    assert refused(lambda: client_app.refresh(change(client_app.refresh_token))) == INVALID_GRANT


def test_rt_019_refresh_token_is_refused_once_the_grant_has_ended(client_app, refused, time_machine):
    Grant.objects.update(idle_expires_at=client_app.grant.expires_at + timedelta(days=1))
    RefreshToken.objects.update(expires_at=client_app.grant.expires_at + timedelta(days=1))
    time_machine.move_to(client_app.grant.expires_at, tick=False)

    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_019_refresh_token_is_refused_past_its_own_expiry(client_app, refused, time_machine):
    RefreshToken.objects.update(expires_at=client_app.grant.created_at + timedelta(minutes=1))
    time_machine.move_to(client_app.grant.created_at + timedelta(minutes=1), tick=False)

    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_020_refresh_token_is_refused_after_the_idle_limit(client_app, refused, time_machine):
    time_machine.move_to(client_app.grant.created_at + timedelta(days=14), tick=False)

    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_020_refresh_token_is_accepted_up_to_the_idle_limit(client_app, time_machine):
    time_machine.move_to(client_app.grant.created_at + timedelta(days=14, seconds=-1), tick=False)

    assert client_app.refresh().status_code == HTTPStatus.OK


def test_rt_021_rotation_moves_the_idle_limit_but_not_the_end(client_app, refused, time_machine):
    started = client_app.grant.created_at
    for day in range(10, 90, 10):
        time_machine.move_to(started + timedelta(days=day), tick=False)
        body = client_app.rotate()

    assert body["refresh_token_expires_in"] == timedelta(days=10).total_seconds()
    time_machine.move_to(started + timedelta(days=90), tick=False)
    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_022_refresh_token_revoked_by_its_client_is_refused(client_app, refused):
    client_app.revoke(client_app.refresh_token)

    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_022_refresh_token_revoked_by_an_operator_is_refused(client_app, refused):
    revoke_grant(client_app.grant, reason="stolen laptop", by=UserFactory())

    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_023_refresh_token_of_a_deactivated_user_is_refused(client_app, user, refused):
    user.is_active = False
    user.save()

    assert Grant.objects.get().revoked_reason == "user_deactivated"
    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_023_refresh_token_of_a_user_deactivated_in_bulk_is_refused(client_app, user, refused):
    type(user).objects.update(is_active=False)

    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_023_refresh_token_of_a_deleted_user_is_refused(client_app, user, refused):
    user.delete()

    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_024_grant_type_taken_from_the_application_is_refused(client_app, refused):
    Application.objects.update(grant_types="password")

    assert refused(client_app.refresh) == UNAUTHORIZED_CLIENT


def test_rt_025_access_token_is_no_refresh_token(client_app, refused):
    assert refused(lambda: client_app.refresh(client_app.access_token)) == INVALID_GRANT


def test_rt_025_authorization_code_is_no_refresh_token(user, refused):
    flow = start_flow(user)
    code = flow.code()

    assert refused(lambda: flow.client.refresh(code)) == INVALID_GRANT
    assert flow.redeem(code).status_code == HTTPStatus.OK


PARTS = {"version": 0, "public id": 1, "generation": 20, "secret": 21, "last of the secret": 52, "MAC": 53, "last": 68}


@pytest.mark.parametrize("position", PARTS.values(), ids=PARTS)
@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_rt_027_refresh_token_with_a_flipped_bit_is_refused(client_app, refused, position, bit):
    octets = bytearray(base64.urlsafe_b64decode(client_app.refresh_token.removeprefix("ort_")))
    octets[position] ^= bit
    forged = "ort_" + base64.urlsafe_b64encode(octets).decode()

    assert refused(lambda: client_app.refresh(forged)) == INVALID_GRANT


def test_rt_027_spent_refresh_token_with_a_flipped_bit_revokes_nothing(client_app, spent, refused):
    octets = bytearray(base64.urlsafe_b64decode(spent.removeprefix("ort_")))
    octets[30] ^= 0x01
    forged = "ort_" + base64.urlsafe_b64encode(octets).decode()

    assert refused(lambda: client_app.refresh(forged)) == INVALID_GRANT


@pytest.mark.parametrize("fixture", ["client_app", "public_client"])
def test_rt_030_reused_refresh_token_revokes_the_whole_family(request, refused, fixture):
    client = request.getfixturevalue(fixture)
    spent = client.refresh_token
    client.rotate()

    answer = read_refusal(client.refresh(spent))

    assert answer == INVALID_GRANT
    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert not RefreshToken.objects.live().exists()
    assert not AccessToken.objects.live().exists()
    assert refused(client.refresh) == INVALID_GRANT


def test_rt_030_reuse_leaves_other_families_alone(client_app, spent, user, application):
    bystander = OAuthClient(application, client_app.secret).start(user=user)

    client_app.refresh(spent)

    assert bystander.refresh().status_code == HTTPStatus.OK


def test_rt_031_reused_ancestor_revokes_the_whole_family(client_app, refused):
    ancestor = client_app.refresh_token
    for _ in range(3):
        client_app.rotate()

    answer = read_refusal(client_app.refresh(ancestor))

    assert answer == INVALID_GRANT
    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_032_spent_refresh_token_with_a_wrong_secret_revokes_nothing(client_app, spent, refused):
    wrong = basic(client_app.application.client_id, OTHER_SECRET)

    assert refused(lambda: post_form("token", form(spent), authorization=wrong)) == INVALID_CLIENT
    assert client_app.refresh().status_code == HTTPStatus.OK


def test_rt_032_spent_refresh_token_from_another_client_revokes_nothing(client_app, spent, other_client, refused):
    assert refused(lambda: other_client.refresh(spent)) == INVALID_GRANT
    assert client_app.refresh().status_code == HTTPStatus.OK


def test_rt_033_of_two_refreshes_that_read_the_same_state_one_succeeds(client_app):
    winners = []

    with run_after_token_lookup(lambda: winners.append(client_app.refresh())):
        loser = client_app.refresh()

    assert [winner.status_code for winner in winners] == [HTTPStatus.OK]
    assert read_refusal(loser) == INVALID_GRANT
    assert RefreshToken.objects.count() == 2
    # The loser was a repeat, so the winner's pair died as well.
    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert not RefreshToken.objects.live().exists()


def test_rt_034_repetition_inside_the_window_gets_the_same_pair_up_to_the_limit(
    client_app, oauth_settings, time_machine
):
    oauth_settings(RETRY_WINDOW=30, RETRY_LIMIT=2)
    time_machine.move_to(client_app.grant.created_at, tick=False)
    predecessor = client_app.refresh_token
    first = client_app.rotate()

    time_machine.shift(10)
    repeated = [client_app.refresh(predecessor).json() for _retry in range(2)]
    refused, _body = read_refusal(client_app.refresh(predecessor))

    later = {"expires_in": 3590, "refresh_token_expires_in": first["refresh_token_expires_in"] - 10}
    assert repeated == [first | later] * 2
    assert refused == HTTPStatus.TOO_MANY_REQUESTS
    assert client_app.refresh().status_code == HTTPStatus.OK


def test_rt_034_repetition_with_another_scope_is_refused_and_ends_nothing(client_app, oauth_settings):
    oauth_settings(RETRY_WINDOW=30)
    predecessor = client_app.refresh_token
    client_app.rotate()

    assert read_refusal(client_app.refresh(predecessor, scope="notes:read")) == INVALID_GRANT
    assert client_app.refresh().status_code == HTTPStatus.OK


def test_rt_034_repetition_after_the_successor_was_used_gets_the_current_pair(client_app, oauth_settings):
    oauth_settings(RETRY_WINDOW=30)
    predecessor = client_app.refresh_token
    client_app.rotate()
    client_app.rotate()

    assert client_app.refresh(predecessor).json()["refresh_token"] == client_app.refresh_token
    assert Grant.objects.get().revoked_at is None


def fail_during_the_exchange(**kwargs):
    raise LookupError("a fault of the project's own")


@contextmanager
def successor_in_the_way(grant):
    """Let the insert of the next refresh token break a constraint."""
    successor = RefreshTokenFactory(grant=grant, generation=grant.generation + 1)
    yield
    successor.delete()


# All of them strike after the presented refresh token was spent.
FAULTS = {
    "a receiver of the exchange": lambda grant: connected(refresh_token_exchanged, fail_during_the_exchange),
    "the first insert": successor_in_the_way,
    "after the last insert": lambda grant: error_after_insert(AccessToken),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_rt_035_refresh_token_can_be_used_after_a_server_error(client_app, fault):
    before = database_snapshot()

    with fault(client_app.grant):
        answer = read_refusal(client_app.refresh())

    assert answer == UNAVAILABLE
    assert database_snapshot() == before
    assert client_app.refresh().status_code == HTTPStatus.OK


def test_rt_036_changed_password_ends_the_grant(client_app, user, refused):
    user.set_password("another battery staple")
    user.save()

    assert Grant.objects.get().revoked_reason == "password_changed"
    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_036_password_changed_in_bulk_ends_the_grant(client_app, user, refused):
    user.set_password("another battery staple")
    type(user).objects.update(password=user.password)

    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_036_project_may_let_grants_outlive_a_password(client_app, user, oauth_settings):
    oauth_settings(REVOKE_ON_PASSWORD_CHANGE=False)
    user.set_password("another battery staple")
    user.save()

    assert client_app.refresh().status_code == HTTPStatus.OK


def test_rt_037_refresh_revokes_the_access_token_before(client_app):
    body = client_app.rotate()

    assert AccessToken.objects.live().get().digest == crypto.digest(body["access_token"])


def test_rt_037_application_may_keep_old_access_tokens_to_their_expiry(client_app, time_machine):
    Application.objects.update(revoke_access_tokens_on_refresh=False)
    time_machine.move_to(client_app.grant.created_at + timedelta(minutes=30), tick=False)

    body = client_app.rotate()

    assert AccessToken.objects.live().count() == 2
    time_machine.move_to(client_app.grant.created_at + timedelta(hours=1), tick=False)
    assert AccessToken.objects.live().get().digest == crypto.digest(body["access_token"])


@pytest.mark.parametrize("grant_type", ["password", "client_credentials"])
def test_rt_039_application_without_the_grant_type_gets_no_refresh_token(client_app, user, grant_type):
    Application.objects.update(grant_types="client_credentials password")
    RefreshToken.objects.all().delete()

    body = client_app.token(grant_type=grant_type, username=user.username, password=PASSWORD).json()

    assert set(body) == {"access_token", "token_type", "expires_in", "scope"}
    assert not RefreshToken.objects.exists()


def test_rt_040_reuse_is_recorded_without_raw_values(client_app, spent):
    client_app.refresh(spent)

    event = GrantEvent.objects.get()
    assert (event.grant, event.kind, event.generation, event.address) == (client_app.grant, "reused", 1, "127.0.0.1")
    assert spent not in repr(database_snapshot())


def test_rt_040_signal_of_reuse_holds_no_raw_value(client_app, spent, django_capture_on_commit_callbacks):
    with recorded(refresh_token_reused) as sent, django_capture_on_commit_callbacks(execute=True):
        client_app.refresh(spent)

    assert [(signal["grant"], signal["client_info"].address) for signal in sent] == [(client_app.grant, "127.0.0.1")]
    assert spent not in repr(sent)


def test_rt_041_spent_refresh_token_is_recognised_after_its_row_was_pruned(client_app, spent, refused):
    RefreshToken.objects.filter(generation=1).delete()

    answer = read_refusal(client_app.refresh(spent))

    assert answer == INVALID_GRANT
    assert Grant.objects.get().revoked_reason == "reuse_detected"
    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_041_current_refresh_token_without_its_row_is_refused_and_revokes_nothing(client_app, refused):
    RefreshToken.objects.all().delete()

    assert refused(client_app.refresh) == INVALID_GRANT


def test_rt_042_family_of_client_credentials_cannot_be_refreshed(client_app):
    Grant.objects.all().delete()

    client_app.token(grant_type="client_credentials")

    assert Grant.objects.get().grant_type == "client_credentials"
    assert not RefreshToken.objects.exists()


def test_rt_026_refresh_token_opens_no_api(client_app):
    response = Client().get(reverse("notes"), headers={"Authorization": f"Bearer {client_app.refresh_token}"})

    assert response.status_code == HTTPStatus.UNAUTHORIZED
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
