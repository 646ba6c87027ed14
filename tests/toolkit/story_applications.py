"""The command registers the applications of django-oauth-toolkit here; ``tests/test_toolkit.py`` runs this."""

import json
from http import HTTPStatus
from io import StringIO

import pytest
from django.contrib.auth.hashers import check_password
from django.core.checks import run_checks
from django.core.management import call_command
from oauth2_provider.models import get_application_model
from oauth2_provider.scopes import SettingsScopes

from oauth_refresh import crypto
from oauth_refresh.models import Application, Grant
from tests.factories import ApplicationFactory
from tests.toolkit.old import NEW, SECRET, OldClient, old_application

pytestmark = pytest.mark.django_db

SHORT = "too-short"


def run(*options):
    printed = StringIO()
    call_command("oauth_import_toolkit", "--applications", "--json", *options, stdout=printed)
    return json.loads(printed.getvalue())["applications"]


def imported(**fields):
    """Import one old application, which must succeed; return it as it is here, and its problems."""
    old = old_application(**fields)
    counts = run()
    assert (counts["imported"], counts["refused"]) == (1, 0), counts
    return Application.objects.get(client_id=old.client_id), [problem["text"] for problem in counts["problems"]]


def refused(**fields):
    """Import one old application, which must be refused; return why."""
    old = old_application(**fields)
    counts = run()
    assert (counts["imported"], counts["refused"]) == (0, 1), counts
    assert not Application.objects.exists()
    [problem] = counts["problems"]
    assert (problem["client_id"], problem["is_refusal"]) == (old.client_id, True)
    return problem["text"]


def test_application_keeps_what_identifies_it(user):
    old = old_application(
        authorization_grant_type="authorization-code",
        redirect_uris="https://shop.example/callback com.example.shop:/callback",
        skip_authorization=True,
        user=user,
    )

    assert run() == {"imported": 1, "existing": 0, "refused": 0, "problems": []}

    ours = Application.objects.get()
    assert (ours.client_id, ours.name, ours.owner, ours.created_at) == ("shop", "Shop", user, old.created)
    assert (ours.auth_method, ours.grant_types) == ("client_secret_basic", "authorization_code refresh_token")
    assert ours.redirect_uris.split() == ["https://shop.example/callback", "com.example.shop:/callback"]
    assert (ours.is_trusted, ours.requires_pkce, ours.scope) == (True, True, "")


def test_name_of_an_application_without_one_is_its_client_id():
    ours, _problems = imported(name="")

    assert ours.name == "shop"


def test_readable_secret_becomes_a_digest():
    ours, problems = imported(hash_client_secret=False)

    assert (ours.secret_digest, ours.imported_secret_hash, problems) == (crypto.digest(SECRET), "", [])


def test_hashed_secret_is_kept_as_a_hash():
    ours, problems = imported()

    assert (ours.secret_digest, problems) == ("", [])
    assert check_password(SECRET, ours.imported_secret_hash)


def test_short_readable_secret_is_kept_as_a_hash_and_reported():
    ours, problems = imported(client_secret=SHORT, hash_client_secret=False)

    assert (ours.secret_digest, ours.imported_secret_is_short) == ("", True)
    assert check_password(SHORT, ours.imported_secret_hash)
    assert problems == ["Its secret has fewer than 22 characters: replace it."]


@pytest.mark.parametrize("hashed", [True, False])
@pytest.mark.parametrize("secret", [SECRET, SHORT])
def test_client_authenticates_with_the_secret_that_it_has(user, secret, hashed):
    imported(client_secret=secret, hash_client_secret=hashed)

    client = OldClient(secret=secret, server=NEW).start(user).rotate()

    assert client.read_notes().status_code == HTTPStatus.OK


def test_public_application_has_no_secret(user):
    ours, _problems = imported(client_type="public", authorization_grant_type="password")

    assert (ours.auth_method, ours.secret_digest, ours.imported_secret_hash) == ("none", "", "")
    assert OldClient(secret=None, server=NEW).start(user).rotate().refresh_token


def test_wrong_redirect_uris_are_left_out_and_reported_one_by_one():
    ours, problems = imported(
        authorization_grant_type="authorization-code",
        redirect_uris="https://shop.example/callback http://shop.example/plain https://*.shop.example/",
    )

    assert ours.redirect_uris == "https://shop.example/callback"
    assert problems == [
        "Without the redirect URI http://shop.example/plain: see the rules for redirect URIs.",
        "Without the redirect URI https://*.shop.example/: see the rules for redirect URIs.",
    ]


def test_application_all_of_whose_redirect_uris_are_wrong_is_imported():
    ours, problems = imported(authorization_grant_type="authorization-code", redirect_uris="http://shop.example/")

    assert (ours.redirect_uris, len(problems)) == ("", 1)


@pytest.mark.parametrize(
    ("grant_type", "name"),
    [
        ("implicit", "the implicit grant"),
        ("openid-hybrid", "the hybrid grant of OpenID Connect"),
        ("urn:ietf:params:oauth:grant-type:device_code", "the device grant"),
        ("of-a-plugin", "of-a-plugin"),
    ],
)
def test_grant_type_that_is_not_offered_here_is_reported(grant_type, name):
    assert refused(authorization_grant_type=grant_type) == f"Its grant type is not offered here: {name}."


