"""Values of an application that have no effect, or contradict each other, beside its method and its grant types."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from oauth_refresh.conf import app_settings
from oauth_refresh.models.application import Application
from oauth_refresh.models.choices import GrantType

_REFRESH_SETTINGS = ("refresh_token_lifetime", "rotate_refresh_tokens", "retry_window", "revoke_on_reuse")


def misfits_of(application: Application) -> list[Any]:
    """Return a sentence for each value that does not fit the others, translated late: what to change."""
    uses_code = application.allows_grant_type(GrantType.AUTHORIZATION_CODE)
    refreshes = application.allows_grant_type(GrantType.REFRESH_TOKEN)
    misfits = (
        (
            not application.uses_assertion and bool(application.jwks or application.jwks_uri),
            _("Public keys are not used: the application does not sign assertions. Change its method, or empty them."),
        ),
        (
            application.strict_auth_method and not application.uses_secret,
            _("“Only by this method” has no effect without a secret. Untick it."),
        ),
        (
            bool(application.redirect_uris.split()) and not uses_code,
            _("Redirect URIs are not used without the authorization code. Add the grant type, or empty them."),
        ),
        (
            application.is_trusted and not uses_code,
            _("“Trusted” has no effect without the authorization code: users are not asked anyway. Untick it."),
        ),
        (
            application.is_resource_server and application.is_public,
            _("A resource server has to authenticate, and a public application cannot: it may not introspect."),
        ),
        (
            refreshes and not _starts_refreshable_grants(application),
            _("None of its grant types yields a refresh token, but it may refresh. Add one, or untick that it may."),
        ),
        (
            not refreshes and any(getattr(application, name) is not None for name in _REFRESH_SETTINGS),
            _("Settings of refresh tokens have no effect: the application may not refresh. Empty them."),
        ),
        (
            any(name not in app_settings.grant_types for name in application.grant_types.split()),
            _("A grant type is refused, since the project does not offer it. Add it to GRANT_TYPES, or untick it."),
        ),
    )
    return [text for does_not_fit, text in misfits if does_not_fit]


def _starts_refreshable_grants(application: Application) -> bool:
    names = {name.rpartition(":")[2] for name in application.grant_types.split()}
    return not names.isdisjoint(app_settings.refresh_token_grant_types)
