"""Reports of alarms: whom they tell, of what, how often, and what happens if they cannot."""

from datetime import UTC, datetime, timedelta
from smtplib import SMTPServerDisconnected

import pytest
import time_machine
from django.core.mail.backends.locmem import EmailBackend

from oauth_refresh.models import AlarmReport, GrantEvent
from oauth_refresh.services.alarms import report_alarms
from tests.factories import ApplicationFactory, GrantEventFactory, GrantFactory, UserFactory
from tests.interference import run_after_select

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAFF = "soc@example.com"
THEFT = "treat it as theft, revoke, and call the user."


@pytest.fixture
def mail_server(monkeypatch):
    """The addresses whose mail Django's backend for tests does not accept."""
    refused, accept = set(), EmailBackend.send_messages

    def send_messages(self, messages):
        if refused & {to for message in messages for to in message.to}:
            raise SMTPServerDisconnected("the server is away")
        return accept(self, messages)

    monkeypatch.setattr(EmailBackend, "send_messages", send_messages)
    return refused


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@pytest.fixture(autouse=True)
def recipients(oauth_settings):
    oauth_settings(ALARM_RECIPIENTS=[STAFF])


def alarm(ago=timedelta(minutes=1), **fields):
    return GrantEventFactory(kind=GrantEvent.Kind.REUSED, at=NOW - ago, **fields)


def ended_alarm(email):
    ended = {"revoked_at": NOW, "revoked_reason": "reuse_detected"}
    return alarm(grant=GrantFactory(user=UserFactory(email=email), application__name="Notes", **ended))


def test_alarm_is_reported_by_mail(mailoutbox):
    grant = GrantFactory(user=UserFactory(username="alice"), application__name="Notes")
    alarm(grant=grant, address="192.0.2.66", user_agent="thief/6.6", seconds_since_spent=4000, same_caller=False)

    assert report_alarms() == 1

    (mail,) = mailoutbox
    assert (mail.to, mail.subject) == ([STAFF], "1 refresh token was used again")
    assert mail.body.splitlines() == [
        "Spent refresh tokens were used again. Look at the grants in the admin:",
        "",
        f"2026-03-01 11:59:00 UTC  Notes for alice, from 192.0.2.66 thief: {THEFT} Grant {grant}.",
        f"https://auth.example/admin/oauth_refresh/grant/{grant.pk}/change/",
    ]


def test_report_has_no_address_where_no_host_is_known(mailoutbox, oauth_settings):
    oauth_settings(unset=["ISSUER"])
    alarm()

    report_alarms()

    assert "http" not in mailoutbox[0].body


def test_report_has_no_address_where_there_is_no_admin(mailoutbox, settings):
    settings.ROOT_URLCONF = "oauth_refresh.urls.well_known"
    alarm()

    report_alarms()

    assert "http" not in mailoutbox[0].body
    assert len(mailoutbox[0].body.splitlines()) == 3


def test_concurrent_refresh_is_not_called_a_theft(mailoutbox):
    alarm(seconds_since_spent=3, same_caller=True)

    report_alarms()

    assert "from -: the client most likely refreshed twice at once." in mailoutbox[0].body


def test_alarms_since_the_last_report_are_bundled(mailoutbox):
    events = [alarm(), alarm(grant=GrantFactory(without_user=True))]

    assert (report_alarms(), report_alarms()) == (2, 0)
    assert [str(event.grant.public_id) in mailoutbox[0].body for event in events] == [True, True]
    assert mailoutbox[0].subject == "2 refresh tokens were used again"
    assert len(mailoutbox) == 1


def test_report_waits_for_the_interval_after_the_last_one(mailoutbox, clock):
    alarm()
    report_alarms()
    alarm()

    early = report_alarms()
    clock.shift(timedelta(minutes=15))
    late = report_alarms()

    assert (early, late, len(mailoutbox)) == (0, 1, 2)


def test_grant_is_reported_once(mailoutbox, clock):
    event = alarm()
    report_alarms()
    clock.shift(timedelta(hours=1))
    alarm(grant=event.grant)

    assert report_alarms() == 0
    assert len(mailoutbox) == 1


@pytest.mark.parametrize("fields", [{"kind": "retried"}, {"kind": "refused"}], ids=["a retry", "a refusal"])
def test_other_events_are_no_alarms_and_do_not_delay_one(mailoutbox, fields):
    GrantEventFactory(at=NOW - timedelta(minutes=1), **fields)

    assert report_alarms() == 0
    alarm()
    assert report_alarms() == 1
    assert len(mailoutbox) == 1


def test_event_that_others_may_precede_waits(mailoutbox, clock):
    alarm(ago=timedelta(seconds=9))

    early = report_alarms()
    clock.shift(1)

    assert (early, report_alarms()) == (0, 1)


def test_event_with_a_higher_number_than_one_that_is_not_settled_waits_for_it(clock):
    alarm(ago=timedelta(seconds=5))
    alarm(ago=timedelta(seconds=30))

    early = report_alarms()
    clock.shift(5)

    assert (early, report_alarms()) == (0, 2)


