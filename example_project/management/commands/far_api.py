"""Serve a tiny API that would run on another machine: it has no database, and learns of revocations from the feed."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.core.management import BaseCommand, CommandError

from example_project.demo.accounts import FAR_API
from example_project.demo.far_api import DEFAULT_ISSUER, DEFAULT_PORT
from oauth_refresh.resource_server.remote import RemoteTokens, Unavailable

HOST = "127.0.0.1"


class Command(BaseCommand):
    help = "Serve an API on another port that checks the tokens of the site: /api/ needs one, /health/ shows its state."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=DEFAULT_PORT, metavar="N", help=f"default: {DEFAULT_PORT}")
        parser.add_argument("--issuer", default=DEFAULT_ISSUER, metavar="URL", help=f"default: {DEFAULT_ISSUER}")

    def handle(self, *, port: int, issuer: str, **options: Any) -> None:
        try:
            tokens = RemoteTokens(issuer=issuer, client_id=FAR_API.client_id, client_secret=FAR_API.secret or "")
            server = make_server(HOST, port, far_api(tokens), _Server, _Handler)
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"http://{HOST}:{port}/api/ accepts the access tokens of {issuer}. Ctrl-C stops it.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")
        finally:
            server.server_close()
            tokens.close()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is WSGIRequestHandler's
        """Print nothing."""


def far_api(tokens: RemoteTokens) -> Callable[..., Iterable[bytes]]:
    """Return the API as a WSGI application: what any framework does with ``RemoteTokens``."""

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        status, headers, body = _answer(tokens, environ)
        start_response(status, [("Content-Type", "application/json"), *headers])
        return [json.dumps(body).encode()]

    return application


def _answer(tokens: RemoteTokens, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], dict[str, Any]]:
    if environ["PATH_INFO"] == "/health/":
        return "200 OK", [], tokens.state()
    scheme, _space, raw = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    try:
        token = tokens.check(raw) if scheme.lower() == "bearer" else None
    except Unavailable:
        return "503 Service Unavailable", [("Retry-After", "1")], {"error": "temporarily_unavailable"}
    if token is None:
        challenge = 'Bearer realm="far"' + (', error="invalid_token"' if raw else "")
        return "401 Unauthorized", [("WWW-Authenticate", challenge)], {"error": "invalid_token"}
    return "200 OK", [("Cache-Control", "private")], {"user": token.username, "scopes": token.scopes}
