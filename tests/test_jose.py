"""JWTs: every text is read or refused, and only a signature by a registered key is accepted."""

import base64
import hmac
import json
import sys
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey

from oauth_refresh import jose
from oauth_refresh.jose import UnreadableJWT, has_key_for, is_signed_by, parse_jwt
from tests.jwts import EC_KEY, ED_KEY, OTHER_KEY, RSA_KEY, assemble, jwks, public, segment, sign

CLAIMS = {"iss": "client", "jti": "1"}
KEYS = jwks(EC_KEY, RSA_KEY, ED_KEY)
EC_KEY_384, EC_KEY_521 = ECKey.generate_key("P-384"), ECKey.generate_key("P-521")

LONE_SURROGATES = st.integers(0xD800, 0xDFFF).map(chr)
ANY_TEXT = st.lists(st.characters() | LONE_SURROGATES | st.just("\x00")).map("".join)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda values: st.lists(values, max_size=3) | st.dictionaries(ANY_TEXT, values, max_size=3),
    max_leaves=5,
)
HEADER_MEMBERS = st.sampled_from(["alg", "kid", "typ", "cty", "jku", "jwk", "x5u", "x5c", "x5t", "crit", "b64", "zip"])
CPU_SECONDS = 0.05

bounded = settings(derandomize=True, deadline=None, max_examples=300)


def why_unreadable(text):
    """Return why the text is refused unread; None if it is read."""
    try:
        parse_jwt(text)
    except UnreadableJWT as error:
        return str(error)
    return None


def verifies(text, keys=KEYS, **limits):
    return is_signed_by(parse_jwt(text), keys, **limits)


# What is read.


def test_signed_jwt_is_read_as_it_was_written():
    text = sign(CLAIMS, EC_KEY, kid="1")

    token = parse_jwt(text)

    assert (token.text, token.algorithm) == (text, "ES256")
    assert token.header == {"alg": "ES256", "typ": "JWT", "kid": "1"}
    assert token.claims == CLAIMS


def test_jwt_shows_nothing_of_itself():
    assert repr(parse_jwt(sign(CLAIMS))).startswith("<oauth_refresh.jose.SignedJWT object")


