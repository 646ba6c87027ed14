"""Client and token with the columns and indexes that Authlib's documentation has.

https://docs.authlib.org/en/stable/oauth2/authorization-server/django/authorization-server.html
"""

import time

from authlib.oauth2.rfc6749 import ClientMixin, TokenMixin
from django.conf import settings
from django.db import models


def now() -> int:
    return int(time.time())


class OAuth2Client(ClientMixin, models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    client_id = models.CharField(max_length=48, unique=True)
    client_secret = models.CharField(max_length=48, blank=True)
    client_name = models.CharField(max_length=120)
    redirect_uris = models.TextField(default="")
    default_redirect_uri = models.TextField(default="")
    scope = models.TextField(default="")
    response_type = models.TextField(default="")
    grant_type = models.TextField(default="")
    token_endpoint_auth_method = models.CharField(max_length=120, default="")

    def __str__(self) -> str:
        return self.client_name

    def get_allowed_scope(self, scope: str) -> str:
        allowed = self.scope.split()
        return " ".join(name for name in scope.split() if name in allowed)

    def check_client_secret(self, client_secret: str) -> bool:
        return self.client_secret == client_secret

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return endpoint != "token" or method == self.token_endpoint_auth_method

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_type.split()


class OAuth2Token(TokenMixin, models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    client_id = models.CharField(max_length=48, db_index=True)
    token_type = models.CharField(max_length=40)
    access_token = models.CharField(max_length=255, unique=True)
    refresh_token = models.CharField(max_length=255, db_index=True)
    scope = models.TextField(default="")
    revoked = models.BooleanField(default=False)
    issued_at = models.IntegerField(default=now)
    expires_in = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"token {self.pk}"

    def check_client(self, client: OAuth2Client) -> bool:
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        return self.scope

    def is_refresh_token_active(self) -> bool:
        return not self.revoked
