"""Choices of an application that are allowed and make theft easier, or harder to notice."""

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from oauth_refresh.models.application import Application
from oauth_refresh.models.choices import GrantType

# Beyond these a choice is unusual, and named as a risk: RFC 9700 asks for short lifetimes and sets no numbers.
LONG_ACCESS = timedelta(days=1)
LONG_IDLE = timedelta(days=90)
LONG_GRANT = timedelta(days=366)
LONG_RETRY = timedelta(minutes=5)


def risks_of(application: Application) -> list[Any]:
    """Return a sentence for each risky choice, translated late: what it risks, and what to choose instead."""
    grant_lifetime = application.effective("grant_lifetime")
    risks = (
        (
            application.allows_grant_type(GrantType.PASSWORD),
            _(
                "Password grant: users type their password into the application, which may keep it. "
                "Use the authorization code instead (RFC 9700 §2.4)."
            ),
        ),
        (
            not application.rotates,
            _(
                "Rotation is off: one refresh token is used for the whole grant, so its theft is not detected. "
                "Turn rotation on unless the application cannot store a new token."
            ),
        ),
        (
            application.is_trusted,
            _("Trusted: users are not asked for their consent. Use this for applications of your own only."),
        ),
        (
            application.is_trusted and application.from_metadata_document,
            _(
                "Trusted, and described by a document elsewhere: anyone who can change that document receives the "
                "codes of all users. Let users be asked."
            ),
        ),
        (
            not application.requires_pkce,
            _(
                "PKCE is not required: an intercepted code can be redeemed with the secret alone (RFC 9700 §2.1.1). "
                "Require PKCE unless the application cannot send a code challenge."
            ),
        ),
        (
            application.effective("access_token_lifetime") > LONG_ACCESS,
            _("Access tokens are valid for over a day, and so is a stolen one. An hour is usual."),
        ),
        (
            application.effective("refresh_token_lifetime") > LONG_IDLE,
            _("An unused grant stays active for over 90 days, on a lost device too. Two weeks are usual."),
        ),
        (
            application.effective("retry_window") > LONG_RETRY,
            _(
                "A refresh may be repeated for over five minutes, and for as long a thief with the spent refresh token "
                "gets the same tokens. Half a minute is enough for a client that retries at once."
            ),
        ),
        (
            not application.effective("revoke_on_reuse"),
            _(
                "Reuse revokes nothing: a thief of a refresh token keeps the grant although the theft was noticed. "
                "Let reuse revoke the grant, and give clients that share a token a retry window."
            ),
        ),
        (
            grant_lifetime is None or grant_lifetime > LONG_GRANT,
            _("A grant may last for over a year without a new sign-in. Set a grant lifetime, such as 90 days."),
        ),
    )
    return [text for is_risky, text in risks if is_risky]
