"""Changes to users and applications that revoke their grants, by every way to make them in Django."""

import getpass
from datetime import UTC, datetime
from http import HTTPStatus
from io import StringIO

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher, make_password
from django.contrib.auth.models import User
from django.core import serializers
from django.core.management import call_command
from django.db import OperationalError
from django.db.models.signals import post_save, pre_delete, pre_save
from django.urls import reverse
from joserfc.jwk import ECKey

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Application, AuthMethod, Grant, password_fingerprints
from oauth_refresh.signals import grants_revoked
from tests.database import database_snapshot
from tests.factories import PASSWORD, SECRET, ApplicationFactory, UserFactory
from tests.interference import deadlock_once
from tests.members.models import Member, StaffUser
from tests.oauth import OAuthClient
from tests.signals import recorded

FUTURE = datetime(2100, 1, 1, tzinfo=UTC)

NEW_PASSWORD = "wrong donkey capacitor clip"
JWKS = {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}
OUTDATED_HASH = PBKDF2PasswordHasher().encode(PASSWORD, "salt", iterations=1)
OUTDATED_HASH_OF_NEW_PASSWORD = PBKDF2PasswordHasher().encode(NEW_PASSWORD, "salt", iterations=1)

pytestmark = pytest.mark.django_db


class MoreIterations(PBKDF2PasswordHasher):
    """The preferred hasher of a project that raised its work factor."""

    iterations = 2


@pytest.fixture
def admin_client(client):
    """A browser in which a superuser is logged in."""
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def outdated(application):
    """A client whose user has a password that Django will hash again at the next login."""
    return OAuthClient(application, SECRET).start(user=UserFactory(password=OUTDATED_HASH))


def is_refreshable(client):
    return client.refresh().status_code == HTTPStatus.OK


def reason_of(client):
    return Grant.objects.get(pk=client.grant.pk).revoked_reason


def log_in(client, user, *, password=PASSWORD):
    assert client.login(username=user.username, password=password)


# The password changes.


def test_set_password_and_save_revokes(client_app, user):
    user.set_password(NEW_PASSWORD)
    user.save()

    assert reason_of(client_app) == "password_changed"


def test_set_password_and_save_of_the_password_alone_revokes(client_app, user):
    user.set_password(NEW_PASSWORD)
    user.save(update_fields=["password"])

    assert reason_of(client_app) == "password_changed"


def test_setting_the_same_password_again_revokes_as_it_ends_sessions_of_django(client_app, user):
    user.set_password(PASSWORD)
    user.save()

    assert reason_of(client_app) == "password_changed"


def test_assigned_password_and_save_revokes(client_app, user):
    user.password = make_password(NEW_PASSWORD)
    user.save()

    assert reason_of(client_app) == "password_changed"


def test_assigned_password_and_save_of_the_password_alone_revokes(client_app, user):
    user.password = make_password(NEW_PASSWORD)
    user.save(update_fields=["password"])

    assert reason_of(client_app) == "password_changed"


def test_assigned_password_over_an_outdated_hash_revokes(outdated):
    user = User.objects.get(pk=outdated.grant.user_id)
    user.password = make_password(NEW_PASSWORD)
    user.save(update_fields=["password"])

    assert reason_of(outdated) == "password_changed"


def test_unusable_password_revokes(client_app, user):
    user.set_unusable_password()
    user.save(update_fields=["password"])

    assert reason_of(client_app) == "password_changed"


