"""The grant: its own answers and those of its queryset, and what the database itself forbids."""

import re
import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from oauth_refresh.models import Grant, GrantEvent
from oauth_refresh.models.grant import live_grant
from tests.factories import ApplicationFactory, GrantEventFactory, GrantFactory, UserFactory
from tests.models.states import ACTIVE_GRANTS, FUTURE, INACTIVE_GRANTS, PAST

pytestmark = pytest.mark.django_db


def test_every_active_state_is_active():
    assert [name for name, state in ACTIVE_GRANTS.items() if not GrantFactory(**state).is_live] == []


@pytest.mark.parametrize("state", ACTIVE_GRANTS.values(), ids=ACTIVE_GRANTS)
def test_row_and_queryset_agree_that_a_grant_is_active(state):
    grant = GrantFactory(**state)

    assert grant.is_live
    assert list(Grant.objects.live()) == [grant]


@pytest.mark.parametrize(("state", "why"), INACTIVE_GRANTS.values(), ids=INACTIVE_GRANTS)
def test_row_and_queryset_agree_that_a_grant_is_inactive(state, why):
    grant = GrantFactory(**state)

    assert not grant.is_live
    assert grant.inactive_reason(timezone.now()) == why
    assert list(Grant.objects.live()) == []


@pytest.mark.parametrize("expiry", ["idle_expires_at", "expires_at"])
@pytest.mark.parametrize(("seconds_left", "lives"), [(1, True), (0, False), (-1, False)])
def test_row_and_queryset_agree_to_the_second_when_a_grant_expires(expiry, seconds_left, lives):
    grant = GrantFactory()
    now = getattr(grant, expiry) - timedelta(seconds=seconds_left)
    other = {"idle_expires_at", "expires_at"} - {expiry}
    Grant.objects.update(**dict.fromkeys(other, FUTURE))
    grant.refresh_from_db()

    assert (grant.inactive_reason(now) is None) is lives
    assert Grant.objects.live(now).exists() is lives


def test_only_the_row_knows_that_the_password_changed():
    grant = GrantFactory(password_fingerprint="0" * 64)

    assert grant.inactive_reason(timezone.now()) == "password changed"
    assert list(Grant.objects.live()) == [grant]


@pytest.mark.parametrize(
    ("state", "ended"),
    [
        ({}, None),
        ({"generation": 0}, None),
        ({"application__is_active": False}, None),
        ({"user__is_active": False}, None),
        ({"password_fingerprint": "0" * 64}, None),
        ({"revoked": True}, "revoked"),
        ({"expired": True}, "expired"),
    ],
)
def test_grant_was_ended_only_on_purpose_or_by_time(state, ended):
    assert GrantFactory(**state).end_reason(timezone.now()) == ended


def test_active_grant_needs_no_is_active_of_the_user_model(settings):
    settings.AUTH_USER_MODEL = "contenttypes.ContentType"

    assert "is_active" not in str(live_grant(timezone.now())).replace("application__is_active", "")


def test_querysets_select_by_user_application_and_revocation():
    grant, _other = GrantFactory(), GrantFactory(revoked=True)

    assert list(Grant.objects.for_user(grant.user)) == [grant]
    assert list(Grant.objects.for_application(grant.application)) == [grant]
    assert list(Grant.objects.unrevoked()) == [grant]
    assert list(Grant.objects.for_user(grant.user).for_application(grant.application).live()) == [grant]


def test_user_can_use_the_active_grants_of_the_present_password():
    user = UserFactory()
    usable = {GrantFactory(user=user), GrantFactory(user=user, password_fingerprint="")}
    GrantFactory(user=user, password_fingerprint="another password's")
    GrantFactory(user=user, revoked=True)
    GrantFactory()

    assert set(Grant.objects.usable_for(user)) == usable


def test_user_can_use_grants_of_an_older_password_where_the_project_does_not_mind(oauth_settings):
    oauth_settings(REVOKE_ON_PASSWORD_CHANGE=False)
    grant = GrantFactory(password_fingerprint="another password's")

    assert set(Grant.objects.usable_for(grant.user)) == {grant}