def test_clock_that_is_far_ahead_holds_up_no_report():
    alarm(ago=-timedelta(hours=1))
    alarm()

    assert report_alarms() == 2


def test_first_report_leaves_out_what_is_older_than_a_day():
    alarm(ago=timedelta(days=2))
    alarm(ago=timedelta(hours=23))

    assert report_alarms() == 1


def test_report_that_cannot_be_sent_is_sent_again(mailoutbox, clock, mail_server):
    alarm()
    mail_server.add(STAFF)
    with pytest.raises(SMTPServerDisconnected):
        report_alarms()
    mail_server.clear()

    assert report_alarms() == 1
    assert len(mailoutbox) == 1


def test_report_that_cannot_be_sent_leaves_that_of_another_process(oauth_settings, clock):
    alarm()
    later = NOW + timedelta(hours=1)

    def fail(events):
        AlarmReport.objects.update(position=9**9, told_at=later)
        raise OSError("the server is away")

    oauth_settings(ALARM_RECIPIENTS=fail)
    with pytest.raises(OSError, match="the server is away"):
        report_alarms()

    assert AlarmReport.objects.values("position", "told_at").get() == {"position": 9**9, "told_at": later}


def test_process_that_comes_second_sends_nothing(mailoutbox, oauth_settings):
    alarm()
    second = []

    def told(events):
        second.append(report_alarms())

    oauth_settings(ALARM_RECIPIENTS=told, ALARM_INTERVAL=0)

    assert (report_alarms(), second) == (1, [0])


def test_process_whose_report_was_overtaken_sends_nothing(mailoutbox):
    alarm()
    AlarmReport.objects.create(pk=AlarmReport.ONLY)

    with run_after_select(AlarmReport, lambda: AlarmReport.objects.update(position=9**9)):
        assert report_alarms() == 0
    assert mailoutbox == []


def test_report_is_shown_by_its_position():
    event = alarm()
    report_alarms()

    assert str(AlarmReport.objects.get()) == str(event.pk)


def test_callable_gets_the_events(oauth_settings, mailoutbox):
    event, told = alarm(), []
    oauth_settings(ALARM_RECIPIENTS=told.append)

    report_alarms()

    assert told == [[event]]
    assert mailoutbox == []


def test_long_report_is_continued_in_the_next(clock, mailoutbox):
    grants = [GrantFactory.build() for _number in range(501)]
    user, application = UserFactory(), ApplicationFactory()
    stored = type(grants[0]).objects.bulk_create(
        type(grant)(application=application, user=user, grant_type="password", idle_expires_at=NOW + timedelta(days=1))
        for grant in grants
    )
    GrantEvent.objects.bulk_create(
        GrantEvent(grant=grant, kind="reused", generation=1, at=NOW - timedelta(minutes=1)) for grant in stored
    )

    first = report_alarms()
    clock.shift(timedelta(minutes=15))

    assert (first, report_alarms()) == (500, 1)


def test_names_cannot_add_lines_to_a_mail(mailoutbox, oauth_settings):
    oauth_settings(MAIL_USERS_ON_ALARM=True)
    event = ended_alarm("alice@example.com")
    event.grant.application.name = "No\r\nBcc: evil@example.com\N{RIGHT-TO-LEFT OVERRIDE}"
    event.grant.application.save()

    report_alarms()

    to_staff, to_user = mailoutbox
    assert len(to_staff.body.splitlines()) == 4
    assert to_user.subject == "NoBcc: evil@example.com was disconnected for your safety"


def test_users_are_told_only_where_the_project_says_so(mailoutbox):
    ended_alarm("alice@example.com")

    report_alarms()

    assert [mail.to for mail in mailoutbox] == [[STAFF]]


def test_user_whose_grant_was_ended_is_told_by_mail(mailoutbox, oauth_settings):
    oauth_settings(MAIL_USERS_ON_ALARM=True)
    ended_alarm("alice@example.com")
    ended_alarm("")
    alarm(grant=GrantFactory(user=UserFactory(email="still-active@example.com")))

    report_alarms()

    assert [mail.to for mail in mailoutbox] == [[STAFF], ["alice@example.com"]]
    assert mailoutbox[1].body.startswith("The connection of Notes to your account was ended: an access code")


@pytest.mark.parametrize("address", ["broken@example.com", "broken\n@example.com"], ids=["server", "address"])
def test_user_who_cannot_be_told_keeps_others_from_nothing(mailoutbox, oauth_settings, caplog, mail_server, address):
    mail_server.add("broken@example.com")
    oauth_settings(MAIL_USERS_ON_ALARM=True)
    ended_alarm(address)
    ended_alarm("bob@example.com")

    assert report_alarms() == 2

    assert [mail.to for mail in mailoutbox] == [[STAFF], ["bob@example.com"]]
    assert [record.getMessage() for record in caplog.records] == [
        "The mail to a user about an alarm could not be sent."
    ]
