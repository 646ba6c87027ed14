"""Tell the recipients of alarms: run it every minute, by cron or a supervisor."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from oauth_refresh.conf import app_settings
from oauth_refresh.services.alarms import report_alarms


class Command(BaseCommand):
    help = (
        "Tell those of the setting ALARM_RECIPIENTS of spent refresh tokens that were used again: each grant once, and "
        "one report per ALARM_INTERVAL. Run it every minute."
    )

    def handle(self, **options: Any) -> None:
        if not app_settings.alarm_recipients:
            raise CommandError("OAUTH_REFRESH['ALARM_RECIPIENTS'] is empty: name mail addresses, or a callable.")
        try:
            count = report_alarms()
        except OSError as error:  # all errors of smtplib are
            raise CommandError(f"The report could not be sent, and is sent again: {error}") from error
        if count and options["verbosity"]:
            self.stdout.write(f"Reported alarms: {count}.")
