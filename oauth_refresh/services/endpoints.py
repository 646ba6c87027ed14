"""The absolute addresses of the server, built from the configured issuer and never from a request (RFC 8414 §2)."""

from urllib.parse import urlsplit

from django.urls import reverse

from oauth_refresh.conf import app_settings


def issuer_origin() -> str:
    """Return scheme, host and port of the issuer. Raises ValueError where the project set none."""
    if app_settings.issuer is None:
        raise ValueError("OAUTH_REFRESH['ISSUER'] is not set.")
    parts = urlsplit(app_settings.issuer)
    return f"{parts.scheme}://{parts.netloc}"


def endpoint_url(name: str) -> str:
    """Return the address of an endpoint, such as ``token``."""
    return issuer_origin() + reverse(f"oauth_refresh:{name}")
