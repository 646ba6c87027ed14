"""``oauth_report_alarms``: how it ends; the rules are tests of the service."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.factories import GrantEventFactory

pytestmark = pytest.mark.django_db


def run(**options):
    out = StringIO()
    call_command("oauth_report_alarms", stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def alarm(db):
    return GrantEventFactory(kind="reused", at=timezone.now() - timedelta(minutes=1))


@pytest.mark.parametrize(("verbosity", "said"), [(1, "Reported alarms: 1.\n"), (0, "")])
def test_command_says_how_many_alarms_were_reported(alarm, oauth_settings, mailoutbox, verbosity, said):
    oauth_settings(ALARM_RECIPIENTS=["soc@example.com"])

    assert (run(verbosity=verbosity), run(), len(mailoutbox)) == (said, "", 1)


def test_command_needs_somebody_to_tell(alarm):
    with pytest.raises(CommandError, match="ALARM_RECIPIENTS"):
        run()


def test_command_fails_if_the_report_cannot_be_sent(alarm, oauth_settings):
    def away(events):
        raise ConnectionRefusedError("the mail server is away")

    oauth_settings(ALARM_RECIPIENTS=away)

    with pytest.raises(CommandError, match="sent again: the mail server is away"):
        run()
