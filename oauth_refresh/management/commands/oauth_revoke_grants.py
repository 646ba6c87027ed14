"""Revoke grants in bulk: of an application, a user, an age, or those of leaked tokens."""

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q

from oauth_refresh.errors import ImporterFailed
from oauth_refresh.management.arguments import moment, require_application, require_users
from oauth_refresh.models import RevocationReason
from oauth_refresh.models.grant import REASON_LENGTH
from oauth_refresh.services import revoke_grants
from oauth_refresh.services.leaked_tokens import ask_importers_about, find_tokens_in, may_mention_token
from oauth_refresh.services.revocation import RevocationPreview, Share, preview_revocation

LARGEST = 10
"""How many users and applications a preview names."""


class Command(BaseCommand):
    help = "Revoke every grant that matches all the given selectors, with all its tokens, at once and for good."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--application", metavar="CLIENT_ID")
        parser.add_argument("--user", metavar="USERNAME")
        parser.add_argument("--created-before", type=moment, metavar="ISO8601", help="started before this time")
        parser.add_argument(
            "--token-stdin",
            action="store_true",
            help="the grants of the tokens in the text on standard input, say a log",
        )
        parser.add_argument(
            "--reason", default=RevocationReason.STAFF_REQUEST.value, metavar="TEXT", help="default: %(default)s"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say how many there are, and whose")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        if not 0 < len(options["reason"]) <= REASON_LENGTH:
            raise CommandError(f"--reason needs 1 to {REASON_LENGTH} characters.")
        if may_mention_token(options["reason"]):
            raise CommandError("--reason is stored, so it may not hold a token.")
        selector = _selector(options)
        if options["dry_run"]:
            self._preview(options, preview_revocation(selector, largest=LARGEST))
            return
        if not options["yes"]:
            self._confirm(options, preview_revocation(selector, largest=LARGEST))
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

    def _preview(self, options: dict[str, Any], preview: RevocationPreview) -> None:
        largest = {
            "largest_applications": [asdict(share) for share in preview.largest_applications],
            "largest_users": [asdict(share) for share in preview.largest_users],
        }
        totals = {"count": preview.grants, "users": preview.users, "applications": preview.applications}
        self._report(options, f"Would revoke {_described(preview)}", **totals, **largest, dry_run=True)

    def _confirm(self, options: dict[str, Any], preview: RevocationPreview) -> None:
        if options["token_stdin"]:
            raise CommandError(
                "Standard input holds the token, so it cannot answer the question: add --yes or --dry-run."
            )
        self.stderr.write(f"This revokes, for good, {_described(preview)}\nType yes to go on:")
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
        users = require_users(options["user"])
        selector &= Q(user=users[0]) if len(users) == 1 else Q(user__in=users)
    if options["created_before"] is not None:
        selector &= Q(created_at__lt=options["created_before"])
    if options["token_stdin"]:
        text = _standard_input()
        try:
            ask_importers_about(text)
        except ImporterFailed as error:
            raise CommandError(f"{error} Nothing was revoked.") from error
        grants = [token.grant.pk for token in find_tokens_in(text)]
        if not grants:
            raise CommandError("Standard input holds no token of this server, or the token's row was deleted.")
        selector &= Q(pk__in=grants)
    if not selector:
        raise CommandError("Say which grants: --application, --user, --created-before or --token-stdin.")
    return selector


def _standard_input() -> str:
    """Return the text on standard input, in any encoding: tokens are ASCII."""
    octets = getattr(sys.stdin, "buffer", None)
    return sys.stdin.read() if octets is None else octets.read().decode("ascii", "replace")


def _grants(count: int) -> str:
    return "1 grant" if count == 1 else f"{count} grants"


def _described(preview: RevocationPreview) -> str:
    """Return the totals, and below them whose grants they are, the largest shares first."""
    total = f"{_grants(preview.grants)} (users: {preview.users}, applications: {preview.applications})."
    lines = [
        *_shares("application", preview.largest_applications, preview.applications),
        *_shares("user", preview.largest_users, preview.users),
    ]
    return "\n".join([total, *lines])


def _shares(kind: str, largest: Sequence[Share], total: int) -> Iterator[str]:
    for share in largest:
        yield f"  {kind} {share.name}: {share.grants}"
    if total > len(largest):
        yield f"  and {total - len(largest)} more {kind}s"
