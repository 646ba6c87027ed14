"""Client authentication: RFC 6749 §2.3, with the method names of RFC 7591."""

import re
from datetime import timedelta
from http import HTTPStatus

import pytest
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Application, UsedAssertion
from oauth_refresh.services.clients import create_application
from tests.factories import SECRET, ApplicationFactory
from tests.jwts import (
    EC_KEY,
    OTHER_KEY,
    KeyClient,
    client_assertion,
    client_claims,
    jwks,
    key_application,
    sign,
)
from tests.oauth import OAuthClient, basic, post_form, raw_basic
from tests.refusals import (
    INVALID_CLIENT,
    NOT_READABLE,
    NOT_SECURE,
    TWO_CREDENTIALS,
    TWO_METHODS,
)

WRONG_SECRET = "not-the-secret-of-this-application"
OLD_SECRET = "the-secret-that-is-being-replaced"
UNREADABLE_BASIC = {
    "not base64": "Basic !!!!",
    "no colon": raw_basic(b"client00000001"),
    "not UTF-8": raw_basic(b"\xff\xfe:\xff"),
    "encoded, but not UTF-8": raw_basic(b"client:%ED%A0%80"),
    "no client ID": raw_basic(b":" + SECRET.encode()),
    "empty value": "Basic ",
    "no value": "Basic",
}


def refresh(client, *, authorization=None, **parameters):
    """Send the refresh of ``client``, with these credentials in place of its own."""
    parameters = {"grant_type": "refresh_token", "refresh_token": client.refresh_token, **parameters}
    return post_form("token", parameters, authorization=authorization)


def sent_in(place, client_id, secret):
    """Return the arguments of ``refresh`` that send the secret in the header or the body."""
    if place == "header":
        return {"authorization": basic(client_id, secret)}
    return {"client_id": client_id, "client_secret": secret}


def assertion(application, key=EC_KEY):
    """Return what proves that ``application`` holds ``key`` (RFC 7523 §3)."""
    return client_assertion(sign(client_claims(application.client_id), key))


@pytest.fixture
def key_client(user):
    """A client that authenticates by assertions, and holds a live pair."""
    return KeyClient(key_application(EC_KEY)).start(user=user)


def test_ca_001_basic_credentials_authenticate_a_confidential_client(client_app):
    response = refresh(client_app, authorization=basic(client_app.application.client_id, SECRET))

    assert response.status_code == HTTPStatus.OK


def test_ca_002_basic_credentials_are_split_at_the_first_colon_and_form_decoded(user):
    application = ApplicationFactory(client_id="my client:1", raw_secret="p% +&£€")
    client = OAuthClient(application).start(user=user)

    response = refresh(client, authorization=raw_basic(b"my+client%3A1:p%25+%2B%26%C2%A3%E2%82%AC"))

    assert response.status_code == HTTPStatus.OK


@pytest.mark.parametrize("secret", ["plus+plus+plus+plus+plus", "percent%2Fpercent%2Fpercent"])
def test_ca_003_basic_secret_that_was_not_form_encoded_is_refused(user, refused, secret):
    client = OAuthClient(ApplicationFactory(raw_secret=secret)).start(user=user)
    not_encoded = raw_basic(f"{client.application.client_id}:{secret}".encode())

    assert refused(lambda: refresh(client, authorization=not_encoded)) == INVALID_CLIENT


@pytest.mark.django_db
def test_ca_004_generated_credentials_need_no_encoding():
    application, secret = create_application(name="Notes")

    assert re.fullmatch(r"[A-Za-z0-9._~-]+", application.client_id)
    assert re.fullmatch(r"[A-Za-z0-9._~-]+", secret)


def test_ca_005_everything_after_the_first_colon_is_the_secret(user):
    application = ApplicationFactory(raw_secret="a:secret:with:colons:in:it")
    client = OAuthClient(application).start(user=user)

    response = refresh(client, authorization=raw_basic(f"{application.client_id}:a:secret:with:colons:in:it".encode()))

    assert response.status_code == HTTPStatus.OK


@pytest.mark.parametrize("authorization", UNREADABLE_BASIC.values(), ids=UNREADABLE_BASIC)
def test_ca_006_unreadable_basic_credentials_are_refused(client_app, refused, authorization):
    assert refused(lambda: refresh(client_app, authorization=authorization)) == INVALID_CLIENT


