"""Times as staff type them: to the minute, in the zone of the site or another one, also when clocks change."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from oauth_refresh.models import Grant
from oauth_refresh.services.times import Period, parse_period
from tests.factories import GrantFactory


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.fixture(autouse=True)
def berlin(settings):
    settings.TIME_ZONE = "Europe/Berlin"
    with timezone.override("Europe/Berlin"):
        yield


NAMED = {
    "2026-11-30T14:05": (utc(2026, 11, 30, 13, 5), utc(2026, 11, 30, 13, 6)),
    "2026-11-30 14:05": (utc(2026, 11, 30, 13, 5), utc(2026, 11, 30, 13, 6)),
    " 2026-11-30T14:05:07 ": (utc(2026, 11, 30, 13, 5, 7), utc(2026, 11, 30, 13, 5, 8)),
    "2026-11-30": (utc(2026, 11, 29, 23), utc(2026, 11, 30, 23)),
    "2026-11-30T14:05Z": (utc(2026, 11, 30, 14, 5), utc(2026, 11, 30, 14, 6)),
    "2026-11-30T14:05+05:30": (utc(2026, 11, 30, 8, 35), utc(2026, 11, 30, 8, 36)),
    "2026-11-30T14:05:07-02:00": (utc(2026, 11, 30, 16, 5, 7), utc(2026, 11, 30, 16, 5, 8)),
    "2026-10-25T02:30": (utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 1, 31)),  # twice: in summer and in winter time
    "2026-03-29T02:30": (utc(2026, 3, 29, 0, 30), utc(2026, 3, 29, 1, 31)),  # never: clocks go from 2 to 3
    "2026-03-29": (utc(2026, 3, 28, 23), utc(2026, 3, 29, 22)),  # 23 hours
    "2026-10-25": (utc(2026, 10, 24, 22), utc(2026, 10, 25, 23)),  # 25 hours
    "2024-02-29": (utc(2024, 2, 28, 23), utc(2024, 2, 29, 23)),
}


@pytest.mark.parametrize(("text", "limits"), NAMED.items(), ids=NAMED)
def test_period_includes_all_that_a_text_may_name(text, limits):
    assert parse_period(text, text) == Period(since=limits[0], until=limits[1])


def test_period_may_have_one_limit_or_none():
    assert parse_period("2026-11-30T14:05Z", "") == Period(since=utc(2026, 11, 30, 14, 5))
    assert parse_period("", "2026-11-30T14:05Z") == Period(until=utc(2026, 11, 30, 14, 6))
    assert parse_period("", " ") == Period()


WRONG = [
    *("yesterday", "14:05", "2026-13-01", "2026-02-29", "2026-02-30T10:00", "2026-11-30T25:00", "9999-12-31"),
    *("0001-01-01T00:00+10:00", "2026-11-30T14:05+99:00", "1", "\0", "\u0662\u0660\u0662\u0666-11", "x" * 10_000),
    "2026-11-30T14:05 Europe/Berlin",
]


@pytest.mark.parametrize("text", WRONG)
def test_any_other_text_is_no_time(text):
    assert parse_period(text, "") is None
    assert parse_period("", text) is None


def test_times_have_no_zone_where_the_project_has_none(settings):
    settings.USE_TZ = False

    assert parse_period("2026-11-30T14:05", "2026-11-30T14:05Z") == Period(
        since=datetime(2026, 11, 30, 14, 5), until=datetime(2026, 11, 30, 15, 6)
    )


@pytest.mark.django_db
def test_period_begins_with_its_first_moment_and_ends_before_its_last():
    moment, second = utc(2026, 11, 30, 14, 5), timedelta(seconds=1)
    for shift in (-second, timedelta(0), 59 * second, 60 * second):
        GrantFactory(revoked=True, revoked_at=moment + shift)
    GrantFactory()

    found = Grant.objects.filter(parse_period("2026-11-30T14:05Z", "2026-11-30T14:05Z").of("revoked_at"))

    assert sorted(grant.revoked_at for grant in found) == [moment, moment + 59 * second]


@pytest.mark.django_db
def test_period_without_limits_leaves_out_rows_without_the_time():
    GrantFactory()
    revoked = GrantFactory(revoked=True)

    assert Grant.objects.filter(Period().of("revoked_at")).get() == revoked
