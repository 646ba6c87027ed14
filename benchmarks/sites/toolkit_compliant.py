"""The same with what django-oauth-toolkit's page on security sets, to follow RFC 9700."""

from benchmarks.sites.toolkit import *  # noqa: F403
from benchmarks.sites.toolkit import OAUTH2_PROVIDER

_GATES = (
    *("IMPLICIT_GRANT", "PASSWORD_GRANT", "PKCE_METHOD", "ACCESS_TOKEN_TRANSPORT", "AUTHZ_RESPONSE_ISS"),
    *("REFRESH_TOKEN", "REDIRECT_URI_SCHEME", "REDIRECT_URI_MATCHING", "PKCE_REQUIRED"),
)
OAUTH2_PROVIDER = {
    **OAUTH2_PROVIDER,
    **{f"COMPLIANT_BCP_RFC9700_{gate}": True for gate in _GATES},
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
}
