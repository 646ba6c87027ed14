"""Authorization codes: what a redemption refuses, issues, sends as signals, and how many statements it takes."""

import logging
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.db import connection, transaction
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from oauth_refresh import crypto
from oauth_refresh.errors import ContentionError, InvalidGrant, InvalidRequest
from oauth_refresh.http import NO_CLIENT_INFO, ClientInfo
from oauth_refresh.models import AccessToken, Application, AuthorizationCode, Grant, GrantEvent, RefreshToken
from oauth_refresh.services import issue_tokens, revoke_grant, revoke_grants
from oauth_refresh.services.codes import has_consented, issue_code, redeem_code
from oauth_refresh.services.tokens import Access
from oauth_refresh.signals import grant_revoked, grants_revoked, refresh_token_reused, tokens_issued
from tests.conftest import NOW
from tests.consent import CHALLENGE, REDIRECT_URI, VERIFIER, consent_to, start_flow
from tests.database import database_snapshot
from tests.factories import ApplicationFactory, AuthorizationCodeFactory, GrantFactory, UserFactory
from tests.interference import deadlock_once, run_after_code_lookup
from tests.queries import statements
from tests.signals import recorded

WRITES = ["WITH"] if connection.vendor == "postgresql" else ["UPDATE", "INSERT"]
"""How the statements begin by which a code is redeemed."""

NO_CODE = "The text is no authorization code of this server."
OTHER_APPLICATION = "The code was issued to another application."
OTHER_URI = "The redirect URI is not that of the authorization request."
OTHER_VERIFIER = "The code verifier does not match the challenge."
MALFORMED_VERIFIER = "The code verifier is not 43 to 128 of the characters that RFC 7636 allows."
NO_VERIFIER = "The code verifier is missing."
NO_CHALLENGE = "A code_verifier came, but the authorization request had no code_challenge."
SPENT = "The code was redeemed before."


class Redemption:
    """A code still out, and all that is right to redeem it."""

    def __init__(self, application, user):
        self.application = application
        caller = ClientInfo(address="192.0.2.1", user_agent="browser/1")
        consent = consent_to(application, user, scope=("notes:read", "notes:write"), client_info=caller)
        self.raw_code = issue_code(consent)
        self.redirect_uri = REDIRECT_URI
        self.code_verifier = VERIFIER

    def __call__(self, *, client_info=NO_CLIENT_INFO):
        return redeem_code(
            self.application,
            raw_code=self.raw_code,
            redirect_uri=self.redirect_uri,
            code_verifier=self.code_verifier,
            client_info=client_info,
        )


@pytest.fixture
def redeem(application, user):
    return Redemption(application, user)


# Changes to a row or to the request, so that the redemption is refused.


def no_code_at_all(redeem):
    redeem.raw_code = "nonsense"


def nothing(redeem):
    redeem.raw_code = ""


def changed_in_one_character(redeem):
    redeem.raw_code = redeem.raw_code[:-2] + ("B" if redeem.raw_code[-2] == "A" else "A") + redeem.raw_code[-1]


def an_access_token(redeem):
    redeem.raw_code = issue_tokens(redeem.application, user=UserFactory(), grant_type="password").access_token


def of_another_application(redeem):
    redeem.application = ApplicationFactory()


def spent_and_of_another_application(redeem):
    spent(redeem)
    of_another_application(redeem)


def for_another_redirect_uri(redeem):
    redeem.redirect_uri = REDIRECT_URI + "/"


def without_its_redirect_uri(redeem):
    redeem.redirect_uri = None


def with_a_redirect_uri_that_was_not_named(redeem):
    AuthorizationCode.objects.update(redirect_uri="")


def for_another_redirect_uri_though_none_need_come(redeem):
    redeem.application.repeats_redirect_uri = False
    for_another_redirect_uri(redeem)


def with_another_verifier(redeem):
    redeem.code_verifier = "x" * 43


def with_a_malformed_verifier(redeem):
    redeem.code_verifier = "x" * 42


def with_a_verifier_that_is_too_long(redeem):
    redeem.code_verifier = "x" * 129


