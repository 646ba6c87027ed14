"""The requests printed by WSO2, Tyk and Oracle, sent by curl to a running server (conformance SEED-01 to SEED-14).

Only hosts and placeholders are replaced. Oracle's lines lack their continuations, so each is written on one line.
"""

import json
from collections import defaultdict
from http import HTTPStatus

import pytest

from tests.jwts import EC_KEY, OTHER_KEY, client_claims, jwks, sign
from tests.refusals import INVALID_CLIENT, INVALID_GRANT
from tests.server import curl, manage_all

WSO2_ID, WSO2_SECRET = "IZsIi6HDbB5e8VKdZAnUi_fZ3f8a", "Gm0bJ6oWV8fC5OQLLlC6jslACW8a"
WSO2_BASIC = "Basic SVpzSWk2SERiQjVlOFZLZFpBblVpX2ZaM2Y4YTpHbTBiSjZvV1Y4ZkM1T1FMTGxDNmpzbEFDVzhh"
TYK_ID, TYK_SECRET = "ed59158fa2344e94b3e6278e8ab85142", "MGQ3NzE2MGQtYTUyZC00ZTVlLWJjMTItMjE2MTM1MmE3N2M1"
TYK_BASIC = (
    "Basic ZWQ1OTE1OGZhMjM0NGU5NGIzZTYyNzhlOGFiODUxNDI6TUdRM056RTJNR1F0WVRVeVpDMDBaVFZsTFdKak1USXRNakUyTVRNMU1tRTNOMk0x"
)
ORACLE_ID, ORACLE_SECRET = "oracle-web", "oracle-secret-oracle-secret"
PUBLIC_ID = "oracle-public"
SIGNER_ID = "oracle-signer"
PARTNER = "https://partner.example"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPE = "PRODUCTION notes:read"
SESSIONS = 20  # more than the tests of one application use
FORM = "application/x-www-form-urlencoded"

PAIR_MEMBERS = {"access_token", "token_type", "expires_in", "refresh_token", "refresh_token_expires_in", "scope"}


class Site:
    """The running example project with the vendors' applications and one user."""

    def __init__(self, origin, fresh_pairs, folder):
        self.origin, self.fresh_pairs, self.folder = origin, fresh_pairs, folder

    def curl(self, line, **replacements):
        """Send a printed line: its host becomes this server, each placeholder its replacement."""
        hosts = ("https://gateway.api.cloud.wso2.com", "https://tyk.cloud.tyk.io", "https://<domainURL>")
        for host in hosts:
            line = line.replace(host, self.origin)
        for placeholder, value in replacements.items():
            line = line.replace(f"<{placeholder.replace('_', '-')}>", value)
        return curl(line, folder=self.folder)

    def pair(self, client_id):
        """Return the pair of a new grant of the application for the user."""
        return self.fresh_pairs[client_id].pop()


@pytest.fixture(scope="module")
def key_file(tmp_path_factory):
    """Write the public key of the application that signs, and of the issuer that is trusted, to a file."""
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    file.write_text(json.dumps(jwks(EC_KEY)))
    return str(file)


MAKE_USER = (
    "from django.contrib.auth.models import User; User.objects.create_user('eve', password='a long enough password')"
)


@pytest.fixture(scope="module")
def applications(origin, database_url, key_file):
    """Register the vendors' applications, an issuer and a user, by commands."""
    create = ("oauth_create_application", "--grant-type", "refresh_token", "--grant-type", "password")
    signer = (*create, "Oracle, signing")
    others = ("--grant-type", "password", "--grant-type", "client_credentials", "--grant-type", JWT_BEARER)
    every_grant_type = ("oauth_create_application", "--grant-type", "refresh_token", *others)
    commands = (
        (*create, "WSO2", "--client-id", WSO2_ID, "--client-secret", WSO2_SECRET),
        (*create, "Tyk", "--client-id", TYK_ID, "--client-secret", TYK_SECRET),
        (*create, "Oracle", "--client-id", ORACLE_ID, "--client-secret", ORACLE_SECRET),
        (*create, "Oracle, public", "--client-id", PUBLIC_ID, "--public"),
        (*signer, "--client-id", SIGNER_ID, "--auth-method", "private_key_jwt", "--jwks", key_file),
        (*signer, "--client-id", "other", "--auth-method", "private_key_jwt", "--jwks", key_file),
        (*every_grant_type, "Every grant type", "--client-id", "every", "--client-secret", ORACLE_SECRET),
        ("oauth_create_application", "No refresh", "--client-id", "none", "--client-secret", ORACLE_SECRET, *others),
        ("oauth_trust_issuer", PARTNER, "--jwks", key_file),
        ("shell", "--verbosity", "0", "--command", MAKE_USER),
    )
    manage_all(*commands, database_url=database_url)


