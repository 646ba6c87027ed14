"""``oauth_revoke_grants``: which grants, how many, and only after a yes."""

import json
from datetime import UTC, datetime
from io import BytesIO, StringIO, TextIOWrapper

import pytest
from django.core.management import CommandError, call_command

from oauth_refresh.management import arguments
from oauth_refresh.models import Grant, RefreshToken
from tests.factories import ApplicationFactory, GrantFactory, UserFactory
from tests.foreign import ACCESS, CURRENT, SPENT


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
    applications = [ApplicationFactory(client_id="a", name="Notes"), ApplicationFactory(client_id="b", name="Album")]
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


def test_second_revocation_finds_nothing(grants):
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


def test_dry_run_counts_grants_and_names_their_users(grants):
    output = run("--application", "a", "--dry-run")

    assert output == (
        "Would revoke 2 grants (users: 2, applications: 1).\n  application a: 2\n  user bob: 1\n  user eve: 1\n"
    )
    assert revoked() == set()


def test_dry_run_in_json_names_the_largest_shares(grants):
    output = run("--user", "eve", "--dry-run", "--json")

    assert json.loads(output) == {
        "count": 2,
        "users": 1,
        "applications": 2,
        "largest_applications": [
            {"name": "a", "title": "Notes", "grants": 1},
            {"name": "b", "title": "Album", "grants": 1},
        ],
        "largest_users": [{"name": "eve", "title": "eve", "grants": 2}],
        "dry_run": True,
    }


def test_preview_names_ten_users_and_counts_the_rest(db):
    application = ApplicationFactory(client_id="a")
    for number in range(12):
        GrantFactory(application=application, user__username=f"user{number:02}")

    output = run("--application", "a", "--dry-run")

    assert output.splitlines()[0] == "Would revoke 12 grants (users: 12, applications: 1)."
    assert output.splitlines()[-2:] == ["  user user09: 1", "  and 2 more users"]


def test_question_on_the_terminal_says_what_will_be_revoked(grants, monkeypatch):
    monkeypatch.setattr("sys.stdin", StringIO("yes\n"))
    asked = StringIO()

    call_command("oauth_revoke_grants", "--user", "eve", stdout=StringIO(), stderr=asked)

    assert asked.getvalue().splitlines()[0] == "This revokes, for good, 2 grants (users: 1, applications: 2)."
    assert asked.getvalue().endswith("Type yes to go on:\n")


def test_every_token_in_a_leaked_log_ends_its_grant(client_app, public_client, grants, monkeypatch):
    log = (
        f"GET /notes Authorization: Bearer {client_app.access_token}\n"
        f'{{"refresh_token": "{public_client.refresh_token}"}}\nort_noise {client_app.refresh_token}\n'
    )

    output = run("--token-stdin", "--yes", stdin=log, monkeypatch=monkeypatch)

    assert revoked() == {client_app.grant, public_client.grant}
    assert output.startswith("Revoked 2 grants (revocation ")


@pytest.mark.parametrize("token", [CURRENT, SPENT[0], ACCESS])
def test_leaked_token_of_another_server_ends_its_grant(moved, grants, monkeypatch, token):
    run("--token-stdin", "--yes", stdin=f"POST /o/token/ refresh_token={token}&scope=a", monkeypatch=monkeypatch)

    assert revoked() == {moved}


def test_token_of_another_server_may_not_be_the_reason(moved, grants):
    with pytest.raises(CommandError, match="it may not hold a token"):
        run("--user", "eve", "--reason", f"leaked: {CURRENT}", "--yes")

    assert revoked() == set()


def test_log_in_any_encoding_is_read(client_app, monkeypatch):
    log = b"GET /\xff Bearer " + client_app.access_token.encode()
    monkeypatch.setattr("sys.stdin", TextIOWrapper(BytesIO(log), encoding="utf-8", errors="strict"))

    run("--token-stdin", "--yes")

    assert revoked() == {client_app.grant}


def test_reason_may_not_hold_a_token(client_app):
    with pytest.raises(CommandError, match="may not hold a token"):
        run("--user", "nobody", "--yes", "--reason", f"leaked {client_app.access_token}")


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
        pytest.param(["--created-before", "yesterday"], "not an ISO 8601 date", id="time in words"),
        pytest.param(["--created-before", "2020-13-01"], "2020-13-01", id="no such month"),
        pytest.param(["--created-before", "0001-01-01T00:00+14:00"], "before or after all times", id="too early"),
        pytest.param(["--created-before", "9999-12-31T23:59-12:00"], "before or after all times", id="too late"),
        pytest.param(["--token-stdin", "--yes"], "no token of this server", id="unknown token"),
        pytest.param(["--user", "eve", "--yes", "--reason", ""], "1 to 255 characters", id="no reason"),
        pytest.param(["--user", "eve", "--yes", "--reason", "x" * 256], "1 to 255 characters", id="long reason"),
    ],
)
def test_wrong_option_is_one_sentence_and_revokes_nothing(grants, monkeypatch, arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        run(*arguments, stdin="ort_guess", monkeypatch=monkeypatch)

    assert revoked() == set()


def test_token_on_standard_input_needs_the_option_yes(client_app, monkeypatch):
    with pytest.raises(CommandError, match="add --yes or --dry-run"):
        run("--token-stdin", stdin=client_app.access_token, monkeypatch=monkeypatch)

    assert revoked() == set()


def test_session_of_another_server_that_was_not_moved_yet_is_revoked(other_server, application, user, monkeypatch):
    other_server.hold(application, user)

    output = run("--token-stdin", "--yes", stdin=f"token={ACCESS}", monkeypatch=monkeypatch)

    assert output.startswith("Revoked 1 grant")


def test_importer_that_fails_is_an_error(application, oauth_settings, monkeypatch):
    oauth_settings(FOREIGN_TOKENS=["tests.foreign.fail_then_adopt"])

    with pytest.raises(CommandError, match=r"failed with KeyError\. Nothing was revoked\."):
        run("--token-stdin", "--yes", stdin=f"token={ACCESS}", monkeypatch=monkeypatch)


@pytest.mark.parametrize(
    ("reason", "is_stored"),
    [
        (f"leaked: {CURRENT}.", False),
        ("stolen b8644266-8abd-44cf-9b05-8365a16890d8", True),
        ("https://tickets.example/browse/SEC-2026", True),
        ("Rechtsschutzversicherungsgesellschaften", True),
    ],
)
def test_reason_may_not_hold_a_token_whose_session_was_not_moved(other_server, client_app, reason, is_stored):
    arguments = ["--application", client_app.application.client_id, "--yes", "--reason", reason]
    if not is_stored:
        with pytest.raises(CommandError, match="may not hold a token"):
            run(*arguments)
    else:
        run(*arguments)

    assert Grant.objects.filter(revoked_reason=reason).exists() == is_stored
