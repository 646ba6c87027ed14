"""The authorization code at the token endpoint: RFC 6749 §4.1.3, RFC 9700 §4.5 and §4.8, OAuth 2.1 §4.1.3."""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib.auth import get_user_model

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, AuthorizationCode, Grant, RefreshToken
from tests.consent import REDIRECT_URI, VERIFIER, CodeFlow, start_flow
from tests.factories import ApplicationFactory
from tests.interference import run_after_code_lookup
from tests.oauth import OAuthClient, basic, post_form, read_issued
from tests.refusals import INVALID_CLIENT, INVALID_GRANT, assert_protocol_headers, missing, read_refusal

LOOPBACK = "http://127.0.0.1/callback"
OTHER_SECRET = "the-secret-of-another-application"
WRONG_VERIFIER = "x" * 43
WRONG_REDEMPTIONS = {
    "other verifier": {"code_verifier": WRONG_VERIFIER},
    "no verifier": {"code_verifier": None},
    "other redirect URI": {"redirect_uri": REDIRECT_URI + "/"},
    "no redirect URI": {"redirect_uri": None},
}


@pytest.fixture
def other_flow(flow):
    """Another confidential application with the same redirect URI, and the same browser."""
    application = ApplicationFactory(raw_secret=OTHER_SECRET, redirect_uris=REDIRECT_URI)
    return CodeFlow(OAuthClient(application, OTHER_SECRET), flow.browser, REDIRECT_URI)


def redeemed(flow):
    """Return a code that was redeemed, and the tokens that it earned."""
    code = flow.code()
    return code, flow.redeem(code).json()


def assert_no_token_is_valid(flow, tokens):
    assert Grant.objects.get().revoked_reason == "code_replayed"
    assert not RefreshToken.objects.live().exists()
    assert not AccessToken.objects.live().exists()
    assert read_refusal(flow.client.refresh(tokens["refresh_token"])) == INVALID_GRANT


@pytest.mark.parametrize("fixture", ["flow", "public_flow"])
def test_ac_001_code_gets_a_pair(request, fixture):
    flow = request.getfixturevalue(fixture)

    response = flow.redeem(flow.code())

    assert_protocol_headers(response)
    body = read_issued(response, scope="notes:read")
    assert AccessToken.objects.live().get().digest == crypto.digest(body["access_token"])
    assert flow.client.refresh(body["refresh_token"]).status_code == HTTPStatus.OK


def test_ac_002_code_is_required(flow, refused):
    flow.code()

    assert refused(lambda: flow.redeem(None)) == missing("code")


def test_ac_003_code_of_another_client_is_refused_and_stays_valid(flow, other_flow, refused):
    code = flow.code()

    assert refused(lambda: other_flow.redeem(code)) == INVALID_GRANT
    assert flow.redeem(code).status_code == HTTPStatus.OK


def test_ac_004_public_client_must_name_itself(public_flow, refused):
    code = public_flow.code()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}

    assert refused(lambda: post_form("token", form)) == INVALID_CLIENT
    assert public_flow.redeem(code).status_code == HTTPStatus.OK


def test_ac_004_confidential_client_must_authenticate(flow, refused):
    code = flow.code()
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
    form["client_id"] = flow.client.application.client_id

    assert refused(lambda: post_form("token", form)) == INVALID_CLIENT
    assert flow.redeem(code).status_code == HTTPStatus.OK


@pytest.mark.parametrize("left_out", [None, ""], ids=["missing", "empty"])
def test_ac_005_redirect_uri_that_was_named_must_be_sent_again(flow, refused, left_out):
    code = flow.code()

    assert refused(lambda: flow.redeem(code, redirect_uri=left_out)) == INVALID_GRANT


def test_ac_005_client_of_oauth_2_1_leaves_the_redirect_uri_out(user):
    flow = start_flow(user, repeats_redirect_uri=False)

    assert flow.redeem(flow.code(), redirect_uri=None).status_code == HTTPStatus.OK


def test_ac_005_redirect_uri_that_was_not_named_need_not_be_sent(flow):
    code = flow.code(redirect_uri=None)

    assert flow.redeem(code, redirect_uri=None).status_code == HTTPStatus.OK


