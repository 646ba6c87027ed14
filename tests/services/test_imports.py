"""Moving a session of another server here: what is stored, what is refused, and that no session becomes two."""

from contextlib import nullcontext
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.errors import InvalidGrant, InvalidScope, InvalidTarget
from oauth_refresh.models import AccessToken, Application, Grant, RefreshToken, password_fingerprints
from oauth_refresh.services import ImportedSession, import_session, import_sessions
from oauth_refresh.services.import_rows import MOST_SPENT
from oauth_refresh.signals import session_imported, tokens_issued
from tests.conftest import NOW
from tests.database import database_snapshot
from tests.factories import ApplicationFactory, UserFactory
from tests.foreign import ACCESS, CURRENT, SCOPE, SPENT, access_token, move_in
from tests.interference import deadlock_once, run_after_select
from tests.signals import recorded
from tests.threads import run_together

DAY = timedelta(days=1)

needs_several_writers = pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite has one writer at a time")


def generations(grant):
    """Return the digest of each refresh token of the grant, by generation."""
    return dict(RefreshToken.objects.filter(grant=grant).values_list("generation", "digest"))


def test_grant_of_a_session_is_stored_as_if_it_started_now(stopped_clock, application, user):
    grant = move_in(application, user, created_at=NOW - 30 * DAY)

    stored = Grant.objects.values().get()
    assert len(stored.pop("mac_key")) == 32
    assert stored == {
        "id": grant.pk,
        "public_id": grant.public_id,
        "application_id": application.pk,
        "user_id": user.pk,
        "grant_type": "imported",
        "scope": "notes:read notes:write",
        "resources": "",
        "consented": False,
        "generation": 3,
        "access_floor": 3,
        "imported_generation": 3,
        "created_at": NOW - 30 * DAY,
        "refreshed_at": None,
        "idle_expires_at": NOW + 14 * DAY,
        "expires_at": NOW + 90 * DAY,
        "password_fingerprint": next(password_fingerprints(user)),
        "retry_slots": None,
        "retries": 0,
        "address": None,
        "user_agent": "",
        "revoked_at": None,
        "revoked_reason": "",
        "revoked_by_id": None,
        "revocation_id": None,
    }


def test_refresh_tokens_of_a_session_are_generations_of_its_grant(stopped_clock, application, user):
    grant = move_in(application, user)

    assert generations(grant) == {
        1: crypto.digest(SPENT[0]),
        2: crypto.digest(SPENT[1]),
        3: crypto.digest(CURRENT),
    }
    assert {row.expires_at for row in grant.refresh_tokens.all()} == {NOW + 14 * DAY}


def test_access_token_of_a_session_keeps_its_own_expiry(stopped_clock, application, user):
    grant = move_in(application, user, access_tokens=[access_token(scope="notes:read", lifetime=10 * DAY)])

    assert list(AccessToken.objects.values()) == [
        {
            "id": AccessToken.objects.get().pk,
            "grant_id": grant.pk,
            "generation": 3,
            "digest": crypto.digest(ACCESS),
            "scope": "notes:read",
            "audience": "",
            "created_at": NOW,
            "expires_at": NOW + 10 * DAY,
            "revoked_at": None,
        }
    ]


def test_session_without_spent_tokens_begins_with_generation_1(application, user):
    grant = move_in(application, user, spent_digests=(), access_tokens=())

    assert generations(grant) == {1: crypto.digest(CURRENT)}
    assert not AccessToken.objects.exists()


def test_lifetimes_are_those_of_the_application(stopped_clock, application, user):
    application.refresh_token_lifetime, application.grant_lifetime = 5 * DAY, 3 * DAY

    grant = move_in(application, user)

    assert (grant.idle_expires_at, grant.expires_at) == (NOW + 3 * DAY, NOW + 3 * DAY)


def test_session_that_begins_in_the_future_begins_now(stopped_clock, application, user):
    assert move_in(application, user, created_at=NOW + DAY).created_at == NOW


def test_expired_access_token_is_kept_so_that_its_client_may_revoke_the_grant(stopped_clock, application, user):
    move_in(application, user, access_tokens=[access_token(lifetime=-DAY)])

    token = AccessToken.objects.get()
    assert (token.expires_at, token.is_live) == (NOW - DAY, False)


def test_only_the_newest_spent_tokens_of_a_long_family_are_kept(application, user):
    spent = [crypto.digest(f"spent {number}") for number in range(500)]

    grant = move_in(application, user, spent_digests=spent)

    assert MOST_SPENT == 5
    assert list(generations(grant).values()) == [*spent[-5:], crypto.digest(CURRENT)]


