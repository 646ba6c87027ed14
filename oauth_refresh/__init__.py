"""OAuth 2.0 refresh tokens for Django: rotation, detection of reuse, and revocation (RFC 6749, RFC 7009)."""

__version__ = "0.1.0"