@pytest.fixture(scope="module")
def fresh_pairs(applications, database_url):
    """Sessions of each application for the user, each to be used by one test: started together, as that is cheaper."""
    starts = [
        ("oauth_issue_tokens", "--application", client_id, "--user", "eve", "--scope", SCOPE, "--count", str(SESSIONS))
        for client_id in (WSO2_ID, TYK_ID, ORACLE_ID, SIGNER_ID, PUBLIC_ID)
    ]
    pairs = defaultdict(list)
    for line in manage_all(*starts, database_url=database_url).splitlines():
        pair = json.loads(line)
        pairs[pair["client_id"]].append(pair)
    return pairs


@pytest.fixture
def site(origin, fresh_pairs, tmp_path):
    return Site(origin, fresh_pairs, tmp_path)


WSO2_REFRESH = (
    'curl -k -d "grant_type=refresh_token&refresh_token=<retoken>" '
    f'-H "Authorization: {WSO2_BASIC}" -H "Content-Type: {FORM}" https://gateway.api.cloud.wso2.com/token'
)
WSO2_REVOKE = (
    'curl -k -d "token=<access-token-to-be-revoked>" '
    f'-H "Authorization: {WSO2_BASIC}" https://gateway.api.cloud.wso2.com/revoke'
)


def assert_new_pair(answer, *, old, scope):
    assert answer.status == HTTPStatus.OK, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert "no-store" in answer.headers["cache-control"]
    body = answer.json
    assert body.keys() == PAIR_MEMBERS
    assert (body["token_type"], body["expires_in"], body["scope"]) == ("Bearer", 3600, scope)
    assert body["access_token"] != old["access_token"]
    assert body["refresh_token"] != old["refresh_token"]


def assert_client_refused(answer):
    assert (answer.status, answer.json) == INVALID_CLIENT
    assert answer.headers["www-authenticate"].startswith("Basic ")


def test_seed_01_wso2_refresh_gives_a_new_pair_and_the_previous_token_becomes_inactive(site):
    old = site.pair(WSO2_ID)

    answer = site.curl(WSO2_REFRESH, retoken=old["refresh_token"])

    assert_new_pair(answer, old=old, scope=SCOPE)
    assert site.curl(WSO2_REFRESH, retoken=old["refresh_token"]).json == INVALID_GRANT[1]


def test_seed_01_placeholder_pasted_unchanged_is_an_invalid_grant(site):
    answer = site.curl(WSO2_REFRESH)

    assert (answer.status, answer.json) == INVALID_GRANT


def test_seed_02_wso2_revoke_with_placeholder_credentials_revokes_nothing(site):
    pair = site.pair(WSO2_ID)
    placeholder = WSO2_REVOKE.replace(WSO2_BASIC, "Basic Base64Encoded(Consumer-key:consumer-secret)")

    answer = site.curl(placeholder, access_token_to_be_revoked=pair["access_token"])

    assert_client_refused(answer)
    assert site.curl(WSO2_REFRESH, retoken=pair["refresh_token"]).status == HTTPStatus.OK


