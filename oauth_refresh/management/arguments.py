"""Convert arguments of the commands; a wrong one is answered with one sentence that says what to change."""

import json
from argparse import ArgumentTypeError
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from oauth_refresh.models import Application
from oauth_refresh.services.clients import find_application
from oauth_refresh.services.lookup import find_users

_LARGEST = 2**31 - 1
_SHORTEST_INTERVAL, _LONGEST_INTERVAL = 0.01, 86_400


def require_application(client_id: str) -> Application:
    """Return the application. Raises CommandError if there is none with this client ID."""
    application = find_application(client_id)
    if application is None:
        raise CommandError(f"There is no application with the client ID {client_id!r}.")
    return application


def require_user(username: str) -> Any:
    """Return the first of ``require_users``."""
    return require_users(username)[0]


def require_users(username: str) -> list[Any]:
    """Return the users of this name, hidden ones last. Raises CommandError if there is none."""
    users = find_users(username)
    if not users:
        raise CommandError(f"There is no user {username!r}.")
    return users


def moment(text: str) -> datetime:
    """Convert an ISO 8601 date or time, in the project's time zone if it names none."""
    try:
        day = parse_date(text)
        parsed = datetime.combine(day, time.min) if day is not None else parse_datetime(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r}: {error}") from error
    if parsed is None:
        raise ArgumentTypeError(
            f"{text!r} is not an ISO 8601 date or time, such as 2026-01-31 or 2026-01-31T08:00+01:00"
        )
    try:
        return _as_stored(parsed)
    except OverflowError as error:
        raise ArgumentTypeError(f"{text!r} is before or after all times that can be stored") from error


def _as_stored(parsed: datetime) -> datetime:
    """Return the time in UTC; in the time zone of the project where that stores times without a zone."""
    if settings.USE_TZ:
        return (timezone.make_aware(parsed) if timezone.is_naive(parsed) else parsed).astimezone(UTC)
    return timezone.make_naive(parsed) if timezone.is_aware(parsed) else parsed


def positive(text: str) -> int:
    """Convert a whole number of at least one, and not larger than a database takes."""
    try:
        number = int(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a whole number") from error
    if number < 1:
        raise ArgumentTypeError(f"{text!r} is less than 1")
    if number > _LARGEST:
        raise ArgumentTypeError(f"{text!r} is more than {_LARGEST}")
    return number


def days(text: str) -> timedelta:
    """Convert a whole number of days."""
    try:
        return timedelta(days=int(text))
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(f"{text!r} is not a whole number of days") from error


def seconds(text: str) -> timedelta:
    """Convert a whole number of seconds."""
    try:
        return timedelta(seconds=int(text))
    except (ValueError, OverflowError) as error:
        raise ArgumentTypeError(f"{text!r} is not a whole number of seconds") from error


def interval(text: str) -> float:
    """Convert a number of seconds between a hundredth and a day; it may have a fraction."""
    try:
        number = float(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds") from error
    if not _SHORTEST_INTERVAL <= number <= _LONGEST_INTERVAL:
        raise ArgumentTypeError(f"{text!r} is not between {_SHORTEST_INTERVAL} and {_LONGEST_INTERVAL}")
    return number


def sentence(error: ValidationError) -> str:
    """Return what is wrong, by field, in one line."""
    return " ".join(
        f"{name}: {message}" if name != "__all__" else message
        for name, messages in error.message_dict.items()
        for message in messages
    )


def read_json(path: Path) -> Any:
    """Return the JSON value of a file. Raises CommandError if it cannot be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise CommandError(f"{path} cannot be read as JSON: {error}") from error