def test_ca_006_right_credentials_with_a_character_outside_base64_are_refused(client_app, refused):
    stray = client_app.authorization[:20] + "!" + client_app.authorization[20:]

    assert refused(lambda: refresh(client_app, authorization=stray)) == INVALID_CLIENT


def test_ca_007_authorization_scheme_is_matched_without_regard_to_case(client_app):
    response = refresh(client_app, authorization=client_app.authorization.replace("Basic", "bAsIc"))

    assert response.status_code == HTTPStatus.OK


def test_ca_008_wrong_secret_in_the_header_is_refused_with_a_basic_challenge(client_app, refused):
    wrong = basic(client_app.application.client_id, WRONG_SECRET)

    assert refused(lambda: refresh(client_app, authorization=wrong)) == INVALID_CLIENT


def test_ca_009_wrong_secret_in_the_body_is_refused_with_a_basic_challenge(client_app, refused):
    wrong = {"client_id": client_app.application.client_id, "client_secret": WRONG_SECRET}

    assert refused(lambda: refresh(client_app, **wrong)) == INVALID_CLIENT


@pytest.mark.parametrize(
    "credentials",
    [
        {"authorization": basic("nobody", SECRET)},
        {"client_id": "nobody", "client_secret": SECRET},
        {"client_id": "nobody", **client_assertion(sign(client_claims("nobody")))},
    ],
    ids=["header", "body", "assertion"],
)
def test_ca_010_unknown_client_is_answered_like_a_wrong_secret(client_app, refused, credentials):
    assert refused(lambda: refresh(client_app, **credentials)) == INVALID_CLIENT


@pytest.mark.parametrize(("raw", "count"), [("nonsense", 1), (None, 2)], ids=["noise", "another client's token"])
def test_ca_010_unknown_client_costs_as_many_statements_as_a_wrong_secret(
    client_app, django_assert_num_queries, raw, count
):
    """A client is not looked up if the token was issued to it: only who holds the token can notice that."""
    other = ApplicationFactory(raw_secret=SECRET)
    client_app.refresh_token = raw or client_app.refresh_token

    with django_assert_num_queries(count):
        refresh(client_app, authorization=basic(other.client_id, WRONG_SECRET))
    with django_assert_num_queries(count):
        refresh(client_app, authorization=basic("nobody", WRONG_SECRET))


def test_ca_011_credentials_in_the_body_authenticate(client_app):
    response = refresh(client_app, client_id=client_app.application.client_id, client_secret=SECRET)

    assert response.status_code == HTTPStatus.OK


def test_ca_012_credentials_in_the_query_string_do_not_count(client_app, refused):
    form = {"grant_type": "refresh_token", "refresh_token": client_app.refresh_token}
    credentials = {"client_id": client_app.application.client_id, "client_secret": SECRET}

    assert refused(lambda: post_form("token", form, query_params=credentials)) == INVALID_CLIENT


def test_ca_013_identical_credentials_in_header_and_body_are_one_credential(client_app):
    response = refresh(
        client_app,
        authorization=client_app.authorization,
        client_id=client_app.application.client_id,
        client_secret=SECRET,
    )

    assert response.status_code == HTTPStatus.OK


@pytest.mark.parametrize("right_one", ["header", "body"])
def test_ca_014_different_secrets_in_header_and_body_are_malformed(client_app, refused, right_one):
    own_id = client_app.application.client_id
    in_header, in_body = (SECRET, WRONG_SECRET) if right_one == "header" else (WRONG_SECRET, SECRET)

    answer = refused(
        lambda: refresh(client_app, authorization=basic(own_id, in_header), client_id=own_id, client_secret=in_body)
    )

    assert answer == TWO_CREDENTIALS


def test_ca_015_client_id_in_the_body_may_accompany_the_header(client_app):
    response = refresh(client_app, authorization=client_app.authorization, client_id=client_app.application.client_id)

    assert response.status_code == HTTPStatus.OK


def test_ca_016_another_client_id_in_the_body_than_in_the_header_is_malformed(client_app, public_application, refused):
    other_id = public_application.client_id

    answer = refused(lambda: refresh(client_app, authorization=client_app.authorization, client_id=other_id))

    assert answer == TWO_CREDENTIALS


def test_ca_017_assertion_besides_basic_credentials_is_malformed(client_app, refused):
    extra = assertion(client_app.application)

    assert refused(lambda: refresh(client_app, authorization=client_app.authorization, **extra)) == TWO_METHODS


