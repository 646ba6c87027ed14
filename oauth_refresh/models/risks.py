"""Choices of an application that are allowed and make theft easier, or harder to notice."""

from datetime import timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from oauth_refresh.models.application import Application
from oauth_refresh.models.choices import GrantType

_LONG_ACCESS = timedelta(days=1)
_LONG_IDLE = timedelta(days=90)
_LONG_SESSION = timedelta(days=366)
_LONG_RETRY = timedelta(minutes=5)


def risks_of(application: Application) -> list[Any]:
    """Return a sentence for each risky choice, translated late: what it risks, and what to choose instead."""
    session = application.effective_grant_lifetime
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
                "Rotation is off: one refresh token serves the whole session, so a stolen one is never noticed. "
                "Leave rotation on unless the application cannot store a new token."
            ),
        ),
        (
            application.is_trusted,
            _("Trusted: users are not asked for their consent. Leave this to applications of your own."),
        ),
        (
            not application.requires_pkce,
            _("PKCE is not required: an intercepted code can be redeemed by others who know the secret (RFC 9700)."),
        ),
        (
            application.effective_access_token_lifetime > _LONG_ACCESS,
            _("Access tokens live for over a day: whoever copies one can use it for as long. An hour is usual."),
        ),
        (
            application.effective_refresh_token_lifetime > _LONG_IDLE,
            _("An unused session stays open for over 90 days, on a forgotten device too. Two weeks are usual."),
        ),
        (
            application.effective_retry_window > _LONG_RETRY,
            _(
                "A lost response may be asked for again for over five minutes, and as long a thief with the spent "
                "refresh token gets the same tokens. Half a minute is enough for a client that tries again at once."
            ),
        ),
        (
            session is None or session > _LONG_SESSION,
            _("A session may last for over a year without a new sign-in. Give the grant a lifetime, such as 90 days."),
        ),
    )
    return [text for is_risky, text in risks if is_risky]
