"""Where a request came from, as far as the project records it."""

from ipaddress import ip_address

from django.http import HttpRequest

from oauth_refresh.conf import app_settings
from oauth_refresh.models import NO_CLIENT_INFO, ClientInfo
from oauth_refresh.models.grant import USER_AGENT_LENGTH


def read_client_info(request: HttpRequest) -> ClientInfo:
    """Return address and user agent; nothing if ``RECORD_CLIENT_INFO`` is off."""
    if not app_settings.record_client_info:
        return NO_CLIENT_INFO
    user_agent = request.headers.get("User-Agent", "")
    printable = "".join(character if character.isprintable() else " " for character in user_agent)
    return ClientInfo(address=read_address(request), user_agent=printable[:USER_AGENT_LENGTH])


def read_address(request: HttpRequest) -> str | None:
    """Return the peer's address, or the one that the outermost of ``NUM_PROXIES`` trusted proxies saw."""
    address = request.META.get("REMOTE_ADDR", "")
    if app_settings.num_proxies:
        forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
        # Each proxy appends the peer it saw. What stands further left was written by the client.
        address = forwarded[-app_settings.num_proxies :][0] if forwarded else address
    try:
        return str(ip_address(address.partition("%")[0]))  # without the zone of an IPv6 address
    except ValueError:
        return None
