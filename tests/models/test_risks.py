"""Which choices of an application are named as risky, and from which value on."""

from datetime import timedelta

import pytest

from oauth_refresh.models.risks import risks_of
from tests.factories import ApplicationFactory

CAREFUL = {"grant_types": "authorization_code client_credentials refresh_token"}
RISKS = {
    "password": (
        "Password grant: users type their password into the application, which may keep it. "
        "Use the authorization code instead (RFC 9700 §2.4)."
    ),
    "rotation": (
        "Rotation is off: one refresh token is used for the whole grant, so its theft is not detected. "
        "Turn rotation on unless the application cannot store a new token."
    ),
    "trusted": "Trusted: users are not asked for their consent. Use this for applications of your own only.",
    "document": (
        "Trusted, and described by a document elsewhere: anyone who can change that document receives the codes of all "
        "users. Let users be asked."
    ),
    "pkce": (
        "PKCE is not required: an intercepted code can be redeemed with the secret alone (RFC 9700 §2.1.1). "
        "Require PKCE unless the application cannot send a code challenge."
    ),
    "access": "Access tokens are valid for over a day, and so is a stolen one. An hour is usual.",
    "idle": "An unused grant stays active for over 90 days, on a lost device too. Two weeks are usual.",
    "retry": (
        "A refresh may be repeated for over five minutes, and for as long a thief with the spent refresh token "
        "gets the same tokens. Half a minute is enough for a client that retries at once."
    ),
    "reuse": (
        "Reuse revokes nothing: a thief of a refresh token keeps the grant although the theft was noticed. "
        "Let reuse revoke the grant, and give clients that share a token a retry window."
    ),
    "grant": "A grant may last for over a year without a new sign-in. Set a grant lifetime, such as 90 days.",
}
SECOND = timedelta(seconds=1)


def risks(**fields):
    """Return the risks of an application by name, in the order in which they are listed."""
    names = {sentence: name for name, sentence in RISKS.items()}
    return [names[str(risk)] for risk in risks_of(ApplicationFactory.build(**CAREFUL | fields))]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, []),
        ({"auth_method": "none", "secret_digest": ""}, []),
        ({"grant_types": "password refresh_token"}, ["password"]),
        ({"rotate_refresh_tokens": False}, ["rotation"]),
        ({"rotate_refresh_tokens": True}, []),
        ({"is_trusted": True}, ["trusted"]),
        ({"is_trusted": True, "from_metadata_document": True}, ["trusted", "document"]),
        ({"from_metadata_document": True}, []),
        ({"requires_pkce": False}, ["pkce"]),
        ({"access_token_lifetime": timedelta(days=1)}, []),
        ({"access_token_lifetime": timedelta(days=1) + SECOND}, ["access"]),
        ({"refresh_token_lifetime": timedelta(days=90)}, []),
        ({"refresh_token_lifetime": timedelta(days=90) + SECOND}, ["idle"]),
        ({"retry_window": timedelta(minutes=5)}, []),
        ({"retry_window": timedelta(minutes=5) + SECOND}, ["retry"]),
        ({"revoke_on_reuse": False}, ["reuse"]),
        ({"revoke_on_reuse": True}, []),
        ({"grant_lifetime": timedelta(days=366)}, []),
        ({"grant_lifetime": timedelta(days=366) + SECOND}, ["grant"]),
        (
            {
                "grant_types": "password",
                "rotate_refresh_tokens": False,
                "is_trusted": True,
                "from_metadata_document": True,
                "requires_pkce": False,
                "access_token_lifetime": timedelta(days=200),
                "refresh_token_lifetime": timedelta(days=300),
                "retry_window": timedelta(minutes=6),
                "revoke_on_reuse": False,
                "grant_lifetime": timedelta(days=400),
            },
            list(RISKS),
        ),
    ],
)
def test_risky_choices_are_named_in_this_order(fields, named):
    assert risks(**fields) == named


@pytest.mark.parametrize(
    ("settings_of_project", "named"),
    [
        ({"ROTATE_REFRESH_TOKENS": False}, ["rotation"]),
        ({"ACCESS_TOKEN_LIFETIME": timedelta(days=2)}, ["access"]),
        ({"REVOKE_ON_REUSE": False}, ["reuse"]),
        ({"REFRESH_TOKEN_LIFETIME": timedelta(days=91), "GRANT_LIFETIME": timedelta(days=91)}, ["idle"]),
        ({"GRANT_LIFETIME": None}, ["grant"]),
        ({"GRANT_LIFETIME": timedelta(days=400)}, ["grant"]),
    ],
    ids=str,
)
def test_settings_apply_where_the_application_has_no_value(oauth_settings, settings_of_project, named):
    oauth_settings(**settings_of_project)

    assert risks() == named


def test_value_of_the_application_overrides_the_settings(oauth_settings):
    oauth_settings(ROTATE_REFRESH_TOKENS=False, GRANT_LIFETIME=None)

    assert risks(rotate_refresh_tokens=True, grant_lifetime=timedelta(days=90)) == []


def test_public_application_rotates_whatever_the_settings_say(oauth_settings):
    oauth_settings(ROTATE_REFRESH_TOKENS=False)

    assert risks(auth_method="none", secret_digest="") == []
