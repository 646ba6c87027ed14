"""The resource server (RFC 6749 §1.1): what protects the views of an API by access tokens (RFC 6750)."""
