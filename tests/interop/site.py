"""The running example project as its people and applications know it."""

import json
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus

import requests

from tests.factories import SECRET
from tests.server import manage
from tests.waiting import LONGEST_SECONDS

PASSWORD = "a long enough password"
CLIENT_ID = "album"
REDIRECT_URI = "https://client.example/callback"
APPLICATIONS = {
    CLIENT_ID: ("Photo album", "--redirect-uri", REDIRECT_URI),
    "calendar": ("Calendar",),
    "bulk": ("Bulk mailer",),
    "risky": ("Risky business", "--grant-type", "password", "--redirect-uri", REDIRECT_URI),
}
SCRIPT = f"""
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Permission, User
from django.core.management import call_command

password = make_password({PASSWORD!r})  # slow, so once
User.objects.create(username="eve", password=password, email="eve@example.com", is_staff=True, is_superuser=True)
vera = User.objects.create(username="vera", password=password, is_staff=True)
ours = Permission.objects.filter(content_type__app_label="oauth_refresh")
vera.user_permissions.set(ours.filter(codename__startswith="view_"))
for name in ("fay", "mia", "uma", "sam", "sol", "kim", "pat", "ida", "ben", "zoe"):
    User.objects.create(username=name, password=password)
for client_id, (name, *options) in {APPLICATIONS!r}.items():
    credentials = ("--client-id", client_id, "--client-secret", {SECRET!r})
    call_command("oauth_create_application", name, *credentials, "--owner", "eve", *options)
"""


@dataclass(frozen=True, kw_only=True)
class Site:
    """``eve`` is a superuser, ``vera`` staff who may only look, the others use applications that have ``SECRET``."""

    origin: str
    database_url: str

    def populate(self):
        self.manage("shell", "--verbosity", "0", "--command", SCRIPT)  # one process: each takes a second to start

    def manage(self, *arguments):
        """Run a management command and return what it prints."""
        result = manage(*arguments, database_url=self.database_url, OAUTH_ISSUER=self.origin)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def issue(self, username, *, client_id=CLIENT_ID, count=1):
        """Start grants of an application for a user, and return each as the application holds it."""
        lines = self.manage(
            "oauth_issue_tokens", "--application", client_id, "--user", username, "--count", str(count)
        ).splitlines()
        return [Holder(site=self, client_id=client_id, pair=json.loads(line)) for line in lines]

    def ask_for_token(self, client_id, secret, *, program="Photo album/1.0", **form):
        """Send a token request as an application does."""
        return requests.post(
            f"{self.origin}/oauth/token",
            data=form,
            auth=(client_id, secret),
            headers={"User-Agent": program},
            timeout=LONGEST_SECONDS,
        )

    @cache  # noqa: B019  one site to a module, and each command takes a second
    def set_retry_window(self, client_id, *, seconds):
        """Give an application that its document described a retry window, as an operator does."""
        window = ("--client-id", client_id, "--retry-window", str(seconds))
        self.manage("oauth_create_application", "Notebook", "--update", *window)

    @cache  # noqa: B019  one site to a module, and signing in is slow on purpose
    def session_cookie(self, username):
        """Sign a user in and return the session cookie."""
        session = requests.Session()
        form = {"username": username, "password": PASSWORD}
        session.get(f"{self.origin}/login/", timeout=LONGEST_SECONDS)
        form["csrfmiddlewaretoken"] = session.cookies["csrftoken"]
        signed_in = session.post(f"{self.origin}/login/", data=form, timeout=LONGEST_SECONDS)
        assert signed_in.status_code == HTTPStatus.OK, signed_in.text
        return {"name": "sessionid", "value": session.cookies["sessionid"], "url": self.origin}


@dataclass(kw_only=True)
class Holder:
    """An application that holds the tokens of one grant."""

    site: Site
    client_id: str
    pair: dict[str, str]

    def refresh(self, refresh_token=None, **options):
        """Send a refresh request; on success hold the new pair."""
        answer = self.site.ask_for_token(
            self.client_id,
            SECRET,
            grant_type="refresh_token",
            refresh_token=refresh_token or self.pair["refresh_token"],
            **options,
        )
        if answer.ok:
            self.pair |= answer.json()
        return answer
