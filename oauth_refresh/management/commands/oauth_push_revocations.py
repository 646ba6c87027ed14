"""Post revocations to the receivers of the project: run beside the web servers, by a supervisor."""

from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from oauth_refresh.conf import app_settings
from oauth_refresh.management.arguments import interval
from oauth_refresh.services.revocation_push import INTERVAL_SECONDS, push_revocations


class Command(BaseCommand):
    help = (
        "Post what was revoked to the receivers of the setting REVOCATION_RECEIVERS, until it is stopped. "
        "It can be killed at any point, and run more than once at a time; what was not accepted is posted again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--once", action="store_true", help="post what is there and end, with an error if a receiver lacks a notice"
        )
        parser.add_argument(
            "--interval",
            type=interval,
            default=INTERVAL_SECONDS,
            metavar="SECONDS",
            help="how long to wait before looking for new revocations; default: %(default)s",
        )

    def handle(self, **options: Any) -> None:
        if not app_settings.revocation_receivers:
            raise CommandError("OAUTH_REFRESH['REVOCATION_RECEIVERS'] is empty: name the receivers.")
        with suppress(KeyboardInterrupt):
            waiting = push_revocations(once=options["once"], interval=options["interval"])
            if options["once"] and waiting:
                raise CommandError(f"Not delivered yet to: {', '.join(waiting)}.")
