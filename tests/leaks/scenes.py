"""Every view of the URLconf that is ours or that our tokens protect, and the requests that reach it."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from django.contrib import admin
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.consent import REDIRECT_URI
from tests.factories import PASSWORD
from tests.jwts import client_assertion
from tests.leaks.world import World
from tests.oauth import post_form

Scene = Callable[[World], Any]

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
REVOCATION = {"confirm": "1", "reason": "leaked"}
NEW_APPLICATION = {
    "name": "New",
    "is_active": "on",
    "grant_types": ["refresh_token"],
    "auth_method": "client_secret_basic",
    "requires_pkce": "on",
}


def our_views() -> dict[str, URLPattern]:
    """Return each such view of the project by its name with namespaces."""
    return {name: pattern for name, pattern in _views(get_resolver().url_patterns, ()) if _is_ours(pattern)}


def _views(patterns: list[Any], namespaces: tuple[str, ...]) -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            inner = (pattern.namespace,) if pattern.namespace else ()
            yield from _views(pattern.url_patterns, (*namespaces, *inner))
        else:
            yield ":".join([*namespaces, pattern.name or str(pattern.pattern)]), pattern


def _is_ours(pattern: URLPattern) -> bool:
    model_admin = getattr(pattern.callback, "model_admin", None)
    if model_admin is not None and model_admin.opts.app_label == "oauth_refresh":
        return pattern.name is not None  # nameless: Django's redirect from an old address
    view = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
    module = (view or inspect.unwrap(pattern.callback)).__module__
    return module == "tests.resource" or module.startswith("oauth_refresh.")


def scenes_of(name: str) -> dict[str, Scene]:
    """Return the requests that reach the view of this name. Raises KeyError for one that nobody has thought of."""
    if name in SCENES:
        return SCENES[name]
    if name.startswith("admin:"):
        return _admin_scenes(name)
    pattern = our_views()[name]
    view = getattr(pattern.callback, "cls", None) or inspect.unwrap(pattern.callback)
    if view.__module__ != "tests.resource":
        raise KeyError(name)
    return {
        "with a token": lambda world: with_token(world, name, world.session.access_token),
        "with another": lambda world: with_token(world, name, world.spent),
    }


def with_token(world: World, name: str, raw: str) -> Any:
    return Client(raise_request_exception=False).get(reverse(name), headers={"Authorization": f"Bearer {raw}"})


def _admin_scenes(name: str) -> dict[str, Scene]:
    label, _underscore, page = name.removeprefix("admin:").rpartition("_")
    if page == "list":
        label, page = label.removesuffix("_revoke"), "revoke_list"
    (model,) = [model for model in admin.site._registry if model._meta.label_lower.replace(".", "_") == label]

    def url(world: World) -> str:
        has_row = page not in {"changelist", "add", "revoke_list"}
        return reverse(name, args=[world.rows[model].pk] if has_row else [])

    scenes: dict[str, Scene] = {"page": lambda world: world.operator.get(url(world))}
    if page in {"revoke", "revoke_list"}:
        scenes["form"] = lambda world: world.operator.post(url(world), REVOCATION)
    return scenes


def of_row(world: World, name: str, data: dict[str, Any]) -> Any:
    return world.operator.post(reverse(name, args=[world.application.pk]), data)


def by_user(world: World, method: str, name: str, *arguments: Any, **data: Any) -> Any:
    kind = {"content_type": "application/json"} if name.startswith("api_") and method == "post" else {}
    return getattr(world.flow.browser, method)(reverse(f"oauth_refresh:{name}", args=arguments), data, **kind)


def new_secret(world: World) -> Any:
    data = {"overlap": "3600", "replaces": world.replaces}
    return of_row(world, "admin:oauth_refresh_application_secret", data)


SCENES: dict[str, dict[str, Scene]] = {
    "oauth_refresh:token": {
        "refresh": lambda w: w.session.refresh(),
        "reuse": lambda w: w.session.refresh(w.spent),
        "wrong secret": lambda w: post_form(
            "token",
            {"grant_type": "client_credentials", "client_id": w.application.client_id, "client_secret": w.spent},
        ),
        "password": lambda w: w.form("token", grant_type="password", username="alice", password=PASSWORD),
        "client credentials": lambda w: w.form("token", grant_type="client_credentials"),
        "code": lambda w: w.flow.redeem(w.code),
        "assertion": lambda w: w.form("token", grant_type=JWT_BEARER, assertion=w.grant_assertion),
        "key": lambda w: post_form(
            "token", {"grant_type": "client_credentials", **client_assertion(w.client_assertion)}
        ),
    },
    "oauth_refresh:revoke": {
        "refresh token": lambda w: w.session.revoke(w.session.refresh_token),
        "access token": lambda w: w.session.revoke(w.session.access_token),
    },
    "oauth_refresh:introspect": {
        "refresh token": lambda w: w.form("introspect", token=w.session.refresh_token),
        "access token": lambda w: w.form("introspect", token=w.session.access_token),
    },
    "oauth_refresh:authorize": {
        "question": lambda w: w.flow.ask(),
        "consent": lambda w: w.flow.decide("allow"),
        "refusal": lambda w: w.flow.decide("deny"),
        "stranger": lambda w: Client(raise_request_exception=False).get(w.flow.url()),
        "unusable": lambda w: w.flow.ask(redirect_uri="https://evil.example/"),
    },
    "oauth_metadata": {"document": lambda w: Client().get(reverse("oauth_metadata"))},
    "oauth_refresh:applications": {"list": lambda w: by_user(w, "get", "applications")},
    "oauth_refresh:application_revoke": {
        "question": lambda w: by_user(w, "get", "application_revoke", w.session.grant.public_id),
        "form": lambda w: by_user(w, "post", "application_revoke", w.session.grant.public_id),
    },
    "oauth_refresh:applications_revoke": {
        "question": lambda w: by_user(w, "get", "applications_revoke"),
        "form": lambda w: by_user(w, "post", "applications_revoke"),
    },
    "oauth_refresh:api_applications": {"list": lambda w: by_user(w, "get", "api_applications")},
    "oauth_refresh:api_application_revoke": {
        "one": lambda w: by_user(w, "post", "api_application_revoke", w.session.grant.public_id)
    },
    "oauth_refresh:api_applications_revoke": {"all": lambda w: by_user(w, "post", "api_applications_revoke")},
    "admin:oauth_refresh_grant_find": {
        "tokens": lambda w: w.operator.post(
            reverse("admin:oauth_refresh_grant_find"), {"text": f"{w.spent} {w.session.access_token}"}
        )
    },
    "admin:oauth_refresh_application_secret": {"new": new_secret},
    "admin:oauth_refresh_application_tokens": {
        "new": lambda w: of_row(
            w, "admin:oauth_refresh_application_tokens", {"username": "alice", "scope": ["notes:read"]}
        )
    },
    "admin:oauth_refresh_application_add": {
        "new": lambda w: w.operator.post(reverse("admin:oauth_refresh_application_add"), NEW_APPLICATION)
    },
    "admin:oauth_refresh_application_change": {
        "form": lambda w: of_row(
            w, "admin:oauth_refresh_application_change", NEW_APPLICATION | {"redirect_uris": REDIRECT_URI}
        )
    },
}
"""Of the views that need more than a name and a row."""

SHOWING = {
    "oauth_refresh:token",
    "oauth_refresh:authorize",
    "admin:oauth_refresh_application_secret",
    "admin:oauth_refresh_application_tokens",
    "admin:oauth_refresh_application_add",
}
"""Their successful answers hold a raw value: that of a code, of tokens or of a secret, made for this one answer."""

REFUSED = {"reuse": 400, "wrong secret": 401, "unusable": 400, "with another": 401}
"""The scenes that end so when nothing fails."""
