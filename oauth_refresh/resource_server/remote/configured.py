"""The project's ``OAUTH_RESOURCE_SERVER``, read late, and the ``RemoteTokens`` made of it."""

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from oauth_refresh.resource_server.remote.options import problems
from oauth_refresh.resource_server.remote.tokens import RemoteTokens

NAME = "OAUTH_RESOURCE_SERVER"
DEFAULTS: dict[str, Any] = {
    "ISSUER": None,
    "CLIENT_ID": None,
    "CLIENT_SECRET": None,
    "RESOURCE": None,
    "MAX_AGE": 30,
    "POLL_INTERVAL": 0.5,
    "MAX_LAG": 2,
    "TIMEOUT": 2,
    "USER": None,
}


class _InUse:
    """What was configured when it was last read, and what was made of it."""

    configured: Mapping[str, Any] | None = None
    tokens: RemoteTokens | None = None


def remote_tokens() -> RemoteTokens:
    """Return the one of this process; a new one after the setting was changed. Raises ImproperlyConfigured.

    Two threads may make one each at first. The last is kept, and the other one's thread ends with it.
    """
    configured = getattr(django_settings, NAME, None)
    if _InUse.tokens is not None and configured == _InUse.configured:
        return _InUse.tokens
    if found := setting_problems():
        raise ImproperlyConfigured("; ".join(found))
    options = {name.lower(): value for name, value in (DEFAULTS | dict(configured or {})).items() if name != "USER"}
    made, former = RemoteTokens(**options), _InUse.tokens
    _InUse.configured, _InUse.tokens = dict(configured or {}), made  # a dict may be changed in place
    if former is not None:
        former.close()
    return made


def user_callable() -> Callable[..., Any] | None:
    """Return what makes the user of a request from its token, if the project has such a function."""
    user = getattr(django_settings, NAME).get("USER")
    found: Callable[..., Any] | None = import_string(user) if isinstance(user, str) else user
    return found


def setting_problems() -> list[str]:
    """Return a sentence for each key that is missing, does not exist, or cannot be used."""
    configured = getattr(django_settings, NAME, None)
    if not isinstance(configured, Mapping):
        return [f"{NAME} is missing or not a dict: write ISSUER, CLIENT_ID and CLIENT_SECRET"]
    found = [f"{NAME}[{key!r}] is not a setting" for key in configured if key not in DEFAULTS]
    options = {name.lower(): value for name, value in (DEFAULTS | dict(configured)).items()}
    found += [f"{NAME}[{name.upper()!r}] cannot be used: {text}" for name, text in problems(options).items()]
    user = options["user"]
    try:
        user = import_string(user) if isinstance(user, str) else user
    except ImportError as error:
        return [*found, f"{NAME}['USER'] cannot be used: write the dotted path of a callable ({error})"]
    if user is not None and not callable(user):
        found.append(f"{NAME}['USER'] cannot be used: write a callable, its dotted path, or None")
    return found