def test_text_that_is_named_twice_is_stored_once(application, user):
    spent = [crypto.digest(raw) for raw in (SPENT[0], SPENT[0], CURRENT, SPENT[1])]

    grant = move_in(application, user, spent_digests=spent, access_tokens=[access_token(), access_token()])

    assert list(generations(grant).values()) == [*map(crypto.digest, SPENT), crypto.digest(CURRENT)]
    assert AccessToken.objects.count() == 1


@pytest.mark.parametrize(
    ("own_scope", "imported", "granted"),
    [
        ("", "notes:read notes:write", "notes:read notes:write"),
        ("notes:read", "notes:read notes:write", "notes:read"),
        ("", "notes:write unknown openid", "notes:write"),
        ("", "offline_access notes:read", "offline_access notes:read"),
    ],
)
def test_scope_is_cut_to_what_the_application_may_have(application, user, own_scope, imported, granted):
    application.scope = own_scope

    grant = move_in(application, user, scope=imported, access_tokens=[access_token(scope=imported)])

    assert (grant.scope, AccessToken.objects.get().scope) == (granted, granted)


def test_scope_is_cut_to_what_the_user_may_grant(oauth_settings, application, user):
    oauth_settings(SCOPE_POLICY=lambda *, user, application, scopes: {"notes:read"})

    assert move_in(application, user).scope == "notes:read"


def test_project_without_scopes_imports_sessions_without_scope(oauth_settings, application, user):
    oauth_settings(SCOPES={}, DEFAULT_SCOPES=())

    grant = move_in(application, user, access_tokens=[access_token(scope="")])

    assert (grant.scope, AccessToken.objects.get().scope) == ("", "")


@pytest.mark.parametrize("scope", ["SANDBOX", "SANDBOX offline_access"])
def test_access_token_that_has_no_scope_left_is_left_out(application, user, scope):
    move_in(application, user, scope="notes:read offline_access", access_tokens=[access_token(scope=scope)])

    assert not AccessToken.objects.exists()


def test_resources_are_those_of_the_session(oauth_settings, application, user):
    oauth_settings(
        RESOURCES={"https://notes.example": {"scopes": ["notes:read"]}, "https://files.example": {}},
    )

    grant = move_in(application, user, resources=["https://notes.example/"])

    assert (grant.resources, grant.scope) == ("https://notes.example", "notes:read")
    assert (AccessToken.objects.get().audience, AccessToken.objects.get().scope) == (
        "https://notes.example",
        "notes:read",
    )


def with_an_inactive_application(application, user):
    Application.objects.update(is_active=False)


def with_an_inactive_user(application, user):
    User.objects.update(is_active=False)


def with_a_deleted_user(application, user):
    User.objects.all().delete()


def with_a_deleted_application(application, user):
    Application.objects.all().delete()


def with_a_new_password(application, user):
    stored = User.objects.get()
    stored.set_password("another password")
    stored.save()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (with_an_inactive_application, "application inactive"),
        (with_an_inactive_user, "user inactive"),
        (with_a_deleted_user, "the user is gone"),
        (with_a_deleted_application, "the application is gone"),
        (with_a_new_password, "password changed"),
    ],
)
def test_session_that_nobody_may_use_is_not_imported(application, user, change, reason):
    change(application, user)

    with pytest.raises(InvalidGrant) as refusal:
        move_in(application, user)

    assert refusal.value.reason == f"A grant cannot start: {reason}."
    assert not Grant.objects.exists()


@pytest.mark.parametrize("scope", ["", "unknown", "SANDBOX", "offline_access", 'notes:"read"'])
def test_session_without_a_scope_that_is_allowed_is_not_imported(application, user, scope):
    application.scope = "notes:read"
    before = database_snapshot()

    with pytest.raises(InvalidScope):
        move_in(application, user, scope=scope)

    assert database_snapshot() == before


def test_session_for_an_unknown_resource_is_not_imported(oauth_settings, application, user):
    oauth_settings(RESOURCES={"https://notes.example": {}})

    with pytest.raises(InvalidTarget):
        move_in(application, user, resources=["https://files.example"])

    assert not Grant.objects.exists()


def test_session_without_a_user_is_an_error_of_the_caller(application):
    with pytest.raises(ValueError, match="A session belongs to a user"):
        move_in(application, None)