def test_seed_03_wso2_header_with_a_misplaced_quote_is_refused_and_consumes_nothing(site):
    pair = site.pair(WSO2_ID)
    misquoted = (
        'curl -k -d "grant_type=refresh_token&refresh_token=<retoken>&scope=PRODUCTION" '
        f'-H "Authorization: {WSO2_BASIC}, Content-Type: {FORM}" https://gateway.api.cloud.wso2.com/token'
    )

    answer = site.curl(misquoted, retoken=pair["refresh_token"])

    assert_client_refused(answer)
    assert site.curl(WSO2_REFRESH, retoken=pair["refresh_token"]).status == HTTPStatus.OK


def test_seed_04_wso2_scope_narrows_the_access_token_and_the_refresh_token_keeps_it_whole(site):
    old = site.pair(WSO2_ID)
    narrowing = WSO2_REFRESH.replace("<retoken>", "<retoken>&scope=PRODUCTION")

    narrowed = site.curl(narrowing, retoken=old["refresh_token"])

    assert_new_pair(narrowed, old=old, scope="PRODUCTION")
    whole_again = site.curl(WSO2_REFRESH, retoken=narrowed.json["refresh_token"])
    assert_new_pair(whole_again, old=narrowed.json, scope=SCOPE)


@pytest.mark.parametrize("scope", ["SANDBOX", "production"])
def test_seed_04_wso2_scope_that_was_not_granted_is_refused_and_consumes_nothing(site, scope):
    pair = site.pair(WSO2_ID)

    answer = site.curl(WSO2_REFRESH.replace("<retoken>", f"<retoken>&scope={scope}"), retoken=pair["refresh_token"])

    assert (answer.status, answer.json["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_scope")
    assert site.curl(WSO2_REFRESH, retoken=pair["refresh_token"]).status == HTTPStatus.OK


def test_seed_05_wso2_revoke_with_a_placeholder_that_holds_spaces_is_refused(site):
    placeholder = WSO2_REVOKE.replace(WSO2_BASIC, "Basic Base64Encoded(Consumer key:consumer secret)")

    assert_client_refused(site.curl(placeholder))


def test_seed_06_wso2_refresh_without_scope_has_the_original_scope(site):
    old = site.pair(WSO2_ID)

    assert_new_pair(site.curl(WSO2_REFRESH, retoken=old["refresh_token"]), old=old, scope=SCOPE)


def test_seed_06_wso2_header_without_a_space_after_basic_is_refused(site):
    squeezed = WSO2_REFRESH.replace("Basic ", "Basic")

    assert_client_refused(site.curl(squeezed))


def test_seed_07_wso2_revoke_ends_the_grant_at_once(site):
    pair = site.pair(WSO2_ID)

    answer = site.curl(WSO2_REVOKE, access_token_to_be_revoked=pair["access_token"])

    assert (answer.status, answer.text) == (HTTPStatus.OK, "{}")
    assert site.curl(WSO2_REFRESH, retoken=pair["refresh_token"]).json == INVALID_GRANT[1]


def test_seed_07_wso2_revoke_of_an_unknown_token_succeeds(site):
    assert site.curl(WSO2_REVOKE).status == HTTPStatus.OK


TYK_REFRESH = (
    "curl -X POST https://tyk.cloud.tyk.io/oauth-api/oauth/token/ "
    f"-H 'Authorization: {TYK_BASIC}' -H 'Content-Type: {FORM}' "
    f"-d 'grant_type=refresh_token&client_id={TYK_ID}&client_secret={TYK_SECRET}&refresh_token=<retoken>'"
)


@pytest.mark.parametrize("path", ["/oauth-api/oauth/token/", "/oauth-api/oauth/token"])
def test_seed_08_tyk_sends_its_credentials_twice_with_and_without_slash(site, path):
    old = site.pair(TYK_ID)
    line = TYK_REFRESH.replace("/oauth-api/oauth/token/", path)

    answer = site.curl(line, retoken=old["refresh_token"])

    assert_new_pair(answer, old=old, scope=SCOPE)


def test_seed_08_tyk_credentials_that_differ_are_an_invalid_request(site):
    pair = site.pair(TYK_ID)

    answer = site.curl(TYK_REFRESH.replace(TYK_SECRET, "another"), retoken=pair["refresh_token"])

    assert (answer.status, answer.json["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_request")
    assert site.curl(TYK_REFRESH, retoken=pair["refresh_token"]).status == HTTPStatus.OK


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(TYK_REFRESH.replace(f"&client_id={TYK_ID}&client_secret={TYK_SECRET}", ""), id="header"),
        pytest.param(TYK_REFRESH.replace(f"-H 'Authorization: {TYK_BASIC}' ", ""), id="body"),
        pytest.param(TYK_REFRESH.replace(f"&client_secret={TYK_SECRET}", ""), id="header-and-client-id"),
    ],
)
def test_seed_09_tyk_credentials_in_one_place_suffice(site, variant):
    old = site.pair(TYK_ID)

    assert_new_pair(site.curl(variant, retoken=old["refresh_token"]), old=old, scope=SCOPE)


