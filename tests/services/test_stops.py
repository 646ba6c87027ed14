"""A grant that starts while its application, issuer or user is deactivated or withdrawn: it is refused.

The deactivation comes between the look-up by which the request was accepted and the transaction that writes; the same
with real locks is in ``tests/races/test_interleavings.py``.
"""

from datetime import timedelta
from http import HTTPStatus

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.errors import InvalidGrant
from oauth_refresh.models import STAFF, Application, AuthMethod, Grant, GrantType, TrustedIssuer
from oauth_refresh.services import issue_tokens
from oauth_refresh.services.clients import replace_secret, withdraw_old_secret
from tests.consent import read_answer, start_flow
from tests.database import database_snapshot
from tests.factories import PASSWORD, SECRET, ApplicationFactory, TrustedIssuerFactory
from tests.interference import run_after_code_lookup, run_after_select
from tests.jwts import EC_KEY, OTHER_KEY, KeyClient, grant_claims, jwks, key_application, sign
from tests.oauth import OAuthClient
from tests.refusals import INVALID_CLIENT, INVALID_GRANT, read_refusal

pytestmark = pytest.mark.django_db

KEYS_URI = "https://app.example/keys"


def saved(application, **columns):
    """Save another instance of the row, as another request would."""
    row = type(application).objects.get(pk=application.pk)
    for column, value in columns.items():
        setattr(row, column, value)
    row.save()


def deactivated(application):
    saved(application, is_active=False)


def deactivated_without_a_signal(application):
    Application.objects.filter(pk=application.pk).update(is_active=False)


def deleted(application):
    Application.objects.get(pk=application.pk).delete()


def secret_replaced(application):
    replace_secret(Application.objects.get(pk=application.pk), overlap=timedelta(0))


def secret_replaced_twice(application):
    for _turn in range(2):
        replace_secret(Application.objects.get(pk=application.pk), overlap=timedelta(hours=1))


def secret_withdrawn(application):
    saved(application, secret_digest="", old_secret_digest="")


def now_public(application):
    saved(application, auth_method="none", grant_types="password authorization_code refresh_token")


def now_with_keys(application):
    saved(application, auth_method="private_key_jwt", jwks=jwks(EC_KEY))


ENDED = {
    deactivated: INVALID_GRANT,
    deactivated_without_a_signal: INVALID_GRANT,
    deleted: INVALID_GRANT,
}
WITHDRAWN = {
    secret_replaced: INVALID_CLIENT,
    secret_replaced_twice: INVALID_CLIENT,
    secret_withdrawn: INVALID_CLIENT,
    now_public: INVALID_CLIENT,
    now_with_keys: INVALID_CLIENT,
}
STOPS = pytest.mark.parametrize(("stop", "answer"), [*ENDED.items(), *WITHDRAWN.items()])


def by_password(client, user):
    return client.token(grant_type="password", username=user.username, password=PASSWORD)


def by_client_credentials(client, user):
    return client.token(grant_type="client_credentials", scope="notes:read")


def by_assertion(client, user):
    issuer = TrustedIssuer.objects.get()
    return client.token(grant_type=GrantType.JWT_BEARER.value, assertion=sign(grant_claims(issuer, user)))


def refused_as(answer, response, *, stored):
    """Assert the refusal, and that nothing was written but by the stop."""
    assert read_refusal(response) == answer
    assert database_snapshot() == stored[0]


def snapshot_after(stop, application, stored):
    def act():
        stop(application)
        stored.append(database_snapshot())

    return act


@STOPS
@pytest.mark.parametrize("start", [by_password, by_client_credentials, by_assertion])
def test_no_grant_starts_once_its_application_is_stopped(user, start, stop, answer):
    TrustedIssuerFactory(jwks=jwks(EC_KEY))
    grant_types = f"password client_credentials refresh_token {GrantType.JWT_BEARER}"
    application = ApplicationFactory(raw_secret=SECRET, grant_types=grant_types)
    stored = []

    with run_after_select(Application, snapshot_after(stop, application, stored)):
        response = start(OAuthClient(application, SECRET), user)

    refused_as(answer, response, stored=stored)


@STOPS
def test_no_code_is_redeemed_once_its_application_is_stopped(user, stop, answer):
    flow = start_flow(user)
    code, stored = flow.code(), []

    with run_after_code_lookup(snapshot_after(stop, flow.client.application, stored)):
        response = flow.redeem(code)

    refused_as(answer, response, stored=stored)


@pytest.mark.parametrize("start", [by_password, by_client_credentials])
def test_grant_starts_with_a_secret_that_was_replaced_and_still_works(user, application, start):
    overlapping = lambda: replace_secret(Application.objects.get(), overlap=timedelta(hours=1))  # noqa: E731

    with run_after_select(Application, overlapping):
        response = start(OAuthClient(application, SECRET), user)

    assert response.status_code == HTTPStatus.OK


OLD_SECRET = "the-old-secret-of-more-than-22-characters"