def test_password_form_of_the_admin_revokes(client_app, admin_client, user):
    response = admin_client.post(
        reverse("admin:auth_user_password_change", args=[user.pk]),
        {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true", "set-password": "1"},
    )

    assert response.status_code == HTTPStatus.FOUND
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    assert reason_of(client_app) == "password_changed"


def test_button_of_the_admin_that_disables_the_password_revokes(client_app, admin_client, user):
    response = admin_client.post(
        reverse("admin:auth_user_password_change", args=[user.pk]),
        {"password1": "", "password2": "", "usable_password": "false", "unset-password": "1"},
    )

    assert response.status_code == HTTPStatus.FOUND
    user.refresh_from_db()
    assert not user.has_usable_password()
    assert reason_of(client_app) == "password_changed"


def test_command_changepassword_revokes(monkeypatch, client_app, user):
    monkeypatch.setattr(getpass, "getpass", lambda prompt: NEW_PASSWORD)

    call_command("changepassword", user.username, stdout=StringIO())

    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    assert reason_of(client_app) == "password_changed"


def test_password_changed_by_a_bulk_update_is_noticed_at_use(client_app, user):
    User.objects.filter(pk=user.pk).update(password=make_password(NEW_PASSWORD))

    assert not is_refreshable(client_app)
    assert reason_of(client_app) == ""


def test_login_after_a_bulk_update_of_the_password_revives_nothing(client_app, user, client):
    User.objects.filter(pk=user.pk).update(password=make_password(NEW_PASSWORD))

    log_in(client, user, password=NEW_PASSWORD)

    assert not is_refreshable(client_app)


def test_rehash_at_login_after_a_bulk_update_of_the_password_revives_nothing(client_app, user, client):
    User.objects.filter(pk=user.pk).update(password=OUTDATED_HASH_OF_NEW_PASSWORD)

    log_in(client, user, password=NEW_PASSWORD)

    user.refresh_from_db()
    assert user.password.startswith("md5$")
    assert not is_refreshable(client_app)


def test_grant_started_after_a_bulk_update_of_the_password_survives_the_rehash(client_app, user, client):
    User.objects.filter(pk=user.pk).update(password=OUTDATED_HASH_OF_NEW_PASSWORD)
    later = OAuthClient(client_app.application, SECRET).start(user=User.objects.get(pk=user.pk))

    log_in(client, user, password=NEW_PASSWORD)

    assert is_refreshable(later)


def test_changed_password_leaves_other_users_alone(client_app):
    other = UserFactory()
    other.set_password(NEW_PASSWORD)
    other.save()

    assert is_refreshable(client_app)


def test_grant_started_with_the_new_password_is_kept(client_app, user):
    user.set_password(NEW_PASSWORD)
    user.save()
    later = OAuthClient(client_app.application, SECRET).start(user=user)

    user.save()

    assert is_refreshable(later)


def test_project_may_let_grants_outlive_the_password(oauth_settings, client_app, user):
    oauth_settings(REVOKE_ON_PASSWORD_CHANGE=False)

    user.set_password(NEW_PASSWORD)
    user.save()

    assert is_refreshable(client_app)


def test_changed_password_sends_a_signal_with_its_reason(client_app, user, django_capture_on_commit_callbacks):
    with recorded(grants_revoked) as sent, django_capture_on_commit_callbacks(execute=True):
        user.set_password(NEW_PASSWORD)
        user.save()

    [arguments] = sent
    assert (arguments["count"], arguments["reason"], arguments["by"]) == (1, "password_changed", None)


# Nothing changes, although something is saved.


def test_profile_that_is_saved_changes_nothing(client_app, user):
    before = database_snapshot()

    user.first_name = "Ada"
    user.save()
    user.save(update_fields=["first_name"])
    User.objects.defer("password").get(pk=user.pk).save()

    assert database_snapshot() == before


def test_fixture_that_is_loaded_changes_nothing(client_app, user):
    before = database_snapshot()
    user.is_active = False
    user.password = make_password(NEW_PASSWORD)

    for loaded in serializers.deserialize("json", serializers.serialize("json", [user])):
        loaded.save()

    assert database_snapshot() == before
    assert not is_refreshable(client_app)


def test_rehash_at_login_keeps_the_grant(outdated, client):
    user = outdated.grant.user

    log_in(client, user)

    user.refresh_from_db()
    assert user.password.startswith("md5$")
    assert Grant.objects.get().password_fingerprint == next(password_fingerprints(user))
    assert is_refreshable(outdated)


def test_rehash_with_more_iterations_keeps_the_grant(settings, outdated, client):
    settings.PASSWORD_HASHERS = ["tests.test_receivers.MoreIterations"]
    user = outdated.grant.user

    log_in(client, user)

    user.refresh_from_db()
    assert user.password.startswith("pbkdf2_sha256$2$")
    assert is_refreshable(outdated)


def test_rehash_at_every_login_of_a_migration_keeps_the_grant(settings, outdated, client):
    user = outdated.grant.user
    log_in(client, user)
    settings.PASSWORD_HASHERS = ["tests.test_receivers.MoreIterations", *settings.PASSWORD_HASHERS]

    log_in(client, user)

    user.refresh_from_db()
    assert user.password.startswith("pbkdf2_sha256$2$")
    assert is_refreshable(outdated)


def test_rehash_does_not_revive_a_revoked_grant(outdated, client):
    Grant.objects.update(revoked_at=outdated.grant.created_at, revoked_reason="lost device")

    log_in(client, outdated.grant.user)

    assert not is_refreshable(outdated)


def test_rehash_leaves_the_grants_of_other_users_alone(outdated, client):
    twin = UserFactory(password=OUTDATED_HASH)  # the same hash, hence the same fingerprint
    of_twin = OAuthClient(outdated.application, SECRET).start(user=twin)

    log_in(client, outdated.grant.user)

    assert is_refreshable(of_twin)
    assert is_refreshable(outdated)


def test_assigned_password_after_a_rehash_of_the_same_instance_revokes(outdated):
    user = User.objects.get(pk=outdated.grant.user_id)
    assert user.check_password(PASSWORD)

    user.password = make_password(NEW_PASSWORD)
    user.save(update_fields=["password"])

    assert reason_of(outdated) == "password_changed"


def test_set_password_after_a_rehash_of_the_same_instance_revokes(outdated):
    user = User.objects.get(pk=outdated.grant.user_id)
    assert user.check_password(PASSWORD)

    user.set_password(NEW_PASSWORD)
    user.save(update_fields=["password"])

    assert reason_of(outdated) == "password_changed"


def test_unusable_password_after_a_rehash_of_the_same_instance_revokes(outdated):
    user = User.objects.get(pk=outdated.grant.user_id)
    assert user.check_password(PASSWORD)

    user.set_unusable_password()
    user.save(update_fields=["password"])

    assert reason_of(outdated) == "password_changed"


def test_change_of_a_password_that_was_never_rehashed_revokes(outdated):
    user = User.objects.get(pk=outdated.grant.user_id)
    user.set_password(NEW_PASSWORD)
    user.save(update_fields=["password"])

    assert reason_of(outdated) == "password_changed"


def test_second_of_two_logins_at_once_counts_as_a_change_and_fails_safe(outdated):
    one, other = User.objects.get(pk=outdated.grant.user_id), User.objects.get(pk=outdated.grant.user_id)
    one.check_password(PASSWORD)

    other.check_password(PASSWORD)

    assert reason_of(outdated) == "password_changed"


@pytest.mark.parametrize("first", [["last_login"], ["is_active"], []])
def test_new_password_that_is_saved_in_two_steps_revokes(client_app, first):
    user = User.objects.get(pk=client_app.grant.user_id)

    user.set_password(NEW_PASSWORD)
    user.save(update_fields=first)
    user.save(update_fields=["password"])

    assert reason_of(client_app) == "password_changed"


@pytest.mark.django_db(transaction=True)
def test_changed_password_after_a_rehash_that_could_not_be_saved_revokes(outdated):
    user = User.objects.get(pk=outdated.grant.user_id)
    with deadlock_once("UPDATE"), pytest.raises(OperationalError):
        user.check_password(PASSWORD)

    user.set_password(NEW_PASSWORD)
    user.save()

    assert reason_of(outdated) == "password_changed"


@pytest.fixture
def used_instance(outdated):
    """An instance that saved a password before, so that it looks like one in the middle of a re-hash."""
    user = User.objects.get(pk=outdated.grant.user_id)
    user.set_password(PASSWORD)
    user.save()
    User.objects.filter(pk=user.pk).update(password=OUTDATED_HASH)
    outdated.start(user=User.objects.get(pk=user.pk))
    return user


def test_unusable_password_over_an_outdated_hash_revokes(outdated, used_instance):
    used_instance.set_unusable_password()
    used_instance.save(update_fields=["password"])

    assert reason_of(outdated) == "password_changed"


def test_whole_instance_saved_over_an_outdated_hash_is_no_rehash(outdated, used_instance):
    used_instance.password = make_password(NEW_PASSWORD)
    used_instance.save()

    assert reason_of(outdated) == "password_changed"


# The project's secret key changes.


def test_rotated_secret_key_with_a_fallback_keeps_the_grant(settings, client_app, user):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key, and long enough as well: 0123456789 0123456789"

    user.save()

    assert is_refreshable(client_app)


def test_rehash_at_login_under_a_rotated_secret_key_keeps_the_grant(settings, outdated, client):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another key, and long enough as well: 0123456789 0123456789"

    log_in(client, outdated.grant.user)

    assert is_refreshable(outdated)


def test_replaced_secret_key_without_a_fallback_ends_the_grant(settings, client_app):
    settings.SECRET_KEY = "another key, and long enough as well: 0123456789 0123456789"

    assert not is_refreshable(client_app)


# The user is deactivated or deleted.


def test_user_deactivated_by_save_revokes(client_app, user):
    user.is_active = False
    user.save()

    assert reason_of(client_app) == "user_deactivated"


def test_user_deactivated_by_save_of_that_field_alone_revokes(client_app, user):
    user.is_active = False
    user.save(update_fields=["is_active"])

    assert reason_of(client_app) == "user_deactivated"


def test_user_deactivated_by_a_bulk_update_is_refused_at_use(client_app, user):
    User.objects.filter(pk=user.pk).update(is_active=False)

    assert not is_refreshable(client_app)
    assert not AccessToken.objects.live().exists()
    assert reason_of(client_app) == ""


def test_reactivated_user_does_not_get_grants_back(client_app, user):
    user.is_active = False
    user.save()

    user.is_active = True
    user.save()

    assert not is_refreshable(client_app)


def test_deleted_user_loses_the_grant(client_app, user):
    user.delete()

    assert not is_refreshable(client_app)
    assert not Grant.objects.exists()


# The user is an instance of another model than the project's.


def test_user_deactivated_through_a_proxy_revokes(client_app, user):
    staff = StaffUser.objects.get(pk=user.pk)
    staff.is_active = False
    staff.save()

    assert reason_of(client_app) == "user_deactivated"


def test_password_changed_through_a_proxy_revokes(client_app, user):
    staff = StaffUser.objects.get(pk=user.pk)
    staff.set_password(NEW_PASSWORD)
    staff.save()

    assert reason_of(client_app) == "password_changed"


def test_rehash_through_a_proxy_keeps_the_grant(outdated):
    assert StaffUser.objects.get(pk=outdated.grant.user_id).check_password(PASSWORD)

    assert is_refreshable(outdated)


@pytest.fixture
def member(application):
    """A client whose user is a row of a child model, with an outdated password."""
    return OAuthClient(application, SECRET).start(user=Member.objects.create(username="m", password=OUTDATED_HASH))


def test_user_deactivated_through_a_child_model_revokes(member):
    child = Member.objects.get()
    child.is_active = False
    child.save()

    assert reason_of(member) == "user_deactivated"


@pytest.mark.parametrize("update_fields", [None, ["password"]])
def test_password_changed_through_a_child_model_revokes(member, update_fields):
    child = Member.objects.get()
    child.set_password(NEW_PASSWORD)
    child.save(update_fields=update_fields)

    assert reason_of(member) == "password_changed"


def test_rehash_through_a_child_model_keeps_the_grant(member):
    assert Member.objects.get().check_password(PASSWORD)

    assert is_refreshable(member)


def test_profile_saved_through_a_child_model_changes_nothing(member):
    before = database_snapshot()
    child = Member.objects.get()
    child.nickname = "M"
    child.save()

    assert database_snapshot() == before


# The application is deactivated or deleted, or can no longer authenticate.


def test_application_deactivated_by_save_revokes(client_app, application):
    application.is_active = False
    application.save()

    assert reason_of(client_app) == "application_deactivated"


def test_application_deactivated_in_the_admin_revokes(client_app, admin_client, application):
    page = reverse("admin:oauth_refresh_application_change", args=[application.pk])
    form = admin_client.get(page).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields}
    unchanged = {name: value for name, value in shown.items() if value is not None}

    response = admin_client.post(page, {**unchanged, "is_active": ""})

    assert response.status_code == HTTPStatus.FOUND
    assert reason_of(client_app) == "application_deactivated"


