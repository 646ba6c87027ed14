"""Settings of the test suite: the package alone, in a project of its own.

``DATABASE_URL`` selects the database, ``DATABASE_POOL`` lets psycopg pool the connections to PostgreSQL, and
``DATABASE_PREPARED`` lets it prepare every statement. ``TEST_DATABASE`` names the database of a run inside another.
"""

import environ

env = environ.Env()

SECRET_KEY = "tests only, and long enough to satisfy the deployment checks of Django: 0123456789"
DEBUG = False
ALLOWED_HOSTS = ["testserver", "localhost", "127.0.0.1"]
USE_TZ = True
TIME_ZONE = "UTC"

DATABASES = {"default": env.db("DATABASE_URL", default="sqlite://:memory:")}
if env.bool("DATABASE_POOL", default=False):
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = True
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql" and env.bool("DATABASE_PREPARED", default=False):
    DATABASES["default"].setdefault("OPTIONS", {}).update(server_side_binding=True, prepare_threshold=0)
if DATABASES["default"]["ENGINE"] == "django.db.backends.mysql":
    DATABASES["default"]["TEST"] = {"CHARSET": "utf8mb4"}
if DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3" and (name := env("TEST_DATABASE", default="")):
    DATABASES["default"].setdefault("TEST", {})["NAME"] = name
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "corsheaders",
    "rest_framework",
    "oauth_refresh",
    "tests.members",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
CORS_EXPOSE_HEADERS = ["WWW-Authenticate"]
ROOT_URLCONF = "tests.urls"
LOGIN_URL = "login"
STATIC_URL = "static/"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher", "django.contrib.auth.hashers.PBKDF2PasswordHasher"]

OAUTH_REFRESH = {
    "ISSUER": "https://auth.example",
    "REQUIRE_HTTPS": False,
    "GRANT_TYPES": [
        "authorization_code",
        "client_credentials",
        "password",
        "refresh_token",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
    ],
    "SCOPES": {
        "notes:read": "Read your notes",
        "notes:write": "Write your notes",
        "PRODUCTION": "Use the production systems",
        "SANDBOX": "Use the sandbox",
    },
    "DEFAULT_SCOPES": ["notes:read"],
    "FAILURE_RATE": None,  # many tests fail on purpose; those of the limit set one
}

MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
"""For the newest Django, which has no mailer by default."""