def with_a_verifier_of_other_characters(redeem):
    redeem.code_verifier = VERIFIER[:-1] + "+"


def without_its_verifier(redeem):
    redeem.code_verifier = None


def with_an_empty_verifier(redeem):
    redeem.code_verifier = ""


def with_a_verifier_but_no_challenge(redeem):
    AuthorizationCode.objects.update(code_challenge="")


def spent_and_with_another_verifier(redeem):
    spent(redeem)
    with_another_verifier(redeem)


def spent_and_without_its_redirect_uri(redeem):
    spent(redeem)
    without_its_redirect_uri(redeem)


def spent_and_with_a_verifier_but_no_challenge(redeem):
    spent(redeem)
    with_a_verifier_but_no_challenge(redeem)


def expired(redeem):
    Grant.objects.update(created_at=NOW - timedelta(seconds=60), idle_expires_at=NOW)


def of_a_grant_over_its_cap(redeem):
    Grant.objects.update(created_at=NOW - timedelta(seconds=60), expires_at=NOW)


def of_a_revoked_grant(redeem):
    revoke_grant(Grant.objects.get(), reason="lost device")


def of_an_inactive_application(redeem):
    redeem.application.is_active = False


def of_an_inactive_user(redeem):
    user_model().objects.update(is_active=False)


def of_another_password(redeem):
    user_model().objects.update(password="!another")


def spent_in_a_grant_that_was_revoked(redeem):
    spent(redeem)
    of_a_revoked_grant(redeem)


def spent_in_a_grant_that_expired(redeem):
    spent(redeem)
    expired(redeem)


def spent(redeem):
    redeem()


def spent_and_refreshed_since(redeem):
    redeem()
    Grant.objects.update(generation=7, access_floor=7)


def spent_long_ago(redeem):
    redeem()
    AuthorizationCode.objects.update(created_at=NOW - timedelta(days=7))


def spent_by_an_inactive_user(redeem):
    spent(redeem)
    of_an_inactive_user(redeem)


def user_model():
    return type(UserFactory.build())


NOTHING_CHANGES = [
    (no_code_at_all, InvalidGrant, NO_CODE),
    (nothing, InvalidGrant, NO_CODE),
    (changed_in_one_character, InvalidGrant, NO_CODE),
    (an_access_token, InvalidGrant, NO_CODE),
    (of_another_application, InvalidGrant, OTHER_APPLICATION),
    (spent_and_of_another_application, InvalidGrant, OTHER_APPLICATION),
    (for_another_redirect_uri, InvalidGrant, OTHER_URI),
    (without_its_redirect_uri, InvalidGrant, OTHER_URI),
    (with_a_redirect_uri_that_was_not_named, InvalidGrant, OTHER_URI),
    (for_another_redirect_uri_though_none_need_come, InvalidGrant, OTHER_URI),
    (with_another_verifier, InvalidGrant, OTHER_VERIFIER),
    (with_a_malformed_verifier, InvalidGrant, MALFORMED_VERIFIER),
    (with_a_verifier_that_is_too_long, InvalidGrant, MALFORMED_VERIFIER),
    (with_a_verifier_of_other_characters, InvalidGrant, MALFORMED_VERIFIER),
    (without_its_verifier, InvalidGrant, NO_VERIFIER),
    (with_an_empty_verifier, InvalidGrant, NO_VERIFIER),
    (with_a_verifier_but_no_challenge, InvalidRequest, NO_CHALLENGE),
    (spent_and_with_another_verifier, InvalidGrant, OTHER_VERIFIER),
    (spent_and_without_its_redirect_uri, InvalidGrant, OTHER_URI),
    (spent_and_with_a_verifier_but_no_challenge, InvalidRequest, NO_CHALLENGE),
    (expired, InvalidGrant, "The grant of the code cannot start: expired."),
    (of_a_grant_over_its_cap, InvalidGrant, "The grant of the code cannot start: expired."),
    (of_a_revoked_grant, InvalidGrant, "The grant of the code cannot start: revoked."),
    (of_an_inactive_application, InvalidGrant, "The grant of the code cannot start: application inactive."),
    (of_an_inactive_user, InvalidGrant, "The grant of the code cannot start: user inactive."),
    (of_another_password, InvalidGrant, "The grant of the code cannot start: password changed."),
    (spent_in_a_grant_that_was_revoked, InvalidGrant, "The grant of the code cannot start: revoked."),
    (spent_in_a_grant_that_expired, InvalidGrant, "The grant of the code cannot start: expired."),
]
GRANT_IS_REVOKED = [spent, spent_and_refreshed_since, spent_long_ago, spent_by_an_inactive_user]


