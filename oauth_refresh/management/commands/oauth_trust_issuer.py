"""Trust the signed assertions of an issuer, or change what they may ask for (RFC 7523 §2.1)."""

import json
from argparse import ArgumentParser, BooleanOptionalAction
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from oauth_refresh import jose
from oauth_refresh.management.arguments import read_json, sentence
from oauth_refresh.services.assertions import trust_issuer


class Command(BaseCommand):
    help = "Let an issuer's signed assertions start grants for users; for a known issuer, replace what is given."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("issuer", metavar="ISSUER", help="as its assertions say it in iss")
        keys = parser.add_mutually_exclusive_group()
        keys.add_argument("--jwks", metavar="FILE", type=Path, help="its public keys, a JWK set")
        keys.add_argument("--jwks-uri", metavar="U", help="where to fetch them, by https")
        parser.add_argument(
            "--algorithm", action="append", choices=jose.ALGORITHMS, metavar="A", help="may be repeated"
        )
        parser.add_argument("--subject-field", metavar="FIELD", help="the user's field that sub names")
        parser.add_argument("--scope", help='"a b"; default: any scope')
        parser.add_argument(
            "--active", action=BooleanOptionalAction, help="trust it (again), or --no-active: no longer"
        )

        parser.add_argument(
            "--superusers",
            action=BooleanOptionalAction,
            help="whether it may act for superusers too: its keys are then worth as much as a superuser's password",
        )

    def handle(self, **options: Any) -> None:
        fields = {
            "jwks": read_json(options["jwks"]) if options["jwks"] else None,
            "jwks_uri": options["jwks_uri"],
            "algorithms": " ".join(options["algorithm"] or ()) or None,
            "subject_field": options["subject_field"],
            "scope": options["scope"],
            "is_active": options["active"],
            "allows_superusers": options["superusers"],
        }
        try:
            issuer = trust_issuer(
                options["issuer"],
                **{column: value for column, value in fields.items() if value is not None},
            )
        except ValidationError as error:
            raise CommandError(sentence(error)) from error
        self.stdout.write(json.dumps({"issuer": issuer.issuer, "is_active": issuer.is_active}))
