"""Send the demonstration's requests over HTTP, print them, and then serve the site."""

import logging
from argparse import ArgumentParser
from threading import Thread
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.management import BaseCommand, CommandError, call_command
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler, get_internal_wsgi_application

from example_project.demo.accounts import ADMIN, USER
from example_project.demo.data import create_demo_data
from example_project.demo.far_api import start_command
from example_project.demo.http_client import UnexpectedResponse
from example_project.demo.steps import run_steps
from example_project.settings import resources_at

HOST = "127.0.0.1"


class Command(BaseCommand):
    requires_system_checks = ()  # they import the URLs, whose views read the issuer: see handle
    help = "Migrate, create demo data, refresh, reuse and revoke tokens over HTTP, then serve the site."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=int, default=8000, metavar="N", choices=range(1, 65_536), help="default: 8000"
        )
        parser.add_argument(
            "--verbose", action="store_true", help="print each request as a curl command line, with its whole response"
        )
        parser.add_argument("--no-serve", action="store_true", help="stop after the requests")

    def handle(self, *, port: int, verbose: bool, no_serve: bool, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo's passwords are public, so it runs only with DEBUG on.")
        origin = f"http://{HOST}:{port}"
        # The port is known only now, and views name their resource when they are imported.
        settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "ISSUER": origin, "RESOURCES": resources_at(origin)}
        self.check()
        call_command("migrate", verbosity=0)
        create_demo_data()
        server = _server(port)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            self._run_steps(origin, verbose=verbose)
            if not no_serve:
                self._print_addresses(origin)
                thread.join()
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")
        finally:
            server.shutdown()
            server.server_close()

    def _run_steps(self, origin: str, *, verbose: bool) -> None:
        logging.disable()  # each exchange is printed already
        try:
            run_steps(origin=origin, write=self.stdout.write, verbose=verbose)
        except UnexpectedResponse as error:
            raise CommandError(str(error)) from error
        finally:
            logging.disable(logging.NOTSET)

    def _print_addresses(self, origin: str) -> None:
        self.stdout.write(f"Open {origin}/ to try the same in a browser. Ctrl-C stops the site.")
        self.stdout.write(f"Admin:   {origin}/admin/ as {ADMIN.username} / {ADMIN.password}")
        self.stdout.write(f"User:    {USER.username} / {USER.password}")
        self.stdout.write(f"Far API: {start_command(issuer=origin)} (in a second terminal)")


def _server(port: int) -> ThreadedWSGIServer:
    try:
        server = ThreadedWSGIServer((HOST, port), WSGIRequestHandler)
    except OSError as error:
        raise CommandError(f"Port {port} cannot be used ({error.strerror}); choose another with --port.") from error
    server.set_app(StaticFilesHandler(get_internal_wsgi_application()))
    return server
