"""The example with django-oauth-toolkit beside it. ``MOVING_SERVER`` says which of the two is at ``o/``: old or new."""

import os

from benchmarks.sites.production import *  # noqa: F403
from benchmarks.sites.production import INSTALLED_APPS as EXAMPLE_APPS
from benchmarks.sites.production import OAUTH_REFRESH as EXAMPLE

ROOT_URLCONF = f"benchmarks.sites.moving_{os.environ.get('MOVING_SERVER', 'new')}_urls"
INSTALLED_APPS = [*EXAMPLE_APPS, "oauth2_provider", "oauth_refresh.contrib.toolkit"]
OAUTH2_PROVIDER = {"SCOPES": {"notes:read": "Read your notes"}}
OAUTH_REFRESH = {**EXAMPLE, "FOREIGN_TOKENS": ["oauth_refresh.contrib.toolkit.adopt"]}
# The old server checks a hashed secret at each request; a slow hash would be all that is measured.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
