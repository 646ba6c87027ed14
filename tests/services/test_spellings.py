"""A name is what it says, character by character, also where a collation takes other spellings for it (MariaDB)."""

import pytest
from django.core.exceptions import ValidationError
from django.db import connection

from oauth_refresh.models import Application, TrustedIssuer
from oauth_refresh.services.assertions import trust_issuer
from oauth_refresh.services.clients import create_application, find_application
from oauth_refresh.services.lookup import find_access_token, find_refresh_token, find_users
from tests.factories import ApplicationFactory, TrustedIssuerFactory, UserFactory
from tests.jwts import EC_KEY, jwks

NAME = "https://name.example"
OTHERS = {"case": NAME.upper(), "trailing space": f"{NAME} ", "accent": NAME.replace("e", "é"), "tab": f"{NAME}\t"}
SPELLINGS = pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
IS_CASE_INSENSITIVE = connection.vendor == "mysql"  # with the collation that MariaDB has by default

pytestmark = pytest.mark.django_db


@SPELLINGS
def test_application_is_found_by_its_own_spelling_alone(other):
    application = ApplicationFactory(client_id=NAME)

    assert find_application(NAME) == application
    assert find_application(other) is None


@SPELLINGS
def test_user_is_found_by_its_own_spelling_alone(other):
    user = UserFactory(username=NAME)

    assert find_users(NAME) == [user]
    assert find_users(other) == []


def test_user_is_found_by_a_name_that_is_a_number(user, monkeypatch):
    monkeypatch.setattr(type(user), "USERNAME_FIELD", "pk")

    assert find_users(str(user.pk)) == [user]
    assert find_users("nobody") == []


@pytest.mark.parametrize("respell", [str.swapcase, "{} ".format], ids=["case", "trailing space"])
def test_token_is_found_by_its_own_spelling_alone(client_app, respell):
    assert find_access_token(client_app.access_token) is not None
    assert find_refresh_token(client_app.refresh_token) is not None
    assert find_access_token(respell(client_app.access_token)) is None
    assert find_refresh_token(respell(client_app.refresh_token)) is None


def test_issuer_of_another_spelling_is_registered_beside_the_first_or_refused():
    """Where the database cannot hold both, it says so; it never changes the one there is."""
    TrustedIssuerFactory(issuer=NAME, jwks=jwks(EC_KEY), scope="notes:read")

    if IS_CASE_INSENSITIVE:
        with pytest.raises(ValidationError) as refusal:
            trust_issuer(NAME.upper(), jwks=jwks(EC_KEY), scope="notes:write")
        assert refusal.value.message_dict == {"issuer": ["Trusted issuer with this Issuer already exists."]}
    else:
        trust_issuer(NAME.upper(), jwks=jwks(EC_KEY), scope="notes:write")

    assert TrustedIssuer.objects.get(scope="notes:read").issuer == NAME
    assert TrustedIssuer.objects.count() == (1 if IS_CASE_INSENSITIVE else 2)


def test_application_of_another_spelling_is_registered_beside_the_first_or_refused():
    ApplicationFactory(client_id=NAME)

    if IS_CASE_INSENSITIVE:
        with pytest.raises(ValidationError) as refusal:
            create_application(client_id=NAME.upper(), name="other")
        assert refusal.value.message_dict == {"client_id": ["Application with this Client ID already exists."]}
    else:
        create_application(client_id=NAME.upper(), name="other")

    assert Application.objects.count() == (1 if IS_CASE_INSENSITIVE else 2)
