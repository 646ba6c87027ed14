"""The steps of ``bulk_revocation.py`` inside Django: create grants, and revoke them in the admin.

Each runs in a process of its own and prints a JSON object, so that the memory of the second is that of its requests.
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
LISTED = 100  # grants on one page of the admin's list
_TABLE = re.compile(r'\b(?:FROM|INTO|UPDATE)\s+["`]?(\w+)', re.IGNORECASE)


def create_grants(number: int) -> None:
    """Create ``number`` active grants with a pair of tokens each, of an application with this number as client ID."""
    users_model = get_user_model()
    users_model.objects.get_or_create(username=ADMIN, is_staff=True, is_superuser=True)
    application = Application.objects.create(client_id=str(number), name=f"{number} grants", secret_digest="0" * 64)
    count = max(1, number // GRANTS_PER_USER)
    users = users_model.objects.bulk_create(
        (
            users_model(username=f"{number}-{n}", password="!")  # noqa: S106  not used to sign in
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


def measure(number: int, *, warm_up: int) -> None:
    """Revoke all grants of the application ``number`` by the admin's action, and print time and memory of each request.

    It does so twice, once for time and once for memory, since tracing memory takes time. Before that it revokes the
    grants of the application ``warm_up``, so that modules and templates are loaded already.
    """
    client = Client()
    client.force_login(get_user_model().objects.get(username=ADMIN))
    _revoke(client, warm_up, _Meter())
    _reactivate(warm_up)
    for_time, for_memory = _Meter(), _Meter(traces_memory=True)
    revoked = _revoke(client, number, for_time)
    _reactivate(number)
    _revoke(client, number, for_memory)
    requests = [
        timed | {"traced_peak_bytes": traced["traced_peak_bytes"]}
        for timed, traced in zip(for_time.requests, for_memory.requests, strict=True)
    ]
    _print({"grants": number, "revoked": revoked, "requests": requests})


def _revoke(client: Client, number: int, meter: "_Meter") -> int:
    """Select the whole list, confirm the revocation, and open the list again. Return the number of revoked grants."""
    grants = Grant.objects.filter(application__client_id=number)
    selected = list(grants.values_list("pk", flat=True)[:LISTED])
    url = f"{reverse('admin:oauth_refresh_grant_changelist')}?client_id={number}"
    choice = {"action": "revoke_grants", "select_across": "1"}
    with meter.request("POST: the action on the whole list, which asks for confirmation"):
        asked = client.post(url, {**choice, "_selected_action": selected}, secure=True)
    _require_text(f"Revoke {number} grants</button>", asked)
    with meter.request("POST: the confirmation"):
        done = client.post(url, {**choice, "_selected_action": "all", "confirm": "yes", "reason": "drill"}, secure=True)
    with meter.request("GET: the list again"):
        listed = client.get(done["Location"], secure=True)
    _require_text(f"{number} grants were revoked", listed)
    return grants.exclude(revoked_at=None).count()


def _reactivate(number: int) -> None:
    """Make the grants active again, which only a benchmark may do."""
    unrevoked = {"revoked_at": None, "revoked_reason": "", "revoked_by": None, "revocation_id": None}
    Grant.objects.filter(application__client_id=number).update(**unrevoked)


class _Meter:
    """Records the statements by verb and table, the time and the memory of each request."""

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


def _require_text(text: str, response: Any) -> None:
    if text not in response.content.decode():
        raise SystemExit(f"The page does not say {text!r}: {response.content.decode()}")


def _verb_and_table(sql: str) -> str:
    table = _TABLE.search(sql)
    return " ".join([sql.split(maxsplit=1)[0].upper(), *([table[1]] if table else [])])


def _most_resident_bytes() -> int:
    """Return the peak memory of this process, which Linux reports in KiB and macOS in bytes."""
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