def test_ca_017_assertion_besides_a_secret_in_the_body_is_malformed(client_app, refused):
    both = {
        "client_id": client_app.application.client_id,
        "client_secret": SECRET,
        **assertion(client_app.application),
    }

    assert refused(lambda: refresh(client_app, **both)) == TWO_METHODS


@pytest.mark.parametrize("place", ["header", "body"])
def test_ca_017_good_assertion_besides_a_secret_is_malformed_too(key_client, refused, place):
    Application.objects.update(secret_digest=crypto.digest(SECRET))
    both = sent_in(place, key_client.application.client_id, SECRET) | assertion(key_client.application)

    assert refused(lambda: refresh(key_client, **both)) == TWO_METHODS
    assert not UsedAssertion.objects.exists()


def test_ca_018_confidential_client_that_only_names_itself_is_refused(client_app, refused):
    own_id = client_app.application.client_id

    assert refused(lambda: refresh(client_app, client_id=own_id)) == INVALID_CLIENT


def test_ca_019_confidential_client_that_sends_nothing_is_refused(client_app, refused):
    assert refused(lambda: refresh(client_app)) == INVALID_CLIENT


@pytest.mark.parametrize("place", ["header", "body"])
def test_ca_020_client_registered_with_a_key_may_not_send_a_secret(key_client, refused, place):
    Application.objects.update(secret_digest=crypto.digest(SECRET))
    credentials = sent_in(place, key_client.application.client_id, SECRET)

    assert refused(lambda: refresh(key_client, **credentials)) == INVALID_CLIENT


def test_ca_020_client_registered_with_a_secret_may_not_send_an_assertion(client_app, refused):
    Application.objects.update(jwks=jwks(EC_KEY))
    signed = assertion(client_app.application)

    answer = refused(lambda: refresh(client_app, client_id=client_app.application.client_id, **signed))

    assert answer == INVALID_CLIENT


@pytest.mark.parametrize(("registered", "place"), [("client_secret_basic", "body"), ("client_secret_post", "header")])
def test_ca_020_client_narrowed_to_one_method_may_not_use_the_other(client_app, refused, registered, place):
    Application.objects.update(auth_method=registered, strict_auth_method=True)
    credentials = sent_in(place, client_app.application.client_id, SECRET)

    assert refused(lambda: refresh(client_app, **credentials)) == INVALID_CLIENT


def test_ca_021_public_client_that_sends_a_secret_is_refused(public_client, refused):
    own_id = public_client.application.client_id

    assert refused(lambda: refresh(public_client, client_id=own_id, client_secret=SECRET)) == INVALID_CLIENT


def test_ca_022_empty_secret_of_a_public_client_counts_as_left_out(public_client):
    response = refresh(public_client, client_id=public_client.application.client_id, client_secret="")

    assert response.status_code == HTTPStatus.OK


def test_ca_023_public_client_may_use_basic_with_an_empty_password(public_client):
    """Design: an empty password is no secret, so this only names the client (RFC 6749 §2.3.1)."""
    empty = basic(public_client.application.client_id, "")

    assert refresh(public_client, authorization=empty).status_code == HTTPStatus.OK


def test_empty_password_is_no_secret_of_a_confidential_client(client_app, refused):
    empty = basic(client_app.application.client_id, "")

    assert refused(lambda: refresh(client_app, authorization=empty)) == INVALID_CLIENT


def test_secret_in_the_body_may_accompany_a_header_with_an_empty_password(client_app):
    client_id = client_app.application.client_id

    response = refresh(
        client_app, authorization=basic(client_id, ""), client_id=client_id, client_secret=client_app.secret
    )

    assert response.status_code == HTTPStatus.OK


def test_secret_in_the_header_may_be_accompanied_by_an_empty_one_in_the_body(client_app):
    client_id = client_app.application.client_id

    response = refresh(client_app, authorization=client_app.authorization, client_id=client_id, client_secret="")

    assert response.status_code == HTTPStatus.OK


def test_client_id_in_the_header_alone_completes_a_secret_in_the_body(client_app):
    empty = basic(client_app.application.client_id, "")

    assert refresh(client_app, authorization=empty, client_secret=SECRET).status_code == HTTPStatus.OK


def test_header_with_an_empty_password_is_no_second_method_beside_an_assertion(key_client):
    empty = basic(key_client.application.client_id, "")

    response = refresh(key_client, authorization=empty, **assertion(key_client.application))

    assert response.status_code == HTTPStatus.OK


