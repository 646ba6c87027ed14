"""Protect an API on another machine: by introspection (RFC 7662), kept until the server's feed names a revocation.

This module needs no framework and no settings of Django. ``authentication`` and ``decorators`` are for Django.
"""

from oauth_refresh.resource_server.remote.answers import RemoteToken
from oauth_refresh.resource_server.remote.errors import Unavailable
from oauth_refresh.resource_server.remote.tokens import RemoteTokens

__all__ = ["RemoteToken", "RemoteTokens", "Unavailable"]