@pytest.mark.parametrize(("change", "error", "reason"), NOTHING_CHANGES)
def test_refused_redemption_changes_nothing(stopped_clock, redeem, change, error, reason):
    change(redeem)
    before = database_snapshot()

    with pytest.raises(error) as refusal:
        redeem()

    assert refusal.value.reason == reason
    assert database_snapshot() == before


@pytest.mark.parametrize("change", GRANT_IS_REVOKED)
def test_code_redeemed_twice_revokes_the_grant(stopped_clock, redeem, change):
    change(redeem)

    with pytest.raises(InvalidGrant) as refusal:
        redeem()

    assert refusal.value.reason == SPENT
    assert Grant.objects.get().revoked_reason == "code_replayed"
    assert not AccessToken.objects.live().exists()
    assert not RefreshToken.objects.live().exists()


def test_code_redeemed_twice_is_logged_as_a_warning_with_the_grant_and_nothing_secret(caplog, redeem):
    redeem()

    with pytest.raises(InvalidGrant):
        redeem()

    assert (
        "oauth_refresh.services.codes",
        logging.WARNING,
        f"The authorization code of grant {Grant.objects.get().public_id} was redeemed twice.",
    ) in caplog.record_tuples
    assert redeem.raw_code not in caplog.text


def test_reason_of_a_refusal_is_logged_and_not_sent(caplog, user):
    flow = start_flow(user)

    with caplog.at_level(logging.INFO, "oauth_refresh.authorization_server"):
        response = flow.redeem(flow.code(), code_verifier="x" * 43)

    assert f"Refused with invalid_grant: {OTHER_VERIFIER}" in caplog.messages
    assert OTHER_VERIFIER not in response.content.decode()


# What consent stores, and what a redemption issues and for how long.


def test_consent_stores_a_grant_that_is_not_started_and_a_code(stopped_clock, redeem, application, user):
    grant = Grant.objects.get()

    assert (grant.application, grant.user, grant.grant_type) == (application, user, "authorization_code")
    assert (grant.generation, grant.access_floor, grant.scope) == (0, 0, "notes:read notes:write")
    assert (grant.created_at, grant.idle_expires_at) == (NOW, NOW + timedelta(seconds=60))
    assert grant.expires_at == NOW + timedelta(days=90)
    assert (grant.address, grant.user_agent) == ("192.0.2.1", "browser/1")
    assert list(AuthorizationCode.objects.values()) == [
        {
            "id": AuthorizationCode.objects.get().pk,
            "grant_id": grant.pk,
            "digest": crypto.digest(redeem.raw_code),
            "redirect_uri": REDIRECT_URI,
            "redirect_uris_digest": crypto.digest(""),
            "code_challenge": CHALLENGE,
            "created_at": NOW,
        }
    ]
    assert (RefreshToken.objects.count(), AccessToken.objects.count()) == (0, 0)


def test_grant_whose_code_was_not_redeemed_is_not_active(redeem):
    assert not Grant.objects.get().is_live
    assert not Grant.objects.live().exists()


