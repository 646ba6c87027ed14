"""Every view of the URLconf that is ours or that our tokens protect, and the requests that reach it."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings as django_settings
from django.contrib import admin
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from tests.consent import REDIRECT_URI
from tests.factories import PASSWORD
from tests.jwts import client_assertion
from tests.leaks.sample import Sample
from tests.oauth import post_form

SampleRequest = Callable[[Sample], Any]

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
REVOCATION = {"confirm": "1", "reason": "leaked"}
NEW_APPLICATION = {
    "name": "New",
    "is_active": "on",
    "grant_types": ["refresh_token"],
    "auth_method": "client_secret_basic",
    "requires_pkce": "on",
}


def openid_configuration() -> Any:
    """Ask for the metadata at the address of OpenID Connect, which is switched on for this request."""
    with override_settings(OAUTH_REFRESH={**django_settings.OAUTH_REFRESH, "OPENID_CONFIGURATION_ALIAS": True}):
        return Client().get(reverse("openid_configuration", args=[""]))


def resource_metadata() -> Any:
    """Ask for the metadata of a resource, which the project has for this request."""
    with override_settings(OAUTH_REFRESH={**django_settings.OAUTH_REFRESH, "RESOURCES": {"https://api.example": {}}}):
        return Client().get(reverse("oauth_resource_metadata"))


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
        return pattern.name is not None  # without a name: Django's redirect from an old address
    view = getattr(pattern.callback, "view_class", None) or getattr(pattern.callback, "cls", None)
    module = (view or inspect.unwrap(pattern.callback)).__module__
    return module == "tests.resource" or module.startswith("oauth_refresh.")


def requests_of(name: str) -> dict[str, SampleRequest]:
    """Return the requests that reach the view of this name. Raises KeyError for an unknown one."""
    if name in REQUESTS:
        return REQUESTS[name]
    if name.startswith("admin:"):
        return _admin_requests(name)
    pattern = our_views()[name]
    view = getattr(pattern.callback, "cls", None) or inspect.unwrap(pattern.callback)
    if view.__module__ != "tests.resource":
        raise KeyError(name)
    return {
        "with a token": lambda sample: with_token(sample, name, sample.client.access_token),
        "with another": lambda sample: with_token(sample, name, sample.spent),
    }


def with_token(sample: Sample, name: str, raw: str) -> Any:
    return Client(raise_request_exception=False).get(reverse(name), headers={"Authorization": f"Bearer {raw}"})


def _admin_requests(name: str) -> dict[str, SampleRequest]:
    label, _underscore, page = name.removeprefix("admin:").rpartition("_")
    if page == "list":
        label, page = label.removesuffix("_revoke"), "revoke_list"
    (model,) = [model for model in admin.site._registry if model._meta.label_lower.replace(".", "_") == label]

    def url(sample: Sample) -> str:
        has_row = page not in {"changelist", "add", "revoke_list"}
        return reverse(name, args=[sample.rows[model].pk] if has_row else [])

    requests: dict[str, SampleRequest] = {"page": lambda sample: sample.staff.get(url(sample))}
    if page in {"revoke", "revoke_list"}:
        requests["form"] = lambda sample: sample.staff.post(url(sample), REVOCATION)
    return requests


def download(sample: Sample, name: str, *arguments: Any) -> Any:
    """Return a file with all its pieces, or those that were sent before a fault ended the connection."""
    response = sample.staff.get(reverse(f"admin:oauth_refresh_{name}", args=arguments))
    if not response.streaming:
        return response
    sent, status = b"", response.status_code
    try:
        for piece in response.streaming_content:
            sent += piece
    except Exception:  # noqa: BLE001  any error that the test caused
        status = 500
    whole = HttpResponse(sent, status=status, headers=dict(response.headers))
    whole.templates = []  # type: ignore[attr-defined]
    return whole


def of_row(sample: Sample, name: str, data: dict[str, Any]) -> Any:
    return sample.staff.post(reverse(name, args=[sample.application.pk]), data)


def by_user(sample: Sample, method: str, name: str, *arguments: Any, **data: Any) -> Any:
    kind = {"content_type": "application/json"} if name.startswith("api_") and method == "post" else {}
    return getattr(sample.flow.browser, method)(reverse(f"oauth_refresh:{name}", args=arguments), data, **kind)


def new_secret(sample: Sample) -> Any:
    data = {"overlap": "3600", "replaces": sample.replaces}
    return of_row(sample, "admin:oauth_refresh_application_secret", data)


REQUESTS: dict[str, dict[str, SampleRequest]] = {
    "oauth_refresh:token": {
        "refresh": lambda s: s.client.refresh(),
        "reuse": lambda s: s.client.refresh(s.spent),
        "wrong secret": lambda s: post_form(
            "token",
            {"grant_type": "client_credentials", "client_id": s.application.client_id, "client_secret": s.spent},
        ),
        "password": lambda s: s.form("token", grant_type="password", username="alice", password=PASSWORD),
        "client credentials": lambda s: s.form("token", grant_type="client_credentials"),
        "code": lambda s: s.flow.redeem(s.code),
        "assertion": lambda s: s.form("token", grant_type=JWT_BEARER, assertion=s.grant_assertion),
        "key": lambda s: post_form(
            "token", {"grant_type": "client_credentials", **client_assertion(s.client_assertion)}
        ),
    },
    "oauth_refresh:revoke": {
        "refresh token": lambda s: s.client.revoke(s.client.refresh_token),
        "access token": lambda s: s.client.revoke(s.client.access_token),
    },
    "oauth_refresh:introspect": {
        "refresh token": lambda s: s.form("introspect", token=s.client.refresh_token),
        "access token": lambda s: s.form("introspect", token=s.client.access_token),
    },
    "oauth_refresh:revocations": {
        "begin": lambda s: s.form("revocations"),
        "page": lambda s: s.form("revocations", after=s.cursor),
        "wrong cursor": lambda s: s.form("revocations", after=s.spent),
    },
    "oauth_refresh:verify": {
        "with a token": lambda s: with_token(s, "oauth_refresh:verify", s.client.access_token),
        "with another": lambda s: with_token(s, "oauth_refresh:verify", s.spent),
    },
    "oauth_refresh:authorize": {
        "question": lambda s: s.flow.ask(),
        "consent": lambda s: s.flow.decide("allow"),
        "refusal": lambda s: s.flow.decide("deny"),
        "stranger": lambda s: Client(raise_request_exception=False).get(s.flow.url()),
        "unusable": lambda s: s.flow.ask(redirect_uri="https://evil.example/"),
    },
    "oauth_metadata": {"document": lambda s: Client().get(reverse("oauth_metadata"))},
    "oauth_resource_metadata": {"document": lambda s: resource_metadata()},
    "openid_configuration": {"document": lambda s: openid_configuration()},
    "oauth_refresh:applications": {"list": lambda s: by_user(s, "get", "applications")},
    "oauth_refresh:application_revoke": {
        "question": lambda s: by_user(s, "get", "application_revoke", s.client.grant.public_id),
        "form": lambda s: by_user(s, "post", "application_revoke", s.client.grant.public_id),
    },
    "oauth_refresh:application_revoke_all": {
        "question": lambda s: by_user(s, "get", "application_revoke_all", s.client.grant.public_id),
        "form": lambda s: by_user(s, "post", "application_revoke_all", s.client.grant.public_id),
    },
    "oauth_refresh:applications_revoke": {
        "question": lambda s: by_user(s, "get", "applications_revoke"),
        "form": lambda s: by_user(s, "post", "applications_revoke"),
    },
    "oauth_refresh:api_applications": {"list": lambda s: by_user(s, "get", "api_applications")},
    "oauth_refresh:api_application_revoke": {
        "one": lambda s: by_user(s, "post", "api_application_revoke", s.client.grant.public_id)
    },
    "oauth_refresh:api_application_revoke_all": {
        "application": lambda s: by_user(s, "post", "api_application_revoke_all", s.client.grant.public_id)
    },
    "oauth_refresh:api_applications_revoke": {"all": lambda s: by_user(s, "post", "api_applications_revoke")},
    "admin:oauth_refresh_grant_find": {
        "tokens": lambda s: s.staff.post(
            reverse("admin:oauth_refresh_grant_find"), {"text": f"{s.spent} {s.client.access_token}"}
        )
    },
    "admin:oauth_refresh_grant_revoke_user": {
        "page": lambda s: s.staff.get(reverse("admin:oauth_refresh_grant_revoke_user", args=[s.client.grant.pk])),
        "form": lambda s: s.staff.post(
            reverse("admin:oauth_refresh_grant_revoke_user", args=[s.client.grant.pk]), REVOCATION
        ),
    },
    **{
        f"admin:oauth_refresh_{model}_export_{form}": {
            "file": lambda s, name=f"{model}_export_{form}": download(s, name)  # type: ignore[misc]
        }
        for model in ("grant", "refreshtoken", "accesstoken", "grantevent")
        for form in ("csv", "json")
    },
    **{
        f"admin:oauth_refresh_grant_timeline_{form}": {
            "file": lambda s, name=f"grant_timeline_{form}": download(s, name, s.client.grant.pk)  # type: ignore[misc]
        }
        for form in ("csv", "json")
    },
    **{
        f"admin:oauth_refresh_application_{kind}": {
            "proposals": lambda s, name=f"admin:oauth_refresh_application_{kind}": s.staff.get(
                reverse(name), {"q": "a"}
            )
        }
        for kind in ("names", "users")
    },
    "admin:oauth_refresh_application_secret": {"new": new_secret},
    "admin:oauth_refresh_application_tokens": {
        "new": lambda s: of_row(
            s, "admin:oauth_refresh_application_tokens", {"username": "alice", "scope": ["notes:read"]}
        )
    },
    "admin:oauth_refresh_application_add": {
        "new": lambda s: s.staff.post(reverse("admin:oauth_refresh_application_add"), NEW_APPLICATION)
    },
    "admin:oauth_refresh_application_change": {
        "form": lambda s: of_row(
            s, "admin:oauth_refresh_application_change", NEW_APPLICATION | {"redirect_uris": REDIRECT_URI}
        )
    },
}
"""By view, of those that need more than a name and a row."""

SHOWING = {
    "oauth_refresh:token",
    "oauth_refresh:authorize",
    "admin:oauth_refresh_application_secret",
    "admin:oauth_refresh_application_tokens",
    "admin:oauth_refresh_application_add",
}
"""Views whose successful answer holds a raw value: a code, tokens or a secret, generated for this answer."""

REFUSED = {"reuse": 400, "wrong cursor": 400, "wrong secret": 401, "unusable": 400, "with another": 401}
"""The requests that are refused when nothing fails, and their status."""
