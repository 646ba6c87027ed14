"""``oauth_revoke_grants``: which grants, how many, and only after a yes."""

import json
from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from oauth_refresh.management import arguments
from oauth_refresh.models import Grant, RefreshToken
from tests.factories import ApplicationFactory, GrantFactory, UserFactory


def run(*arguments, stdin="", monkeypatch=None):
    out = StringIO()
    if monkeypatch is not None:
        monkeypatch.setattr("sys.stdin", StringIO(stdin))
    call_command("oauth_revoke_grants", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def revoked():
    return set(Grant.objects.exclude(revoked_at=None))


@pytest.fixture
def grants(db):
    """Two users with one grant each in two applications; the first grant of all is old."""
    applications = [ApplicationFactory(client_id="a"), ApplicationFactory(client_id="b")]
    users = [UserFactory(username="eve"), UserFactory(username="bob")]
    grants = {(u.username, a.client_id): GrantFactory(user=u, application=a) for u in users for a in applications}
    Grant.objects.filter(pk=grants["eve", "a"].pk).update(created_at=datetime(2020, 1, 1, tzinfo=UTC))
    return grants


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--application", "a"], {("eve", "a"), ("bob", "a")}),
        (["--user", "eve"], {("eve", "a"), ("eve", "b")}),
        (["--user", "eve", "--application", "b"], {("eve", "b")}),
        (["--created-before", "2020-01-02"], {("eve", "a")}),
        (["--created-before", "2020-01-01T00:00:01Z"], {("eve", "a")}),
        (["--created-before", "2019-12-31"], set()),
    ],
)
def test_selectors_add_up(grants, arguments, expected):
    output = run(*arguments, "--yes", "--json", "--reason", "spring cleaning")

    assert revoked() == {grants[key] for key in expected}
    assert {grant.revoked_reason for grant in revoked()} <= {"spring cleaning"}
    answer = json.loads(output)
    assert (answer["count"], answer["dry_run"]) == (len(expected), False)
    assert {str(grant.revocation_id) for grant in revoked()} <= {answer["revocation_id"]}


@pytest.mark.parametrize("moment", ["2020-01-02", "2020-01-02T00:00:00+00:00"])
def test_time_is_understood_where_the_project_has_no_time_zones(settings, moment):
    settings.USE_TZ = False

    assert arguments.moment(moment) == datetime(2020, 1, 2)


def test_second_time_there_is_nothing_left_to_revoke(grants):
    run("--user", "eve", "--yes")

    assert run("--user", "eve", "--yes").startswith("Nothing to revoke: no grant matches")


def test_leaked_token_on_standard_input_ends_its_grant(client_app, grants, monkeypatch):
    output = run("--token-stdin", "--yes", stdin=f"{client_app.access_token}\n", monkeypatch=monkeypatch)

    assert revoked() == {client_app.grant}
    assert output.startswith("Revoked 1 grant (revocation ")


def test_leaked_refresh_token_ends_its_grant_also_when_its_row_was_pruned(client_app, monkeypatch):
    leaked = client_app.refresh_token
    client_app.rotate()
    RefreshToken.objects.filter(generation=1).delete()

    run("--token-stdin", "--yes", stdin=leaked, monkeypatch=monkeypatch)

    assert revoked() == {client_app.grant}


def test_dry_run_only_counts(grants):
    output = run("--user", "eve", "--dry-run")

    assert output == "Would revoke 2 grants.\n"
    assert revoked() == set()


def test_yes_on_the_terminal_revokes(grants, monkeypatch):
    output = run("--user", "eve", stdin="yes\n", monkeypatch=monkeypatch)

    assert output.startswith("Revoked 2 grants (revocation ")


@pytest.mark.parametrize("answer", ["no\n", "", "y\n"])
def test_anything_but_yes_revokes_nothing(grants, monkeypatch, answer):
    with pytest.raises(CommandError, match="Nothing was revoked"):
        run("--user", "eve", stdin=answer, monkeypatch=monkeypatch)

    assert revoked() == set()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--yes"], "Say which grants", id="no selector"),
        pytest.param(["--application", "nobody", "--yes"], "no application", id="unknown application"),
        pytest.param(["--user", "nobody", "--yes"], "no user", id="unknown user"),
        pytest.param(["--created-before", "yesterday"], "no ISO 8601 date", id="time in words"),
        pytest.param(["--created-before", "2020-13-01"], "2020-13-01", id="no such month"),
        pytest.param(["--token-stdin", "--yes"], "no token of this server", id="unknown token"),
        pytest.param(["--user", "eve", "--yes", "--reason", ""], "1 to 255 characters", id="no reason"),
        pytest.param(["--user", "eve", "--yes", "--reason", "x" * 256], "1 to 255 characters", id="long reason"),
    ],
)
def test_wrong_option_is_one_sentence_and_revokes_nothing(grants, monkeypatch, arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        run(*arguments, stdin="ort_guess", monkeypatch=monkeypatch)

    assert revoked() == set()


def test_token_on_standard_input_leaves_nobody_to_answer(client_app, monkeypatch):
    with pytest.raises(CommandError, match="add --yes or --dry-run"):
        run("--token-stdin", stdin=client_app.access_token, monkeypatch=monkeypatch)

    assert revoked() == set()
