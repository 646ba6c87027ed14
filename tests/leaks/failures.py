"""Where a request can fail: in each statement, receiver, hook and template that it uses."""

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import OperationalError, connection
from django.dispatch import Signal
from django.test import override_settings

from oauth_refresh import signals
from tests.signals import connected

SIGNALS = {name: signal for name, signal in vars(signals).items() if isinstance(signal, Signal)}
HOOKS = {
    "SCOPE_POLICY": lambda user, application, scopes: scopes,
    "TOKEN_RESPONSE_FIELDS": lambda grant, grant_type: {},
    "INTROSPECTION_FIELDS": lambda token: {},
}
"""Hooks of a project that change nothing."""
DIGEST = re.compile(r"[0-9a-f]{64}")
OURS = ("oauth_refresh/", "admin/oauth_refresh/")


def fail(*args: Any, **kwargs: Any) -> None:
    raise LookupError


@dataclass
class Statements:
    """How many statements were sent to the database, and the digests and keys among their parameters."""

    count: int = 0
    digests: set[str] = field(default_factory=set)
    keys: set[bytes] = field(default_factory=set)


@dataclass
class Reached:
    """What a request uses when nothing fails."""

    statements: int = 0
    signals: list[str] = field(default_factory=list)
    hooks: list[str] = field(default_factory=list)
    templates: list[str] = field(default_factory=list)


@contextmanager
def recording_hooks(reached: Reached) -> Iterator[None]:
    """Set every hook to one that changes nothing, and record which are called."""

    def recording(key: str) -> Callable[..., Any]:
        def hook(*args: Any, **kwargs: Any) -> Any:
            reached.hooks.append(key)
            return HOOKS[key](*args, **kwargs)

        return hook

    with hooks(**{key: recording(key) for key in HOOKS}):
        yield


@contextmanager
def statements(*, failing: int | None = None) -> Iterator[Statements]:
    """Record the statements that are sent to the database; let one of them fail, counted from 1."""
    run = Statements()

    def execute_or_fail(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        run.count += 1
        run.digests.update(value for value in params or () if isinstance(value, str) and DIGEST.fullmatch(value))
        run.keys.update(bytes(value) for value in params or () if isinstance(value, bytes | bytearray | memoryview))
        if run.count == failing:
            raise OperationalError("the connection is lost")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute_or_fail):
        yield run


def broken_template(name: str) -> AbstractContextManager[None]:
    """Replace a template by one of the project's that fails."""
    (engine,) = deepcopy(settings.TEMPLATES)
    broken = ("django.template.loaders.locmem.Loader", {name: "{{ 1|divisibleby:0 }}"})
    loaders = [broken, "django.template.loaders.app_directories.Loader"]
    return override_settings(
        TEMPLATES=[{**engine, "APP_DIRS": False, "OPTIONS": {**engine["OPTIONS"], "loaders": loaders}}]
    )


def hooks(**functions: Callable[..., Any]) -> AbstractContextManager[None]:
    return override_settings(OAUTH_REFRESH={**settings.OAUTH_REFRESH, **functions})


def failures(reached: Reached, *, every: int = 1) -> dict[str, AbstractContextManager[Any]]:
    """Return every way in which such a request can fail; of its statements, each ``every``th fails."""
    return {
        **{f"statement {number}": statements(failing=number) for number in range(1, reached.statements + 1, every)},
        **{f"receiver of {name}": connected(SIGNALS[name], fail) for name in reached.signals},
        **{f"hook {key}": hooks(**{key: fail}) for key in reached.hooks},
        **{f"template {name}": broken_template(name) for name in reached.templates},
    }
