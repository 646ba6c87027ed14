"""Tokens as texts: no character of one can be changed, and no text makes parsing raise."""

import base64
import string
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oauth_refresh import crypto

UNRESERVED = set(string.ascii_letters + string.digits + "-._~")  # RFC 3986 §2.3
BASE64URL = string.ascii_letters + string.digits + "-_"
MAC_KEY = bytes(range(32))
TOKEN = crypto.mint_refresh_token(public_id=uuid.UUID(int=7), generation=3, mac_key=MAC_KEY, prefix="ort_")
DERIVATION = {
    "raw_predecessor": TOKEN,
    "server_key": b"k" * 32,
    "salt": b"s" * 32,
    "client_id": "client",
    "scope": "notes:read",
}
PREDECESSOR = ("raw_predecessor", "server_key", "salt", "client_id")

LONE_SURROGATES = st.integers(0xD800, 0xDFFF).map(chr)
ANY_TEXT = st.lists(st.characters() | LONE_SURROGATES | st.just("\x00")).map("".join)
bounded = settings(derandomize=True, deadline=None, max_examples=300)


def is_accepted(text):
    parsed = crypto.parse_refresh_token(text, prefix="ort_")
    return parsed is not None and parsed.has_valid_mac(MAC_KEY)


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_refresh_token_is_accepted_as_it_was_generated():
    assert is_accepted(TOKEN)


@pytest.mark.parametrize("position", range(len(TOKEN)))
def test_refresh_token_with_any_one_character_replaced_is_rejected(position):
    others = set(BASE64URL) - {TOKEN[position]}

    accepted = [c for c in others if is_accepted(TOKEN[:position] + c + TOKEN[position + 1 :])]

    assert accepted == []


@bounded
@given(position=st.integers(0, len(TOKEN) - 1), character=st.characters())
def test_refresh_token_with_one_character_of_any_alphabet_is_rejected(position, character):
    changed = TOKEN[:position] + character + TOKEN[position + 1 :]

    assert is_accepted(changed) == (changed == TOKEN)


@bounded
@given(position=st.integers(0, len(TOKEN)), character=st.characters())
def test_refresh_token_with_one_character_more_is_rejected(position, character):
    assert not is_accepted(TOKEN[:position] + character + TOKEN[position:])


@bounded
@given(length=st.integers(0, len(TOKEN) - 1))
def test_refresh_token_that_was_cut_off_is_rejected(length):
    assert not is_accepted(TOKEN[:length])


@pytest.mark.parametrize("suffix", ["\n", " ", "=", "==", "\x00"])
def test_refresh_token_with_a_lenient_ending_is_rejected(suffix):
    assert crypto.parse_refresh_token(TOKEN + suffix, prefix="ort_") is None


def test_refresh_token_is_rejected_under_the_key_of_another_grant():
    parsed = crypto.parse_refresh_token(TOKEN, prefix="ort_")

    assert parsed is not None
    assert not parsed.has_valid_mac(bytes(32))


def test_refresh_token_of_another_version_is_rejected():
    raw = bytearray(decode(TOKEN.removeprefix("ort_")))
    raw[0] = 2

    assert crypto.parse_refresh_token("ort_" + base64.urlsafe_b64encode(raw).decode(), prefix="ort_") is None


@bounded
@given(text=ANY_TEXT, prefix=st.sampled_from(["", "ort_"]))
def test_parsing_never_raises_on_text(text, prefix):
    assert crypto.parse_refresh_token(prefix + text, prefix="ort_") is None


@bounded
@given(raw=st.binary(max_size=120))
def test_parsing_never_raises_on_bytes_read_as_latin_1(raw):
    assert crypto.parse_refresh_token("ort_" + raw.decode("latin-1"), prefix="ort_") is None


@bounded
@given(body=st.text(alphabet=BASE64URL, min_size=92, max_size=92))
def test_text_of_the_right_form_is_never_genuine(body):
    assert not is_accepted("ort_" + body)


@bounded
@given(
    public_id=st.uuids(),
    generation=st.integers(1, 2**31 - 1),  # what a PositiveIntegerField holds
    mac_key=st.binary(min_size=32, max_size=32),
    prefix=st.text(alphabet=string.ascii_lowercase + "_", max_size=8),
)
def test_public_id_and_generation_survive_the_round_trip(public_id, generation, mac_key, prefix):
    raw = crypto.mint_refresh_token(public_id=public_id, generation=generation, mac_key=mac_key, prefix=prefix)

    parsed = crypto.parse_refresh_token(raw, prefix=prefix)

    assert parsed is not None
    assert (parsed.public_id, parsed.generation, parsed.digest) == (public_id, generation, crypto.digest(raw))
    assert parsed.has_valid_mac(mac_key)


def test_parsed_refresh_token_shows_nothing_of_itself():
    parsed = crypto.parse_refresh_token(TOKEN, prefix="ort_")

    assert repr(parsed).startswith("<oauth_refresh.crypto.RefreshTokenText object")