NO_FORM = "it is not a signed JWT in compact serialization"
NO_JSON = "a part of it is not base64url of JSON"
NO_OBJECT = "a part of it is not a JSON object"
NO_ALGORITHM = "its header names no algorithm"
EXTENSION = "its header asks for an extension"
GOOD = sign(CLAIMS)
HEADER = {"alg": "ES256"}
UNREADABLE = {
    "empty": ("", NO_FORM),
    "word": ("nonsense", NO_FORM),
    "dots": ("..", NO_FORM),
    "two parts": (GOOD.rpartition(".")[0], NO_FORM),
    "four parts": (GOOD + ".AAAA", NO_FORM),
    "five parts, as a JWE has": (f"{segment({'alg': 'dir', 'enc': 'A256GCM'})}..AAAA.AAAA.AAAA", NO_FORM),
    "JSON serialization": (
        json.dumps(dict(zip(("protected", "payload", "signature"), GOOD.split("."), strict=True))),
        NO_FORM,
    ),
    "no signature": (GOOD.rpartition(".")[0] + ".", NO_FORM),
    "no claims": (f"{segment(HEADER)}..AAAA", NO_FORM),
    "padding": (GOOD + "=", NO_FORM),
    "line break at the end": (GOOD + "\n", NO_FORM),
    "space at the start": (" " + GOOD, NO_FORM),
    "alphabet of plain base64": (GOOD[:-2] + "+/", NO_FORM),
    "letter outside ASCII": (GOOD[:-1] + "\u00e9", NO_FORM),
    "NUL": (GOOD + "\x00", NO_FORM),
    "100 kB": (sign({"padding": "x" * 100_000}), "it is too long"),
    "100 kB of dots": ("." * 100_000, "it is too long"),
    "claims are no JSON": (assemble(HEADER, b"iss"), NO_JSON),
    "claims are half a JSON": (assemble(HEADER, b'{"iss": '), NO_JSON),
    "claims are no UTF-8": (assemble(HEADER, b'{"iss": "\xff"}'), NO_JSON),
    "claims of a length no base64 has": (f"{segment(HEADER)}.AAAAA.AAAA", NO_JSON),
    "claims with something behind": (assemble(HEADER, b"{}{}"), NO_JSON),
    "member twice": (assemble(HEADER, b'{"iss": "a", "iss": "b"}'), NO_JSON),
    "member twice, once escaped": (assemble(HEADER, b'{"iss": "a", "\\u0069ss": "b"}'), NO_JSON),
    "member twice, deep inside": (assemble(HEADER, b'{"a": [{"b": {"c": 1, "c": 1}}]}'), NO_JSON),
    "algorithm twice": (assemble(b'{"alg": "ES256", "alg": "none"}', {}), NO_JSON),
    "NaN": (assemble(HEADER, b'{"exp": NaN}'), NO_JSON),
    "Infinity": (assemble(HEADER, b'{"exp": Infinity}'), NO_JSON),
    "-Infinity": (assemble(HEADER, b'{"exp": -Infinity}'), NO_JSON),
    "integer of many digits": (assemble(HEADER, b'{"exp": ' + b"9" * 9000 + b"}"), NO_JSON),
    "claims are a list": (assemble(HEADER, []), NO_OBJECT),
    "claims are text": (assemble(HEADER, "{}"), NO_OBJECT),
    "claims are a JWT": (assemble(HEADER, GOOD), NO_OBJECT),
    "claims are null": (assemble(HEADER, None), NO_OBJECT),
    "header is a list": (assemble(["alg", "ES256"], {}), NO_OBJECT),
    "no algorithm": (assemble({}, {}), NO_ALGORITHM),
    "algorithm is null": (assemble({"alg": None}, {}), NO_ALGORITHM),
    "algorithm is a list": (assemble({"alg": ["ES256"]}, {}), NO_ALGORITHM),
    "crit": (assemble({**HEADER, "crit": ["exp"], "exp": 1}, {}), EXTENSION),
    "empty crit": (assemble({**HEADER, "crit": []}, {}), EXTENSION),
    "crit of null": (assemble({**HEADER, "crit": None}, {}), EXTENSION),
    "b64": (assemble({**HEADER, "b64": False}, {}), EXTENSION),
    "true b64": (assemble({**HEADER, "b64": True}, {}), EXTENSION),
}


@pytest.mark.parametrize(("text", "reason"), UNREADABLE.values(), ids=UNREADABLE)
def test_text_is_unreadable(text, reason):
    assert why_unreadable(text) == reason


@pytest.mark.parametrize(
    "text",
    [assemble(HEADER, b"[" * 6000 + b"]" * 6000), assemble(b'{"alg":' * 1500 + b"0" + b"}" * 1500, {})],
    ids=["claims", "header"],
)
def test_text_nested_deep_is_unreadable(text):
    assert why_unreadable(text) in {NO_JSON, NO_OBJECT, NO_ALGORITHM}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_json_in_another_encoding_than_utf_8_is_unreadable(encoding):
    assert why_unreadable(assemble(HEADER, '{"iss": "client"}'.encode(encoding))) == NO_JSON


def test_jwt_may_be_as_long_as_the_limit_and_not_a_character_longer():
    start = assemble(HEADER, CLAIMS, b"")
    longest = start + "A" * (jose.MAXIMUM_LENGTH - len(start))

    assert why_unreadable(longest) is None
    assert why_unreadable(longest + "A") == "it is too long"


@bounded
@given(ANY_TEXT)
def test_any_text_is_a_jwt_or_unreadable(text):
    why_unreadable(text)


@bounded
@given(header=JSON_VALUES | st.binary(), claims=JSON_VALUES | st.binary(), signature=st.binary(min_size=1))
def test_any_three_parts_are_a_jwt_or_unreadable(header, claims, signature):
    why_unreadable(assemble(header, claims, signature))