OTHER_URIS = {
    "slash behind": REDIRECT_URI + "/",
    "other case": "https://app.example/Callback",
    "host in other case": "https://APP.example/callback",
    "port named": "https://app.example:443/callback",
    "query": REDIRECT_URI + "?a=b",
    "also registered": "https://app.example/other",
    "not registered": "https://evil.example/callback",
}


@pytest.mark.parametrize("redirect_uri", OTHER_URIS.values(), ids=OTHER_URIS)
def test_ac_006_redirect_uri_must_be_that_of_the_authorization_request(user, refused, redirect_uri):
    flow = start_flow(user, redirect_uris=f"{REDIRECT_URI}\nhttps://app.example/other")
    code = flow.code()

    assert refused(lambda: flow.redeem(code, redirect_uri=redirect_uri)) == INVALID_GRANT


@pytest.mark.parametrize("redirect_uri", [LOOPBACK, "http://127.0.0.1:51005/callback", "http://[::1]:51004/callback"])
def test_ac_006_port_must_be_that_of_the_authorization_request(user, refused, redirect_uri):
    flow = start_flow(user, public=True, redirect_uris=LOOPBACK)
    used = "http://127.0.0.1:51004/callback"
    code = flow.code(redirect_uri=used)

    assert refused(lambda: flow.redeem(code, redirect_uri=redirect_uri)) == INVALID_GRANT
    assert flow.redeem(code, redirect_uri=used).status_code == HTTPStatus.OK


def test_ac_007_client_of_oauth_2_1_may_send_the_redirect_uri(user):
    flow = start_flow(user, repeats_redirect_uri=False)

    assert flow.redeem(flow.code()).status_code == HTTPStatus.OK


def test_ac_007_redirect_uri_is_compared_where_it_need_not_be_sent(user, refused):
    flow = start_flow(user, repeats_redirect_uri=False)
    code = flow.code()

    assert refused(lambda: flow.redeem(code, redirect_uri=REDIRECT_URI + "/")) == INVALID_GRANT


def test_ac_008_code_is_refused_after_its_lifetime(flow, refused, time_machine):
    code = flow.code()
    issued_at = AuthorizationCode.objects.get().created_at
    time_machine.move_to(issued_at + timedelta(seconds=60), tick=False)

    assert refused(lambda: flow.redeem(code)) == INVALID_GRANT


def test_ac_008_code_is_accepted_up_to_its_lifetime(flow, time_machine):
    code = flow.code()
    issued_at = AuthorizationCode.objects.get().created_at
    time_machine.move_to(issued_at + timedelta(seconds=59), tick=False)

    assert flow.redeem(code).status_code == HTTPStatus.OK


def test_ac_008_project_sets_the_lifetime(flow, refused, oauth_settings, time_machine):
    oauth_settings(CODE_LIFETIME=10)
    code = flow.code()
    issued_at = AuthorizationCode.objects.get().created_at
    time_machine.move_to(issued_at + timedelta(seconds=10), tick=False)

    assert refused(lambda: flow.redeem(code)) == INVALID_GRANT