@bounded
@given(secret=st.binary(min_size=32, max_size=32))
def test_access_token_is_recognised_by_its_form(secret):
    raw = crypto.mint_opaque_token(prefix="oat_", secret=secret)

    assert crypto.is_opaque_token_text(raw, prefix="oat_")
    assert not crypto.is_opaque_token_text(raw, prefix="ort_")
    assert not crypto.is_opaque_token_text(raw + "\n", prefix="oat_")


@bounded
@given(text=ANY_TEXT)
def test_recognising_an_access_token_never_raises(text):
    assert not crypto.is_opaque_token_text("oat_" + text, prefix="oat_")


@bounded
@given(raw=ANY_TEXT)
def test_digest_is_64_hexadecimal_digits(raw):
    assert len(crypto.digest(raw)) == 64
    assert set(crypto.digest(raw)) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    "mint",
    [
        crypto.generate_client_secret,
        lambda: crypto.mint_opaque_token(prefix=""),
        lambda: crypto.mint_refresh_token(public_id=uuid.uuid4(), generation=1, mac_key=MAC_KEY, prefix=""),
    ],
    ids=["client secret", "access token", "refresh token"],
)
def test_secret_has_unreserved_characters_and_at_least_256_bits(mint):
    minted = {mint() for _ in range(100)}

    assert len(minted) == 100
    assert all(set(raw) <= UNRESERVED and len(decode(raw)) >= 32 for raw in minted)


def test_keys_and_salts_have_256_bits():
    assert len(crypto.generate_mac_key()) == len(crypto.generate_salt()) == 32
    assert crypto.generate_mac_key() != crypto.generate_mac_key()
    assert crypto.generate_salt() != crypto.generate_salt()


def test_client_id_is_128_bits_in_hexadecimal_digits():
    assert len(bytes.fromhex(crypto.generate_client_id())) == 16


def derived(**change):
    """Return the secrets of both successors, the refresh token first."""
    arguments = DERIVATION | change
    return (
        crypto.derive_refresh_secret(**{name: arguments[name] for name in PREDECESSOR}),
        crypto.derive_access_secret(**arguments),
    )


def test_same_arguments_derive_the_same_successors():
    assert derived() == derived()


def test_derived_successors_are_two_different_secrets_of_256_bits():
    refresh_token, access_token = derived()

    assert refresh_token != access_token
    assert len(refresh_token) == len(access_token) == 32


def test_generated_pairs_are_secrets_of_256_bits_and_never_the_same():
    pairs = [crypto.generate_pair_secrets() for _number in range(100)]
    generated = {secret for pair in pairs for secret in (pair.refresh_token, pair.access_token)}

    assert len(generated) == 200
    assert {len(secret) for secret in generated} == {32}


@pytest.mark.parametrize(
    "change",
    [
        {"raw_predecessor": TOKEN[:-1]},
        {"server_key": b"K" * 32},
        {"salt": b"S" * 32},
        {"client_id": "clien"},
        {"client_id": "clientn", "scope": "otes:read"},  # no character may wander from one argument to the next
    ],
    ids=" and ".join,
)
def test_every_argument_changes_both_derived_successors(change):
    assert not {*derived()} & {*derived(**change)}


@pytest.mark.parametrize(
    "change",
    [
        {"scope": ""},
        {"audience": "a"},
        {"scope": "notes:rea", "audience": "d"},
        {"scope": "", "audience": "notes:read"},
    ],
    ids=" and ".join,
)
def test_scope_and_audience_change_the_access_token_alone(change):
    """So the refresh token can be derived by one who does not know what the access token was issued for."""
    refresh_token, access_token = derived()

    assert derived(**change)[0] == refresh_token
    assert derived(**change)[1] != access_token


def test_server_keys_follow_the_order_of_the_project_secrets():
    current, fallback = crypto.server_keys(["current", "fallback"])

    assert crypto.server_keys(["fallback", "current"]) == (fallback, current)
    assert current != fallback


def test_server_key_is_not_the_project_secret_and_has_256_bits():
    (key,) = crypto.server_keys(["x" * 32])

    assert key != b"x" * 32
    assert len(key) == 32


def test_server_key_is_the_same_for_text_and_bytes():
    assert crypto.server_keys(["sécret"]) == crypto.server_keys(["sécret".encode()])


@pytest.mark.parametrize(
    ("digests", "matches"),
    [
        ([crypto.digest("secret")], True),
        ([crypto.digest("other"), crypto.digest("secret")], True),
        ([crypto.digest("secret"), crypto.digest("other")], True),
        ([crypto.digest("other")], False),
        (["secret"], False),
        ([""], False),
        ([], False),
    ],
)
def test_secret_matches_if_any_digest_is_its_own(digests, matches):
    assert crypto.matches_any_digest("secret", digests) is matches