def test_application_deactivated_by_a_bulk_update_is_refused_at_use(client_app):
    Application.objects.update(is_active=False)

    assert client_app.refresh().status_code == HTTPStatus.UNAUTHORIZED
    assert not AccessToken.objects.live().exists()
    assert reason_of(client_app) == ""


def test_withdrawn_secret_revokes(client_app, application):
    application.secret_digest = ""
    application.save()

    assert reason_of(client_app) == "credentials_withdrawn"


def test_withdrawn_keys_revoke(user):
    application = ApplicationFactory(auth_method=AuthMethod.PRIVATE_KEY_JWT, jwks=JWKS, secret_digest="")
    other = OAuthClient(application).start(user=user)

    application.jwks = None
    application.save()

    assert reason_of(other) == "credentials_withdrawn"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Renamed"},
        {"secret_digest": crypto.digest("another secret of more than 22 characters")},
        {"secret_digest": "", "old_secret_digest": crypto.digest(SECRET), "old_secret_expires_at": FUTURE},
        {"secret_digest": "", "imported_secret_hash": "pbkdf2_sha256$1$a$b"},
    ],
)
def test_application_that_can_still_authenticate_keeps_its_grants(client_app, application, change):
    for column, value in change.items():
        setattr(application, column, value)
    application.save()

    assert reason_of(client_app) == ""


