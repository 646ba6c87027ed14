"""Settings of a project that moves here from django-oauth-toolkit, which is installed beside the package."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as OWN_APPS
from tests.settings import OAUTH_REFRESH as OWN_SETTINGS

INSTALLED_APPS = [
    *OWN_APPS,
    "oauth2_provider",
    "oauth_refresh.contrib.toolkit",
    "rest_framework_simplejwt.token_blacklist",
]
ROOT_URLCONF = "tests.toolkit.urls"
OAUTH2_PROVIDER = {"SCOPES": {"notes:read": "Read", "notes:write": "Write", "old": "Not known to the new server"}}
OAUTH_REFRESH = {**OWN_SETTINGS, "FOREIGN_TOKENS": ["oauth_refresh.contrib.toolkit.adopt"]}