@bounded
@given(st.text('{}[]",:\\u0e-1.9tfn \n', max_size=60))
def test_anything_like_json_is_a_jwt_or_unreadable(text):
    why_unreadable(assemble(HEADER, text.encode()))


@bounded
@given(position=st.integers(0, len(GOOD) - 1), character=st.sampled_from("Aa0_-.=+\x00\u00e9"))
def test_jwt_with_one_character_changed_is_not_accepted(position, character):
    changed = GOOD[:position] + character + GOOD[position + 1 :]

    assert (why_unreadable(changed) is None and verifies(changed)) == (changed == GOOD)


@bounded
@given(st.dictionaries(HEADER_MEMBERS, JSON_VALUES, max_size=4))
def test_any_header_is_accepted_or_refused(members):
    text = assemble({"alg": "ES256", **members}, CLAIMS, b"s" * 64)

    assert why_unreadable(text) is not None or not verifies(text, {"keys": [public(EC_KEY, kid="1")]})


@bounded
@given(
    st.sampled_from(sorted(public(RSA_KEY) | public(EC_KEY) | {"use": 0, "alg": 0, "kid": 0, "key_ops": 0, "d": 0})),
    JSON_VALUES,
)
def test_any_fetched_key_is_used_or_passed_over(member, value):
    keys = {"keys": [public(key, **{member: value}) for key in (EC_KEY, RSA_KEY, ED_KEY)] + [value]}

    for header in ({"alg": "ES256"}, {"alg": "RS256"}, {"alg": "Ed25519", "kid": "1"}):
        assert not verifies(assemble(header, CLAIMS, b"s" * 64), keys)


def test_header_nested_as_deep_as_can_be_read_is_refused():
    outcomes = set()
    for depth in range(50, sys.getrecursionlimit()):
        text = assemble(b'{"alg": "ES256", "deep": ' + b"[" * depth + b"]" * depth + b"}", CLAIMS, b"s" * 64)
        outcomes.add("unreadable" if why_unreadable(text) else verifies(text))

    assert False in outcomes
    assert outcomes <= {"unreadable", False}


# Which signatures are accepted.


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        *[(name, RSA_KEY) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")],
        ("ES256", EC_KEY),
        ("ES384", EC_KEY_384),
        ("ES512", EC_KEY_521),
        ("Ed25519", ED_KEY),
    ],
)
def test_signature_of_a_registered_key_is_accepted(algorithm, key):
    signed = sign(CLAIMS, key, alg=algorithm)

    assert algorithm in jose.ALGORITHMS
    assert verifies(signed, jwks(key))
    assert not verifies(signed, {"keys": []})
    assert not verifies(signed, jwks(key), algorithms=[name for name in jose.ALGORITHMS if name != algorithm])


@pytest.mark.parametrize("keys", [{}, {"keys": []}, {"keys": [None, 1, "key", []]}], ids=repr)
def test_nothing_is_accepted_without_keys(keys):
    assert not verifies(GOOD, keys)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", "", "es256", "ES256 ", "RS1", "EdDSA", "dir"])
@pytest.mark.parametrize("signature", [b"\x00", b"s" * 64])
def test_algorithm_that_is_not_ours_is_not_accepted(algorithm, signature):
    assert not verifies(assemble({"alg": algorithm}, CLAIMS, signature), KEYS, algorithms=[algorithm])


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize(
    "secret",
    [RSA_KEY.as_pem(private=False), RSA_KEY.as_der(private=False), json.dumps(public(RSA_KEY)).encode()],
    ids=["PEM", "DER", "JWK"],
)
def test_public_key_is_no_secret(algorithm, secret):
    signing_input = assemble({"alg": algorithm}, CLAIMS).rpartition(".")[0]
    mac = segment(hmac.digest(secret, signing_input.encode(), f"sha{algorithm[2:]}"))
    symmetric = {"kty": "oct", "k": segment(secret)}

    forged = f"{signing_input}.{mac}"

    assert not verifies(forged, {"keys": [*KEYS["keys"], symmetric]})
    assert not verifies(forged, {"keys": [symmetric]}, algorithms=[algorithm])