def test_seed_10_tyk_refresh_token_is_single_use_and_its_reuse_ends_the_family(site):
    old = site.pair(TYK_ID)
    new = site.curl(TYK_REFRESH, retoken=old["refresh_token"]).json

    answer = site.curl(TYK_REFRESH, retoken=old["refresh_token"])

    assert (answer.status, answer.json) == INVALID_GRANT
    assert site.curl(TYK_REFRESH, retoken=new["refresh_token"]).json == INVALID_GRANT[1]


ORACLE_REFRESH = (
    "curl -i -H 'Authorization: Basic b3JhY2xlLXdlYjpvcmFjbGUtc2VjcmV0LW9yYWNsZS1zZWNyZXQ=' "
    f"-H 'Content-Type: {FORM};charset=UTF-8' --request POST https://<domainURL>/oauth2/v1/token "
    "-d 'grant_type=refresh_token&refresh_token=<refresh-token>&scope=<optional scope value>'"
)


@pytest.mark.parametrize(("sent", "granted"), [("notes:read", "notes:read"), ("", SCOPE)])
def test_seed_11_oracle_names_a_charset_and_an_optional_scope(site, sent, granted):
    old = site.pair(ORACLE_ID)
    line = ORACLE_REFRESH.replace("<optional scope value>", sent).replace("curl -i", "curl")

    assert_new_pair(site.curl(line, refresh_token=old["refresh_token"]), old=old, scope=granted)


def test_seed_11_oracle_placeholder_scope_pasted_unchanged_is_refused(site):
    pair = site.pair(ORACLE_ID)
    line = ORACLE_REFRESH.replace("curl -i", "curl")

    answer = site.curl(line, refresh_token=pair["refresh_token"])

    assert (answer.status, answer.json["error"]) == (HTTPStatus.BAD_REQUEST, "invalid_scope")


ORACLE_ASSERTION_REFRESH = (
    f"curl -H 'Content-Type: {FORM};charset=UTF-8' --request POST https://<domainURL>/oauth2/v1/token "
    "-d 'grant_type=refresh_token&refresh_token=<refresh-token-value>&client_id=<client-id>"
    "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"
    "&client_assertion=<client-assertion>&scope=<optional scope value>'"
)


def signed_by(site, client_id=SIGNER_ID, key=EC_KEY, **changes):
    """Sign what a client says of itself; the issuer of the served project is its origin."""
    return sign(client_claims(client_id, **{"aud": site.origin, **changes}), key)


def refresh_by_assertion(site, pair, assertion, *, client_id=SIGNER_ID, scope=""):
    line = ORACLE_ASSERTION_REFRESH.replace("<optional scope value>", scope)
    return site.curl(line, refresh_token_value=pair["refresh_token"], client_id=client_id, client_assertion=assertion)


@pytest.mark.parametrize(("sent", "granted"), [("notes:read", "notes:read"), ("", SCOPE)])
def test_seed_12_oracle_application_proves_itself_by_a_signed_assertion(site, sent, granted):
    old = site.pair(SIGNER_ID)

    answer = refresh_by_assertion(site, old, signed_by(site), scope=sent)

    assert_new_pair(answer, old=old, scope=granted)


