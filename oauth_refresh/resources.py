"""Resources: the APIs that access tokens are issued for (RFC 8707), named by the identifiers of ``RESOURCES``.

An identifier is compared character by character. A token that names no resource is for this server as a whole; where
the project has exactly one resource, it is for that one.
"""

from collections.abc import Iterable, Sequence
from urllib.parse import unquote, urlsplit

from oauth_refresh.conf import app_settings
from oauth_refresh.errors import InvalidTarget

WELL_KNOWN = "/.well-known/oauth-protected-resource"


def requested_resources(identifiers: Iterable[str]) -> tuple[str, ...]:
    """Return the resources that a request names, each once. Raises InvalidTarget for one that does not exist.

    A project without ``RESOURCES`` ignores the parameter.
    """
    if not app_settings.resources:
        return ()
    return tuple(dict.fromkeys(_configured(identifier) for identifier in identifiers))


def default_resources() -> tuple[str, ...]:
    """Return what a request that names no resource is for: the only one there is, otherwise none in particular."""
    configured = tuple(app_settings.resources)
    return configured if len(configured) == 1 else ()


def effective_resources(names: Sequence[str]) -> tuple[str, ...]:
    """Return what a token or grant is for that was issued for ``names``: these, or else the only resource there is."""
    return (tuple(names) or default_resources()) if app_settings.resources else ()


def _configured(identifier: str) -> str:
    # Client libraries write https://api.example.com/ for https://api.example.com: the same address (RFC 3986 §6.2.3).
    for spelling in (identifier, identifier.removesuffix("/"), f"{identifier}/"):
        if spelling in app_settings.resources and (spelling == identifier or urlsplit(spelling).path in {"", "/"}):
            return spelling
    raise InvalidTarget("A requested resource does not exist.")


def is_for_resource(audience: Sequence[str], resource: str | None) -> bool:
    """Whether a token with this audience may be used at ``resource``.

    None: at a view that names none, which is the only resource there is, or else this server as a whole. Without
    ``RESOURCES`` such a view accepts every token.
    """
    if resource is None and not app_settings.resources:
        return True
    default: Sequence[str | None] = default_resources() or (app_settings.issuer,)
    return (default[0] if resource is None else resource) in (audience or default)


def metadata_url(resource: str) -> str:
    """Return the address of the resource's metadata (RFC 9728 §3.1): the well-known path, before its own path."""
    parts = urlsplit(resource)
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path if parts.path != '/' else ''}{query}"


def find_resource(path: str, query: str, *, host: str) -> str | None:
    """Return the resource whose metadata is asked for by the ``path`` behind the well-known one, and the query.

    The path is decoded, as a server passes it on, and the query is not.
    Without a path it may also be the only resource there is. Of several that differ only in their hosts, it is the one
    on ``host``. None if there is none.
    """
    path = path.rstrip("/")
    found = [
        name
        for name in app_settings.resources
        if unquote((parts := urlsplit(name)).path).rstrip("/") == path and parts.query in {"", query}
    ]
    if len(found) > 1:
        same_query = [name for name in found if urlsplit(name).query == query] or found
        found = [name for name in same_query if urlsplit(name).netloc == host.lower()]
    elif not found and not path:
        found = [*default_resources()]
    return found[0] if found else None