def test_symmetric_key_in_a_set_is_not_used():
    secret = OctKey.generate_key(256)

    assert not verifies(sign(CLAIMS, secret, alg="HS256"), {"keys": [secret.as_dict()]}, algorithms=["HS256"])


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(EC_KEY, "RS256"), (RSA_KEY, "ES256"), (EC_KEY, "ES384"), (RSA_KEY, "PS256"), (EC_KEY, "Ed25519")],
)
def test_signature_under_another_algorithm_is_not_accepted(key, algorithm):
    genuine = sign(CLAIMS, key)
    relabelled = segment({"alg": algorithm, "typ": "JWT"}) + genuine[genuine.index(".") :]

    assert not verifies(relabelled)


@pytest.mark.parametrize("signature", [bytes(64), bytes(63) + b"\x01", b"\xff" * 64, bytes(63), bytes(65), bytes(1)])
def test_signature_of_zeros_and_other_numbers_is_not_accepted(signature):
    assert not verifies(assemble({"alg": "ES256"}, CLAIMS, signature))


def test_signature_in_der_is_not_accepted():
    # RFC 7518 §3.4: two numbers of fixed length, so that there is one text for one signature.
    raw = base64.urlsafe_b64decode(GOOD.rpartition(".")[2] + "==")
    r, s = (raw[:32].lstrip(b"\x00"), raw[32:].lstrip(b"\x00"))
    numbers = b"".join(bytes([2, len(n) + (n[0] >> 7)]) + b"\x00" * (n[0] >> 7) + n for n in (r, s))

    assert not verifies(f"{GOOD.rpartition('.')[0]}.{segment(bytes([0x30, len(numbers)]) + numbers)}")


def test_rsa_key_of_1024_bits_is_not_accepted():
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505  that is the point
    signing_input = assemble({"alg": "RS256"}, CLAIMS).rpartition(".")[0]
    signature = weak.sign(signing_input.encode(), PKCS1v15(), SHA256())
    modulus = weak.public_key().public_numbers().n.to_bytes(128, "big")
    keys = {"keys": [{"kty": "RSA", "e": "AQAB", "n": segment(modulus)}]}

    assert not verifies(f"{signing_input}.{segment(signature)}", keys)


@pytest.mark.parametrize("foreign", ["X25519", "Ed448", "X448"])
def test_curve_of_another_purpose_is_not_accepted(foreign):
    key = OKPKey.generate_key(foreign)

    assert not verifies(assemble({"alg": "Ed25519"}, CLAIMS, b"s" * 64), {"keys": [public(key)]})


# Which key is tried.


KEY_IDS = [
    # kid of the header, kid of the key, whether the key is tried
    (None, None, True),
    (None, "1", True),
    ("1", None, True),
    ("1", "1", True),
    ("1", "2", False),
    ("1", "1 ", False),
    ("", "1", False),
    ("a", "A", False),
]


@pytest.mark.parametrize(("named", "registered", "is_tried"), KEY_IDS)
def test_key_is_tried_by_its_id(named, registered, is_tried):
    header = {} if named is None else {"kid": named}
    keys = {"keys": [public(EC_KEY, **({} if registered is None else {"kid": registered}))]}
    token = parse_jwt(sign(CLAIMS, EC_KEY, **header))

    assert has_key_for(token, keys) == is_tried
    assert is_signed_by(token, keys) == is_tried


@pytest.mark.parametrize("named", [1, True, None, [], {}, ["1"]], ids=repr)
@pytest.mark.parametrize("registered", ["1", 1, [], {}], ids=repr)
def test_key_id_that_is_no_text_names_no_key(named, registered):
    token = parse_jwt(assemble({"alg": "ES256", "kid": named}, CLAIMS, b"s" * 64))

    assert not is_signed_by(token, {"keys": [public(EC_KEY, kid=registered)]})


