"""List what of the project still uses django-oauth-toolkit."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from oauth_refresh.contrib.toolkit.old_views import find_old_uses


class Command(BaseCommand):
    help = (
        "List the views that still use authentication, permissions, decorators or mixins of django-oauth-toolkit, its "
        "own views that are still served, and its entries in AUTHENTICATION_BACKENDS and MIDDLEWARE."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, **options: Any) -> None:
        found = find_old_uses()
        if options["json"]:
            self.stdout.write(json.dumps([asdict(use) for use in found]))
            return
        for use in found:
            self.stdout.write(f"{use.place}: {', '.join(use.uses)}")
        if not found:
            self.stdout.write("Nothing of the project uses django-oauth-toolkit.")
