"""Register a client and print its credentials, the secret for the only time."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from oauth_refresh.conf import app_settings
from oauth_refresh.management.arguments import read_json, require_user, seconds, sentence
from oauth_refresh.models import AuthMethod, GrantType
from oauth_refresh.services.clients import create_application


class Command(BaseCommand):
    help = "Register an application and print its client_id and client_secret as JSON. The secret is never shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--client-id", metavar="ID", help="default: generated")
        parser.add_argument(
            "--client-secret",
            metavar="SECRET",
            help="use this random secret of at least 22 characters instead of generating one",
        )
        parser.add_argument("--public", action="store_true", help="the application cannot keep a secret")
        parser.add_argument("--auth-method", choices=AuthMethod.values, metavar="M", help=", ".join(AuthMethod.values))
        parser.add_argument("--jwks", metavar="FILE", type=Path, help="the public keys of private_key_jwt, a JWK set")
        parser.add_argument("--jwks-uri", metavar="U", help="or where to fetch them, by https")
        parser.add_argument(
            "--grant-type",
            action="append",
            choices=GrantType.values,
            metavar="G",
            help=f"may be repeated: {', '.join(GrantType.values)}; default: authorization_code and refresh_token",
        )
        parser.add_argument("--redirect-uri", action="append", default=[], metavar="U", help="may be repeated")
        parser.add_argument("--scope", default="", help='"a b"; default: any scope of the project')
        parser.add_argument(
            "--resource-server", action="store_true", help="an API that may introspect all access tokens"
        )
        parser.add_argument("--owner", metavar="USERNAME")
        parser.add_argument("--retry-window", type=seconds, metavar="SECONDS")
        parser.add_argument("--json", action="store_true", dest="one_line", help="print on one line")

    def handle(self, **options: Any) -> None:
        try:
            application, raw_secret = create_application(raw_secret=options["client_secret"], **_fields(options))
        except ValidationError as error:
            raise CommandError(sentence(error)) from error
        for grant_type in application.grant_types.split():
            if grant_type not in app_settings.grant_types:
                self.stderr.write(
                    f"Note: GRANT_TYPES does not offer {grant_type}, so the application cannot use it yet."
                )
        credentials = {"client_id": application.client_id}
        if raw_secret is not None:
            credentials["client_secret"] = raw_secret
        self.stdout.write(json.dumps(credentials, indent=None if options["one_line"] else 2))


def _fields(options: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that were given; the others keep the model's defaults."""
    if options["public"] and options["auth_method"] not in {None, AuthMethod.NONE}:
        raise CommandError("--public means --auth-method none; leave one of the two out.")
    given = {
        "name": options["name"],
        "client_id": options["client_id"],
        "auth_method": AuthMethod.NONE if options["public"] else options["auth_method"],
        "jwks": read_json(options["jwks"]) if options["jwks"] else None,
        "jwks_uri": options["jwks_uri"],
        "grant_types": " ".join(dict.fromkeys(options["grant_type"] or ())) or None,
        "redirect_uris": "\n".join(options["redirect_uri"]),
        "scope": options["scope"],
        "is_resource_server": options["resource_server"],
        "owner": require_user(options["owner"]) if options["owner"] else None,
        "retry_window": options["retry_window"],
    }
    return {column: value for column, value in given.items() if value is not None}
