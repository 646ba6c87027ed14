"""The step of ``peers.py`` inside the site with django-allauth: create a client and refresh tokens."""

import json
import secrets
import sys
import uuid

from allauth.idp.oidc.models import Client, Token
from django.contrib.auth import get_user_model

SCOPES = ["notes:read"]


def create_tokens(count: int) -> None:
    """Create a confidential client with refresh tokens, and print its credentials and the tokens as JSON."""
    user = get_user_model().objects.create_user("eve")
    secret = secrets.token_urlsafe(32)
    client = Client(name="benchmark", owner=user)
    client.set_scopes(SCOPES)
    client.set_grant_types([Client.GrantType.AUTHORIZATION_CODE, Client.GrantType.REFRESH_TOKEN])
    client.set_secret(secret)
    client.save()
    tokens = [_refresh_token(client, user) for _number in range(count)]
    json.dump({"client_id": client.id, "client_secret": secret, "refresh_tokens": tokens}, sys.stdout)


def _refresh_token(client, user) -> str:
    value = secrets.token_urlsafe(64)
    token = Token(type=Token.Type.REFRESH_TOKEN, client=client, user=user)
    token.set_value(value)
    token.set_scopes(SCOPES)
    token.set_grant_id(str(uuid.uuid4()))
    token.save()
    return value
