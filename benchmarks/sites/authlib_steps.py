"""The step of ``peers.py`` inside the site with Authlib: create the tables, a client and refresh tokens."""

import json
import secrets
import sys

from django.contrib.auth import get_user_model
from django.core.management import call_command

from benchmarks.sites.authlib_server.models import OAuth2Client, OAuth2Token


def create_tokens(count: int) -> None:
    """Create a confidential client with refresh tokens, and print its credentials and the tokens as JSON."""
    call_command("migrate", run_syncdb=True, verbosity=0)  # the app has no migrations
    user = get_user_model().objects.create_user("eve")
    client = OAuth2Client.objects.create(
        user=user,
        client_name="benchmark",
        client_id=secrets.token_urlsafe(16),
        client_secret=secrets.token_urlsafe(32),
        scope="notes:read",
        grant_type="authorization_code refresh_token",
        token_endpoint_auth_method="client_secret_basic",  # noqa: S106  the name of a method
    )
    tokens = [_refresh_token(client, user) for _number in range(count)]
    credentials = {"client_id": client.client_id, "client_secret": client.client_secret}
    json.dump({**credentials, "refresh_tokens": tokens}, sys.stdout)


def _refresh_token(client, user) -> str:
    token = OAuth2Token.objects.create(
        user=user,
        client_id=client.client_id,
        token_type="Bearer",  # noqa: S106  the name of a type
        access_token=secrets.token_urlsafe(32),
        refresh_token=secrets.token_urlsafe(32),
        scope="notes:read",
        expires_in=3600,
    )
    return token.refresh_token