def test_right_key_is_found_among_others_without_an_id():
    assert verifies(GOOD, jwks(OTHER_KEY, RSA_KEY, EC_KEY))


def test_key_of_the_same_id_but_another_type_is_passed_over():
    keys = {"keys": [public(RSA_KEY, kid="1"), public(EC_KEY, kid="1")]}

    assert verifies(sign(CLAIMS, EC_KEY, kid="1"), keys)


@pytest.mark.parametrize(
    "key", [{}, {"kty": "EC"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, None, "key", 1]
)
def test_broken_key_is_passed_over(key):
    assert verifies(GOOD, {"keys": [key, public(EC_KEY)]})


@pytest.mark.parametrize(
    ("members", "is_believed"),
    [
        ({"use": "sig"}, True),
        ({"use": "enc"}, False),
        ({"use": None}, False),
        ({"use": ["sig"]}, False),
        ({"key_ops": ["verify"]}, True),
        ({"key_ops": ["encrypt"]}, False),
        ({"alg": "ES256"}, True),
        ({"alg": "ES384"}, False),
    ],
)
def test_key_is_used_for_what_it_is_meant(members, is_believed):
    assert verifies(GOOD, {"keys": [public(EC_KEY, **members)]}) == is_believed


@pytest.mark.parametrize(("others", "is_believed"), [(9, True), (10, False), (1000, False)])
def test_ten_keys_are_tried_and_no_more(others, is_believed):
    assert verifies(GOOD, jwks(*[OTHER_KEY] * others, EC_KEY)) == is_believed


def test_keys_of_other_kinds_do_not_count_as_tried():
    assert verifies(GOOD, jwks(*[RSA_KEY] * 50, EC_KEY))
    assert verifies(
        sign(CLAIMS, EC_KEY, kid="mine"), {"keys": [public(OTHER_KEY, kid="x")] * 99 + [public(EC_KEY, kid="mine")]}
    )


BROUGHT_ALONG = {
    "jwk": public(OTHER_KEY),
    "jku": "https://attacker.example/keys",
    "x5u": "https://attacker.example/certificate",
    "x5c": ["MIIB"],
    "x5t": "AAAA",
}


@pytest.mark.parametrize("member", BROUGHT_ALONG)
def test_key_that_the_header_brings_along_is_not_used(member):
    header = {member: BROUGHT_ALONG[member]}

    assert not verifies(sign(CLAIMS, OTHER_KEY, **header), jwks(EC_KEY))
    assert verifies(sign(CLAIMS, EC_KEY, **header), jwks(EC_KEY))
    assert not has_key_for(parse_jwt(sign(CLAIMS, OTHER_KEY, **header)), {"keys": []})


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"a": 1, "a": 2}', b'{"a": {"b": 1, "b": 1}}', b"[NaN]", b"\xff", b"9" * 9000]
)
def test_json_that_is_malformed_or_ambiguous_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011  of several kinds
        jose.read_json(text)


def test_json_is_read():
    assert jose.read_json(b'{"keys": [{"kty": "EC"}]}') == {"keys": [{"kty": "EC"}]}


def test_key_of_the_very_name_is_tried_before_those_without_a_name():
    token = parse_jwt(sign(CLAIMS, EC_KEY, kid="mine"))

    assert is_signed_by(token, {"keys": [*[public(OTHER_KEY)] * 20, public(EC_KEY, kid="mine")]})


# Keys of others are bounded before anything is computed with them.

