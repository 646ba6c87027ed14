"""The rules of the token life cycle: the only writers of tokens and grants, and the only senders of signals."""

from oauth_refresh.http import ClientInfo
from oauth_refresh.services.import_rows import ImportedAccessToken, ImportedSession
from oauth_refresh.services.imports import import_session, import_sessions
from oauth_refresh.services.issuing import issue_tokens
from oauth_refresh.services.lookup import authenticate_access_token
from oauth_refresh.services.pruning import Pruned, prune
from oauth_refresh.services.revocation import Revocation, revoke_grant, revoke_grants, revoke_token
from oauth_refresh.services.rotation import refresh
from oauth_refresh.services.tokens import IssuedTokens

__all__ = [
    "ClientInfo",
    "ImportedAccessToken",
    "ImportedSession",
    "IssuedTokens",
    "Pruned",
    "Revocation",
    "authenticate_access_token",
    "import_session",
    "import_sessions",
    "issue_tokens",
    "prune",
    "refresh",
    "revoke_grant",
    "revoke_grants",
    "revoke_token",
]
