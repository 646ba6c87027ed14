"""Settings of a project whose users have no passwords."""

SECRET_KEY = "tests only, and long enough to satisfy the deployment checks of Django: 0123456789"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "rest_framework",
    "oauth_refresh",
    "tests.passwordless",
]
AUTH_USER_MODEL = "passwordless.Person"
ROOT_URLCONF = "tests.passwordless.urls"
OAUTH_REFRESH = {"REQUIRE_HTTPS": False}
