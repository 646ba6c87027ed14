"""A project whose user model is ``USER_MODEL`` of this folder, and with ``USE_TZ`` as the environment says."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, env

AUTH_USER_MODEL = f"user_models.{env('USER_MODEL')}"
INSTALLED_APPS = [
    *[name for name in INSTALLED_APPS if name not in {"django.contrib.admin", "tests.members"}],
    "tests.user_models",
]
USE_TZ = env.bool("USE_TZ", default=True)
TIME_ZONE = "Europe/Berlin"
ROOT_URLCONF = "tests.passwordless.urls"
