"""``oauth_issue_tokens``: one JSON line per grant."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from oauth_refresh.models import AccessToken, Grant
from tests.factories import SECRET, ApplicationFactory
from tests.oauth import OAuthClient


def issue(*arguments):
    out = StringIO()
    call_command("oauth_issue_tokens", *arguments, stdout=out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_pair_of_a_user_works(application, user):
    [line] = issue("--application", application.client_id, "--user", user.username, "--scope", "notes:read")

    assert line == {
        "client_id": application.client_id,
        "grant": str(Grant.objects.get(user=user, grant_type="operator").public_id),
        "access_token": line["access_token"],
        "refresh_token": line["refresh_token"],
        "token_type": "Bearer",
        "expires_in": 3600,
        "refresh_token_expires_in": 1209600,
        "scope": "notes:read",
    }
    assert OAuthClient(application, SECRET).refresh(line["refresh_token"]).status_code == 200


def test_tokens_are_for_the_resource_that_is_named(application, user, oauth_settings):
    oauth_settings(RESOURCES={"https://a.example": {}, "https://b.example": {}})

    issue("--application", application.client_id, "--user", user.username, "--resource", "https://b.example")

    assert AccessToken.objects.get().audience == Grant.objects.get().resources == "https://b.example"


def test_count_gives_as_many_grants(application, user):
    lines = issue("--application", application.client_id, "--user", user.username, "--count", "3", "--json")

    assert len({line["grant"] for line in lines}) == Grant.objects.count() == 3


def test_without_user_the_application_acts_for_itself_and_has_no_refresh_token(application):
    [line] = issue("--application", application.client_id)

    assert line.keys() == {"client_id", "grant", "access_token", "token_type", "expires_in", "scope"}
    assert Grant.objects.get().user is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--application", "nobody"], "no application with the client ID 'nobody'", id="application"),
        pytest.param(["--application", "public"], "needs a user", id="a public application has no self"),
        pytest.param(["--application", "public", "--user", "nobody"], "no user 'nobody'", id="user"),
        pytest.param(["--application", "public", "--user", "eve", "--scope", "x"], "unknown", id="scope"),
        pytest.param(["--application", "public", "--user", "eve", "--count", "0"], "less than 1", id="count of 0"),
        pytest.param(["--application", "public", "--user", "eve", "--count", "x"], "not a whole number", id="count"),
        pytest.param(["--application", "gone", "--user", "eve"], "application inactive", id="inactive application"),
        pytest.param(["--application", "public", "--user", "left"], "user inactive", id="inactive user"),
        pytest.param([], "--application", id="no application"),
    ],
)
def test_wrong_option_is_one_sentence_and_issues_nothing(arguments, sentence, django_user_model, db):
    ApplicationFactory(client_id="public", public=True)
    ApplicationFactory(client_id="gone", is_active=False)
    django_user_model.objects.create_user("eve")
    django_user_model.objects.create_user("left", is_active=False)

    with pytest.raises(CommandError, match=sentence):
        issue(*arguments)

    assert not Grant.objects.exists()


@pytest.mark.parametrize(("scope", "named"), [("notes:read x", "(x)"), ("offline_access", "(offline_access)")])
def test_refusal_names_the_scope(user, scope, named):
    application = ApplicationFactory()

    with pytest.raises(CommandError) as refusal:
        issue("--application", application.client_id, "--user", user.username, "--scope", scope)

    assert str(refusal.value).endswith(named)


def test_offline_access_is_issued_with_another_scope(user):
    application = ApplicationFactory(scope="notes:read")

    [line] = issue(
        *("--application", application.client_id, "--user", user.username, "--scope", "notes:read offline_access")
    )

    assert line["scope"] == "notes:read offline_access"


def test_list_of_the_application_is_the_default_of_a_project_without_one(user, oauth_settings):
    oauth_settings(DEFAULT_SCOPES=[])
    application = ApplicationFactory(scope="SANDBOX notes:read")

    [line] = issue("--application", application.client_id, "--user", user.username)

    assert line["scope"] == "SANDBOX notes:read"