def test_header_names_no_other_client_than_the_assertion(key_client, public_application, refused):
    other = basic(public_application.client_id, "")

    assert refused(lambda: refresh(key_client, authorization=other, **assertion(key_client.application))) == (
        INVALID_CLIENT
    )


def test_header_with_an_empty_password_names_no_other_client_than_the_body(public_client, client_app, refused):
    other, own_id = basic(client_app.application.client_id, ""), public_client.application.client_id

    assert refused(lambda: refresh(public_client, authorization=other, client_id=own_id)) == TWO_CREDENTIALS


def test_header_without_user_and_password_is_ignored(public_client, client_app):
    nothing = raw_basic(b":")

    for client, credentials in (
        (public_client, {"client_id": public_client.application.client_id}),
        (client_app, sent_in("body", client_app.application.client_id, SECRET)),
    ):
        assert refresh(client, authorization=nothing, **credentials).status_code == HTTPStatus.OK


def test_header_without_user_and_password_is_no_client(client_app, refused):
    assert refused(lambda: refresh(client_app, authorization=raw_basic(b":"))) == INVALID_CLIENT


@pytest.mark.parametrize("endpoint", ["revoke", "introspect"])
def test_empty_password_is_no_secret_at_the_other_endpoints(client_app, refused, endpoint):
    form = {"token": client_app.access_token}
    empty = basic(client_app.application.client_id, "")

    assert refused(lambda: post_form(endpoint, form, authorization=empty)) == INVALID_CLIENT
    own_secret = {**form, "client_secret": SECRET}
    assert post_form(endpoint, own_secret, authorization=empty).status_code == HTTPStatus.OK


def test_public_client_may_revoke_by_basic_with_an_empty_password(public_client):
    empty = basic(public_client.application.client_id, "")

    response = post_form("revoke", {"token": public_client.access_token}, authorization=empty)

    assert (response.status_code, response.json()) == (HTTPStatus.OK, {})


def test_public_client_may_not_introspect_by_basic_with_an_empty_password(public_client, refused):
    empty = basic(public_client.application.client_id, "")

    assert refused(lambda: post_form("introspect", {"token": public_client.access_token}, authorization=empty)) == (
        INVALID_CLIENT
    )


@pytest.mark.parametrize("authorization", ["Bearer x", 'Digest username="x"', "Negotiate"])
def test_ca_025_another_scheme_is_answered_with_a_basic_challenge(client_app, refused, authorization):
    assert refused(lambda: refresh(client_app, authorization=authorization)) == INVALID_CLIENT


@pytest.mark.parametrize("second", ["Basic eDp5", "Bearer x", "Content-Type: application/x-www-form-urlencoded"])
@pytest.mark.parametrize("separator", [",", ", "])
def test_ca_026_two_authorization_values_are_refused(client_app, refused, second, separator):
    two = f"{client_app.authorization}{separator}{second}"

    assert refused(lambda: refresh(client_app, authorization=two)) == INVALID_CLIENT


def test_ca_027_disabled_client_with_its_right_secret_is_refused(client_app, refused):
    Application.objects.update(is_active=False)

    assert refused(lambda: refresh(client_app, authorization=client_app.authorization)) == INVALID_CLIENT


def test_ca_027_deleted_client_with_its_right_secret_is_refused(client_app, refused):
    Application.objects.all().delete()

    assert refused(lambda: refresh(client_app, authorization=client_app.authorization)) == INVALID_CLIENT


def test_ca_028_credentials_over_plain_http_are_refused_and_never_redirected(client_app, refused, oauth_settings):
    oauth_settings(REQUIRE_HTTPS=True)

    answer = refused(lambda: refresh(client_app, authorization=client_app.authorization))

    assert answer == NOT_SECURE


def test_ca_028_plain_http_is_refused_unless_a_project_says_otherwise(client_app, refused, oauth_settings):
    oauth_settings(unset=["REQUIRE_HTTPS"])

    answer = refused(lambda: refresh(client_app, authorization=client_app.authorization))

    assert answer == NOT_SECURE


STRANGE_CLIENT_IDS = {
    "NUL": "client\x00",
    "too long": "c" * 300,
    "wildcard": "client%",
    "one-character wildcard": "_" * 14,
}