def test_redemption_starts_the_grant_and_inserts_one_pair(stopped_clock, redeem):
    stopped_clock.shift(30)

    issued = redeem(client_info=ClientInfo(address="192.0.2.7", user_agent="curl/8"))

    now = NOW + timedelta(seconds=30)
    grant = Grant.objects.get()
    assert (grant.generation, grant.access_floor, grant.refreshed_at) == (1, 1, None)
    assert (grant.idle_expires_at, grant.expires_at) == (now + timedelta(days=14), NOW + timedelta(days=90))
    assert (grant.address, grant.user_agent) == ("192.0.2.1", "browser/1")
    assert list(
        RefreshToken.objects.values("generation", "digest", "created_at", "expires_at", "address", "user_agent")
    ) == [
        {
            "generation": 1,
            "digest": crypto.digest(issued.refresh_token),
            "created_at": now,
            "expires_at": now + timedelta(days=14),
            "address": "192.0.2.7",
            "user_agent": "curl/8",
        }
    ]
    assert list(AccessToken.objects.values("generation", "digest", "scope", "created_at", "expires_at")) == [
        {
            "generation": 1,
            "digest": crypto.digest(issued.access_token),
            "scope": "notes:read notes:write",
            "created_at": now,
            "expires_at": now + timedelta(hours=1),
        }
    ]
    assert (issued.expires_in, issued.refresh_token_expires_in) == (3600, 1209600)
    assert issued.scope == "notes:read notes:write"
    assert GrantEvent.objects.count() == 0


@pytest.mark.parametrize(("seconds", "succeeds"), [(59, True), (60, False)])
def test_code_is_valid_for_a_minute(stopped_clock, redeem, seconds, succeeds):
    stopped_clock.shift(seconds)

    if succeeds:
        assert redeem().refresh_token is not None
    else:
        with pytest.raises(InvalidGrant, match=r"cannot start: expired\."):
            redeem()


def test_lifetime_of_codes_is_the_projects(stopped_clock, oauth_settings, application, user):
    oauth_settings(CODE_LIFETIME=600)

    redeem = Redemption(application, user)
    assert Grant.objects.get().idle_expires_at == NOW + timedelta(seconds=600)
    stopped_clock.shift(599)

    assert redeem().expires_in == 3600


def test_lifetimes_of_the_application_override_those_of_the_project(stopped_clock, redeem):
    redeem.application.access_token_lifetime = timedelta(seconds=30)
    redeem.application.refresh_token_lifetime = timedelta(seconds=90)

    issued = redeem()

    assert (issued.expires_in, issued.refresh_token_expires_in) == (30, 90)
    assert Grant.objects.get().idle_expires_at == NOW + timedelta(seconds=90)


def test_absolute_cap_counts_from_the_consent_and_cuts_the_lifetimes_short(stopped_clock, application, user):
    application.grant_lifetime = timedelta(minutes=10)
    redeem = Redemption(application, user)
    stopped_clock.shift(40)

    issued = redeem()

    assert (issued.expires_in, issued.refresh_token_expires_in) == (560, 560)
    assert Grant.objects.get().expires_at == NOW + timedelta(minutes=10)


def without_refresh_tokens_for_codes(oauth_settings, application):
    oauth_settings(REFRESH_TOKEN_GRANT_TYPES=["password"])


def without_refresh_tokens_at_all(oauth_settings, application):
    oauth_settings(GRANT_TYPES=["authorization_code"])


def without_refresh_tokens_for_the_application(oauth_settings, application):
    application.grant_types = "authorization_code"


@pytest.mark.parametrize(
    "forbid",
    [
        without_refresh_tokens_for_codes,
        without_refresh_tokens_at_all,
        without_refresh_tokens_for_the_application,
    ],
)
def test_grant_without_a_refresh_token_lasts_as_long_as_its_access_token(
    stopped_clock, oauth_settings, redeem, application, forbid
):
    forbid(oauth_settings, application)

    issued = redeem()

    assert (issued.refresh_token, issued.refresh_token_expires_in, issued.expires_in) == (None, None, 3600)
    assert RefreshToken.objects.count() == 0
    assert Grant.objects.get().idle_expires_at == AccessToken.objects.get().expires_at == NOW + timedelta(hours=1)


def test_code_used_twice_revokes_a_grant_without_a_refresh_token(oauth_settings, redeem, application):
    without_refresh_tokens_for_the_application(oauth_settings, application)
    redeem()

    with pytest.raises(InvalidGrant):
        redeem()

    assert not AccessToken.objects.live().exists()