def test_scopes_are_the_words_of_the_scope():
    assert GrantFactory.build(scope="notes:read notes:write").scopes == ("notes:read", "notes:write")
    assert GrantFactory.build(scope="").scopes == ()


@pytest.mark.parametrize(
    ("cap", "refreshable", "expiry"),
    [
        (None, True, timedelta(days=14)),
        (None, False, timedelta(hours=1)),
        (timedelta(days=90), True, timedelta(days=14)),
        (timedelta(days=3), True, timedelta(days=3)),
        (timedelta(minutes=5), False, timedelta(minutes=5)),
    ],
)
def test_next_idle_expiry_never_passes_the_cap(cap, refreshable, expiry):
    grant = GrantFactory.build(expires_at=None if cap is None else PAST + cap)

    assert grant.next_idle_expiry(PAST, refreshable=refreshable) == PAST + expiry


@pytest.mark.parametrize(("idle", "expiry"), [(14 * 24, 1), (0.5, 0.5)])
def test_access_token_expiry_never_passes_that_of_the_grant(idle, expiry):
    grant = GrantFactory.build(created_at=PAST, idle_expires_at=PAST + timedelta(hours=idle))

    assert grant.access_token_expiry(PAST) == PAST + timedelta(hours=expiry)


@pytest.mark.parametrize(
    ("state", "constraint"),
    [
        ({"user": None}, "oauth_grant_has_user"),
        ({"user": None, "grant_type": "operator"}, "oauth_grant_has_user"),
        ({"created_at": PAST, "idle_expires_at": PAST}, "oauth_grant_expires_later"),
        ({"created_at": PAST, "idle_expires_at": FUTURE, "expires_at": PAST}, "oauth_grant_expires_later"),
        ({"revoked_at": FUTURE}, "oauth_grant_revoked_why"),
        ({"revoked_reason": "forgotten"}, "oauth_grant_revoked_why"),
    ],
)
def test_database_refuses_a_grant_that_breaks(state, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        GrantFactory(**state)


def test_database_refuses_a_second_grant_of_the_same_public_id():
    public_id = uuid.uuid4()
    GrantFactory(public_id=public_id)

    with pytest.raises(IntegrityError), transaction.atomic():
        GrantFactory(public_id=public_id)


def test_deleting_user_or_application_deletes_the_grant():
    of_user, of_application = GrantFactory(), GrantFactory()

    of_user.user.delete()
    of_application.application.delete()

    assert not Grant.objects.exists()


def test_grant_is_deleted_before_its_user():
    """MariaDB checks constraints and foreign keys at each statement, so the order matters."""
    grant = GrantFactory()

    with CaptureQueriesContext(connection) as queries:
        grant.user.delete()

    written = [query["sql"] for query in queries if query["sql"].startswith(("DELETE", "UPDATE"))]
    deleted = [sql.split()[2].strip('"`') for sql in written if sql.startswith("DELETE")]
    assert deleted.index("oauth_refresh_grant") < deleted.index("auth_user")
    assert [sql for sql in written if re.search(r"user_id.? = NULL", sql)] == []


def test_deleting_who_revoked_a_grant_leaves_it_revoked():
    staff = UserFactory()
    grant = GrantFactory(revoked=True, revoked_by=staff)

    staff.delete()

    grant.refresh_from_db()
    assert grant.revoked_by is None
    assert grant.revoked_at is not None


def test_grant_shows_its_public_id_and_no_key():
    grant = GrantFactory(retry_slots=b"salt" * 8)

    assert str(grant) == str(grant.public_id)
    assert repr(grant) == f"<Grant: {grant.public_id}>"


def test_event_shows_its_kind_and_generation():
    event = GrantEventFactory()

    assert repr(event) == "<GrantEvent: a spent refresh token was used again (generation 1)>"
    assert list(GrantEvent.objects.filter(grant__application=event.grant.application)) == [event]


def test_application_without_a_cap_of_its_own_uses_the_project_setting(oauth_settings):
    oauth_settings(GRANT_LIFETIME=None)

    assert ApplicationFactory.build().grant_expiry(PAST) is None
