"""End sessions in bulk: of an application, a user, an age, or the one a leaked token belongs to."""

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from oauth_refresh.management.arguments import moment, require_application, require_user
from oauth_refresh.models import RevocationReason
from oauth_refresh.models.grant import REASON_LENGTH
from oauth_refresh.services import revoke_grants
from oauth_refresh.services.lookup import find_grant
from oauth_refresh.services.revocation import grants_to_revoke


class Command(BaseCommand):
    help = "Revoke every grant that matches all the given selectors, with all its tokens, at once and for good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--application", metavar="CLIENT_ID")
        parser.add_argument("--user", metavar="USERNAME")
        parser.add_argument("--created-before", type=moment, metavar="ISO8601", help="started before this time")
        parser.add_argument("--token-stdin", action="store_true", help="the grant of the token on standard input")
        parser.add_argument(
            "--reason", default=RevocationReason.OPERATOR_REQUEST.value, metavar="TEXT", help="default: %(default)s"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        if not 0 < len(options["reason"]) <= REASON_LENGTH:
            raise CommandError(f"--reason needs 1 to {REASON_LENGTH} characters.")
        selector = _selector(options)
        if options["dry_run"]:
            count = grants_to_revoke(selector).count()
            self._report(options, f"Would revoke {_grants(count)}.", count=count, dry_run=True)
            return
        if not options["yes"]:
            self._confirm(options, count=grants_to_revoke(selector).count())
        revocation = revoke_grants(selector, reason=options["reason"])
        self._report(
            options,
            f"Revoked {_grants(revocation.count)} (revocation {revocation.revocation_id})."
            if revocation.count
            else "Nothing to revoke: no grant matches, or all that do were revoked or expired before.",
            count=revocation.count,
            dry_run=False,
            revocation_id=str(revocation.revocation_id),
        )

    def _confirm(self, options: dict[str, Any], *, count: int) -> None:
        if options["token_stdin"]:
            raise CommandError("Standard input holds the token, so nobody can answer: add --yes or --dry-run.")
        self.stderr.write(f"This revokes {_grants(count)} for good. Type yes to go on:")
        if sys.stdin.readline().strip() != "yes":
            raise CommandError("Nothing was revoked: type yes, or add --yes.")

    def _report(self, options: dict[str, Any], text: str, **members: Any) -> None:
        self.stdout.write(json.dumps(members) if options["json"] else text)


def _selector(options: dict[str, Any]) -> Q:
    """Return what the grants must match. Raises CommandError for no selector at all, which would mean every grant."""
    selector = Q()
    if options["application"] is not None:
        selector &= Q(application=require_application(options["application"]))
    if options["user"] is not None:
        selector &= Q(user=require_user(options["user"]))
    if options["created_before"] is not None:
        selector &= Q(created_at__lt=options["created_before"])
    if options["token_stdin"]:
        grant = find_grant(sys.stdin.readline().strip())
        if grant is None:
            raise CommandError("Standard input holds no token of this server, or its row is gone.")
        selector &= Q(pk=grant.pk)
    if not selector:
        raise CommandError("Say which grants: --application, --user, --created-before or --token-stdin.")
    return selector


def _grants(count: int) -> str:
    return "1 grant" if count == 1 else f"{count} grants"
