"""The URLs of the example, an MCP server with one tool, and an API that a file client reads a folder from."""

from http import HTTPStatus
from typing import Any

from django.urls import include, path, re_path
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response

from benchmarks.sites.ours_urls import ProtectedView

TOOL = {"name": "whoami", "inputSchema": {"type": "object"}}


class McpView(ProtectedView):
    """The least that an MCP server responds over streamable HTTP, without sessions and without a stream."""

    parser_classes = (JSONParser,)

    def get(self, request: Request) -> Response:
        return Response(status=HTTPStatus.METHOD_NOT_ALLOWED)

    def post(self, request: Request) -> Response:
        if "id" not in request.data:
            return Response(status=HTTPStatus.ACCEPTED)
        result = self._result(request.data["method"], request.data.get("params", {}), request.user.get_username())
        return Response({"jsonrpc": "2.0", "id": request.data["id"], "result": result})

    def _result(self, method: str, parameters: dict[str, Any], username: str) -> dict[str, Any]:
        if method == "initialize":
            return {
                "protocolVersion": parameters["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "benchmark", "version": "1"},
            }
        if method == "tools/list":
            return {"tools": [TOOL]}
        return {"content": [{"type": "text", "text": username}]}


class FolderView(ProtectedView):
    """An empty folder, for any path: enough of HiDrive's API for ``rclone lsf``."""

    def get(self, request: Request, **_path: str) -> Response:
        return Response({"path": "/", "type": "dir", "id": "1", "members": [], "nmembers": 0})


urlpatterns = [
    path("mcp", McpView.as_view()),
    re_path(r"^folder/", FolderView.as_view()),
    path("", include("benchmarks.sites.ours_urls")),
]
