"""What a browser sends to create an application, and what the pages show once."""

import re
from html import unescape
from http import HTTPStatus
from typing import Any

from tests.admin.pages import admin_url
from tests.oauth import OAuthClient

NEW = {
    "name": "Notes",
    "is_active": "on",
    "grant_types": ["authorization_code", "client_credentials", "refresh_token"],
    "redirect_uris": "https://app.example/callback",
    "auth_method": "client_secret_basic",
    "requires_pkce": "on",
}
"""A confidential application."""

PUBLIC = NEW | {"auth_method": "none", "grant_types": ["authorization_code", "refresh_token"]}


def copyable_value(response: Any, name: str) -> str:
    """Return the value of a field to copy from, such as ``client-secret``."""
    (found,) = re.findall(rf'<input id="{name}" value="(.*?)" readonly', response.content.decode())
    return unescape(found)


def accepts_secret(application: Any, secret: str) -> bool:
    """Whether the token endpoint accepts the secret of an application."""
    response = OAuthClient(application, secret).token(grant_type="client_credentials", scope="notes:read")
    assert (response.status_code, response.json().get("error")) in {(200, None), (401, "invalid_client")}
    return bool(response.status_code == 200)


def replaces_field(client: Any, application: Any) -> str:
    """Return the field by which the page of the secret notices that the secret was replaced."""
    page = client.get(admin_url("application_secret", application.pk))
    return page.context["form"]["replaces"].value() if page.status_code == HTTPStatus.OK else ""