def test_seed_12_oracle_assertion_is_single_use_and_its_repetition_consumes_nothing(site):
    old, assertion = site.pair(SIGNER_ID), signed_by(site)
    new = refresh_by_assertion(site, old, assertion).json

    assert_client_refused(refresh_by_assertion(site, new, assertion))
    assert refresh_by_assertion(site, new, signed_by(site)).status == HTTPStatus.OK


INVALID_ASSERTIONS = {
    "another key": lambda site: signed_by(site, key=OTHER_KEY),
    "expired": lambda site: signed_by(site, exp=1_000_000_000),
    "another audience": lambda site: signed_by(site, aud="https://identity.oraclecloud.com/"),
    "another subject": lambda site: signed_by(site, "other"),
    "placeholder": lambda site: "<client-assertion>",
}


@pytest.mark.parametrize("make", INVALID_ASSERTIONS.values(), ids=INVALID_ASSERTIONS)
def test_seed_12_oracle_assertion_that_is_invalid_is_refused_and_consumes_nothing(site, make):
    pair = site.pair(SIGNER_ID)

    assert_client_refused(refresh_by_assertion(site, pair, make(site)))
    assert refresh_by_assertion(site, pair, signed_by(site)).status == HTTPStatus.OK


def test_seed_12_oracle_assertion_of_another_application_does_not_open_the_grant(site):
    pair = site.pair(SIGNER_ID)

    answer = refresh_by_assertion(site, pair, signed_by(site, "other"), client_id="other")

    assert (answer.status, answer.json) == INVALID_GRANT
    assert refresh_by_assertion(site, pair, signed_by(site)).status == HTTPStatus.OK


ORACLE_PUBLIC_REFRESH = (
    f"curl -H 'Content-Type: {FORM};charset=UTF-8' --request POST https://<domainURL>/oauth2/v1/token "
    "-d 'grant_type=refresh_token&refresh_token=<refresh-token-value>&client_id=<client-id-value>'"
)


def test_seed_13_oracle_public_application_only_names_itself(site):
    old = site.pair(PUBLIC_ID)

    answer = site.curl(ORACLE_PUBLIC_REFRESH, refresh_token_value=old["refresh_token"], client_id_value=PUBLIC_ID)

    assert_new_pair(answer, old=old, scope=SCOPE)


def test_seed_13_oracle_confidential_application_must_authenticate(site):
    pair = site.pair(ORACLE_ID)

    answer = site.curl(ORACLE_PUBLIC_REFRESH, refresh_token_value=pair["refresh_token"], client_id_value=ORACLE_ID)

    assert_client_refused(answer)


GRANTS = {
    "password": lambda site: "grant_type=password&username=eve&password=a+long+enough+password",
    "assertion": lambda site: f"grant_type={JWT_BEARER}&assertion={signed_by(site, PARTNER, sub='eve')}",
    "client credentials": lambda site: "grant_type=client_credentials",
}


def ask_for_tokens(site, client_id, grant):
    form = f"{GRANTS[grant](site)}&client_id={client_id}&client_secret={ORACLE_SECRET}"
    return site.curl(f"curl --request POST https://<domainURL>/oauth2/v1/token -d '{form}'")


@pytest.mark.parametrize("grant", ["password", "assertion"])
def test_seed_14_oracle_refresh_token_comes_with_the_grant_types_that_support_it(site, grant):
    answer = ask_for_tokens(site, "every", grant)

    assert (answer.status, answer.json.keys()) == (HTTPStatus.OK, PAIR_MEMBERS)


def test_seed_14_oracle_client_credentials_yield_no_refresh_token(site):
    answer = ask_for_tokens(site, "every", "client credentials")

    assert answer.status == HTTPStatus.OK
    assert "refresh_token" not in answer.json


@pytest.mark.parametrize("grant", GRANTS)
def test_seed_14_oracle_application_without_the_refresh_grant_gets_no_refresh_token(site, grant):
    answer = ask_for_tokens(site, "none", grant)

    assert answer.status == HTTPStatus.OK
    assert "refresh_token" not in answer.json