@pytest.mark.parametrize("change", [{"is_active": False}, {"secret_digest": ""}])
def test_change_of_an_application_that_is_not_saved_keeps_its_grants(client_app, application, change):
    for column, value in change.items():
        setattr(application, column, value)
    application.save(update_fields=["name"])

    assert reason_of(client_app) == ""


def test_public_application_that_is_saved_keeps_its_grants(public_client, public_application):
    public_application.save()

    assert is_refreshable(public_client)


def test_deactivated_application_leaves_the_grants_of_others_alone(client_app):
    other = ApplicationFactory()
    other.is_active = False
    other.save()

    assert is_refreshable(client_app)


def test_deleted_application_loses_its_grants(client_app, application):
    application.delete()

    assert client_app.refresh().status_code == HTTPStatus.UNAUTHORIZED
    assert not Grant.objects.exists()


def test_password_of_an_unknown_hasher_is_no_rehash(client_app):
    user = User.objects.get(pk=client_app.grant.user_id)
    User.objects.filter(pk=user.pk).update(password="rot13$cnffjbeq")
    client_app.start(user=User.objects.get(pk=user.pk))
    user._password = None

    user.save(update_fields=["password"])

    assert reason_of(client_app) == "password_changed"


# Rows in another database are not ours, even if one has the same key.