def test_empty_verifier_and_redirect_uri_are_right_where_there_were_none(application, user):
    raw_code = issue_code(consent_to(application, user, redirect_uri="", code_challenge=""))

    issued = redeem_code(
        application, raw_code=raw_code, redirect_uri=None, code_verifier=None, client_info=NO_CLIENT_INFO
    )

    assert issued.scope == "notes:read"


def test_factory_makes_a_code_that_can_be_redeemed(db):
    code = AuthorizationCodeFactory(raw="oac_" + "A" * 43)

    issued = redeem_code(
        code.grant.application,
        raw_code="oac_" + "A" * 43,
        redirect_uri=code.redirect_uri,
        code_verifier=None,
        client_info=NO_CLIENT_INFO,
    )

    assert issued.grant.pk == code.grant_id


def test_password_may_change_where_the_project_says_so(oauth_settings, redeem):
    oauth_settings(REVOKE_ON_PASSWORD_CHANGE=False)
    of_another_password(redeem)

    assert redeem().refresh_token is not None


# Revocation reaches codes that are still out.


@pytest.mark.parametrize("owner", ["user", "application"])
def test_revocation_of_everything_covers_codes_that_were_not_redeemed(redeem, application, user, owner):
    redeem_too = Redemption(application, user)
    started = issue_tokens(application, user=user, grant_type="password").grant

    revocation = revoke_grants(Q(**{owner: {"user": user, "application": application}[owner]}), reason="sign out")

    assert revocation.count == 3
    assert set(Grant.objects.values_list("revoked_reason", flat=True)) == {"sign out"}
    assert not Grant.objects.get(pk=started.pk).is_live
    for redemption in (redeem, redeem_too):
        with pytest.raises(InvalidGrant, match=r"cannot start: revoked\."):
            redemption()


def test_deactivated_user_revokes_codes(redeem, user):
    user.is_active = False
    user.save()

    assert Grant.objects.get().revoked_reason == "user_deactivated"


def test_changed_password_revokes_codes(redeem, user):
    user.set_password("another long password")
    user.save()

    assert Grant.objects.get().revoked_reason == "password_changed"


def test_deactivated_application_revokes_codes(redeem, application):
    application.is_active = False
    application.save()

    assert Grant.objects.get().revoked_reason == "application_deactivated"


# Whether the user's consent is remembered.


def test_consent_is_read_from_an_active_grant(redeem, application, user):
    redeem()

    assert has_consented(application, user, Access(scope=("notes:read",)))
    assert has_consented(application, user, Access(scope=("notes:write", "notes:read")))


def test_no_consent_is_read_from_a_code_that_was_not_redeemed(redeem, application, user):
    assert not has_consented(application, user, Access(scope=("notes:read",)))


def test_no_consent_is_read_for_more_scopes_other_users_or_other_applications(redeem, application, user):
    redeem()

    assert not has_consented(application, user, Access(scope=("notes:read", "SANDBOX")))
    assert not has_consented(application, UserFactory(), Access(scope=("notes:read",)))
    assert not has_consented(ApplicationFactory(), user, Access(scope=("notes:read",)))


@pytest.mark.parametrize("change", [of_a_revoked_grant, expired, of_another_password, of_an_inactive_user])
def test_no_consent_is_read_from_a_grant_that_ended(stopped_clock, redeem, application, user, change):
    redeem()
    change(redeem)
    user.refresh_from_db()

    assert not has_consented(application, user, Access(scope=("notes:read",)))


def test_scopes_of_two_grants_do_not_add_up_to_a_consent(application, user):
    GrantFactory(application=application, user=user, scope="notes:read")
    GrantFactory(application=application, user=user, scope="notes:write")

    assert not has_consented(application, user, Access(scope=("notes:read", "notes:write")))


# Which signals a redemption sends.


def test_redemption_sends_a_signal_after_commit(redeem, django_capture_on_commit_callbacks):
    with recorded(tokens_issued) as sent, django_capture_on_commit_callbacks(execute=True):
        redeem()
        sent_before_commit = list(sent)

    assert sent_before_commit == []
    assert sent == [{"grant": Grant.objects.get(), "grant_type": "authorization_code"}]


