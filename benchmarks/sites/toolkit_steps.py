"""The step of ``throughput.py`` inside the site with django-oauth-toolkit: create a client and refresh tokens."""

import json
import secrets
import sys
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.utils import timezone
from oauth2_provider.models import AccessToken, Application, RefreshToken


def create_tokens(count: int) -> None:
    """Create a confidential client with refresh tokens, and print its credentials and the tokens as JSON."""
    user = get_user_model().objects.create_user("eve")
    secret = secrets.token_urlsafe(32)
    application = Application.objects.create(
        name="benchmark",
        user=user,
        client_secret=secret,
        client_type=Application.CLIENT_CONFIDENTIAL,
        authorization_grant_type=Application.GRANT_PASSWORD,
    )
    tokens = [_refresh_token(application, user) for _number in range(count)]
    json.dump({"client_id": application.client_id, "client_secret": secret, "refresh_tokens": tokens}, sys.stdout)


def _refresh_token(application, user) -> str:
    access_token = AccessToken.objects.create(
        application=application,
        user=user,
        token=secrets.token_urlsafe(32),
        scope="notes:read",
        expires=timezone.now() + timedelta(hours=1),
    )
    refresh_token = RefreshToken.objects.create(
        application=application, user=user, token=secrets.token_urlsafe(32), access_token=access_token
    )
    return refresh_token.token
