"""A site with django-allauth's identity provider, set up as its pages on installation say."""

import os

from benchmarks.sites.peer import *  # noqa: F403
from benchmarks.sites.peer import INSTALLED_APPS, MIDDLEWARE

ROOT_URLCONF = "benchmarks.sites.allauth_urls"
INSTALLED_APPS = [*INSTALLED_APPS, "allauth", "allauth.account", "allauth.idp.oidc"]
MIDDLEWARE = [*MIDDLEWARE, "allauth.account.middleware.AccountMiddleware"]
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
IDP_OIDC_PRIVATE_KEY = os.environ["SIGNING_KEY"]
