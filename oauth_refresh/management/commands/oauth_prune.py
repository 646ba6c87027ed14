"""Delete rows that are no longer needed: run by a scheduler, or by hand."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from oauth_refresh.management.arguments import days, positive
from oauth_refresh.services import Pruned, prune
from oauth_refresh.services.pruning import BATCH_SIZE, RETENTION, Progress

try:
    from tqdm import tqdm
except ImportError:  # the extra "prune"
    tqdm = None

_BAR = "{desc:>16} {percentage:3.0f}% |{bar}| {elapsed}{postfix}"
_NAMES = {
    "grants": ("grant", "grants"),
    "refresh_tokens": ("refresh token", "refresh tokens"),
    "access_tokens": ("access token", "access tokens"),
    "authorization_codes": ("authorization code", "authorization codes"),
    "grant_events": ("event", "events"),
    "used_assertions": ("used assertion", "used assertions"),
    "revocation_notices": ("revocation notice", "revocation notices"),
}


class Command(BaseCommand):
    help = (
        "Delete what is no longer needed: spent and expired tokens, events, grants that ended, codes never redeemed, "
        "used assertions, notices of revocations. It can run while the server is running, more than once at a time, "
        "and can be interrupted. "
        "A spent token is still recognised after its row was deleted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--batch-size",
            type=positive,
            default=BATCH_SIZE,
            metavar="N",
            help="how many rows one transaction visits; default: %(default)s",
        )
        parser.add_argument(
            "--retain",
            type=days,
            default=RETENTION,
            metavar="DAYS",
            help=f"how long rows are kept after they ended; default: {RETENTION.days}",
        )
        parser.add_argument(
            "--max-seconds",
            type=positive,
            metavar="S",
            help="begin no further batch after that time; default: never",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say how many rows would be deleted")
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        with self._progress() as progress:
            try:
                pruned = prune(
                    retain=options["retain"],
                    batch_size=options["batch_size"],
                    max_seconds=options["max_seconds"],
                    dry_run=options["dry_run"],
                    progress=progress,
                )
            except ValueError as error:
                raise CommandError(str(error)) from error
        members = {**asdict(pruned), "dry_run": options["dry_run"]}
        self.stdout.write(json.dumps(members) if options["json"] else _sentences(pruned, dry_run=options["dry_run"]))

    @contextmanager
    def _progress(self) -> Iterator[Callable[[Progress], None] | None]:
        """Yield a function that draws a bar on standard error; None without a terminal, or without tqdm."""
        if tqdm is None or not self.stderr.isatty():
            yield None
            return
        with tqdm(total=1.0, bar_format=_BAR, leave=False, file=self.stderr) as bar:

            def draw(progress: Progress) -> None:
                bar.n = progress.fraction
                bar.set_description_str(progress.kind, refresh=False)
                bar.set_postfix_str(f"{progress.rows:,} rows")

            yield draw


def _sentences(pruned: Pruned, *, dry_run: bool) -> str:
    counts = asdict(pruned)
    gone = [f"{counts[field]} {names[counts[field] != 1]}" for field, names in _NAMES.items() if counts[field]]
    verb = "Would delete" if dry_run else "Deleted"
    text = f"{verb} {', '.join(gone)}." if gone else "Nothing ended long enough ago to be deleted."
    if pruned.skipped:
        text += f" Kept, because other tables refer to them: {pruned.skipped}."
    if not pruned.is_complete:
        text += " The time was up before every row was visited: run it again."
    return text
