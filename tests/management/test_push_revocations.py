"""``oauth_push_revocations``: its arguments, and how it ends; the rules are tests of the service."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from oauth_refresh.models import RevocationReceiver
from tests.factories import RevocationNoticeFactory
from tests.push_receiver import receiving

SECRET = "the-secret-of-a-gateway"


def run(*arguments):
    call_command("oauth_push_revocations", *arguments, stdout=StringIO())


def test_command_without_receivers_says_what_to_set():
    with pytest.raises(CommandError, match="REVOCATION_RECEIVERS'\\] is empty: name the receivers"):
        run()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("often", "'often' is not a number of seconds"),
        ("0", "'0' is not between 0.01 and 86400"),
        ("nan", "'nan' is not between 0.01 and 86400"),
    ],
)
def test_interval_is_a_number_of_seconds(text, sentence):
    with pytest.raises(CommandError, match=sentence):
        run("--interval", text)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite in memory has one connection")
def test_command_that_runs_once_posts_all_and_fails_if_something_waits(oauth_settings):
    with receiving() as server:
        oauth_settings(REVOCATION_RECEIVERS=[{"url": server.url, "secret": SECRET}])
        run("--once", "--interval", "0.05")
        RevocationNoticeFactory(grant_id=None, client_id="notes")
        server.answer = 500
        with pytest.raises(CommandError, match=r"^Not delivered yet to: 127\.0\.0\.1\.$"):
            run("--once")
        server.answer = 200
        RevocationReceiver.objects.update(next_attempt_at="2000-01-01T00:00Z")
        run("--once")

    assert [post.entries for post in server.posts] == [[{"client_id": "notes"}]] * 2
