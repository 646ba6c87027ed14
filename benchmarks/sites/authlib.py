"""A site with the OAuth 2 server of Authlib for Django. Authlib has no models: ``authlib_server`` is written for it."""

from benchmarks.sites.peer import *  # noqa: F403
from benchmarks.sites.peer import INSTALLED_APPS

ROOT_URLCONF = "benchmarks.sites.authlib_urls"
INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.sites.authlib_server"]
AUTHLIB_OAUTH2_PROVIDER = {"refresh_token_generator": True}
