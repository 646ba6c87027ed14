"""Which choices of an application are told as risky, and from where on."""

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
        "Rotation is off: one refresh token serves the whole session, so a stolen one is never noticed. "
        "Leave rotation on unless the application cannot store a new token."
    ),
    "trusted": "Trusted: users are not asked for their consent. Leave this to applications of your own.",
    "pkce": "PKCE is not required: an intercepted code can be redeemed by others who know the secret (RFC 9700).",
    "access": "Access tokens live for over a day: whoever copies one can use it for as long. An hour is usual.",
    "idle": "An unused session stays open for over 90 days, on a forgotten device too. Two weeks are usual.",
    "retry": (
        "A lost response may be asked for again for over five minutes, and as long a thief with the spent "
        "refresh token gets the same tokens. Half a minute is enough for a client that tries again at once."
    ),
    "session": "A session may last for over a year without a new sign-in. Give the grant a lifetime, such as 90 days.",
}
SECOND = timedelta(seconds=1)


def risks(**fields):
    """Return the risks of an application by name, in the order in which they are told."""
    names = {sentence: name for name, sentence in RISKS.items()}
    return [names[str(risk)] for risk in risks_of(ApplicationFactory.build(**CAREFUL | fields))]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, []),
        ({"auth_method": "none", "secret_digest": ""}, []),
        ({"grant_types": "password refresh_token"}, ["password"]),
        ({"rotate_refresh_tokens": False}, ["rotation"]),
        ({"rotate_refresh_tokens": True}, []),
        ({"is_trusted": True}, ["trusted"]),
        ({"requires_pkce": False}, ["pkce"]),
        ({"access_token_lifetime": timedelta(days=1)}, []),
        ({"access_token_lifetime": timedelta(days=1) + SECOND}, ["access"]),
        ({"refresh_token_lifetime": timedelta(days=90)}, []),
        ({"refresh_token_lifetime": timedelta(days=90) + SECOND}, ["idle"]),
        ({"retry_window": timedelta(minutes=5)}, []),
        ({"retry_window": timedelta(minutes=5) + SECOND}, ["retry"]),
        ({"grant_lifetime": timedelta(days=366)}, []),
        ({"grant_lifetime": timedelta(days=366) + SECOND}, ["session"]),
        (
            {
                "grant_types": "password",
                "rotate_refresh_tokens": False,
                "is_trusted": True,
                "requires_pkce": False,
                "access_token_lifetime": timedelta(days=200),
                "refresh_token_lifetime": timedelta(days=300),
                "retry_window": timedelta(minutes=6),
                "grant_lifetime": timedelta(days=400),
            },
            list(RISKS),
        ),
    ],
)
def test_risky_choices_are_told_in_this_order(fields, told):
    assert risks(**fields) == told


@pytest.mark.parametrize(
    ("settings_of_project", "told"),
    [
        ({"ROTATE_REFRESH_TOKENS": False}, ["rotation"]),
        ({"ACCESS_TOKEN_LIFETIME": timedelta(days=2)}, ["access"]),
        ({"REFRESH_TOKEN_LIFETIME": timedelta(days=91), "GRANT_LIFETIME": timedelta(days=91)}, ["idle"]),
        ({"GRANT_LIFETIME": None}, ["session"]),
        ({"GRANT_LIFETIME": timedelta(days=400)}, ["session"]),
    ],
    ids=str,
)
def test_what_the_settings_say_counts_where_the_application_says_nothing(settings, settings_of_project, told):
    settings.OAUTH_REFRESH = settings.OAUTH_REFRESH | settings_of_project

    assert risks() == told


def test_own_value_counts_before_the_settings(settings):
    settings.OAUTH_REFRESH = settings.OAUTH_REFRESH | {"ROTATE_REFRESH_TOKENS": False, "GRANT_LIFETIME": None}

    assert risks(rotate_refresh_tokens=True, grant_lifetime=timedelta(days=90)) == []


def test_public_application_rotates_whatever_the_settings_say(settings):
    settings.OAUTH_REFRESH = settings.OAUTH_REFRESH | {"ROTATE_REFRESH_TOKENS": False}

    assert risks(auth_method="none", secret_digest="") == []
