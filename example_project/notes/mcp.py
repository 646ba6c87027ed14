"""``/mcp``: the notes for agents, by the Model Context Protocol: Streamable HTTP without sessions and without streams.

The scope ``notes:read`` lists notes; to add one, ``notes:write`` is needed too. A token for another API is refused.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from http import HTTPStatus
from typing import Any, TypeGuard

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.views import APIView

from example_project.notes.api import MAX_NOTES, NoteSerializer
from example_project.notes.models import Note
from oauth_refresh.resource_server.authentication import BearerAuthentication
from oauth_refresh.resource_server.permissions import HasScope

ISSUER = settings.OAUTH_REFRESH["ISSUER"]
PROTOCOL_VERSIONS = ("2025-11-25", "2025-06-18")
MAX_BYTES = 65_536
PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, INVALID_PARAMS = -32700, -32600, -32601, -32602  # JSON-RPC 2.0, §5.1


class MessageError(APIException):
    """An error as JSON-RPC has it. One that answers a request has the status 200."""

    def __init__(self, code: int, text: str, *, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.code, self.text, self.status_code = code, text, status
        super().__init__(text)


@dataclass(frozen=True, kw_only=True)
class Tool:
    """``run`` takes the user and the arguments, and returns what the agent gets to read."""

    description: str
    properties: dict[str, Any]
    scopes: tuple[str, ...]
    run: Callable[[Any, dict[str, Any]], Any]


def list_notes(user: Any, arguments: dict[str, Any]) -> Any:
    return NoteSerializer(Note.objects.filter(user=user)[:MAX_NOTES], many=True).data


def add_note(user: Any, arguments: dict[str, Any]) -> Any:
    serializer = NoteSerializer(data=arguments)
    serializer.is_valid(raise_exception=True)
    serializer.save(user=user)
    return serializer.data


TOOLS = {
    "list_notes": Tool(description="List the newest notes.", properties={}, scopes=("notes:read",), run=list_notes),
    "add_note": Tool(
        description="Add a note.",
        properties={"text": {"type": "string", "maxLength": 200}},
        # Both: a client asks its user for what the refusal names, and its new token must list notes as well.
        scopes=("notes:read", "notes:write"),
        run=add_note,
    ),
}


class McpView(APIView):
    """One JSON-RPC message in, at most one out."""

    http_method_names = ["post"]  # GET would open a stream, and DELETE end a session: there are none
    authentication_classes = [BearerAuthentication]
    permission_classes = [HasScope("notes:read") & IsAuthenticated]  # these scopes a client without a token asks for
    required_resource = ISSUER and f"{ISSUER}/mcp"
    schema = None  # OpenAPI does not describe JSON-RPC

    @cached_property
    def message(self) -> dict[str, Any]:
        return read_message(self.request._request)

    def get_permissions(self) -> Any:
        """Return what the tool needs that is called. Without a token the body is not read."""
        if self.request.auth is None or self.request.method != "POST" or self.message["method"] != "tools/call":
            return super().get_permissions()
        return [HasScope(*_called_tool(self.message["params"]).scopes), IsAuthenticated()]

    def post(self, request: Request) -> HttpResponse:
        if request.headers.get("Origin", own := f"{request.scheme}://{request.get_host()}") != own:
            return HttpResponse(status=HTTPStatus.FORBIDDEN)  # the page of another site, in a browser
        method, params = self.message["method"], self.message["params"]
        if "id" not in self.message:
            return HttpResponse(status=HTTPStatus.ACCEPTED)  # a notification; there is none to act on
        version = request.headers.get("MCP-Protocol-Version", PROTOCOL_VERSIONS[0])
        if method != "initialize" and version not in PROTOCOL_VERSIONS:
            text = f"The protocol versions are {', '.join(PROTOCOL_VERSIONS)}."
            raise MessageError(INVALID_REQUEST, text, status=HTTPStatus.BAD_REQUEST)
        if method not in METHODS:
            raise MessageError(METHOD_NOT_FOUND, "There is no such method.")
        return self.answer(result=METHODS[method](request.user, params))

    def handle_exception(self, exc: Exception) -> Any:
        if isinstance(exc, MessageError):
            return self.answer(status=exc.status_code, error={"code": exc.code, "message": exc.text})
        return super().handle_exception(exc)  # a missing token or scope, as DRF answers it

    def answer(self, *, status: int = HTTPStatus.OK, **member: Any) -> HttpResponse:
        message_id = vars(self).get("message", {}).get("id")  # null if the message could not be read
        return JsonResponse({"jsonrpc": "2.0", "id": message_id, **member}, status=status)


def read_message(request: HttpRequest) -> dict[str, Any]:
    """Return the request or notification in a body. Raises MessageError."""
    try:
        body = request.read(MAX_BYTES + 1)
        message = json.loads(body) if len(body) <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError) as error:  # cut off, no JSON, nested too deeply
        raise MessageError(PARSE_ERROR, "The body is not JSON.", status=HTTPStatus.BAD_REQUEST) from error
    if not _is_message(message):  # a batch neither: since 2025-06-18 the protocol has none
        text = f"The body must be one request or notification, of at most {MAX_BYTES} bytes."
        raise MessageError(INVALID_REQUEST, text, status=HTTPStatus.BAD_REQUEST)
    return {"params": {}, **message}


def _is_message(message: Any) -> TypeGuard[dict[str, Any]]:
    return (
        isinstance(message, dict)
        and message.get("jsonrpc") == "2.0"
        and isinstance(message.get("method"), str)
        and isinstance(message.get("params", {}), dict)
        and type(message.get("id", 0)) in {int, str}  # in MCP it is never null
    )


def initialize(user: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Agree to the version that the client offers, or offer the newest; a client without it disconnects."""
    offered = params.get("protocolVersion")
    return {
        "protocolVersion": offered if offered in PROTOCOL_VERSIONS else PROTOCOL_VERSIONS[0],
        "capabilities": {"tools": {}},
        "serverInfo": {"name": "notes", "version": "1"},
    }


def ping(user: Any, params: dict[str, Any]) -> dict[str, Any]:
    return {}


def list_tools(user: Any, params: dict[str, Any]) -> dict[str, Any]:
    return {
        "tools": [
            {
                "name": name,
                "description": tool.description,
                "inputSchema": {
                    "type": "object",
                    "properties": tool.properties,
                    "required": list(tool.properties),
                    "additionalProperties": False,
                },
            }
            for name, tool in TOOLS.items()
        ]
    }


def call_tool(user: Any, params: dict[str, Any]) -> dict[str, Any]:
    """Run a tool. An error in its arguments is in the result, so that the agent can call it again."""
    tool, arguments = _called_tool(params), params.get("arguments", {})
    if not isinstance(arguments, dict) or not arguments.keys() <= tool.properties.keys():
        raise MessageError(INVALID_PARAMS, f"The arguments are an object with {[*tool.properties]}.")
    try:
        returned, failed = tool.run(user, arguments), False
    except ValidationError as error:
        returned, failed = error.detail, True
    return {"content": [{"type": "text", "text": json.dumps(returned)}], "isError": failed}


def _called_tool(params: dict[str, Any]) -> Tool:
    name = params.get("name")
    if not isinstance(name, str) or name not in TOOLS:
        raise MessageError(INVALID_PARAMS, "There is no such tool.")
    return TOOLS[name]


METHODS: dict[str, Callable[[Any, dict[str, Any]], dict[str, Any]]] = {
    "initialize": initialize,
    "ping": ping,
    "tools/list": list_tools,
    "tools/call": call_tool,
}
