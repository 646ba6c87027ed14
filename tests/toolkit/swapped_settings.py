"""Settings of the same project, where the models of django-oauth-toolkit are swapped."""

from tests.toolkit.settings import *  # noqa: F403
from tests.toolkit.settings import INSTALLED_APPS as APPS

INSTALLED_APPS = [*APPS, "tests.toolkit.swapped"]
OAUTH2_PROVIDER_APPLICATION_MODEL = "swapped.Client"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "swapped.Pass"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "swapped.Renewal"
