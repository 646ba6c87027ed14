"""What a grant type is given to judge."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.http import HttpRequest

from oauth_refresh.errors import InvalidRequest
from oauth_refresh.models import Application, ClientInfo


@dataclass(frozen=True, slots=True, repr=False)
class Parameters:
    """The form parameters of a protocol request, each once; an empty one counts as left out (RFC 6749 §3.2)."""

    values: Mapping[str, str]

    def get(self, name: str) -> str | None:
        return self.values.get(name) or None

    def require(self, name: str) -> str:
        """Return the parameter. Raises InvalidRequest if it is missing or empty."""
        value = self.get(name)
        if value is None:
            raise InvalidRequest(f"The parameter {name} is missing.")
        return value


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClientRequest:
    """A request whose client is authenticated. ``http_request`` is for authentication backends that want it."""

    parameters: Parameters
    application: Application
    client_info: ClientInfo
    http_request: HttpRequest
