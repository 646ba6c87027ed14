"""Which values of an application do not fit its method and its grant types."""

from datetime import timedelta

import pytest

from oauth_refresh.models.misfits import misfits_of
from tests.factories import ApplicationFactory

CODE, CREDENTIALS = "authorization_code refresh_token", "client_credentials"
FITTING = {
    "a website": {"grant_types": CODE, "redirect_uris": "https://app.example/cb", "is_trusted": True},
    "a phone": {"grant_types": CODE, "public": True, "redirect_uris": "https://app.example/cb"},
    "a service": {"grant_types": CREDENTIALS, "is_resource_server": True, "strict_auth_method": True},
    "a service with keys": {"grant_types": CREDENTIALS, "auth_method": "private_key_jwt", "jwks": {"keys": [{}]}},
    "a window": {"grant_types": CODE, "retry_window": timedelta(seconds=30)},
}
MISFITS = {
    "Public keys are not used": {"grant_types": CODE, "jwks_uri": "https://app.example/keys"},
    "“Only by this method” ha": {"grant_types": CODE, "public": True, "strict_auth_method": True},
    "Redirect URIs are not us": {"grant_types": CREDENTIALS, "redirect_uris": "https://app.example/cb"},
    "“Trusted” has no effect ": {"grant_types": CREDENTIALS, "is_trusted": True},
    "A resource server has to": {"grant_types": CODE, "public": True, "is_resource_server": True},
    "None of its grant types ": {"grant_types": "client_credentials refresh_token"},
    "Settings of refresh toke": {"grant_types": CREDENTIALS, "revoke_on_reuse": False},
    "A grant type is refused,": {"grant_types": f"{CODE} password"},
}


@pytest.fixture(autouse=True)
def offered(oauth_settings):
    oauth_settings(GRANT_TYPES=["authorization_code", "client_credentials", "refresh_token"])


@pytest.mark.parametrize("fields", FITTING.values(), ids=FITTING)
def test_application_that_fits_is_not_complained_of(fields):
    assert misfits_of(ApplicationFactory.build(**fields)) == []


@pytest.mark.parametrize(("sentence", "fields"), MISFITS.items(), ids=MISFITS)
def test_what_does_not_fit_is_named(sentence, fields):
    assert [str(text)[: len(sentence)] for text in misfits_of(ApplicationFactory.build(**fields))] == [sentence]


def test_application_whose_grants_are_refreshable_by_the_settings_fits(oauth_settings):
    oauth_settings(REFRESH_TOKEN_GRANT_TYPES=["client_credentials"])

    assert misfits_of(ApplicationFactory.build(grant_types="client_credentials refresh_token")) == []
