"""The words of RFC 6749 and 7591 that an application's columns hold."""

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