@pytest.mark.parametrize("wrong", [CURRENT, "", crypto.digest(CURRENT).upper(), crypto.digest(CURRENT) + "\n"])
@pytest.mark.parametrize("argument", ["refresh_token_digest", "spent_digests", "access_tokens"])
def test_what_is_no_digest_is_refused_and_not_repeated(application, user, argument, wrong):
    token = access_token()
    values = {
        "refresh_token_digest": wrong,
        "spent_digests": [wrong],
        "access_tokens": [type(token)(digest=wrong, scope=SCOPE, expires_at=token.expires_at)],
    }
    arguments = {"refresh_token_digest": crypto.digest(CURRENT), argument: values[argument]}

    with pytest.raises(ValueError, match="64 lower-case hexadecimal digits") as refusal:
        import_session(application, user=user, scope=SCOPE, **arguments)

    assert CURRENT not in str(refusal.value)
    assert not Grant.objects.exists()


def test_imported_access_token_does_not_show_its_digest():
    assert crypto.digest(ACCESS) not in repr(access_token())


def test_session_that_was_imported_before_is_returned_and_not_changed(application, user):
    first = move_in(application, user)
    before = database_snapshot()

    again = move_in(ApplicationFactory(), UserFactory(), scope="unknown")

    assert again == first
    assert database_snapshot() == before


def test_session_that_was_refreshed_since_is_returned(application, user, client_app):
    spent = client_app.refresh_token
    client_app.rotate()

    assert move_in(application, user, current=spent) == client_app.grant


def test_ancestor_that_another_session_has_stays_there(application, user):
    first = move_in(application, user)

    second = move_in(application, user, current="another live token of the same family")

    assert list(generations(first)) == [1, 2, 3]
    assert generations(second) == {1: crypto.digest("another live token of the same family")}
    assert AccessToken.objects.get().grant == first


def test_signal_names_the_grant_after_the_commit(django_capture_on_commit_callbacks, application, user):
    with (
        recorded(session_imported) as imported,
        recorded(tokens_issued) as issued,
        django_capture_on_commit_callbacks(execute=True),
    ):
        grant = move_in(application, user)
        assert imported == []

    assert imported == [{"grant": grant}]
    assert issued == []


def test_session_that_is_known_sends_no_signal(django_capture_on_commit_callbacks, application, user):
    move_in(application, user)

    with recorded(session_imported) as imported, django_capture_on_commit_callbacks(execute=True):
        move_in(application, user)

    assert imported == []


@pytest.mark.django_db(transaction=True)
def test_import_is_undone_with_the_transaction_of_the_caller(application, user):
    before = database_snapshot()

    with recorded(session_imported) as imported, transaction.atomic():
        move_in(application, user)
        transaction.set_rollback(True)

    assert (database_snapshot(), imported) == (before, [])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("joins", [True, False], ids=["in a transaction of the caller", "on its own"])
def test_session_that_another_request_imports_first_is_that_one(application, user, joins):
    """The other request is done between our look-up and our insert."""
    with transaction.atomic() if joins else nullcontext():
        with run_after_select(RefreshToken, lambda: others.append(move_in(application, user))):
            others = []
            ours = move_in(application, user)

        assert User.objects.exists()  # the caller's transaction can go on

    assert [ours] == others
    assert Grant.objects.get() == ours


@pytest.mark.django_db(transaction=True)
@needs_several_writers
@pytest.mark.parametrize("joins", [True, False], ids=["in a transaction of the caller", "on its own"])
def test_ancestor_that_another_request_imports_first_stays_there(application, user, joins):
    """The other request, of a forked family, commits between our look-up of the ancestors and our insert."""
    other = ApplicationFactory(), UserFactory()

    def import_the_other():
        run_together(lambda: move_in(*other, current="another live token of the same family"))

    with transaction.atomic() if joins else nullcontext(), run_after_select(RefreshToken, import_the_other, count=2):
        ours = move_in(application, user)

    assert generations(ours) == {1: crypto.digest(CURRENT)}
    assert list(Grant.objects.exclude(pk=ours.pk).values_list("imported_generation", flat=True)) == [3]


def test_import_that_a_constraint_of_the_project_forbids_is_an_error(application, user):
    def forbid(execute, sql, params, many, context):
        if sql.startswith("INSERT"):
            raise IntegrityError("a constraint of the project")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(forbid), pytest.raises(IntegrityError, match="a constraint of the project"):
        move_in(application, user)


