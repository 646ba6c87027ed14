"""Move applications and sessions here from django-oauth-toolkit, or back."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from oauth_refresh.contrib.toolkit import old_rows
from oauth_refresh.contrib.toolkit.all_sessions import BATCH_SIZE, move_all
from oauth_refresh.contrib.toolkit.applications import import_applications
from oauth_refresh.contrib.toolkit.sessions import STAYS, MovedSessions
from oauth_refresh.contrib.toolkit.undo import count_imported, undo_applications, undo_sessions
from oauth_refresh.management.arguments import positive
from oauth_refresh.services.import_reversal import unused_imports

try:
    from tqdm import tqdm
except ImportError:  # the extra "prune"
    tqdm = None


class Command(BaseCommand):
    help = (
        "Move applications and sessions here from django-oauth-toolkit: clients keep their IDs, secrets and tokens. It "
        "can run while the server is running, be interrupted, and run again. Applications that are registered here "
        "stay as they are."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--applications", action="store_true", help="only these; default: both")
        parser.add_argument("--sessions", action="store_true", help="only these; default: both")
        parser.add_argument(
            "--undo",
            action="store_true",
            help="give back to django-oauth-toolkit what was not used here: sessions, then applications without any",
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument(
            "--batch-size",
            type=positive,
            default=BATCH_SIZE,
            metavar="N",
            help="how many sessions one transaction moves; default: %(default)s",
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        both = options["applications"] == options["sessions"]
        kinds = [kind for kind in ("applications", "sessions") if both or options[kind]]
        try:
            counts = self._undo(kinds, options) if options["undo"] else self._import(kinds, options)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        members = {"dry_run": options["dry_run"], **counts}
        self.stdout.write(json.dumps(members) if options["json"] else _sentences(members))

    def _import(self, kinds: list[str], options: dict[str, Any]) -> dict[str, Any]:
        counts: dict[str, Any] = {}
        if "applications" in kinds:
            counts["applications"] = asdict(import_applications(dry_run=options["dry_run"]))
        if "sessions" in kinds:
            counts["sessions"] = self._move_sessions(options, with_applications="applications" in kinds)
        return counts

    def _move_sessions(self, options: dict[str, Any], *, with_applications: bool) -> dict[str, Any]:
        total = MovedSessions()
        batches = move_all(
            batch_size=options["batch_size"], dry_run=options["dry_run"], with_applications=with_applications
        )
        with self._progress(old_rows.count_live) as advance:
            for visited, moved in batches:
                total += moved
                advance(visited)
        without = old_rows.count_without_refresh_token(timezone.now())
        return {**total.as_dict(), "without_refresh_token": without}

    def _undo(self, kinds: list[str], options: dict[str, Any]) -> dict[str, Any]:
        counts: dict[str, Any] = {}
        if "sessions" in kinds:
            old_rows.require_readable()
            returned, imported = 0, count_imported()
            with self._progress(unused_imports().count) as advance:
                for number in undo_sessions(batch_size=options["batch_size"], dry_run=options["dry_run"]):
                    returned += number
                    advance(number)
            counts["sessions"] = {"returned": returned, "kept": imported - returned}
        if "applications" in kinds:
            counts["applications"] = asdict(undo_applications(dry_run=options["dry_run"]))
        return counts

    @contextmanager
    def _progress(self, count: Callable[[], int]) -> Iterator[Callable[[int], object]]:
        """Yield a function that advances a bar on standard error, if that is a terminal and tqdm is installed."""
        if tqdm is None or not self.stderr.isatty():
            yield lambda _number: None
            return
        with tqdm(total=count(), desc="sessions", unit="", mininterval=0, leave=False, file=self.stderr) as bar:
            yield bar.update


def _sentences(members: dict[str, Any]) -> str:
    lines = ["Nothing was changed: this is what would be done."] if members["dry_run"] else []
    for kind in ("applications", "sessions"):
        counts = members.get(kind, {})
        numbers = [f"{name.replace('_', ' ')} {count}" for name, count in counts.items() if isinstance(count, int)]
        if numbers:
            lines.append(f"{kind.capitalize()}: {', '.join(numbers)}.")
        lines += [f"- {reason}: {count} ({STAYS[reason]})" for reason, count in counts.get("stayed", {}).items()]
        lines += [f"- {problem['client_id']}: {problem['text']}" for problem in counts.get("problems", ())]
    return "\n".join(lines)