def test_signal_carries_the_grant_as_it_is_after_the_redemption(redeem, django_capture_on_commit_callbacks):
    with recorded(tokens_issued) as sent, django_capture_on_commit_callbacks(execute=True):
        redeem()

    [arguments] = sent
    assert {column.attname: getattr(arguments["grant"], column.attname) for column in Grant._meta.concrete_fields} == (
        Grant.objects.values().get()
    )


def test_consent_sends_no_signal(application, user, django_capture_on_commit_callbacks):
    with recorded(tokens_issued) as sent, django_capture_on_commit_callbacks(execute=True):
        Redemption(application, user)

    assert sent == []


def test_code_used_twice_sends_a_signal_after_commit(redeem, django_capture_on_commit_callbacks):
    redeem()
    grant = Grant.objects.get()

    with (
        recorded(grant_revoked) as revoked,
        recorded(grants_revoked) as sets,
        recorded(tokens_issued) as issued,
        recorded(refresh_token_reused) as reused,
        django_capture_on_commit_callbacks(execute=True),
    ):
        with pytest.raises(InvalidGrant):
            redeem()
        sent_before_commit = list(revoked)

    assert sent_before_commit == []
    assert revoked == [{"grant": grant, "reason": "code_replayed", "by": None}]
    assert sets == issued == reused == []


@pytest.mark.parametrize("change", [no_code_at_all, with_another_verifier, of_a_revoked_grant, of_an_inactive_user])
def test_refused_redemption_sends_no_signal(redeem, django_capture_on_commit_callbacks, change):
    change(redeem)

    with django_capture_on_commit_callbacks() as callbacks, pytest.raises(InvalidGrant):
        redeem()

    assert callbacks == []


# Transactions, races and victims of deadlocks.


