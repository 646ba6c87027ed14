"""Settings of a project whose users are deleted by a mark in their row, and whose times have no zone."""

SECRET_KEY = "tests only, and long enough to satisfy the deployment checks of Django: 0123456789"
USE_TZ = False
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "oauth_refresh",
    "tests.soft_deletion",
]
AUTH_USER_MODEL = "soft_deletion.Account"
ROOT_URLCONF = "tests.soft_deletion.urls"
OAUTH_REFRESH = {"REQUIRE_HTTPS": False}
