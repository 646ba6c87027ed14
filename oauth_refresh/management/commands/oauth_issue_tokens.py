"""Issue tokens without a request of the client: for tests, benchmarks and administrators."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from oauth_refresh.errors import InvalidScope, OAuthError
from oauth_refresh.management.arguments import positive, require_application, require_user
from oauth_refresh.models import Application
from oauth_refresh.services import IssuedTokens
from oauth_refresh.services.issuing import issue_by_staff


class Command(BaseCommand):
    help = (
        "Start grants and print their tokens, one JSON line per grant. Without --user the application acts for itself."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--application", required=True, metavar="CLIENT_ID")
        parser.add_argument("--user", metavar="USERNAME")
        parser.add_argument("--scope", help='"a b"; default: DEFAULT_SCOPES, else those of the application')
        parser.add_argument(
            "--resource",
            action="append",
            default=[],
            metavar="U",
            help="one of RESOURCES; may be repeated; default: the only one, else none in particular",
        )
        parser.add_argument("--count", type=positive, default=1, metavar="N", help="how many grants; default: 1")
        parser.add_argument("--json", action="store_true", help="accepted for symmetry: the output is always JSON")

    def handle(self, **options: Any) -> None:
        application = require_application(options["application"])
        user = require_user(options["user"]) if options["user"] is not None else None
        for _number in range(options["count"]):
            try:
                issued = issue_by_staff(application, user=user, scope=options["scope"], resources=options["resource"])
            except OAuthError as error:
                wrong = f" ({error.scope})" if isinstance(error, InvalidScope) and error.scope else ""
                raise CommandError(f"{error.reason}{wrong}") from error
            self.stdout.write(json.dumps(_line(application, issued)))


def _line(application: Application, issued: IssuedTokens) -> dict[str, Any]:
    line = {
        "client_id": application.client_id,
        "grant": str(issued.grant.public_id),
        "access_token": issued.access_token,
        "refresh_token": issued.refresh_token,
        "token_type": "Bearer",
        "expires_in": issued.expires_in,
        "refresh_token_expires_in": issued.refresh_token_expires_in,
        "scope": issued.scope,
    }
    return {name: value for name, value in line.items() if value is not None}
