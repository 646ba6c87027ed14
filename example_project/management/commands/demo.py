"""Show the server at work: real requests over real HTTP, printed as they go, then a site to look at."""

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
from example_project.demo.story import play
from example_project.demo.wire import UnexpectedAnswer

HOST = "127.0.0.1"


class Command(BaseCommand):
    help = "Migrate, make demo data, play refresh, replay and revoke against the running site, then serve it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--port", type=int, default=8000, metavar="N", choices=range(1, 65_536), help="default: 8000"
        )
        parser.add_argument("--no-serve", action="store_true", help="stop after the story")

    def handle(self, *, port: int, no_serve: bool, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The demo's passwords are public, so it runs only with DEBUG on.")
        call_command("migrate", verbosity=0)
        create_demo_data()
        origin = f"http://{HOST}:{port}"
        settings.OAUTH_REFRESH = {**settings.OAUTH_REFRESH, "ISSUER": origin}  # only now is the port known
        server = _server(port)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            self._play(origin)
            if not no_serve:
                self._invite(origin)
                thread.join()
        except KeyboardInterrupt:
            self.stdout.write("Bye.")
        finally:
            server.shutdown()
            server.server_close()

    def _play(self, origin: str) -> None:
        logging.disable()  # the story prints each exchange itself
        try:
            play(origin=origin, write=self.stdout.write)
        except UnexpectedAnswer as error:
            raise CommandError(str(error)) from error
        finally:
            logging.disable(logging.NOTSET)

    def _invite(self, origin: str) -> None:
        self.stdout.write("That was the story on the terminal. To see a refresh token live and die on a page,")
        self.stdout.write(f"then open {origin}/ (Ctrl-C stops the site)")
        self.stdout.write(f"Admin:   {origin}/admin/ as {ADMIN.username} / {ADMIN.password}")
        self.stdout.write(f"User:    {USER.username} / {USER.password}")


def _server(port: int) -> ThreadedWSGIServer:
    try:
        server = ThreadedWSGIServer((HOST, port), WSGIRequestHandler)
    except OSError as error:
        raise CommandError(f"Port {port} cannot be used ({error.strerror}); choose another with --port.") from error
    server.set_app(StaticFilesHandler(get_internal_wsgi_application()))
    return server
