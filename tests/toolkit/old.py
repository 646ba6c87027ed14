"""django-oauth-toolkit as a project has it: its applications, and clients that hold tokens of its endpoint."""

import uuid
import warnings
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from itertools import count
from typing import Any
from urllib.parse import urlencode

from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model, get_refresh_token_model

from tests.factories import PASSWORD
from tests.oauth import FORM, basic

SECRET = "an-old-client-secret-of-more-than-22-characters"
_numbers = count()
OLD, NEW = "/old", "/o"
"""Where the two servers are: a client that changes nothing is sent from one to the other."""


def old_application(client_id: str = "shop", **fields: Any) -> Any:
    """Register a confidential application for the password grant, with a hashed ``SECRET``; ``fields`` change that."""
    defaults = {
        "client_id": client_id,
        "name": client_id.capitalize(),
        "client_type": "confidential",
        "authorization_grant_type": "password",
        "client_secret": SECRET,
        "skip_authorization": False,
    }
    return get_application_model().objects.create(**{**defaults, **fields})


def old_session(application: Any, user: Any, raw: str, *, family: Any = None, **fields: Any) -> Any:
    """Write a live refresh token with this text, and its access token; return the refresh token.

    ``fields`` are columns of the refresh token; those that begin with ``access_`` of the access token.
    """
    access = {
        "application": application,
        "expires": timezone.now() + timedelta(hours=1),
        "scope": "notes:read notes:write",
        "token": f"access of {raw}{next(_numbers)}",
        "user": user,
        **{name.removeprefix("access_"): value for name, value in fields.items() if name.startswith("access_")},
    }
    own = {name: value for name, value in fields.items() if not name.startswith("access_")}
    access_token = get_access_token_model().objects.create(**access)
    columns = {"access_token": access_token, "token_family": family or uuid.uuid4(), **own}
    return get_refresh_token_model().objects.create(application=application, user=user, token=raw, **columns)


def old_spent(session: Any, *texts: str) -> None:
    """Write spent refresh tokens of the family of a session, the oldest first."""
    owner = {"application": session.application, "user": session.user, "token_family": session.token_family}
    model = get_refresh_token_model()
    model.objects.bulk_create(model(token=text, revoked=timezone.now(), **owner) for text in texts)


def old_rows() -> dict[str, list[dict[str, Any]]]:
    """Return all tokens of django-oauth-toolkit, to compare before and after."""
    models = {"AccessToken": get_access_token_model(), "RefreshToken": get_refresh_token_model()}
    return {name: list(model.objects.order_by("pk").values()) for name, model in models.items()}


@dataclass
class OldClient:
    """A client that was written for django-oauth-toolkit; only the server behind ``server`` changes."""

    client_id: str = "shop"
    secret: str | None = SECRET
    server: str = OLD
    access_token: str = ""
    refresh_token: str = ""

    def post(self, path: str, **form: str) -> Any:
        headers = {} if self.secret is None else {"Authorization": basic(self.client_id, self.secret)}
        body = urlencode({**({"client_id": self.client_id} if self.secret is None else {}), **form})
        client = Client(raise_request_exception=False)
        return client.post(f"{self.server}/{path}/", data=body, content_type=FORM, headers=headers)

    def start(self, user: Any, *, scope: str = "notes:read notes:write") -> "OldClient":
        """Sign ``user`` in by the password grant, and hold the tokens."""
        form = {"grant_type": "password", "username": user.username, "password": PASSWORD, "scope": scope}
        with warnings.catch_warnings(action="ignore"):  # that the password grant is discouraged
            return self.hold(self.post("token", **form))

    def refresh(self, refresh_token: str | None = None) -> Any:
        return self.post("token", grant_type="refresh_token", refresh_token=refresh_token or self.refresh_token)

    def rotate(self) -> "OldClient":
        """Refresh, which must succeed, and hold the new tokens."""
        return self.hold(self.refresh())

    def hold(self, response: Any) -> "OldClient":
        assert response.status_code == HTTPStatus.OK, response.content
        body = response.json()
        self.access_token, self.refresh_token = body["access_token"], body["refresh_token"]
        return self

    def read_notes(self) -> Any:
        """Ask the API, which is protected by ``BearerAuthentication``."""
        client = Client(raise_request_exception=False)
        return client.get("/api/notes", headers={"Authorization": f"Bearer {self.access_token}"})
