"""``oauth_prune``: what it prints, for people, machines and whoever watches; the rules are tests of the service."""

import json
import re
import sys
from datetime import timedelta
from importlib import reload
from io import StringIO
from itertools import count

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from oauth_refresh.management.commands import oauth_prune
from oauth_refresh.models import Grant, RefreshToken
from tests.factories import GrantFactory, RefreshTokenFactory, UsedAssertionFactory
from tests.members.models import Receipt

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
NOTHING = "Nothing ended long enough ago to be deleted.\n"


class Terminal(StringIO):
    """A standard error that somebody watches."""

    def isatty(self):
        return True


def run(*arguments, stderr=None):
    out = StringIO()
    call_command("oauth_prune", *arguments, stdout=out, stderr=stderr or StringIO())
    return out.getvalue()


@pytest.fixture
def dead():
    """Two grants expired for 40 days, each with its token, and one used assertion."""
    long_ago = timezone.now() - 100 * DAY
    grants = [GrantFactory(created_at=long_ago, idle_expires_at=long_ago + 60 * DAY) for _turn in range(2)]
    for grant in grants:
        RefreshTokenFactory(grant=grant)
    UsedAssertionFactory(expires_at=long_ago)
    return grants


def test_output_is_a_sentence_with_the_counts(dead):
    assert run() == "Deleted 2 grants, 2 refresh tokens, 1 used assertion.\n"
    assert not Grant.objects.exists()
    assert run() == NOTHING


def test_dry_run_prints_what_would_be_deleted(dead):
    assert run("--dry-run") == "Would delete 2 grants, 2 refresh tokens, 1 used assertion.\n"
    assert (Grant.objects.count(), RefreshToken.objects.count()) == (2, 2)


@pytest.mark.parametrize(("options", "is_dry"), [([], False), (["--dry-run"], True)])
def test_json_is_one_object_with_every_count(dead, options, is_dry):
    assert json.loads(run("--json", *options)) == {
        "grants": 2,
        "refresh_tokens": 2,
        "access_tokens": 0,
        "authorization_codes": 0,
        "grant_events": 0,
        "used_assertions": 1,
        "revocation_notices": 0,
        "skipped": 0,
        "is_complete": True,
        "dry_run": is_dry,
    }


def test_retention_is_in_days(dead):
    assert run("--retain", "41") == "Deleted 1 used assertion.\n"
    assert run("--retain", "39") == "Deleted 2 grants, 2 refresh tokens.\n"


def test_grants_that_other_tables_protect_are_counted_as_skipped(dead):
    Receipt.objects.create(grant=dead[0])

    assert run() == (
        "Deleted 1 grant, 1 refresh token, 1 used assertion. Kept, because other tables refer to them: 1.\n"
    )


def test_prune_whose_time_is_up_says_so(dead, monkeypatch):
    seconds = count()  # the clock is read at the start and after each batch
    monkeypatch.setattr("oauth_refresh.services.pruning.monotonic", lambda: next(seconds))

    output = run("--max-seconds", "1")

    assert output == "Deleted 1 used assertion. The time was up before every row was visited: run it again.\n"


@pytest.mark.parametrize("option", [["--batch-size", "1"], ["--batch-size", "10000"], ["--max-seconds", "3600"]])
def test_further_options_change_how_and_not_what(dead, option):
    assert run(*option) == "Deleted 2 grants, 2 refresh tokens, 1 used assertion.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--batch-size", "0"], "'0' is less than 1", id="empty batch"),
        pytest.param(["--batch-size", "some"], "'some' is not a whole number", id="batch in words"),
        pytest.param(["--batch-size", "10001"], "A batch has 1 to 10000 rows", id="large batch"),
        pytest.param(["--retain", "a month"], "'a month' is not a whole number of days", id="retention in words"),
        pytest.param(["--retain", "9" * 20], "is not a whole number of days", id="retention beyond any calendar"),
        pytest.param(["--retain", "-1"], "0 to 36500 days", id="retention of the future"),
        pytest.param(["--max-seconds", "9" * 30], "is more than 2147483647", id="too long"),
        pytest.param(["--max-seconds", "0"], "'0' is less than 1", id="no time"),
    ],
)
def test_wrong_option_is_one_sentence_and_deletes_nothing(dead, arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        run(*arguments)

    assert Grant.objects.count() == 2


def test_progress_bar_is_drawn_on_a_terminal(dead):
    terminal = Terminal()

    output = run("--batch-size", "1", stderr=terminal)

    assert output == "Deleted 2 grants, 2 refresh tokens, 1 used assertion.\n"
    drawn = terminal.getvalue()
    assert re.search(r"used assertions +\d+% \|", drawn)
    assert re.search(r"grants +\d+% \|.*5 rows", drawn)


def test_no_progress_bar_is_drawn_without_a_terminal(dead):
    stderr = StringIO()

    run(stderr=stderr)

    assert stderr.getvalue() == ""


@pytest.fixture
def no_tqdm(monkeypatch):
    """Load the command as where the extra is not installed."""
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "tqdm", None)
        reload(oauth_prune)
    yield
    reload(oauth_prune)


def test_no_progress_bar_is_drawn_without_tqdm(dead, no_tqdm):
    terminal = Terminal()

    run(stderr=terminal)

    assert terminal.getvalue() == ""