@pytest.fixture(params=[False, True], ids=["without ATOMIC_REQUESTS", "with ATOMIC_REQUESTS"])
def atomic_requests(request, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", request.param)
    return request.param


@pytest.mark.django_db(transaction=True)
def test_code_used_twice_revokes_although_the_answer_is_an_error(atomic_requests, user):
    flow = start_flow(user)
    code = flow.code()
    tokens = flow.redeem(code).json()

    replay = flow.redeem(code)

    assert (replay.status_code, replay.json()["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_grant")
    assert Grant.objects.get().revoked_reason == "code_replayed"
    assert flow.client.refresh(tokens["refresh_token"]).status_code == HTTPStatus.BAD_REQUEST


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("change", [lambda redeem: None, spent], ids=["still out", "spent"])
def test_redemption_inside_a_transaction_of_the_caller_is_an_error_and_changes_nothing(redeem, change):
    change(redeem)
    before = database_snapshot()

    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        redeem()

    assert database_snapshot() == before


def test_slower_of_two_redemptions_revokes_the_grant(redeem):
    with (
        run_after_code_lookup(redeem),
        pytest.raises(InvalidGrant) as refusal,
    ):
        redeem()

    assert refusal.value.reason == SPENT
    assert Grant.objects.get().revoked_reason == "code_replayed"
    assert (RefreshToken.objects.count(), AccessToken.objects.count()) == (1, 1)


def test_redemption_is_refused_if_the_grant_was_revoked_meanwhile(redeem):
    grant = Grant.objects.get()

    with (
        run_after_code_lookup(lambda: revoke_grant(grant, reason="lost device")),
        pytest.raises(InvalidGrant) as refusal,
    ):
        redeem()

    assert refusal.value.reason == "The grant of the code cannot start: revoked."
    assert Grant.objects.get().revoked_reason == "lost device"
    assert (RefreshToken.objects.count(), AccessToken.objects.count()) == (0, 0)


def test_redemption_is_refused_if_the_user_was_deactivated_meanwhile(redeem, user):
    def deactivate():
        user.is_active = False
        user.save()

    with run_after_code_lookup(deactivate), pytest.raises(InvalidGrant):
        redeem()

    assert (RefreshToken.objects.count(), AccessToken.objects.count()) == (0, 0)


def test_redemption_whose_update_matches_no_row_is_an_error_and_changes_nothing(redeem):
    def move_nothing(execute, sql, params, many, context):
        return execute(
            sql.replace("WHERE", "WHERE 1 = 0 AND", 1) if sql.startswith(tuple(WRITES)) else sql, params, many, context
        )

    before = database_snapshot()

    with connection.execute_wrapper(move_nothing), pytest.raises(ContentionError):
        redeem()

    assert database_snapshot() == before


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("statement", WRITES)
def test_request_that_a_deadlock_rolls_back_is_retried(redeem, statement):
    with deadlock_once(statement) as tried:
        issued = redeem()

    assert len(tried) > 1
    assert AccessToken.objects.get().digest == crypto.digest(issued.access_token)
    assert RefreshToken.objects.get().digest == crypto.digest(issued.refresh_token)


@pytest.mark.django_db(transaction=True)
def test_code_used_twice_revokes_although_a_deadlock_rolls_back(redeem):
    redeem()

    with deadlock_once("UPDATE") as tried, pytest.raises(InvalidGrant):
        redeem()

    assert len(tried) == 2
    assert Grant.objects.get().revoked_reason == "code_replayed"


@pytest.mark.django_db(transaction=True)
def test_error_after_the_last_write_leaves_the_code_unused(redeem):
    def fail_to_insert(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if sql.startswith(WRITES[-1]):
            raise LookupError
        return result

    before = database_snapshot()

    with connection.execute_wrapper(fail_to_insert), pytest.raises(LookupError):
        redeem()

    assert database_snapshot() == before
    assert redeem().refresh_token is not None


# What a redemption costs, BEGIN and COMMIT included.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("public", [False, True], ids=["confidential", "public"])
def test_redemption_costs_six_statements_on_postgresql_and_eight_elsewhere(user, public):
    flow = start_flow(user, public=public)
    code = flow.code()

    with CaptureQueriesContext(connection) as queries:
        response = flow.redeem(code)

    assert response.status_code == HTTPStatus.OK
    assert statements(queries) == [
        "SELECT application",
        "SELECT authorizationcode",
        "BEGIN",
        "SELECT application",
        *(["WITH grant"] if WRITES == ["WITH"] else ["UPDATE grant", "INSERT refreshtoken", "INSERT accesstoken"]),
        "COMMIT",
    ]
    joined = queries.captured_queries[1]["sql"]
    assert all(table in joined for table in ("oauth_refresh_authorizationcode", "oauth_refresh_grant", "auth_user"))


@pytest.mark.django_db(transaction=True)
def test_code_used_twice_costs_at_most_twelve_statements(user):
    flow = start_flow(user)
    code = flow.code()
    flow.redeem(code)

    with CaptureQueriesContext(connection) as queries:
        flow.redeem(code)

    assert [statement for statement in statements(queries) if "UPDATE" in statement] == ["UPDATE grant"]
    assert len(queries) <= 12


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("code", "cost"), [("nonsense", 1), ("oac_" + "A" * 43, 2)], ids=["of no form", "unknown"])
def test_text_that_is_no_code_costs_no_more_than_its_look_up(user, code, cost):
    flow = start_flow(user)

    with CaptureQueriesContext(connection) as queries:
        flow.redeem(code)

    assert len(queries) == cost


@pytest.mark.django_db(transaction=True)
def test_consent_costs_six_statements(application, user):
    with CaptureQueriesContext(connection) as queries:
        Redemption(application, user)

    assert statements(queries) == [
        "BEGIN",
        "SELECT application",
        "SELECT",  # the user
        "INSERT grant",
        "INSERT authorizationcode",
        "COMMIT",
    ]


def test_no_raw_value_is_stored(redeem):
    issued = redeem()

    rows = repr([database_snapshot(), list(Application.objects.values())])
    assert not [raw for raw in (redeem.raw_code, issued.access_token, issued.refresh_token, VERIFIER) if raw in rows]
