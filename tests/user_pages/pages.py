"""Reads pages as a person and a browser do."""

import re
from html import unescape
from http import HTTPStatus
from typing import Any

from django.test import Client
from django.urls import reverse

from oauth_refresh.models import Grant

LOGIN = "/login/?next="


def signed_in(user: Any, **options: Any) -> Client:
    """Return the browser of a user who is signed in."""
    browser = Client(**options)
    browser.force_login(user)
    return browser


def url(name: str, *args: Any) -> str:
    return reverse(f"oauth_refresh:{name}", args=args)


def disconnect_url(grant: Grant) -> str:
    return url("application_revoke", grant.public_id)


def list_page(browser: Client, **query: str) -> Any:
    """Return the list of connected applications."""
    response = browser.get(url("applications"), query)
    assert response.status_code == HTTPStatus.OK
    return response


def text_of(response: Any) -> str:
    """Return the visible text of a page, with single spaces."""
    body = re.sub(r"<head>.*</head>", " ", response.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", body)).split())


def token_of(page: Any) -> str:
    """Return the CSRF token of the form on a page."""
    return re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())[1]


def assert_back_at_the_list(browser: Client, response: Any, message: str) -> None:
    """Follow the redirect to the list, which shows the message once."""
    assert response.status_code == HTTPStatus.FOUND
    assert response.headers["Location"] == url("applications")
    assert message in text_of(list_page(browser))
    assert message not in text_of(list_page(browser))
