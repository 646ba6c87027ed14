"""A site in an incident: 43 users, 19 applications, 3,000 grants, and 7 thefts, of which 5 raised an alarm."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth import get_user_model
from django.utils import timezone

from oauth_refresh.models import Application, Grant, GrantEvent, RefreshToken, RevocationReason
from tests.admin.many import stored, tokens

USERS, APPLICATIONS, GRANTS = 43, 19, 3_000
ALARMED, SILENT = range(5), range(5, 7)
"""The numbers of the grants whose tokens were stolen."""
THIEF, PROGRAM = "198.51.100.7", "curl/8.9.1"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0"
TRAVELLERS = range(100, 130)
"""The numbers of grants that moved to another address with the same program."""


@dataclass(frozen=True, kw_only=True)
class Incident:
    """``stolen`` are the grants of the thefts, those with an alarm first."""

    grants: list[Grant]
    stolen: list[Grant]


def make_incident(*, now: datetime | None = None, grants: int = GRANTS) -> Incident:
    """Store it. Each grant was refreshed ten times, an hour after another; the thefts are of the last 20 minutes."""
    now = now or timezone.now()
    rows = _grants(now, count=grants)
    pairs = [(grant, generation) for grant in rows for generation in range(1, 12)]
    refreshes = list(tokens(RefreshToken, pairs, created_at=now, expires_at=now + timedelta(days=14)))
    for number, token in enumerate(refreshes):
        _place(token, number=number // 11, now=now)
    stored(refreshes)
    stored(
        GrantEvent(
            grant=rows[number],
            kind=GrantEvent.Kind.REUSED,
            generation=10,
            at=now - timedelta(minutes=5, seconds=number),
            address=home(number),
            user_agent=FIREFOX,
            seconds_since_spent=900.0,
            same_caller=False,
        )
        for number in ALARMED
    )
    return Incident(grants=rows, stolen=[rows[number] for number in (*ALARMED, *SILENT)])


def home(number: int) -> str:
    """Return the address from which the grant of this number was started."""
    return str(ipaddress.ip_address("10.0.0.1") + number)


def _grants(now: datetime, *, count: int) -> list[Grant]:
    users = stored(get_user_model()(username=f"person{number}", password="!") for number in range(USERS))
    applications = stored(
        Application(client_id=f"site{number}", name=f"Application {number}", grant_types="refresh_token")
        for number in range(APPLICATIONS)
    )
    revoked = {
        "revoked_at": now - timedelta(minutes=5),
        "revoked_reason": RevocationReason.REUSE_DETECTED,
    }
    return stored(
        Grant(
            application=applications[number % APPLICATIONS],
            user=users[number % USERS],
            grant_type="authorization_code",
            scope="notes:read",
            generation=11,
            access_floor=11,
            created_at=now - timedelta(hours=11),
            refreshed_at=now - timedelta(minutes=20),
            idle_expires_at=now + timedelta(days=14),
            address=home(number),
            user_agent=FIREFOX,
            **(revoked if number in ALARMED else {}),
        )
        for number in range(count)
    )


def _place(token: RefreshToken, *, number: int, now: datetime) -> None:
    """Say when and from where a token was issued: the newest of a stolen grant to the thief."""
    is_newest = token.generation == 11
    token.created_at = now - timedelta(hours=11 - token.generation, minutes=20, seconds=number % 60)
    token.address, token.user_agent = home(number), FIREFOX
    if is_newest and number in {*ALARMED, *SILENT}:
        token.address, token.user_agent = THIEF, PROGRAM
    elif is_newest and number in TRAVELLERS:
        token.address = str(ipaddress.ip_address(home(number)) + (1 << 16))
