"""A site with django-oauth-toolkit instead of this app, on the settings of the example."""

from benchmarks.sites.peer import *  # noqa: F403
from benchmarks.sites.peer import INSTALLED_APPS

ROOT_URLCONF = "benchmarks.sites.toolkit_urls"
INSTALLED_APPS = [*INSTALLED_APPS, "oauth2_provider"]
OAUTH2_PROVIDER = {"SCOPES": {"notes:read": "Read your notes"}}