@pytest.mark.django_db(transaction=True)
def test_import_is_tried_again_after_a_deadlock(application, user):
    with deadlock_once("INSERT"):
        grant = move_in(application, user)

    assert list(generations(grant)) == [1, 2, 3]


@pytest.mark.django_db(transaction=True)
@needs_several_writers
def test_session_that_is_imported_twice_at_once_is_one_grant(application, user):
    grants = run_together(*[lambda: move_in(application, user)] * 4)

    assert len({grant.pk for grant in grants}) == 1
    assert Grant.objects.get().imported_generation == 3


def session(application, user, name="current", *, spent=(), access=(), **arguments):
    return ImportedSession(
        application=application,
        user=user,
        scope=arguments.pop("scope", SCOPE),
        refresh_token_digest=crypto.digest(name),
        spent_digests=[crypto.digest(raw) for raw in spent],
        access_tokens=[access_token(raw) for raw in access],
        **arguments,
    )


def test_each_of_many_sessions_becomes_a_grant(application, user):
    other = ApplicationFactory(), UserFactory()

    grants = import_sessions(
        [
            session(application, user, "first", spent=["a", "b"], access=["x"]),
            session(*other, "second", spent=["c"], access=["y"]),
            session(application, user, "third"),
        ]
    )

    assert [list(generations(grant).values()) for grant in grants] == [
        [crypto.digest(raw) for raw in ("a", "b", "first")],
        [crypto.digest(raw) for raw in ("c", "second")],
        [crypto.digest("third")],
    ]
    assert [(grant.application, grant.user) for grant in grants] == [(application, user), other, (application, user)]
    assert [(grant.generation, grant.access_floor) for grant in Grant.objects.order_by("pk")] == [
        (3, 3),
        (2, 2),
        (1, 1),
    ]
    assert dict(AccessToken.objects.values_list("digest", "grant")) == {
        crypto.digest("x"): grants[0].pk,
        crypto.digest("y"): grants[1].pk,
    }


def test_sessions_that_cannot_be_imported_do_not_keep_back_the_others(oauth_settings, application, user):
    oauth_settings(RESOURCES={"https://notes.example": {}})
    resting = ApplicationFactory(is_active=False)
    resting.is_active = True  # as it was when the caller read it

    outcomes = import_sessions(
        [
            session(application, user, "known", scope="unknown"),
            session(application, UserFactory(is_active=False), "inactive user"),
            session(resting, user, "inactive application"),
            session(resting, user, "another of that application"),
            session(application, user, "resource", resources=["https://files.example"]),
            session(application, None, "nobody"),
            session(application, user, "in order"),
        ]
    )

    assert [type(outcome) for outcome in outcomes] == [
        InvalidScope,
        InvalidGrant,
        InvalidGrant,
        InvalidGrant,
        InvalidTarget,
        ValueError,
        Grant,
    ]
    assert Grant.objects.get() == outcomes[-1]


def test_text_that_two_sessions_name_belongs_to_the_first(application, user):
    first, second, same = import_sessions(
        [
            session(application, user, "first", spent=["ancestor", "second"], access=["x"]),
            session(application, user, "second", spent=["ancestor"], access=["x", "y"]),
            session(application, user, "first"),
        ]
    )

    assert same == first
    assert list(generations(first).values()) == [crypto.digest("ancestor"), crypto.digest("first")]
    assert list(generations(second).values()) == [crypto.digest("second")]  # its client presents this one next
    assert list(AccessToken.objects.order_by("pk").values_list("digest", "grant")) == [
        (crypto.digest("x"), first.pk),
        (crypto.digest("y"), second.pk),
    ]


def test_many_sessions_take_as_many_statements_as_one(application):
    users = UserFactory.create_batch(21)

    def import_of(*owners):
        sessions = [
            session(application, user, user.username, spent=[f"{user} spent"], access=[f"{user} access"])
            for user in owners
        ]
        with CaptureQueriesContext(connection) as queries:
            assert all(isinstance(outcome, Grant) for outcome in import_sessions(sessions))
        return [query["sql"].split()[0] for query in queries]

    assert import_of(*users[1:]) == import_of(users[0])


def test_nothing_to_import_takes_no_write(django_assert_num_queries, db):
    with django_assert_num_queries(0):
        assert import_sessions([]) == []


def test_imported_grant_is_live(application, user):
    grant = move_in(application, user, created_at=timezone.now() - 400 * DAY)

    assert grant.is_live
    assert RefreshToken.objects.live().get().generation == 3
    assert AccessToken.objects.live().get().is_live
