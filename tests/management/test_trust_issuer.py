"""``oauth_trust_issuer``: whom the server believes, or one sentence that says what to change."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from oauth_refresh.models import TrustedIssuer
from tests.factories import TrustedIssuerFactory
from tests.jwts import EC_KEY, RSA_KEY, jwks

ISSUER = "https://issuer.example"
ADDRESS = "https://issuer.example/keys"

pytestmark = pytest.mark.django_db


def trust(*arguments):
    out = StringIO()
    call_command("oauth_trust_issuer", *arguments, stdout=out)
    return json.loads(out.getvalue())


@pytest.fixture
def key_file(tmp_path):
    """Return a function that writes keys to a file and returns its name."""

    def write(keys):
        file = tmp_path / "keys.json"
        file.write_text(json.dumps(keys))
        return str(file)

    return write


def test_issuer_is_trusted_by_the_keys_of_a_file(key_file):
    printed = trust(ISSUER, "--jwks", key_file(jwks(EC_KEY)))

    assert printed == {"issuer": ISSUER, "is_active": True}
    issuer = TrustedIssuer.objects.get()
    assert (issuer.issuer, issuer.jwks, issuer.jwks_uri) == (ISSUER, jwks(EC_KEY), "")
    assert (issuer.algorithms, issuer.subject_field, issuer.scope) == ("RS256 ES256", "username", "")


def test_every_option_reaches_its_column():
    trust(
        *(ISSUER, "--jwks-uri", ADDRESS, "--algorithm", "RS256", "--algorithm", "Ed25519"),
        *("--subject-field", "id", "--scope", "notes:read PRODUCTION", "--no-active", "--superusers"),
    )

    issuer = TrustedIssuer.objects.get()
    assert (issuer.jwks, issuer.jwks_uri, issuer.is_active) == (None, ADDRESS, False)
    assert (issuer.algorithms, issuer.subject_field, issuer.scope) == ("RS256 Ed25519", "id", "notes:read PRODUCTION")
    assert issuer.allows_superusers


@pytest.mark.parametrize(
    ("before", "options", "after"), [(True, [], True), (True, ["--no-superusers"], False), (False, [], False)]
)
def test_issuer_may_act_for_superusers_only_if_that_is_named(before, options, after):
    TrustedIssuerFactory(issuer=ISSUER, jwks=jwks(EC_KEY), allows_superusers=before)

    trust(ISSUER, *options)

    assert TrustedIssuer.objects.get().allows_superusers is after


def test_what_is_not_given_is_kept_of_a_known_issuer():
    TrustedIssuerFactory(issuer=ISSUER, jwks=jwks(EC_KEY), algorithms="ES256", scope="notes:read", subject_field="id")

    trust(ISSUER, "--scope", "notes:write")

    issuer = TrustedIssuer.objects.get()
    assert (issuer.jwks, issuer.algorithms) == (jwks(EC_KEY), "ES256")
    assert (issuer.subject_field, issuer.scope) == ("id", "notes:write")


def test_new_source_of_keys_replaces_the_other(key_file):
    trust(ISSUER, "--jwks", key_file(jwks(EC_KEY)))

    trust(ISSUER, "--jwks-uri", ADDRESS)
    assert TrustedIssuer.objects.values_list("jwks", "jwks_uri").get() == (None, ADDRESS)

    trust(ISSUER, "--jwks", key_file(jwks(RSA_KEY)))
    assert TrustedIssuer.objects.values_list("jwks", "jwks_uri").get() == (jwks(RSA_KEY), "")


def test_issuer_is_trusted_no_longer():
    TrustedIssuerFactory(issuer=ISSUER, jwks=jwks(EC_KEY))

    assert trust(ISSUER, "--no-active") == {"issuer": ISSUER, "is_active": False}
    assert not TrustedIssuer.objects.get().is_active


def test_issuer_in_another_case_is_another_one():
    TrustedIssuerFactory(issuer=ISSUER.upper(), jwks=jwks(EC_KEY))

    with pytest.raises(CommandError, match=r"jwks: Give either|issuer: .* already exists"):
        trust(ISSUER, "--no-active")

    assert TrustedIssuer.objects.get().is_active


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        pytest.param([], "jwks: Give either the public keys or their URL", id="no keys"),
        pytest.param(["--jwks", "/nowhere/keys.json"], "cannot be read as JSON", id="no file"),
        pytest.param(["--jwks", "k", "--jwks-uri", ADDRESS], "not allowed with argument", id="two sources"),
        pytest.param(["--jwks-uri", "http://issuer.example/keys"], "jwks_uri: Write an absolute https URI", id="http"),
        pytest.param(["--jwks-uri", "https:///keys"], "jwks_uri: Write an absolute https URI", id="no host"),
        pytest.param(["--jwks-uri", "https://a:b@issuer.example"], "jwks_uri: .* without user", id="password"),
        pytest.param(["--jwks-uri", ADDRESS + "#x"], "jwks_uri: .* fragment", id="fragment"),
        pytest.param(["--jwks-uri", "https://[::1/keys"], "jwks_uri: Write an absolute", id="broken"),
        pytest.param(["--jwks-uri", ADDRESS + "x" * 500], "jwks_uri: .* at most 500", id="long"),
        pytest.param(["--jwks-uri", ADDRESS, "--algorithm", "HS256"], "invalid choice: 'HS256'", id="HS256"),
        pytest.param(["--jwks-uri", ADDRESS, "--algorithm", "none"], "invalid choice: 'none'", id="none"),
        pytest.param(["--jwks-uri", ADDRESS, "--scope", "notes:delete"], "scope: Unknown scope", id="unknown scope"),
        pytest.param(["--jwks-uri", ADDRESS, "--subject-field", "nick"], "subject_field: .* no field nick", id="field"),
        pytest.param(["--jwks-uri", ADDRESS, "--subject-field", "email"], "subject_field: .* not unique", id="email"),
    ],
)
def test_wrong_option_is_one_sentence_and_trusts_no_issuer(arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        trust(ISSUER, *arguments)

    assert not TrustedIssuer.objects.exists()


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"keys": []}, "jwks: Write a JSON Web Key Set"),
        ([], "jwks: "),
        ({"keys": [{}]}, "jwks: A key of the set cannot be read"),
        ({"keys": [EC_KEY.as_dict(private=True)]}, "jwks: Leave private and symmetric keys out"),
        ({"keys": [{"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0"}]}, "jwks: Leave private and symmetric keys out"),
    ],
    ids=["no keys", "list", "empty key", "private key", "secret"],
)
def test_wrong_keys_are_one_sentence_and_trust_no_issuer(key_file, keys, sentence):
    with pytest.raises(CommandError, match=sentence):
        trust(ISSUER, "--jwks", key_file(keys))

    assert not TrustedIssuer.objects.exists()


@pytest.mark.parametrize("name", ["", "x" * 256, "https://issuer.example\x00"], ids=["empty", "long", "NUL"])
def test_name_that_cannot_be_stored_is_one_sentence(name):
    with pytest.raises(CommandError, match="issuer: "):
        trust(name, "--jwks-uri", ADDRESS)

    assert not TrustedIssuer.objects.exists()


@pytest.mark.parametrize("member", [{"kid": "\x00"}, {"x": "A"}, {"x5c": ["\ud800"]}])
def test_key_that_no_database_or_library_takes_is_refused(key_file, member):
    with pytest.raises(CommandError, match=r"^jwks: A key of the set cannot be read\.$"):
        trust(ISSUER, "--jwks", key_file({"keys": [EC_KEY.as_dict(private=False) | member]}))

    assert not TrustedIssuer.objects.exists()