@pytest.mark.parametrize("client_id", STRANGE_CLIENT_IDS.values(), ids=STRANGE_CLIENT_IDS)
@pytest.mark.parametrize("place", ["header", "body"])
def test_ca_029_strange_client_id_is_an_unknown_client(client_app, refused, client_id, place):
    assert refused(lambda: refresh(client_app, **sent_in(place, client_id, SECRET))) == INVALID_CLIENT


def test_ca_029_lone_surrogate_in_the_client_id_is_not_utf_8(client_app, refused):
    body = f"grant_type=refresh_token&refresh_token={client_app.refresh_token}&client_id=%ED%A0%80"

    assert refused(lambda: post_form("token", body)) == NOT_READABLE


def test_ca_029_client_id_in_another_case_is_an_unknown_client(client_app, refused):
    other_case = basic(client_app.application.client_id.upper(), SECRET)

    assert refused(lambda: refresh(client_app, authorization=other_case)) == INVALID_CLIENT


@pytest.fixture
def client_changing_its_secret(client_app):
    Application.objects.update(
        old_secret_digest=crypto.digest(OLD_SECRET), old_secret_expires_at=timezone.now() + timedelta(hours=1)
    )
    return client_app


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET], ids=["new", "old"])
def test_ca_030_both_secrets_work_while_one_is_replaced(client_changing_its_secret, secret):
    own_id = client_changing_its_secret.application.client_id

    response = refresh(client_changing_its_secret, authorization=basic(own_id, secret))

    assert response.status_code == HTTPStatus.OK


def test_ca_030_retired_secret_is_refused(client_changing_its_secret, refused, time_machine):
    old = basic(client_changing_its_secret.application.client_id, OLD_SECRET)
    time_machine.move_to(timezone.now() + timedelta(hours=1, seconds=1), tick=False)

    assert refused(lambda: refresh(client_changing_its_secret, authorization=old)) == INVALID_CLIENT


@pytest.mark.parametrize("key", [EC_KEY, OTHER_KEY], ids=["new", "old"])
def test_ca_030_both_keys_work_while_one_is_replaced(key_client, key):
    Application.objects.update(jwks=jwks(EC_KEY, OTHER_KEY))

    assert refresh(key_client, **assertion(key_client.application, key)).status_code == HTTPStatus.OK


def test_ca_030_retired_key_is_refused(key_client, refused):
    Application.objects.update(jwks=jwks(OTHER_KEY))

    assert refused(lambda: refresh(key_client, **assertion(key_client.application, EC_KEY))) == INVALID_CLIENT


def revoke(client, *, authorization=None, **parameters):
    return post_form("revoke", {"token": client.access_token, **parameters}, authorization=authorization)


def test_ca_031_basic_credentials_authenticate_at_revocation(client_app):
    response = revoke(client_app, authorization=client_app.authorization)

    assert response.status_code == HTTPStatus.OK
    assert not AccessToken.objects.live().exists()


@pytest.mark.parametrize("authorization", UNREADABLE_BASIC.values(), ids=UNREADABLE_BASIC)
def test_ca_031_unreadable_basic_credentials_are_refused_at_revocation(client_app, refused, authorization):
    assert refused(lambda: revoke(client_app, authorization=authorization)) == INVALID_CLIENT


def test_ca_031_wrong_secret_is_refused_at_revocation(client_app, refused):
    wrong = basic(client_app.application.client_id, WRONG_SECRET)

    assert refused(lambda: revoke(client_app, authorization=wrong)) == INVALID_CLIENT


def test_ca_031_identical_credentials_in_header_and_body_are_one_credential_at_revocation(client_app):
    own_id = client_app.application.client_id

    response = revoke(client_app, authorization=client_app.authorization, client_id=own_id, client_secret=SECRET)

    assert response.status_code == HTTPStatus.OK
    assert not AccessToken.objects.live().exists()


def test_ca_031_confidential_client_that_only_names_itself_is_refused_at_revocation(client_app, refused):
    own_id = client_app.application.client_id

    assert refused(lambda: revoke(client_app, client_id=own_id)) == INVALID_CLIENT


@pytest.mark.django_db
def test_ca_032_secret_is_stored_as_a_digest_only():
    _application, secret = create_application(name="Notes")

    stored = Application.objects.values().get()

    assert stored["secret_digest"] == crypto.digest(secret)
    assert secret not in repr(stored)


def test_ca_033_client_id_alone_gets_no_client_credentials(application, refused):
    form = {"grant_type": "client_credentials", "client_id": application.client_id}

    assert refused(lambda: post_form("token", form)) == INVALID_CLIENT
