"""``oauth_create_application``: credentials once on stdout, or one sentence that says what to change."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from joserfc.jwk import ECKey

from oauth_refresh import crypto
from oauth_refresh.models import Application
from tests.factories import SECRET, ApplicationFactory, GrantFactory, UserFactory

pytestmark = pytest.mark.django_db

WEB = ("--update", "--client-id", "web")


def create(*arguments):
    out = StringIO()
    call_command("oauth_create_application", *arguments, stdout=out)
    return json.loads(out.getvalue())


def test_generated_credentials_are_printed_once_and_stored_as_a_digest():
    credentials = create("Phone app")

    application = Application.objects.get()
    assert credentials.keys() == {"client_id", "client_secret"}
    assert application.client_id == credentials["client_id"]
    assert application.secret_digest == crypto.digest(credentials["client_secret"])
    assert application.name == "Phone app"


def test_public_application_has_no_secret():
    credentials = create("Phone app", "--public")

    assert credentials == {"client_id": Application.objects.get(auth_method="none", secret_digest="").client_id}


def test_every_option_reaches_its_column():
    owner = UserFactory(username="owner")

    credentials = create(
        *("Web app", "--client-id", "web", "--client-secret", "x" * 22, "--auth-method", "client_secret_post"),
        *("--grant-type", "password", "--grant-type", "refresh_token", "--scope", "notes:read PRODUCTION"),
        *("--redirect-uri", "https://a.example/cb", "--redirect-uri", "com.example.app:/cb"),
        *("--owner", "owner", "--retry-window", "0", "--no-revoke-on-reuse"),
    )

    assert credentials == {"client_id": "web", "client_secret": "x" * 22}
    application = Application.objects.get()
    assert application.auth_method == "client_secret_post"
    assert application.grant_types == "password refresh_token"
    assert application.scope == "notes:read PRODUCTION"
    assert application.redirect_uris == "https://a.example/cb\ncom.example.app:/cb"
    assert (application.owner, application.retry_window) == (owner, timedelta(0))
    assert application.revoke_on_reuse is False


@pytest.mark.parametrize(
    ("options", "stored"), [((), None), (("--revoke-on-reuse",), True), (("--no-revoke-on-reuse",), False)]
)
def test_application_follows_the_project_at_reuse_unless_it_is_told_otherwise(options, stored):
    create("Agent", *options)

    assert Application.objects.get().revoke_on_reuse is stored


def test_application_with_a_redirect_uri_is_for_the_code_grant():
    create("Phone app", "--redirect-uri", "com.example.app:/cb")

    assert Application.objects.get().grant_types == "authorization_code refresh_token"


def test_application_without_a_redirect_uri_is_not_for_the_code_grant_and_a_note_says_so():
    out, err = StringIO(), StringIO()

    call_command("oauth_create_application", "Phone app", "--public", stdout=out, stderr=err)

    assert Application.objects.get().grant_types == "refresh_token"
    assert err.getvalue() == (
        "Note: the application is registered for refresh_token only. Add --redirect-uri, so that users can sign in "
        "(authorization_code).\n"
    )
    assert json.loads(out.getvalue()).keys() == {"client_id"}


@pytest.mark.parametrize(("option", "stored"), [([], True), (["--pkce"], True), (["--no-pkce"], False)])
def test_confidential_application_may_do_without_pkce(option, stored):
    create("Old app", *option)

    assert Application.objects.get().requires_pkce is stored


def test_grant_type_that_the_server_does_not_offer_is_noted(oauth_settings):
    oauth_settings(GRANT_TYPES=["refresh_token"])
    err = StringIO()

    call_command("oauth_create_application", "App", "--grant-type", "password", stdout=StringIO(), stderr=err)

    assert err.getvalue() == "Note: GRANT_TYPES does not offer password, so the application cannot use it yet.\n"


def test_public_keys_of_a_file_are_stored(tmp_path):
    keys = {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(keys))

    credentials = create("Signer", "--auth-method", "private_key_jwt", "--jwks", str(file))

    assert credentials.keys() == {"client_id"}
    assert Application.objects.get().jwks == keys


def test_private_keys_are_refused(tmp_path):
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=True)]}))

    with pytest.raises(CommandError, match="jwks: Leave private and symmetric keys out"):
        create("Signer", "--auth-method", "private_key_jwt", "--jwks", str(file))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--client-secret", "short"], "client_secret: .* at least 22 characters", id="short secret"),
        pytest.param(["--public", "--client-secret", "x" * 22], "client_secret: .* has no secret", id="public secret"),
        pytest.param(["--public", "--auth-method", "client_secret_post"], "leave one of the two out", id="two methods"),
        pytest.param(["--public", "--grant-type", "client_credentials"], "grant_types: A public", id="public acts"),
        pytest.param(["--auth-method", "private_key_jwt"], "jwks: private_key_jwt needs", id="no keys"),
        pytest.param(["--jwks", "/nowhere/keys.json"], "cannot be read as JSON", id="no file"),
        pytest.param(["--grant-type", "implicit"], "invalid choice: 'implicit'", id="unknown grant type"),
        pytest.param(["--auth-method", "client_secret_jwt"], "invalid choice", id="unknown method"),
        pytest.param(["--scope", "notes:delete"], "scope: Unknown scope: notes:delete", id="unknown scope"),
        pytest.param(["--scope", 'a"b'], "scope: .* character", id="malformed scope"),
        pytest.param(["--redirect-uri", "http://app.example/cb"], "redirect_uris: .* loopback", id="plain http"),
        pytest.param(["--redirect-uri", "javascript:alert(1)"], "redirect_uris: .* https", id="script"),
        pytest.param(["--redirect-uri", "https://a.example/#x"], "redirect_uris: .* fragment", id="fragment"),
        pytest.param(["--owner", "nobody"], "There is no user 'nobody'", id="unknown owner"),
        pytest.param(["--client-id", "taken"], "already exists", id="taken client ID"),
        pytest.param(["--client-id", "schlüssel"], "client_id: Write visible ASCII", id="client ID not ASCII"),
        pytest.param(["--client-id", "a\x00b"], "client_id: ", id="client ID with NUL"),
        pytest.param(["--retry-window", "3600"], "retry_window: .* shorter than the lifetime", id="retry window"),
        pytest.param(
            ["--grant-type", "authorization_code"], "redirect_uris: .* needs a redirect URI", id="no redirect URI"
        ),
        pytest.param(
            ["--public", "--grant-type", "authorization_code", "--grant-type", "refresh_token"],
            "redirect_uris: .* needs a redirect URI",
            id="public without redirect URI",
        ),
        pytest.param(
            ["--grant-type", "authorization_code", "--redirect-uri", " "],
            "redirect_uris: .* needs a redirect URI",
            id="empty redirect URI",
        ),
        pytest.param(["--public", "--no-pkce"], "A public application must use PKCE", id="public without PKCE"),
        pytest.param(["--new-secret"], "--new-secret needs --update", id="new secret of a new one"),
        pytest.param(
            ["--new-secret", "--client-secret", "x" * 22], "not allowed with argument", id="two ways to a secret"
        ),
        pytest.param(["--retry-window", "soon"], "not a whole number of seconds", id="retry window in words"),
    ],
)
def test_wrong_option_is_one_sentence_and_creates_nothing(arguments, sentence):
    ApplicationFactory(client_id="taken")

    with pytest.raises(CommandError, match=sentence):
        create("App", *arguments)

    assert Application.objects.count() == 1


# --update.


OLD = "an-old-secret-of-more-than-22-characters"


@pytest.fixture
def web(db):
    """An application that has a value in every column that an option names."""
    return ApplicationFactory(
        client_id="web",
        name="Web app",
        raw_secret=SECRET,
        old_secret_digest=crypto.digest(OLD),
        old_secret_expires_at=timezone.now() + timedelta(days=1),
        grant_types="authorization_code refresh_token",
        redirect_uris="https://a.example/cb",
        scope="notes:read",
        owner=UserFactory(username="owner"),
        retry_window=timedelta(seconds=10),
        is_trusted=True,
    )


def update(*arguments):
    return create("Web app", "--client-id", "web", "--update", *arguments)


def stored_values():
    return Application.objects.values().get()


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ([], {}),
        (["--redirect-uri", "https://b.example/cb"], {"redirect_uris": "https://b.example/cb"}),
        (["--scope", "notes:write"], {"scope": "notes:write"}),
        (["--scope", ""], {"scope": ""}),
        (["--no-pkce"], {"requires_pkce": False}),
        (["--resource-server"], {"is_resource_server": True}),
        (["--auth-method", "client_secret_post"], {"auth_method": "client_secret_post"}),
        (["--retry-window", "0"], {"retry_window": timedelta(0)}),
        (["--grant-type", "refresh_token"], {"grant_types": "refresh_token"}),
        (["--public"], {"auth_method": "none"}),
    ],
    ids=str,
)
def test_update_changes_what_is_named_and_nothing_else(web, options, changed):
    before = stored_values()

    printed = update(*options)

    assert printed == {"client_id": "web"}
    assert stored_values() == before | changed


def test_resource_server_is_registered_for_its_resources(db, oauth_settings):
    oauth_settings(RESOURCES={"https://a.example": {}, "https://b.example": {}})

    create("API", "--resource-server", "--resource", "https://a.example", "--resource", "https://b.example")

    assert Application.objects.get().resource_names == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--resource-server", "--resource", "https://other.example"], "Unknown resource: https://other.example"),
        (["--resource", "https://a.example"], "Only a resource server"),
    ],
)
def test_resource_that_is_not_configured_is_refused(db, oauth_settings, options, sentence):
    oauth_settings(RESOURCES={"https://a.example": {}})

    with pytest.raises(CommandError, match=sentence):
        create("API", *options)


def test_update_changes_name_and_owner(web):
    new = UserFactory(username="new")

    create("Shop", "--client-id", "web", "--update", "--owner", "new")

    assert Application.objects.values_list("name", "owner").get() == ("Shop", new.pk)


@pytest.mark.parametrize(
    ("option", "name"), [("--no-resource-server", "is_resource_server"), ("--no-pkce", "requires_pkce")]
)
def test_update_removes_a_mark(web, option, name):
    Application.objects.update(**{name: True})

    update(option)

    assert stored_values()[name] is False


def test_new_secret_is_printed_once_and_both_old_ones_stop(web):
    printed = update("--new-secret")

    assert printed.keys() == {"client_id", "client_secret"}
    assert Application.objects.get().live_secret_digests(timezone.now()) == (crypto.digest(printed["client_secret"]),)


def test_given_secret_replaces_the_others(web):
    assert update("--client-secret", "y" * 22) == {"client_id": "web", "client_secret": "y" * 22}
    assert Application.objects.get().live_secret_digests(timezone.now()) == (crypto.digest("y" * 22),)


def test_public_application_becomes_confidential_with_a_new_secret(web):
    update("--public")

    printed = update("--auth-method", "client_secret_basic", "--new-secret")

    assert Application.objects.get().secret_digest == crypto.digest(printed["client_secret"])


def test_new_source_of_keys_replaces_the_other(web, tmp_path):
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}))
    update("--auth-method", "private_key_jwt", "--jwks-uri", "https://a.example/keys")

    update("--jwks", str(file))
    assert (Application.objects.get().jwks is None, Application.objects.get().jwks_uri) == (False, "")

    update("--jwks-uri", "https://a.example/keys")
    assert Application.objects.values_list("jwks", "jwks_uri").get() == (None, "https://a.example/keys")


def test_update_to_a_method_that_has_no_credential_is_refused_and_revokes_nothing(web):
    grant = GrantFactory(application=web)
    Application.objects.update(secret_digest="", old_secret_digest="", auth_method="none")

    with pytest.raises(CommandError, match="auth_method: The application has no secret"):
        update("--auth-method", "client_secret_basic")

    grant.refresh_from_db()
    assert grant.is_live


def test_update_does_not_validate_what_it_does_not_change(web):
    Application.objects.update(redirect_uris="", scope="notes:read gone")

    update("--retry-window", "5")

    assert stored_values()["retry_window"] == timedelta(seconds=5)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param(["--update"], "--update needs --client-id", id="no client ID"),
        pytest.param(["--update", "--client-id", "nobody"], "no application with the client ID 'nobody'", id="unknown"),
        pytest.param(["--update", "--client-id", "WEB"], "no application with the client ID 'WEB'", id="case"),
        pytest.param(["--update", "--client-id", "web\x00"], "no application", id="NUL"),
        pytest.param([*WEB, "--redirect-uri", ""], "redirect_uris: .* needs a redirect URI", id="no redirect URI"),
        pytest.param([*WEB, "--redirect-uri", "http://a.example"], "redirect_uris: .* loopback", id="plain http"),
        pytest.param([*WEB, "--public", "--no-pkce"], "A public application must use PKCE", id="public, no PKCE"),
        pytest.param([*WEB, "--public", "--new-secret"], "client_secret: .* has no secret", id="public secret"),
        pytest.param([*WEB, "--client-secret", "short"], "client_secret: .* at least 22", id="short secret"),
        pytest.param([*WEB, "--auth-method", "private_key_jwt"], "jwks: private_key_jwt needs", id="no keys"),
        pytest.param([*WEB, "--scope", "notes:delete"], "scope: Unknown scope", id="unknown scope"),
        pytest.param([*WEB, "--owner", "nobody"], "There is no user 'nobody'", id="unknown owner"),
        pytest.param([*WEB, "--retry-window", "3600"], "retry_window: .* shorter", id="retry window"),
    ],
)
def test_wrong_update_is_one_sentence_and_changes_nothing(web, arguments, sentence):
    before = stored_values()

    with pytest.raises(CommandError, match=sentence):
        create("Web app", *arguments)

    assert stored_values() == before
