"""Refresh tokens that rotate, tell on thieves, and die at once (RFC 6749, RFC 7009)."""

__version__ = "0.1.0"
