"""Settings of the example project, read from the environment.

DATABASE_URL, DATABASE_POOL, DATABASE_PREPARED, SECRET_KEY, DEBUG, ALLOWED_HOSTS, CACHE_URL, FAR_API_URL,
OAUTH_ISSUER, OAUTH_ALLOW_PRIVATE_ADDRESSES, OAUTH_REQUIRE_HTTPS, PROXIES. Without any of them the site is a
demonstration on SQLite; with DEBUG off it is a production site.
"""

from pathlib import Path
from typing import Any

import environ

BASE_DIR = Path(__file__).resolve().parent
env = environ.Env()

DEBUG = env.bool("DEBUG", default=True)
SECRET_KEY = env("SECRET_KEY", default="demonstration-only" if DEBUG else env.NOTSET)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[])

DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL: readers do not wait for a writer. IMMEDIATE: a writer waits for the lock at BEGIN. A transaction that asks
    # for it later, after a read, fails at once if another one has written in between.
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    }
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    DATABASES["default"].setdefault("OPTIONS", {})
    if env.bool("DATABASE_POOL", default=False):
        # The pool of psycopg. By default each request would wait for 30 seconds while the database is down.
        DATABASES["default"]["OPTIONS"]["pool"] = {"timeout": 5}
    if env.bool("DATABASE_PREPARED", default=False):
        # Prepared statements are kept per connection, so they need connections that stay open. The requirements are
        # in docs/how-to/databases.md.
        DATABASES["default"]["OPTIONS"] |= {"server_side_binding": True, "prepare_threshold": 5}
        if "pool" not in DATABASES["default"]["OPTIONS"]:
            DATABASES["default"] = {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True, **DATABASES["default"]}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# Without Redis a production site counts guesses in a table: Django's default would count for each process by itself.
CACHE_TABLE = "site_cache"
CACHES = {
    "default": env.cache(
        "CACHE_URL", default="locmemcache://" if DEBUG else f"dbcache://{CACHE_TABLE}?max_entries=100000"
    )
}

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "oauth_refresh",
    "example_project",
    "example_project.notes",
    "example_project.playground",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "example_project.middleware.content_security_policy",
    "example_project.middleware.DatabaseErrorMiddleware",
]
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "example_project.views.demonstration",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static-collected"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "loggers": {"oauth_refresh": {"handlers": ["console"], "level": "INFO"}},
}

REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Notes",
    "DESCRIPTION": "A protected API, and the endpoints that issue, revoke and introspect its tokens.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
}

FAR_API_URL = env("FAR_API_URL", default="http://127.0.0.1:8001").rstrip("/")
"""Where ``manage.py far_api`` runs, which the playground calls."""
CSRF_FAILURE_VIEW = "example_project.views.csrf_failure"
PROXIES = env.int("PROXIES", default=0)
"""The number of trusted proxies in front of this site. Each appends to X-Forwarded-For and sets X-Forwarded-Proto."""
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PROXIES else None

SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = not DEBUG
# These endpoints refuse plain HTTP. A redirect would hide from a client that it sent its secret unencrypted.
# Each mount of the app by its prefix, as in urls.py, and nothing else of the site.
SECURE_REDIRECT_EXEMPT = [r"^(oauth/|oauth-api/oauth/|oauth2/v1/)?(token|revoke|revocations|introspect|verify)/?$"]

ISSUER = env("OAUTH_ISSUER", default="http://127.0.0.1:8000" if DEBUG else None)


def resources_at(issuer: str) -> dict[str, dict[str, Any]]:
    """Return the APIs that this site is, for ``RESOURCES``: the notes, and the MCP server."""
    return {
        issuer: {"name": "Notes API"},
        f"{issuer}/mcp": {"name": "Notes for agents", "scopes": ["notes:read", "notes:write"]},
    }


OAUTH_REFRESH = {
    "ISSUER": ISSUER,
    "REQUIRE_HTTPS": env.bool("OAUTH_REQUIRE_HTTPS", default=not DEBUG),
    "NUM_PROXIES": PROXIES,
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
    # A token that names no resource is for this server as a whole, which the issuer names; so for the API of notes.
    "RESOURCES": resources_at(ISSUER) if ISSUER else {},
    # MCP clients that are not registered. A production site should list the hosts of those that it expects.
    "CLIENT_ID_METADATA_DOCUMENTS": DEBUG,
    "JWKS_ALLOW_PRIVATE_ADDRESSES": env.bool("OAUTH_ALLOW_PRIVATE_ADDRESSES", default=False),
}
