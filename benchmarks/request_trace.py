"""Follow one request through the package: how many calls of ours, in how many files, and how often it changes file.

    python benchmarks/request_trace.py [--list]

The requests are a refresh, a revocation by the client, and a revocation in the admin, each after one of its kind that
warmed everything up. ``--list`` prints every call. SQLite in memory; nothing is left behind.
"""

import argparse
import base64
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from functools import partial
from pathlib import Path
from typing import Any

import django

PACKAGE = str(Path(__file__).resolve().parent.parent / "oauth_refresh")

sys.path.insert(0, str(Path(PACKAGE).parent))
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
os.environ["DATABASE_URL"] = "sqlite://:memory:"
django.setup()

# ruff: noqa: E402, I001  these need the settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from oauth_refresh.services import IssuedTokens, issue_tokens
from oauth_refresh.services.clients import create_application

FORM = "application/x-www-form-urlencoded"


def trace(request: Callable[[], Any]) -> list[tuple[str, str]]:
    """Return file and function of each call of the package that ``request`` makes, in order."""
    calls: list[tuple[str, str]] = []

    def note(frame: Any, event: str, _argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE):
            calls.append((code.co_filename.removeprefix(PACKAGE + "/"), code.co_qualname))

    sys.setprofile(note)
    try:
        response = request()
    finally:
        sys.setprofile(None)
    if response.status_code not in {200, 302}:
        raise RuntimeError(response.content)
    return calls


def report(name: str, calls: list[tuple[str, str]], *, lists: bool) -> None:
    files = [file for file, _function in calls]
    moves = sum(one != other for one, other in pairwise(files))
    print(f"{name}: {len(calls)} calls in {len(set(files))} files, {moves} moves between files")
    if lists:
        for file, function in calls:
            print(f"    {file}: {function}")


def requests() -> dict[str, tuple[Callable[[], IssuedTokens], Callable[[IssuedTokens], Any]]]:
    """Fill the database, and return for each kind of request how to start a grant, and how to send the request."""
    call_command("migrate", verbosity=0)
    admin = get_user_model().objects.create_superuser("admin", "admin@example.com", "password")
    application, secret = create_application(name="Notes", grant_types="password refresh_token")
    basic = "Basic " + base64.b64encode(f"{application.client_id}:{secret}".encode()).decode()
    client, browser = Client(headers={"Authorization": basic}), Client()
    browser.force_login(admin)
    token_url, revoke_url = reverse("oauth_refresh:token"), reverse("oauth_refresh:revoke")

    def issue() -> IssuedTokens:
        return issue_tokens(application, user=admin, grant_type="password", scope="notes:read")

    def refresh(issued: IssuedTokens) -> Any:
        return client.post(token_url, f"grant_type=refresh_token&refresh_token={issued.refresh_token}", FORM)

    def revoke(issued: IssuedTokens) -> Any:
        return client.post(revoke_url, f"token={issued.refresh_token}", FORM)

    def revoke_in_admin(issued: IssuedTokens) -> Any:
        page = reverse("admin:oauth_refresh_grant_revoke", args=[issued.grant.pk])
        return browser.post(page, {"reason": "stolen", "confirm": "1"})

    return {"refresh": (issue, refresh), "revoke": (issue, revoke), "revoke in the admin": (issue, revoke_in_admin)}


def trace_warm(issue: Callable[[], IssuedTokens], request: Callable[[IssuedTokens], Any]) -> list[tuple[str, str]]:
    """Trace a request after one of its kind."""
    request(issue())
    return trace(partial(request, issue()))


def traced_refresh() -> list[tuple[str, str]]:
    """Return file and function of each call that a refresh makes."""
    return trace_warm(*requests()["refresh"])


def main() -> None:
    parser = argparse.ArgumentParser(description="Count the calls of ours that a request makes.")
    parser.add_argument("--list", action="store_true", help="print every call")
    lists = parser.parse_args().list
    for name, (issue, request) in requests().items():
        report(name, trace_warm(issue, request), lists=lists)


if __name__ == "__main__":
    main()