CHANGES = {
    "unknown": lambda code: "oac_" + "A" * 43,
    "of no form": lambda code: "<code>",
    "truncated": lambda code: code[:-1],
    "altered": lambda code: code[:10] + ("A" if code[10] != "A" else "B") + code[11:],
    "in another case": lambda code: code.swapcase(),
    "without its prefix": lambda code: code.removeprefix("oac_"),
    "of another kind": lambda code: code.replace("oac_", "oat_"),
    "10 kB": lambda code: code + "A" * 10_000,
    "space before": lambda code: " " + code,
    "line feed behind": lambda code: code + "\n",
    "NUL behind": lambda code: code + "\x00",
    "not ASCII": lambda code: code + "é",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_ac_009_text_that_is_not_the_code_is_refused(flow, refused, change):
    code = flow.code()

    assert refused(lambda: flow.redeem(change(code))) == INVALID_GRANT


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_ac_009_token_is_no_code(client_app, refused, kind):
    raw = getattr(client_app, kind)

    assert refused(lambda: client_app.token(grant_type="authorization_code", code=raw)) == INVALID_GRANT


@pytest.mark.parametrize("scope", ["notes:write", "notes:read notes:write", "unknown", 'notes:"read"'])
def test_ac_010_scope_is_no_parameter_of_a_redemption(flow, scope):
    response = flow.redeem(flow.code(), scope=scope)

    assert response.json()["scope"] == "notes:read"
    assert AccessToken.objects.get().scope == "notes:read"


@pytest.mark.parametrize("fixture", ["flow", "public_flow"])
def test_ac_020_code_redeemed_twice_revokes_the_grant(request, fixture):
    flow = request.getfixturevalue(fixture)
    code, tokens = redeemed(flow)

    answer = read_refusal(flow.redeem(code))

    assert answer == INVALID_GRANT
    assert_no_token_is_valid(flow, tokens)


def test_ac_020_code_redeemed_twice_revokes_a_grant_that_was_refreshed_since(flow, time_machine):
    code, tokens = redeemed(flow)
    time_machine.move_to(Grant.objects.get().created_at + timedelta(days=1), tick=False)
    successors = flow.client.refresh(tokens["refresh_token"]).json()

    answer = read_refusal(flow.redeem(code))

    assert answer == INVALID_GRANT
    assert_no_token_is_valid(flow, successors)


def test_ac_020_code_redeemed_twice_leaves_other_grants_alone(flow):
    code, _tokens = redeemed(flow)
    _other_code, other_tokens = redeemed(flow)

    flow.redeem(code)

    assert flow.client.refresh(other_tokens["refresh_token"]).status_code == HTTPStatus.OK


def test_ac_020_third_redemption_changes_nothing_more(flow, refused):
    code, _tokens = redeemed(flow)
    flow.redeem(code)

    assert refused(lambda: flow.redeem(code)) == INVALID_GRANT


@pytest.mark.parametrize("wrong", WRONG_REDEMPTIONS.values(), ids=WRONG_REDEMPTIONS)
def test_ac_021_wrong_second_redemption_revokes_nothing(flow, refused, wrong):
    code, tokens = redeemed(flow)

    assert refused(lambda: flow.redeem(code, **wrong)) == INVALID_GRANT
    assert flow.client.refresh(tokens["refresh_token"]).status_code == HTTPStatus.OK


def test_ac_021_second_redemption_with_wrong_credentials_revokes_nothing(flow, refused):
    code, tokens = redeemed(flow)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT_URI, "code_verifier": VERIFIER}
    wrong = basic(flow.client.application.client_id, OTHER_SECRET)

    assert refused(lambda: post_form("token", form, authorization=wrong)) == INVALID_CLIENT
    assert flow.client.refresh(tokens["refresh_token"]).status_code == HTTPStatus.OK


def test_ac_021_second_redemption_by_another_client_revokes_nothing(flow, other_flow, refused):
    code, tokens = redeemed(flow)

    assert refused(lambda: other_flow.redeem(code)) == INVALID_GRANT
    assert flow.client.refresh(tokens["refresh_token"]).status_code == HTTPStatus.OK


def test_ac_022_of_two_redemptions_that_read_the_same_state_one_succeeds(flow):
    code, winners = flow.code(), []

    with run_after_code_lookup(lambda: winners.append(flow.redeem(code))):
        loser = flow.redeem(code)

    assert [winner.status_code for winner in winners] == [HTTPStatus.OK]
    assert read_refusal(loser) == INVALID_GRANT
    assert (RefreshToken.objects.count(), AccessToken.objects.count()) == (1, 1)
    # The loser was a replay, so the winner's pair died as well.
    assert_no_token_is_valid(flow, winners[0].json())


def deactivated(user):
    user.is_active = False
    user.save()


def deactivated_in_bulk(user):
    get_user_model().objects.update(is_active=False)


def given_another_password(user):
    user.set_password("another long password")
    user.save()


def given_another_password_in_bulk(user):
    get_user_model().objects.update(password="!")


def deleted(user):
    user.delete()


@pytest.mark.parametrize(
    "change", [deactivated, deactivated_in_bulk, given_another_password, given_another_password_in_bulk, deleted]
)
def test_ac_023_code_of_a_user_who_may_not_go_on_is_refused(flow, user, refused, change):
    code = flow.code()
    change(user)

    assert refused(lambda: flow.redeem(code)) == INVALID_GRANT


@pytest.mark.parametrize("wrong", WRONG_REDEMPTIONS.values(), ids=WRONG_REDEMPTIONS)
def test_ac_024_failed_redemption_does_not_use_up_the_code(flow, refused, wrong):
    code = flow.code()

    assert refused(lambda: flow.redeem(code, **wrong)) == INVALID_GRANT
    assert flow.redeem(code).status_code == HTTPStatus.OK
