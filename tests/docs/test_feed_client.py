"""The client of the feed of revocations that the page prints, run as it stands there."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from queue import Queue
from threading import Thread

import pytest
from django.db import connection

from oauth_refresh.models import RevocationNotice
from oauth_refresh.services import revoke_grant
from tests.docs.pages import DOCS, blocks
from tests.factories import ApplicationFactory, GrantFactory, RevocationNoticeFactory
from tests.feed import READER_SECRET
from tests.waiting import LONGEST_SECONDS

[SCRIPT] = blocks(DOCS / "how-to/api-on-another-machine.md", "sh")[:1]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(shutil.which("jq") is None, reason="jq is not installed"),
    pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite in memory has one connection"),
]


@contextmanager
def running_client(issuer, client_id):
    """Run the script, and yield a queue of the lines that it prints."""
    credentials = {"ISSUER": issuer, "CLIENT_ID": client_id, "CLIENT_SECRET": READER_SECRET}
    process = subprocess.Popen(
        ["sh", "-c", SCRIPT], env={**os.environ, **credentials}, stdout=subprocess.PIPE, text=True
    )
    lines = Queue()
    reader = Thread(target=lambda: [lines.put(line.strip()) for line in process.stdout])
    reader.start()
    try:
        yield lines
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        reader.join(LONGEST_SECONDS)


def test_printed_client_prints_each_revocation(live_server, oauth_settings):
    oauth_settings(ISSUER=live_server.url)
    application = ApplicationFactory(raw_secret=READER_SECRET, is_resource_server=True)
    grant = GrantFactory()
    RevocationNoticeFactory(settled=True)

    with running_client(live_server.url, application.client_id) as lines:
        revoke_grant(grant, reason="lost device")
        first = lines.get(timeout=LONGEST_SECONDS)
        RevocationNotice.objects.all().delete()  # its cursor is then one of the future
        while (line := lines.get(timeout=LONGEST_SECONDS)) == first:
            pass

    assert first == f'{{"grant_id":"{grant.public_id}"}}'
    assert line == '{"all":true}'
