"""Find what of the project still uses django-oauth-toolkit: its views, and its settings."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from types import FunctionType
from typing import Any

from django.conf import settings
from django.urls import URLPattern, URLResolver, get_resolver

_PACKAGE = "oauth2_provider"
_CLASS_LISTS = ("authentication_classes", "permission_classes")
_SETTINGS = ("AUTHENTICATION_BACKENDS", "MIDDLEWARE")


@dataclass(frozen=True, slots=True, kw_only=True)
class OldUse:
    """A place, and what it uses there. ``place`` is a route with its view, or the name of a setting."""

    place: str
    uses: tuple[str, ...]


def find_old_uses() -> list[OldUse]:
    """Return the views that use a class or decorator of django-oauth-toolkit, in the order of the URLs, then settings.

    Its own views are named as well, since they are served as long as its URLs are included.
    """
    views = [
        OldUse(place=f"{route or '/'} ({_name(view)})", uses=uses)
        for route, view in _views(get_resolver(), "")
        if (uses := _uses_of_view(view))
    ]
    configured = ((name, [text for text in getattr(settings, name) if _is_old(text)]) for name in _SETTINGS)
    return views + [OldUse(place=name, uses=tuple(texts)) for name, texts in configured if texts]


def _views(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, Any]]:
    for child in resolver.url_patterns:
        route = prefix + str(child.pattern)
        if isinstance(child, URLPattern):
            yield route, child.callback
        else:
            yield from _views(child, route)


def _uses_of_view(view: Any) -> tuple[str, ...]:
    view_class = _class_of(view)
    lists = [getattr(view_class, name, ()) for name in _CLASS_LISTS]
    # What one action of a viewset has of its own.
    lists += [getattr(view, "initkwargs", {}).get(name) or () for name in _CLASS_LISTS]
    classes = [part for found in lists for one in found for part in _operands(one)]
    own = [*_nearest_old_class(view_class)]
    # What decorates a class of its own is not the project's concern.
    decorators = [] if own else [*_old_functions(view), *_old_functions(getattr(view_class, "dispatch", None))]
    return tuple(dict.fromkeys([*own, *(name for one in classes for name in _nearest_old_class(one)), *decorators]))


def _operands(permission: Any) -> Iterator[Any]:
    """Yield the classes of a permission such as ``IsAuthenticated | TokenHasScope``."""
    operands = [getattr(permission, name) for name in ("op1_class", "op2_class") if hasattr(permission, name)]
    if not operands:
        yield permission
    for operand in operands:
        yield from _operands(operand)


def _nearest_old_class(one: Any) -> Iterator[str]:
    """Yield the name of the first class of django-oauth-toolkit that ``one``, a class or an object, inherits from."""
    bases = getattr(one, "__mro__", type(one).__mro__)
    old = (f"{base.__module__}.{base.__qualname__}" for base in bases if _is_old(base.__module__))
    yield from islice(old, 1)


def _old_functions(function: Any) -> Iterator[str]:
    """Yield the decorators of django-oauth-toolkit round a function, also those that ``method_decorator`` applies."""
    waiting, seen = [function], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, list | tuple):
            waiting.extend(one)
        if not isinstance(one, FunctionType) or id(one) in seen:
            continue
        seen.add(id(one))
        # Where its code is: functools.wraps() gives it the name and the module of the view.
        module = one.__globals__.get("__name__", "")
        if _is_old(module):
            yield f"{module}.{one.__code__.co_qualname.partition('.')[0]}"
        waiting.append(getattr(one, "__wrapped__", None))
        waiting.extend(_contents(one))


def _contents(function: FunctionType) -> Iterator[Any]:
    """Yield the values of the variables that a function has from round it."""
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # a variable that has no value yet
            yield cell.cell_contents


def _class_of(view: Any) -> Any:
    return getattr(view, "view_class", None) or getattr(view, "cls", None)


def _is_old(name: str) -> bool:
    return name == _PACKAGE or name.startswith(f"{_PACKAGE}.")


def _name(view: Any) -> str:
    named = _class_of(view) or view
    return f"{named.__module__}.{getattr(named, '__name__', type(named).__name__)}"
