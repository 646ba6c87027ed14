"""Register a client, or change one, and print its credentials, the secret for the only time."""

import json
from argparse import ArgumentParser, BooleanOptionalAction
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from oauth_refresh.conf import app_settings
from oauth_refresh.management.arguments import read_json, require_user, seconds, sentence
from oauth_refresh.models import Application, AuthMethod, GrantType
from oauth_refresh.services.clients import create_application, update_application
from oauth_refresh.services.db import db_alias


class Command(BaseCommand):
    help = (
        "Register an application and print its client_id and client_secret as JSON. The secret is never shown again. "
        "With --update, change the given options of a registered one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--client-id", metavar="ID", help="default: generated")
        parser.add_argument(
            "--update",
            action="store_true",
            help="change the application with this --client-id; what no option names stays",
        )
        secrets = parser.add_mutually_exclusive_group()
        secrets.add_argument(
            "--client-secret",
            metavar="SECRET",
            help="use this random secret of at least 22 characters instead of generating one",
        )
        secrets.add_argument(
            "--new-secret",
            action="store_true",
            help="with --update: replace the secret; the present one stops working at once",
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
            help=(
                f"may be repeated: {', '.join(GrantType.values)}; default: refresh_token, and with a --redirect-uri "
                "authorization_code"
            ),
        )
        parser.add_argument(
            "--redirect-uri", action="append", metavar="U", help="may be repeated; authorization_code needs one"
        )
        parser.add_argument(
            "--pkce",
            action=BooleanOptionalAction,
            help="require PKCE (the default), or not; only an application with a secret or key may do without",
        )
        parser.add_argument("--scope", help='"a b"; default: any scope of the project')
        parser.add_argument(
            "--resource-server",
            action=BooleanOptionalAction,
            help="an API that may introspect all access tokens, or not (the default)",
        )
        parser.add_argument(
            "--resource",
            action="append",
            metavar="U",
            help="with --resource-server: which of RESOURCES it is; may be repeated; default: all",
        )
        parser.add_argument("--owner", metavar="USERNAME")
        parser.add_argument("--retry-window", type=seconds, metavar="SECONDS")
        parser.add_argument(
            "--revoke-on-reuse",
            action=BooleanOptionalAction,
            help="whether a spent refresh token that is used again revokes the grant; default: REVOKE_ON_REUSE",
        )
        parser.add_argument("--json", action="store_true", dest="one_line", help="print on one line")

    def handle(self, **options: Any) -> None:
        application, raw_secret = _update(options) if options["update"] else _create(options)
        if not options["update"] and _lacks_code_grant(options):
            self.stderr.write(
                "Note: the application is registered for refresh_token only. Add --redirect-uri, so that users can "
                "sign in (authorization_code)."
            )
        for grant_type in application.grant_types.split():
            if grant_type not in app_settings.grant_types:
                self.stderr.write(
                    f"Note: GRANT_TYPES does not offer {grant_type}, so the application cannot use it yet."
                )
        credentials = {"client_id": application.client_id}
        if raw_secret is not None:
            credentials["client_secret"] = raw_secret
        self.stdout.write(json.dumps(credentials, indent=None if options["one_line"] else 2))


def _lacks_code_grant(options: dict[str, Any]) -> bool:
    """Whether neither grant type nor redirect URI is given: a new application is then for refresh_token alone."""
    return not options["grant_type"] and not options["redirect_uri"]


def _create(options: dict[str, Any]) -> tuple[Application, str | None]:
    if options["new_secret"]:
        raise CommandError("--new-secret needs --update: a new application gets a secret without it.")
    without_codes = {"grant_types": GrantType.REFRESH_TOKEN.value} if _lacks_code_grant(options) else {}
    try:
        with transaction.atomic(using=db_alias()):
            created = create_application(raw_secret=options["client_secret"], **_fields(options), **without_codes)
            created[0].require_redirect_uri()  # last: another mistake may be why there is none
            return created
    except ValidationError as error:
        raise CommandError(sentence(error)) from error


def _update(options: dict[str, Any]) -> tuple[Application, str | None]:
    if options["client_id"] is None:
        raise CommandError("--update needs --client-id, to say which application.")
    secret = {"raw_secret": options["client_secret"], "new_secret": options["new_secret"]}
    try:
        return update_application(**_fields(options), **secret)
    except Application.DoesNotExist as error:
        raise CommandError(f"There is no application with the client ID {options['client_id']!r}.") from error
    except ValidationError as error:
        raise CommandError(sentence(error)) from error


def _fields(options: dict[str, Any]) -> dict[str, Any]:
    """Return the columns that were given; the others keep the model's defaults, or what is stored."""
    if options["public"] and options["auth_method"] not in {None, AuthMethod.NONE}:
        raise CommandError("--public means --auth-method none; leave one of the two out.")
    given = {
        "name": options["name"],
        "client_id": options["client_id"],
        "auth_method": AuthMethod.NONE if options["public"] else options["auth_method"],
        "jwks": read_json(options["jwks"]) if options["jwks"] else None,
        "jwks_uri": options["jwks_uri"],
        "grant_types": " ".join(dict.fromkeys(options["grant_type"] or ())) or None,
        "redirect_uris": None if options["redirect_uri"] is None else "\n".join(options["redirect_uri"]),
        "requires_pkce": options["pkce"],
        "scope": options["scope"],
        "is_resource_server": options["resource_server"],
        "resources": None if options["resource"] is None else " ".join(options["resource"]),
        "owner": require_user(options["owner"]) if options["owner"] else None,
        "retry_window": options["retry_window"],
        "revoke_on_reuse": options["revoke_on_reuse"],
    }
    return {column: value for column, value in given.items() if value is not None}