@pytest.mark.parametrize(("secret", "answer"), [(OLD_SECRET, INVALID_CLIENT), (SECRET, None)])
def test_withdrawal_of_the_old_secret_stops_grants_that_start_with_it_alone(user, secret, answer):
    application = ApplicationFactory(
        raw_secret=SECRET,
        old_secret_digest=crypto.digest(OLD_SECRET),
        old_secret_expires_at=timezone.now() + timedelta(hours=1),
    )

    with run_after_select(Application, lambda: withdraw_old_secret(Application.objects.get())):
        response = by_password(OAuthClient(application, secret), user)

    assert (read_refusal(response) if answer else response.status_code) == (answer or HTTPStatus.OK)
    assert Grant.objects.count() == (0 if answer else 1)


def test_public_application_that_now_has_a_secret_starts_no_grant_without(user, public_application):
    secret = {"auth_method": "client_secret_basic", "secret_digest": crypto.digest(SECRET)}

    with run_after_select(Application, lambda: saved(public_application, **secret)):
        response = by_password(OAuthClient(public_application, None), user)

    assert read_refusal(response) == INVALID_CLIENT
    assert not Grant.objects.exists()


# Keys of applications and issuers.


def keys_replaced(row):
    saved(row, jwks=jwks(OTHER_KEY))


def keys_moved(row):
    saved(row, jwks=None, jwks_uri=KEYS_URI)


def row_deleted(row):
    type(row).objects.get(pk=row.pk).delete()


def now_with_a_secret(application):
    saved(application, auth_method=AuthMethod.CLIENT_SECRET_BASIC, secret_digest=crypto.digest(SECRET))


def key_added(row):
    saved(row, jwks=jwks(OTHER_KEY, EC_KEY))


def renamed(application):
    saved(application, name="Renamed")


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        (keys_replaced, INVALID_CLIENT),
        (keys_moved, INVALID_CLIENT),
        (now_with_a_secret, INVALID_CLIENT),
        (deactivated, INVALID_GRANT),
        (key_added, None),
        (renamed, None),
    ],
)
def test_grant_starts_only_with_a_key_that_its_application_still_has(user, change, answer):
    application = key_application(EC_KEY)

    with run_after_select(Application, lambda: change(application)):
        response = by_password(KeyClient(application), user)

    assert (read_refusal(response) if answer else response.status_code) == (answer or HTTPStatus.OK)
    assert Grant.objects.count() == (0 if answer else 1)


@pytest.mark.parametrize(
    ("change", "refused"),
    [(keys_replaced, True), (keys_moved, True), (deactivated, True), (row_deleted, True), (key_added, False)],
)
def test_grant_starts_only_for_an_issuer_that_is_still_trusted(user, change, refused):
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY))
    client = OAuthClient(ApplicationFactory(raw_secret=SECRET, grant_types=GrantType.JWT_BEARER.value), SECRET)

    with run_after_select(TrustedIssuer, lambda: change(issuer)):
        response = by_assertion_of(issuer, client, user)

    assert (read_refusal(response) if refused else response.status_code) == (
        INVALID_GRANT if refused else HTTPStatus.OK
    )
    assert Grant.objects.count() == (0 if refused else 1)


def by_assertion_of(issuer, client, user):
    return client.token(grant_type=GrantType.JWT_BEARER.value, assertion=sign(grant_claims(issuer, user)))


# Without a request of the client: by staff, and by a user who consents.


def test_staff_start_no_grant_of_an_application_that_was_deactivated_meanwhile(user, application):
    deactivated(application)

    with pytest.raises(InvalidGrant, match="A grant cannot start: application inactive"):
        issue_tokens(application, user=user, grant_type=STAFF)

    assert not Grant.objects.exists()


def user_deactivated(application):
    get_user_model().objects.update(is_active=False)


def user_deleted(application):
    get_user_model().objects.all().delete()


def password_changed(application):
    person = get_user_model().objects.get()
    person.set_password("another one")
    person.save()


@pytest.mark.parametrize(
    ("looked_up", "stop"),
    [
        *[(Application, stop) for stop in (deactivated, deactivated_without_a_signal, deleted)],
        *[(get_user_model(), stop) for stop in (user_deactivated, user_deleted, password_changed)],
    ],
)
def test_no_code_is_issued_once_the_application_or_the_user_is_stopped(user, looked_up, stop):
    flow = start_flow(user)

    with run_after_select(looked_up, lambda: stop(flow.client.application)):
        response = flow.decide("allow")

    answer = read_answer(response)
    assert (answer["error"], answer["error_description"]) == ("access_denied", "The server refused.")
    assert not Grant.objects.exists()


def test_no_code_works_after_its_application_was_deactivated_and_reactivated(user):
    flow = start_flow(user)
    with run_after_select(Application, lambda: deactivated(flow.client.application)):
        flow.decide("allow")

    saved(flow.client.application, is_active=True)

    assert not Grant.objects.exists()