def test_application_may_have_several_grant_types_by_its_own_method(monkeypatch):
    own = {"authorization-code", "password", "client-credentials", "implicit"}
    monkeypatch.setattr(
        get_application_model(), "allows_grant_type", lambda self, *names: not own.isdisjoint(names), raising=True
    )

    ours, problems = imported()

    assert ours.grant_types == "authorization_code refresh_token client_credentials password"
    assert problems == ["Without the implicit grant, which is not offered here."]


def test_grant_type_that_the_project_does_not_offer_is_reported(oauth_settings):
    oauth_settings(GRANT_TYPES=["authorization_code", "refresh_token"])

    _ours, problems = imported()

    assert problems == ["GRANT_TYPES does not offer password, so it cannot use that yet."]


def test_application_that_the_model_refuses_is_reported_with_the_reason():
    reason = refused(client_type="public", authorization_grant_type="client-credentials")

    assert reason.startswith("grant_types: A public application cannot authenticate")


def test_confidential_application_without_a_secret_is_refused():
    assert refused(client_secret="", hash_client_secret=False) == "It is confidential, and has no secret."


@pytest.mark.parametrize("required", [False, lambda client_id: client_id != "shop"], ids=["setting", "callable"])
def test_pkce_is_required_where_it_was(settings, required):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "PKCE_REQUIRED": required}

    ours, problems = imported()

    assert (ours.requires_pkce, problems) == (False, [])


def test_public_application_that_did_without_pkce_is_reported(settings):
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "PKCE_REQUIRED": False}

    ours, problems = imported(
        client_type="public", authorization_grant_type="authorization-code", redirect_uris="https://shop.example/"
    )

    assert ours.requires_pkce
    assert problems == ["A public application must use PKCE here, which PKCE_REQUIRED did not ask of it."]


def test_application_with_id_tokens_is_reported():
    _ours, problems = imported(algorithm="RS256")

    assert problems == ["It gets no ID tokens here: OpenID Connect is not offered."]


class ReadOnlyScopes(SettingsScopes):
    def get_available_scopes(self, application=None, request=None, *args, **kwargs):
        return ["notes:read"]


class UnknownScopes(SettingsScopes):
    def get_available_scopes(self, application=None, request=None, *args, **kwargs):
        return ["old"]


def test_application_may_have_no_more_than_its_backend_of_scopes_allowed(settings):
    backend = f"{__name__}.ReadOnlyScopes"
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES_BACKEND_CLASS": backend}

    ours, _problems = imported()

    assert ours.scope == "notes:read"


def test_application_whose_scopes_are_unknown_here_is_refused(settings):
    backend = f"{__name__}.UnknownScopes"
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES_BACKEND_CLASS": backend}

    assert refused() == "SCOPES has none of the scopes that its SCOPES_BACKEND_CLASS allows it."


def test_application_that_is_registered_here_stays_as_it_is():
    ours = ApplicationFactory(client_id="shop", name="Ours")
    before = Application.objects.values().get()
    old_application()

    assert run() == {"imported": 0, "existing": 1, "refused": 0, "problems": []}
    assert Application.objects.values().get() == before
    assert ours.name == "Ours"


def test_second_run_changes_no_imported_application():
    old_application()
    run()
    Application.objects.update(name="Changed")

    assert run()["existing"] == 1
    assert Application.objects.get().name == "Changed"


def test_one_refused_application_does_not_keep_the_others_out():
    old_application("implicit", authorization_grant_type="implicit")
    old_application()

    counts = run()

    assert (counts["imported"], counts["refused"]) == (1, 1)


def test_dry_run_registers_nothing():
    old_application()

    assert run("--dry-run")["imported"] == 1
    assert not Application.objects.exists()


def test_problems_are_printed_as_sentences():
    old_application(authorization_grant_type="implicit")
    printed = StringIO()

    call_command("oauth_import_toolkit", "--applications", stdout=printed)

    assert printed.getvalue().splitlines() == [
        "Applications: imported 0, existing 0, refused 1.",
        "- shop: Its grant type is not offered here: the implicit grant.",
    ]


def test_installation_that_only_checks_tokens_of_another_server_has_nothing_to_move():
    printed = StringIO()

    call_command("oauth_import_toolkit", stdout=printed)

    assert printed.getvalue().splitlines() == [
        "Applications: imported 0, existing 0, refused 0.",
        "Sessions: moved 0, access tokens 0, spent 0, without refresh token 0.",
    ]
    assert not Grant.objects.exists()


@pytest.mark.parametrize(
    ("ours", "theirs", "named"),
    [
        ((), {}, ["notes:read, notes:write, old"]),
        ((), {"DEFAULT_SCOPES": ["notes:read"]}, ["notes:read"]),
        ((), {"DEFAULT_SCOPES": []}, []),
        (("notes:read",), {}, []),
    ],
)
def test_check_warns_of_clients_that_name_no_scope(settings, oauth_settings, ours, theirs, named):
    oauth_settings(DEFAULT_SCOPES=ours)
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, **theirs}

    messages = [message for message in run_checks() if message.id == "oauth_refresh_toolkit.W001"]

    assert [message.msg for message in messages] == [
        f"Clients that name no scope get {names} at django-oauth-toolkit, and an error here." for names in named
    ]
