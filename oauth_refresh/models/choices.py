"""The values that columns hold: those of RFC 6749 and RFC 7591, and reasons of revocation."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class AuthMethod(models.TextChoices):
    """How a client authenticates (RFC 7591 §2, ``token_endpoint_auth_method``)."""

    CLIENT_SECRET_BASIC = "client_secret_basic", _("secret, by HTTP Basic (or in the body)")
    CLIENT_SECRET_POST = "client_secret_post", _("secret, in the body (or by HTTP Basic)")
    PRIVATE_KEY_JWT = "private_key_jwt", _("signed assertion")
    NONE = "none", _("none: a public application, which cannot keep a secret")


class GrantType(models.TextChoices):
    """What an application may send as ``grant_type`` (RFC 6749 §4, RFC 7523 §2.1)."""

    AUTHORIZATION_CODE = "authorization_code", _("authorization code")
    CLIENT_CREDENTIALS = "client_credentials", _("client credentials")
    JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer", _("signed assertion of a trusted issuer")
    PASSWORD = "password", _("password")
    REFRESH_TOKEN = "refresh_token", _("refresh token")


SECRET_METHODS = frozenset({AuthMethod.CLIENT_SECRET_BASIC, AuthMethod.CLIENT_SECRET_POST})

STAFF = "operator"  # stored, so it keeps the word that it was first called by
"""The ``grant_type`` of a grant that was issued by staff, without a request of RFC 6749."""

IMPORTED = "imported"
"""The ``grant_type`` of a grant that was started at another server, whose tokens were moved to this one."""


class RevocationReason(models.TextChoices):
    """The reasons that the app itself gives; staff may write any other text."""

    CODE_REPLAYED = "code_replayed", _("an authorization code was redeemed twice")
    CLIENT_REQUEST = "client_request", _("the application revoked a token")
    USER_REQUEST = "user_request", _("the user disconnected the application")
    REUSE_DETECTED = "reuse_detected", _("a spent refresh token was used again")
    USER_DELETED = "user_deleted", _("the user was deleted")
    USER_DEACTIVATED = "user_deactivated", _("the user was deactivated")
    PASSWORD_CHANGED = "password_changed", _("the user's password changed")
    APPLICATION_DELETED = "application_deleted", _("the application was deleted")
    APPLICATION_DEACTIVATED = "application_deactivated", _("the application was deactivated")
    CREDENTIALS_WITHDRAWN = "credentials_withdrawn", _("the application's secrets or keys were withdrawn")
    STAFF_REQUEST = "operator_request", _("revoked by staff")