N = public(RSA_KEY)["n"]
HOSTILE_KEYS = {
    "private without primes": {"kty": "RSA", "n": "A" * 1366, "e": "AQAB", "d": "B" * 1366},
    "modulus of 32 KB": {"kty": "RSA", "n": "f" * 32_768, "e": "AQAB"},
    "modulus of 8,193 bits": {
        "kty": "RSA",
        "n": base64.urlsafe_b64encode(b"\x01" + bytes(1024)).decode().strip("="),
        "e": "AQAB",
    },
    "modulus of 1,024 bits": {"kty": "RSA", "n": "f" * 171, "e": "AQAB"},
    "exponent of 65 bits": {
        "kty": "RSA",
        "n": N,
        "e": base64.urlsafe_b64encode(b"\x01" + bytes(8)).decode().strip("="),
    },
    "exponent of the modulus' length": {"kty": "RSA", "n": N, "e": N},
    "exponent 1": {"kty": "RSA", "n": N, "e": "AQ"},
    "number with padding": {"kty": "RSA", "n": N, "e": "AQAB=="},
    "number with a character too many": {"kty": "RSA", "n": N, "e": "AQABA"},
    "number that is a list": {"kty": "RSA", "n": [N], "e": "AQAB"},
    "curve of another name": {"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"},
    "curve that is a list": {"kty": "EC", "crv": ["P-256"], "x": "AA", "y": "AA"},
    "coordinate of 64 KB": {"kty": "EC", "crv": "P-256", "x": "A" * 65_536, "y": "AA"},
    "private point": {**public(EC_KEY), "d": "AA"},
    "symmetric": {"kty": "oct", "k": "A" * 65_536},
    "type that is a list": {"kty": ["RSA"]},
    "key of a thousand operations": {**public(EC_KEY), "key_ops": ["verify"] * 1000},
    "name of 64 KB": {**public(EC_KEY), "kid": "k" * 65_536},
    "no object": ["RSA"],
}


@pytest.mark.parametrize("hostile", HOSTILE_KEYS.values(), ids=HOSTILE_KEYS)
def test_hostile_key_is_not_imported_and_costs_next_to_nothing(hostile):
    token = parse_jwt(sign(CLAIMS, RSA_KEY))
    begun = time.process_time()

    assert not is_signed_by(token, {"keys": [hostile] * 100})

    assert time.process_time() - begun < CPU_SECONDS
    with pytest.raises(jose.UnusableKey):
        jose.public_key(hostile)


def test_largest_keys_that_are_allowed_cost_little():
    token = parse_jwt(sign(CLAIMS, RSA_KEY))
    largest = {"kty": "RSA", "n": "_" * 1365 + "8", "e": "_" * 10 + "8"}
    is_signed_by(token, {"keys": [largest]})  # imports what it needs
    begun = time.process_time()

    assert not is_signed_by(token, {"keys": [largest] * 100})

    assert time.process_time() - begun < CPU_SECONDS


def nested(levels):
    return [nested(levels - 1)] if levels else []


PLAIN = [None, 1, "keys", "\U0001f511", {"keys": [public(EC_KEY, x5c=["MIIB"])]}, nested(10)]
ODD = [float("inf"), float("nan"), {"\x00": 1}, ["\ud800"], nested(11), nested(900)]


@pytest.mark.parametrize(
    ("value", "is_plain"), [*((value, True) for value in PLAIN), *((value, False) for value in ODD)]
)
def test_json_that_a_database_may_refuse_is_not_plain(value, is_plain):
    assert jose.is_plain_json(value) is is_plain


def test_key_that_cannot_be_decoded_leaves_the_others_of_its_set():
    broken = {"kty": "RSA", "n": N, "e": "AQABA"}

    assert jose.public_keys({"keys": [broken, public(EC_KEY)]}) == [public(EC_KEY)]


@pytest.mark.parametrize("hostile", [None, [], "keys", {"keys": {}}, {"keys": [{}] * 101}])
def test_what_is_no_key_set_holds_no_key(hostile):
    assert not verifies(GOOD, hostile)
    with pytest.raises(jose.UnusableKey):
        jose.public_keys(hostile)


def test_key_is_reduced_to_its_public_members():
    key = public(EC_KEY, kid="1", x5c=["MIIB"], x5u="https://attacker.example", nested={"deep": []})

    assert jose.public_key(key) == {name: key[name] for name in ("kty", "kid", "crv", "x", "y")}
