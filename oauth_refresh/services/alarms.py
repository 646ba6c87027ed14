"""Tell people of alarms: spent refresh tokens that were used again. By a command, so that no request waits for mail."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.mail import send_mail
from django.db.models import Exists, Max, Min, OuterRef, Q, QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from oauth_refresh.conf import app_settings
from oauth_refresh.models import AlarmReport, Grant, GrantEvent, RevocationReason
from oauth_refresh.services.db import db_alias
from oauth_refresh.services.metadata import issuer_origin
from oauth_refresh.user_agents import program_name

logger = logging.getLogger(__name__)

_SETTLED = timedelta(seconds=10)  # events are numbered before they are committed; after this, none is missing
_AT_FIRST = timedelta(days=1)  # how old the alarms of the first report may be
_MOST_IN_A_REPORT = 500


def report_alarms() -> int:
    """Tell the recipients of the alarms since the last report; return how many grants the report named.

    A grant is named once, by its first alarm, and a report follows another after ``ALARM_INTERVAL`` at the earliest.
    What a recipient raises is raised, and the same alarms are in the next report. Several processes may run it at once:
    one of them sends.
    """
    now = timezone.now()
    report = _stored_report(now)
    if report.told_at is not None and report.told_at > now - app_settings.alarm_interval:
        return 0
    settled = _settled_events(after=report.position, now=now)
    newest: int | None = settled.aggregate(newest=Max("pk"))["newest"]
    if newest is None:
        return 0
    alarms = _first_alarms(settled)
    if len(alarms) == _MOST_IN_A_REPORT:
        newest = alarms[-1].pk
    if not _claim(report, position=newest, told_at=now if alarms else report.told_at) or not alarms:
        return 0
    is_sent = False
    try:
        _tell(alarms)
        is_sent = True
    finally:
        if not is_sent:
            claimed = AlarmReport.objects.using(db_alias()).filter(pk=report.pk, position=newest, told_at=now)
            claimed.update(position=report.position, told_at=report.told_at)
    if app_settings.mail_users_on_alarm:
        _mail_users(alarms)
    return len(alarms)


def _stored_report(now: datetime) -> AlarmReport:
    reports = AlarmReport.objects.using(db_alias())
    if (report := reports.filter(pk=AlarmReport.ONLY).first()) is not None:
        return report
    old = GrantEvent.objects.using(db_alias()).filter(at__lt=now - _AT_FIRST).aggregate(newest=Max("pk"))
    report, _is_new = reports.get_or_create(pk=AlarmReport.ONLY, defaults={"position": old["newest"] or 0})
    return report


def _settled_events(*, after: int, now: datetime) -> QuerySet[GrantEvent]:
    """Return the events behind a position that none can precede any more.

    A number is taken before the event is committed. So what has a higher number than an event that is not settled yet,
    as that of a long transaction, or of a web node whose clock is ahead, waits for it.
    """
    behind = GrantEvent.objects.using(db_alias()).filter(pk__gt=after)
    # A clock that is further ahead than this is wrong, and does not hold up the reports until its time comes.
    unsettled = behind.filter(at__gt=now - _SETTLED, at__lte=now + _SETTLED)
    first: int | None = unsettled.aggregate(first=Min("pk"))["first"]
    return behind if first is None else behind.filter(pk__lt=first)


def _claim(report: AlarmReport, *, position: int, told_at: datetime | None) -> bool:
    """Move the position; False if another process did so first."""
    same = AlarmReport.objects.using(db_alias()).filter(pk=report.pk, position=report.position, told_at=report.told_at)
    return bool(same.update(position=position, told_at=told_at))


def _first_alarms(events: Any) -> list[GrantEvent]:
    """Return those of the events that are the first alarm of their grant, oldest first."""
    is_alarm = Q(kind=GrantEvent.Kind.REUSED)
    earlier = GrantEvent.objects.filter(is_alarm, grant=OuterRef("grant"), pk__lt=OuterRef("pk"))
    first = events.filter(is_alarm).exclude(Exists(earlier)).select_related("grant__application", "grant__user")
    return list(first.order_by("pk")[:_MOST_IN_A_REPORT])


def _tell(alarms: Sequence[GrantEvent]) -> None:
    recipients = app_settings.alarm_recipients
    if callable(recipients):
        recipients(alarms)
        return
    subject = ngettext(
        "%(count)d refresh token was used again", "%(count)d refresh tokens were used again", len(alarms)
    )
    lines = [_("Spent refresh tokens were used again. Look at the grants in the admin:"), ""]
    for alarm in alarms:
        lines += filter(None, [_line(alarm), _admin_url(alarm.grant)])
    send_mail(subject % {"count": len(alarms)}, "\n".join(lines), None, list(recipients))


def _line(alarm: GrantEvent) -> str:
    grant = alarm.grant
    concurrent, theft = (
        _("the client most likely refreshed twice at once"),
        _("treat it as theft, revoke, and call the user"),
    )
    origin = " ".join(filter(None, [alarm.address, program_name(alarm.user_agent)])) or "-"
    values = {
        "at": f"{alarm.at:%Y-%m-%d %H:%M:%S %Z}".strip(),
        "user": _one_line(grant.user or "-"),
        "application": _one_line(grant.application),
        "origin": origin,
        "meaning": concurrent if alarm.looks_concurrent else theft,
        "grant": grant.public_id,
    }
    return _("%(at)s  %(application)s for %(user)s, from %(origin)s: %(meaning)s. Grant %(grant)s.") % values


def _admin_url(grant: Grant) -> str:
    """Return the page of the grant in the admin, at the issuer's host; "" where the project has no issuer or no admin.

    A command knows no request, and so no other host.
    """
    try:
        return issuer_origin() + reverse("admin:oauth_refresh_grant_change", args=[grant.pk])
    except (ValueError, NoReverseMatch):
        return ""


def _one_line(value: object) -> str:
    """Return a name without what breaks or turns a line: others chose it."""
    return "".join(character for character in str(value) if character.isprintable())


def _mail_users(alarms: Sequence[GrantEvent]) -> None:
    """Tell each user whose grant an alarm ended, if there is an address. A failure is logged: staff have the report."""
    email_field = getattr(get_user_model(), "EMAIL_FIELD", "")
    for alarm in alarms:
        address = getattr(alarm.grant.user, email_field, "") if email_field else ""
        if not address or alarm.grant.revoked_reason != RevocationReason.REUSE_DETECTED:
            continue
        values = {"application": _one_line(alarm.grant.application)}
        subject = _("%(application)s was disconnected for your safety") % values
        text = _(
            "The connection of %(application)s to your account was ended: an access code that had already been used "
            "was sent again, so someone may have copied it. Connect the application again if you use it. If you did "
            "not connect it yourself, change your password."
        )
        try:
            send_mail(subject, text % values, None, [address])
        except Exception:  # of a mail backend of the project, or of Django for an address that is none
            logger.exception("The mail to a user about an alarm could not be sent.")
