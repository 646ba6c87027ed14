"""What ``bulk_revocation.py`` does inside Django: make grants, and end them from the admin. Both print one JSON object.

Each is run in a process of its own, so that the memory of the second is what its requests took.
"""

import json
import re
import resource
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, Application, Grant, RefreshToken, password_fingerprints

ADMIN = "admin"
GRANTS_PER_USER = 10
BATCH = 2_000
LISTED = 100  # what the admin shows on one page, and so ticks
_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+["`]?(\w+)', re.IGNORECASE)


def seed(number: int) -> None:
    """Make an application named by ``number`` with so many live grants of many users, each with a pair of tokens."""
    users_model = get_user_model()
    users_model.objects.get_or_create(username=ADMIN, is_staff=True, is_superuser=True)
    application = Application.objects.create(client_id=str(number), name=f"{number} grants", secret_digest="0" * 64)
    count = max(1, number // GRANTS_PER_USER)
    users = users_model.objects.bulk_create(
        (
            users_model(username=f"{number}-{n}", password="!")  # noqa: S106  nobody signs in
            for n in range(count)
        ),
        batch_size=BATCH,
    )
    fingerprints = [next(password_fingerprints(user), "") for user in users]
    now = timezone.now()
    _insert(
        Grant(
            application=application,
            user=users[n % count],
            password_fingerprint=fingerprints[n % count],
            grant_type="authorization_code",
            scope="notes:read",
            generation=1,
            access_floor=1,
            created_at=now,
            idle_expires_at=now + timedelta(days=14),
            expires_at=now + timedelta(days=90),
        )
        for n in range(number)
    )
    keys = list(Grant.objects.filter(application=application).values_list("pk", flat=True))
    _insert(_token(RefreshToken, key, expires_at=now + timedelta(days=14)) for key in keys)
    _insert(_token(AccessToken, key, expires_at=now + timedelta(hours=1), scope="notes:read") for key in keys)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    _print({"grants": Grant.objects.live().filter(application=application).count(), "users": count})


def measure(number: int, *, rehearsal: int) -> None:
    """End all grants of the application named by ``number`` by the admin's action, and print what each request took.

    It is done twice, once for time and once for memory, since to trace memory takes time. Before that comes the
    application named by ``rehearsal``, so that what is loaded only once counts for neither.
    """
    client = Client()
    client.force_login(get_user_model().objects.get(username=ADMIN))
    _revoke(client, rehearsal, _Meter())
    _restore(rehearsal)
    for_time, for_memory = _Meter(), _Meter(traces_memory=True)
    revoked = _revoke(client, number, for_time)
    _restore(number)
    _revoke(client, number, for_memory)
    requests = [
        timed | {"traced_peak_bytes": traced["traced_peak_bytes"]}
        for timed, traced in zip(for_time.requests, for_memory.requests, strict=True)
    ]
    _print({"grants": number, "revoked": revoked, "requests": requests})


def _revoke(client: Client, number: int, meter: "_Meter") -> int:
    """Tick the whole list, go on to the page that asks, confirm, and return to the list. Return how many ended."""
    grants = Grant.objects.filter(application__client_id=number)
    ticked = list(grants.values_list("pk", flat=True)[:LISTED])
    url = f"{reverse('admin:oauth_refresh_grant_changelist')}?client_id={number}"
    choice = {"action": "revoke_grants", "select_across": "1"}
    with meter.request("POST: the action on the whole list, answered by the page that asks"):
        asked = client.post(url, {**choice, "_selected_action": ticked}, secure=True)
    _require(f"Revoke {number} grants</button>", asked)
    with meter.request("POST: the confirmation"):
        done = client.post(url, {**choice, "_selected_action": "all", "confirm": "yes", "reason": "drill"}, secure=True)
    with meter.request("GET: the list again"):
        listed = client.get(done["Location"], secure=True)
    _require(f"{number} grants were revoked", listed)
    return grants.exclude(revoked_at=None).count()


def _restore(number: int) -> None:
    """Do what no page can: let the grants live again."""
    unrevoked = {"revoked_at": None, "revoked_reason": "", "revoked_by": None, "revocation_id": None}
    Grant.objects.filter(application__client_id=number).update(**unrevoked)


class _Meter:
    """Notes of each request its statements by verb and table, seconds, and growth in memory."""

    def __init__(self, *, traces_memory: bool = False) -> None:
        self.traces_memory = traces_memory
        self.requests: list[dict[str, Any]] = []

    @contextmanager
    def request(self, title: str) -> Iterator[None]:
        statements: Counter[str] = Counter()

        def count(execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
            statements[_verb_and_table(sql)] += 1
            return execute(sql, *rest)

        if self.traces_memory:
            tracemalloc.start()
        resident, begun = _most_resident_bytes(), time.perf_counter()
        with connection.execute_wrapper(count):
            yield
        seconds, grown = time.perf_counter() - begun, _most_resident_bytes() - resident
        traced = tracemalloc.get_traced_memory()[1] if self.traces_memory else 0
        tracemalloc.stop()
        self.requests.append(
            {
                "request": title,
                "statements": dict(sorted(statements.items())),
                "seconds": round(seconds, 3),
                "resident_growth_bytes": grown,
                "traced_peak_bytes": traced,
            }
        )


def _require(text: str, response: Any) -> None:
    if text not in response.content.decode():
        raise SystemExit(f"The page does not say {text!r}: {response.content.decode()}")


def _verb_and_table(sql: str) -> str:
    table = _TABLE.search(sql)
    return " ".join([sql.split(maxsplit=1)[0].upper(), *([table[1]] if table else [])])


def _most_resident_bytes() -> int:
    """Return the most memory this process has ever had, which Linux tells in KiB and macOS in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _insert(rows: Iterable[Model]) -> None:
    rows = iter(rows)
    while batch := list(islice(rows, BATCH)):
        type(batch[0])._default_manager.bulk_create(batch)


def _token(model: type[Model], grant: int, **columns: Any) -> Model:
    return model(grant_id=grant, generation=1, digest=crypto.digest(f"{model.__name__} {grant}"), **columns)


def _print(result: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(result))
