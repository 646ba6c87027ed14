"""What the limit for guessing needs: a cache that counts for all processes, and the address of the client."""

from typing import Any

from django.conf import settings as django_settings
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import CheckMessage
from django.core.checks import Warning as Caution

from oauth_refresh.conf import app_settings

_PROXY_SETTINGS = (
    "SECURE_PROXY_SSL_HEADER",
    "USE_X_FORWARDED_HOST",
    "USE_X_FORWARDED_PORT",
    # Of other packages that count the same proxies.
    "ALLAUTH_TRUSTED_PROXY_COUNT",
    "AXES_IPWARE_PROXY_COUNT",
)


def check_guess_limit(**kwargs: Any) -> list[CheckMessage]:
    """Find settings that make the limit for guessing weaker than its rate; runs with ``check --deploy``."""
    limited, cache = app_settings.failure_rate is not None, caches[DEFAULT_CACHE_ALIAS]
    trusted = _trusted_proxy_settings()
    findings = (
        (
            not limited,
            "FAILURE_RATE is None, so passwords and secrets can be guessed at any rate.",
            "Leave it out, or write a rate such as 20/min.",
            "oauth_refresh.W021",
        ),
        (
            limited and isinstance(cache, LocMemCache | FileBasedCache),
            "CACHES['default'] cannot count for several processes, so more guesses pass than FAILURE_RATE says.",
            "Use Redis, Memcached or the database cache as CACHES['default'].",
            "oauth_refresh.W022",
        ),
        (
            isinstance(cache, DummyCache),
            "CACHES['default'] keeps nothing, so guesses are not limited, and keys of clients are fetched each time.",
            "Use Redis, Memcached or the database cache as CACHES['default'].",
            "oauth_refresh.W023",
        ),
        (
            app_settings.num_proxies == 0 and trusted,
            f"NUM_PROXIES is 0, but a proxy is trusted by {', '.join(trusted)}: all clients have the proxy's address.",
            "Set OAUTH_REFRESH['NUM_PROXIES'] to the number of proxies that append to X-Forwarded-For.",
            "oauth_refresh.W024",
        ),
    )
    return [Caution(message, hint=hint, id=id_) for found, message, hint, id_ in findings if found]


def _trusted_proxy_settings() -> list[str]:
    """Return the settings that say that there is a proxy in front of the site."""
    names = [name for name in _PROXY_SETTINGS if getattr(django_settings, name, None)]
    rest_framework = getattr(django_settings, "REST_FRAMEWORK", None) or {}
    return [*names, *(["REST_FRAMEWORK['NUM_PROXIES']"] if rest_framework.get("NUM_PROXIES") else [])]
