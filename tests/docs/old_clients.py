"""The clients of such a project, run in its folder: ``python old_clients.py STEP``. They keep tokens in a file."""

import json
import os
import sys
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"
django.setup()

from django.apps import apps  # noqa: E402  models exist only now
from django.contrib.auth import get_user_model  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

HELD = Path("clients.json")
SECRET = "a-client-secret-of-more-than-22-characters"


def old_rows(model):
    return apps.get_model("oauth2_provider", model)._default_manager


def set_up():
    """Register five applications, and start three sessions for each of three of them."""
    applications, user = old_rows("Application"), get_user_model().objects.create(username="ada")
    kinds = {
        "widget": {"authorization_grant_type": "implicit", "client_type": "public"},
        "web": {
            "authorization_grant_type": "authorization-code",
            "redirect_uris": "https://web.example/callback http://web.example/callback",
        },
        "phone": {
            "authorization_grant_type": "authorization-code",
            "client_type": "public",
            "redirect_uris": "com.example.phone:/callback",
        },
        "cli": {"authorization_grant_type": "password", "hash_client_secret": False},
        "api": {"authorization_grant_type": "client-credentials"},
    }
    fields = {"client_type": "confidential", "client_secret": SECRET, "user": user}
    rows = {name: applications.create(client_id=name, name=name, **{**fields, **kind}) for name, kind in kinds.items()}
    start(rows["widget"], user, "widget 0")
    for name in ("web", "phone", "cli"):
        for number in range(3):
            start(rows[name], user, f"{name} {number}")
    start_without_refresh_token(rows["api"])
    held = {f"{name} {number}": f"{name}-{number}" for name in ("web", "phone", "cli") for number in range(3)}
    HELD.write_text(json.dumps({name: [f"refresh-{text}", f"access-{text}"] for name, text in held.items()}))


def start(application, user, name):
    text, owner = name.replace(" ", "-"), {"application": application, "user": user}
    access_token = old_rows("AccessToken").create(
        token=f"access-{text}", expires=timezone.now() + timedelta(hours=10), scope="read write", **owner
    )
    family, rows = uuid4(), old_rows("RefreshToken")
    if name in {"web 0", "phone 0", "cli 0"}:
        rows.create(token=f"spent-{text}", token_family=family, revoked=timezone.now(), **owner)
    rows.create(token=f"refresh-{text}", token_family=family, access_token=access_token, **owner)


def start_without_refresh_token(application):
    expires = timezone.now() + timedelta(hours=10)
    old_rows("AccessToken").create(token="of the api", expires=expires, scope="read", application=application)


def use(names):
    """Let clients ask the API and refresh, twice; each must succeed."""
    client, held = Client(), json.loads(HELD.read_text())
    for name in names:
        refresh_token, access_token = held[name]
        for _time in range(2):
            answer = client.get("/orders/", headers={"Authorization": f"Bearer {access_token}"})
            assert answer.json() == {"user": "ada"}, (name, answer.content)
            answer = refresh(client, name, refresh_token)
            assert answer.status_code == 200, (name, answer.content)
            refresh_token, access_token = answer.json()["refresh_token"], answer.json()["access_token"]
        held[name] = refresh_token, access_token
    HELD.write_text(json.dumps(held))


def refresh(client, name, refresh_token):
    application = name.partition(" ")[0]
    credentials = {"client_id": application, **({} if application == "phone" else {"client_secret": SECRET})}
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **credentials}
    return client.post("/o/token/", urlencode(form), content_type="application/x-www-form-urlencoded")


def replay():
    """Let a thief use a spent token of a session; both must be refused then."""
    client, held = Client(), json.loads(HELD.read_text())
    assert refresh(client, "cli 0", "unknown").status_code == 400
    for name in ("phone 0", "cli 0"):
        assert refresh(client, name, f"spent-{name.replace(' ', '-')}").status_code == 400
        assert refresh(client, name, held[name][0]).status_code == 400


STEPS = {
    "set up": set_up,
    "some go on": lambda: use(["web 0", "phone 1", "cli 1"]),
    "all go on": lambda: use(json.loads(HELD.read_text())),
    "those not used go on": lambda: use(["web 1", "web 2", "phone 0", "phone 2", "cli 0", "cli 2"]),
    "replay": replay,
}


if __name__ == "__main__":
    for step in sys.argv[1:]:
        STEPS[step]()
