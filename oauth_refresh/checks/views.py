"""Views that accept access tokens of any scope, or of any resource."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured
from django.urls import URLPattern, URLResolver, get_resolver

from oauth_refresh.conf import app_settings

# What a URLconf raises that cannot be imported. Django reports it at each command that needs the URLs.
_BROKEN_URLCONF = (
    AttributeError,
    ImportError,
    ImproperlyConfigured,
    LookupError,
    NameError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)
# The views of these packages show which URLs there are, and no data of users.
_OF_FRAMEWORKS = ("drf_spectacular.", "drf_yasg.", "rest_framework.")
_OVERRIDABLE = ("authentication_classes", "permission_classes", "required_scopes")


def check_scopes(**kwargs: Any) -> list[CheckMessage]:
    """Find views that accept our access tokens and require no scope, but for classes that decide by the request.

    Django REST framework is not imported here: a project that protects no view need not load it.
    """
    callbacks = _project_views()
    return [
        Caution(
            f"{name} takes access tokens and asks for no scope, so a token for reading may also write.",
            hint="Put HasScope into permission_classes and name required_scopes, or give bearer_required() the scopes. "
            "If any token will do, say so: required_scopes = ().",
            id="oauth_refresh.W015",
        )
        for name in dict.fromkeys(_name(callback) for callback in callbacks if _takes_any_token(callback))
    ]


def check_resources_of_views(**kwargs: Any) -> list[CheckMessage]:
    """Find views that take access tokens and do not name their resource, where there are several (RFC 8707 §3)."""
    allowed = {*app_settings.resources, app_settings.issuer}
    named = {_name(callback): _required_resource(callback) for callback in _protected_views()}
    return [
        Error(
            f"{name} takes access tokens, and does not name its resource."
            if resource is None
            else f"{name} names a resource that is not in RESOURCES: {resource}.",
            hint="Set required_resource, or give bearer_required() a resource: one of RESOURCES, or the issuer.",
            id="oauth_refresh.E022",
        )
        for name, resource in named.items()
        if (len(app_settings.resources) > 1 if resource is None else resource not in allowed)
    ]


def _protected_views() -> Iterator[Callable[..., Any]]:
    """Yield the views of the project that may take access tokens of ours, and not those of a server elsewhere."""
    for callback in _project_views():
        view: Any = getattr(callback, "cls", None)
        if view is None:
            if hasattr(callback, "required_resource"):
                yield callback
        elif not view.__module__.startswith(_OF_FRAMEWORKS) and _takes_tokens(callback, ours=True):
            yield callback


def _required_resource(callback: Any) -> str | None:
    """Return the resource that the view names: at its route, on its class or authentication, or by the decorator."""
    view = getattr(callback, "cls", None)
    if view is None:
        return cast("str | None", callback.required_resource)
    given = getattr(callback, "initkwargs", None) or {}
    own = given.get("required_resource", getattr(view, "required_resource", None))
    classes = _listed(_attributes(callback)["authentication_classes"])
    return next(filter(None, (own, *(getattr(one, "required_resource", None) for one in classes))), None)


def _takes_tokens(callback: Any, *, ours: bool = False) -> bool:
    """Whether an authentication class of the view takes access tokens; ``ours``: those of this server."""
    classes = _listed(_attributes(callback)["authentication_classes"])
    return any(
        getattr(one, "accepts_access_tokens", False) and not (ours and getattr(one, "asks_a_server_elsewhere", False))
        for one in classes
    )


def _project_views() -> list[Callable[..., Any]]:
    if not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    try:
        return list(_callbacks(get_resolver(), seen=set()))
    except _BROKEN_URLCONF:
        return []


def _callbacks(resolver: URLResolver, *, seen: set[int]) -> Iterator[Callable[..., Any]]:
    """Yield the views of a URLconf and of all that it includes, each list of patterns once."""
    patterns = resolver.url_patterns
    if id(patterns) in seen:
        return
    seen.add(id(patterns))
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            yield pattern.callback
        elif isinstance(pattern, URLResolver):
            yield from _callbacks(pattern, seen=seen)


def _takes_any_token(callback: Any) -> bool:
    view = getattr(callback, "cls", None)
    if view is None:
        of_class = getattr(getattr(callback, "view_class", None), "required_scopes", None)
        stated = getattr(callback, "required_scopes", of_class)
        return getattr(callback, "bearer_scopes", None) == () and not _says_no_scope(stated)
    attributes = _attributes(callback)
    if not _takes_tokens(callback):
        return False
    if view.__module__.startswith(_OF_FRAMEWORKS) or _decides_by_the_request(view):
        return False
    permissions = list(_leaves(attributes["permission_classes"]))
    if any(_asks_for_scope(one, required=attributes["required_scopes"]) for one in permissions):
        return False
    has_permission = any(hasattr(one, "required_scopes_for") for one in permissions)
    return has_permission or not _says_no_scope(attributes["required_scopes"])


def _attributes(callback: Any) -> dict[str, Any]:
    """Return the attributes in force at this URL: those of a route or an action override those of the class.

    A view that DRF made from a function has no class of the project's, so ``required_scopes`` may be its attribute.
    """
    given = {**(getattr(callback, "initkwargs", None) or {})}
    if hasattr(callback, "required_scopes"):
        given["required_scopes"] = callback.required_scopes
    return {name: given.get(name, getattr(callback.cls, name, None)) for name in _OVERRIDABLE}


def _decides_by_the_request(view: Any) -> bool:
    """Whether the class has a method of its own, whose answer cannot be known before there is a request."""
    methods = (getattr(view, name, None) for name in ("get_authenticators", "get_permissions"))
    return any(getattr(method, "__module__", "") != "rest_framework.views" for method in methods)


def _leaves(permissions: Any) -> Iterator[Any]:
    """Yield the permissions of a list, also those within ``&`` and ``|``, but not within ``~``, which inverts them."""
    for permission in _listed(permissions):
        if hasattr(permission, "op2_class"):
            yield from _leaves([permission.op1_class, permission.op2_class])
        elif not hasattr(permission, "op1_class"):
            yield permission


def _asks_for_scope(permission: Any, *, required: Any) -> bool:
    """Whether it is our HasScope with scopes, inline or of the view, or another package's, named after scopes."""
    kind = permission if isinstance(permission, type) else type(permission)
    ask = getattr(kind, "required_scopes_for", None)
    if ask is None:
        return "scope" in kind.__name__.lower()
    is_ours = getattr(ask, "__module__", "").startswith("oauth_refresh.")
    return not is_ours or bool(getattr(permission, "scopes", None)) or bool(required)


def _says_no_scope(scopes: Any) -> bool:
    """Whether ``required_scopes`` is an empty list, by which a view says that it needs no scope."""
    return isinstance(scopes, list | tuple) and not scopes


def _listed(classes: Any) -> Sequence[Any]:
    return classes if isinstance(classes, list | tuple) else ()


def _name(callback: Any) -> str:
    view = getattr(callback, "cls", None) or getattr(callback, "view_class", callback)
    name = f"{view.__module__}.{view.__name__}"
    own = any(given in _OVERRIDABLE for given in getattr(callback, "initkwargs", None) or ())
    actions = sorted(set((getattr(callback, "actions", None) or {}).values())) if own else []
    return f"{name} ({', '.join(actions)})" if actions else name
