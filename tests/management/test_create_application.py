"""``oauth_create_application``: credentials once on stdout, or one sentence that says what to change."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from joserfc.jwk import ECKey

from oauth_refresh import crypto
from oauth_refresh.models import Application
from tests.factories import ApplicationFactory, UserFactory

pytestmark = pytest.mark.django_db


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
    assert (application.name, application.grant_types) == ("Phone app", "authorization_code refresh_token")


def test_public_application_has_no_secret():
    credentials = create("Phone app", "--public")

    assert credentials == {"client_id": Application.objects.get(auth_method="none", secret_digest="").client_id}


def test_every_option_reaches_its_column():
    owner = UserFactory(username="owner")

    credentials = create(
        *("Web app", "--client-id", "web", "--client-secret", "x" * 22, "--auth-method", "client_secret_post"),
        *("--grant-type", "password", "--grant-type", "refresh_token", "--scope", "notes:read PRODUCTION"),
        *("--redirect-uri", "https://a.example/cb", "--redirect-uri", "com.example.app:/cb"),
        *("--owner", "owner", "--retry-window", "0"),
    )

    assert credentials == {"client_id": "web", "client_secret": "x" * 22}
    application = Application.objects.get()
    assert application.auth_method == "client_secret_post"
    assert application.grant_types == "password refresh_token"
    assert application.scope == "notes:read PRODUCTION"
    assert application.redirect_uris == "https://a.example/cb\ncom.example.app:/cb"
    assert (application.owner, application.retry_window) == (owner, timedelta(0))


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
        pytest.param(["--retry-window", "soon"], "not a whole number of seconds", id="retry window in words"),
    ],
)
def test_wrong_option_is_one_sentence_and_creates_nothing(arguments, sentence):
    ApplicationFactory(client_id="taken")

    with pytest.raises(CommandError, match=sentence):
        create("App", *arguments)

    assert Application.objects.count() == 1