@pytest.mark.parametrize("event", ["saved inactive", "saved with another password", "deleted"])
def test_user_in_another_database_ends_nothing_here(client_app, event):
    elsewhere = type(client_app.grant.user)(pk=client_app.grant.user_id, username="another person", password="!other")
    elsewhere.is_active = event != "saved inactive"

    if event == "deleted":
        pre_delete.send(sender=type(elsewhere), instance=elsewhere, using="archive", origin=elsewhere)
    else:
        saved = {"instance": elsewhere, "raw": False, "using": "archive", "update_fields": None}
        pre_save.send(sender=type(elsewhere), **saved)
        post_save.send(sender=type(elsewhere), created=False, **saved)

    assert client_app.refresh().status_code == HTTPStatus.OK


@pytest.mark.parametrize("event", ["saved inactive", "deleted"])
def test_application_in_another_database_ends_nothing_here(client_app, event):
    elsewhere = Application(pk=client_app.application.pk, client_id="another", is_active=False)

    if event == "deleted":
        pre_delete.send(sender=Application, instance=elsewhere, using="archive", origin=elsewhere)
    else:
        saved = {"instance": elsewhere, "raw": False, "using": "archive", "update_fields": None}
        post_save.send(sender=Application, created=False, **saved)

    assert client_app.refresh().status_code == HTTPStatus.OK
