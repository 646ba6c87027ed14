"""The step of ``incident.py`` inside the site: open pages of the admin, and print how long each took, as JSON."""

import json
import sys
import time
from datetime import timedelta

from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

ADDRESSES = ("10.3.5.17", "203.7.8.0/24", "203.0.0.0/8", "10.0.0.0/8")
LISTS = {"grant": "grants", "refreshtoken": "refreshes", "grantevent": "events"}
TIMES = ("started", "refreshed", "revoked", "alarmed")


def measure() -> None:
    """Print the fastest of three times of each page: the first one also reads the disk."""
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(get_user_model().objects.get(username="eve"))
    json.dump([_measured(client, title, url) for title, url in _pages().items()], sys.stdout)


def _pages() -> dict[str, str]:
    since = timezone.localtime() - timedelta(days=1)
    minutes = {"from": f"{since:%Y-%m-%dT%H:%M}", "until": f"{since + timedelta(minutes=5):%Y-%m-%dT%H:%M}"}
    pages = {
        f"overview of the {period}": _url("overview", period=period) for period in ("hour", "day", "week", "month")
    }
    for address in ADDRESSES:
        pages |= {f"{title} by address {address}": _url(name, address=address) for name, title in LISTS.items()}
    pages |= {f"grants {time} in five minutes": _url("grant", time=time, **minutes) for time in TIMES}
    return pages


def _url(name: str, **query: str) -> str:
    return reverse(f"admin:oauth_refresh_{name}_changelist", query=query)


def _measured(client: Client, title: str, url: str) -> dict[str, object]:
    times = []
    for _turn in range(3):
        start = time.perf_counter()
        with CaptureQueriesContext(connection) as queries:
            response = client.get(url)
        times.append(time.perf_counter() - start)
        assert response.status_code == 200, response.status_code  # noqa: S101, PLR2004
    return {"title": title, "ms": round(min(times) * 1000), "statements": len(queries)}
