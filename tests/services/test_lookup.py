"""From a text to the rows of the tokens in it: genuine ones only, and at what cost."""

from urllib.parse import quote_plus
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from oauth_refresh import crypto
from oauth_refresh.models import AccessToken, RefreshToken
from oauth_refresh.services.db import is_valid_text
from oauth_refresh.services.leaked_tokens import find_tokens_in, mentions_token, search_text
from oauth_refresh.services.lookup import find_access_token, find_refresh_token
from tests.factories import SECRET
from tests.oauth import OAuthClient

pytestmark = pytest.mark.django_db

UNKNOWN_ACCESS, UNKNOWN_REFRESH = "oat_" + "A" * 43, "ort_" + "A" * 92


def refresh_token_of(grant, *, generation, mac_key=None):
    return crypto.mint_refresh_token(
        public_id=grant.public_id, generation=generation, mac_key=mac_key or bytes(grant.mac_key), prefix="ort_"
    )


@pytest.mark.parametrize("text", ["", "text", "\N{GOAT}", "\ud7ff\ue000"])
def test_text_is_storable(text):
    assert is_valid_text(text)


@pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "a\udfffb"])
def test_text_with_nul_or_half_a_character_is_not_storable(text):
    assert not is_valid_text(text)


def test_refresh_token_is_found_by_its_digest(client_app):
    found = find_refresh_token(client_app.refresh_token)

    row = RefreshToken.objects.get()
    assert (found.grant, found.generation, found.row) == (client_app.grant, 1, row)


@pytest.mark.parametrize("generation", [1, 2])
def test_refresh_token_without_a_row_is_found_by_its_mac(client_app, generation):
    RefreshToken.objects.all().delete()

    found = find_refresh_token(refresh_token_of(client_app.grant, generation=generation))

    assert (found.grant, found.generation, found.row) == (client_app.grant, generation, None)


def test_forged_refresh_token_is_not_found(client_app):
    forged = refresh_token_of(client_app.grant, generation=1, mac_key=bytes(32))

    assert find_refresh_token(forged) is None
    assert find_tokens_in(forged) == []


def test_refresh_token_of_a_grant_that_never_was_is_not_found():
    raw = crypto.mint_refresh_token(public_id=uuid4(), generation=1, mac_key=bytes(32), prefix="ort_")

    assert find_refresh_token(raw) is None


def test_access_token_is_found_while_its_row_exists(client_app):
    assert find_access_token(client_app.access_token) == AccessToken.objects.get()


def test_access_token_without_a_row_is_not_found(client_app):
    AccessToken.objects.all().delete()

    assert find_access_token(client_app.access_token) is None


@pytest.mark.parametrize("text", ["", "nonsense", "oat_", "ort_", UNKNOWN_ACCESS[:-1], UNKNOWN_REFRESH + "A", "\x00"])
def test_malformed_text_costs_no_statement(text):
    with CaptureQueriesContext(connection) as queries:
        found = find_refresh_token(text), find_access_token(text)

    assert (found, len(queries)) == ((None, None), 0)


@pytest.mark.parametrize(
    ("text", "mentioned"),
    [
        ("", False),
        ("alice", False),
        ("oat_ ort_", False),
        ("oac_" + "A" * 43, False),
        (UNKNOWN_ACCESS[:-1], False),
        (UNKNOWN_REFRESH[:-1], False),
        (UNKNOWN_ACCESS, True),
        (UNKNOWN_REFRESH, True),
        (f"q={UNKNOWN_ACCESS}&x=y", True),
        (f"\N{GOAT}{UNKNOWN_REFRESH}\x00", True),
    ],
)
def test_mention_of_a_token_is_noticed_by_its_form(text, mentioned):
    with CaptureQueriesContext(connection) as queries:
        found = mentions_token(text)

    assert (found, len(queries)) == (mentioned, 0)


def test_tokens_are_found_in_the_order_of_the_text_the_first_of_each_grant(client_app, public_client):
    held = [public_client.access_token, client_app.refresh_token, client_app.access_token, public_client.refresh_token]

    found = find_tokens_in(",".join(held))

    assert [(type(token).__name__, token.grant) for token in found] == [
        ("AccessToken", public_client.grant),
        ("PresentedRefreshToken", client_app.grant),
    ]


@pytest.mark.parametrize("text", ["", "nonsense", UNKNOWN_ACCESS, UNKNOWN_REFRESH, "ort_" * 1000, "oat_\x00" * 1000])
def test_nothing_is_found_in_a_text_without_a_genuine_token(client_app, text):
    assert find_tokens_in(text) == []


@pytest.mark.parametrize("before", ["export_ort_", "oat_", "ort_oat_", "_", "A" * 100, quote_plus("token=")])
@pytest.mark.parametrize("after", ["", "_", "A" * 100, "ort_"])
def test_token_is_found_between_characters_that_it_could_hold(client_app, before, after):
    found = find_tokens_in(f"{before}{client_app.refresh_token}{after} {before}{client_app.access_token}{after}")

    assert [token.grant for token in found] == [client_app.grant]


@pytest.mark.parametrize(
    ("pattern", "unknown"),
    [
        ("{known}", 0),
        ("goat_oat_{known}", 0),
        ("{known} {other}", 1),
        ("{other} {known} {other}", 1),
        ("oat_oat_{other}", 1),
        ("{other}oat_{known}", 1),
    ],
)
def test_texts_of_the_form_of_a_token_are_counted_once_each(client_app, pattern, unknown):
    found = search_text(pattern.format(known=client_app.access_token, other=UNKNOWN_ACCESS))

    assert (found.found, found.unknown) == (pattern.count("{known}"), unknown)


def test_each_text_is_looked_up_once(client_app):
    with CaptureQueriesContext(connection) as queries:
        find_tokens_in(f"{client_app.access_token} " * 100)

    assert len(queries) == 1


def test_other_text_hides_no_token_and_costs_a_few_statements(client_app, public_client):
    noise = " ".join(crypto.mint_opaque_token(prefix="oat_") for _number in range(1200))
    text = f"{noise} {client_app.access_token} {public_client.refresh_token}"

    with CaptureQueriesContext(connection) as queries:
        found = find_tokens_in(text)

    assert [token.grant for token in found] == [client_app.grant, public_client.grant]
    assert len(queries) <= 6


def test_prefixes_are_those_of_the_project(oauth_settings, application, user):
    oauth_settings(ACCESS_TOKEN_PREFIX="a", REFRESH_TOKEN_PREFIX="acme_rt_")
    client = OAuthClient(application, SECRET).start(user=user)

    found = find_tokens_in(f"{client.refresh_token} {UNKNOWN_REFRESH}")

    assert [token.grant for token in found] == [client.grant]
