"""The server: a refresh issues a new refresh token and revokes the old one, as Authlib's documentation shows it.

https://docs.authlib.org/en/stable/oauth2/authorization-server/django/grants.html#refresh-token-grant
"""

from authlib.integrations.django_oauth2 import AuthorizationServer, RevocationEndpoint
from authlib.oauth2.rfc6749.grants import RefreshTokenGrant

from benchmarks.sites.authlib_server.models import OAuth2Client, OAuth2Token


class RotatingGrant(RefreshTokenGrant):
    INCLUDE_NEW_REFRESH_TOKEN = True

    def authenticate_refresh_token(self, refresh_token):
        try:
            token = OAuth2Token.objects.get(refresh_token=refresh_token)
        except OAuth2Token.DoesNotExist:
            return None
        return token if token.is_refresh_token_active() else None

    def authenticate_user(self, refresh_token):
        return refresh_token.user

    def revoke_old_credential(self, refresh_token):
        refresh_token.revoked = True
        refresh_token.save()


server = AuthorizationServer(OAuth2Client, OAuth2Token)
server.register_grant(RotatingGrant)
server.register_endpoint(RevocationEndpoint)
