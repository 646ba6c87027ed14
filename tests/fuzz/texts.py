"""Strategies for texts and bytes, usual ones and malformed ones."""

from urllib.parse import quote_plus

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

LONE_SURROGATES = st.integers(0xD800, 0xDFFF).map(chr)
ANY_TEXT = st.lists(st.characters() | LONE_SURROGATES | st.just("\x00")).map("".join)
SENDABLE_TEXT = st.text(st.characters(codec="utf-8"))  # everything that UTF-8 can encode, NUL included
HEADER_TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=80)
HEADER_TEXT.__doc__ = "What a WSGI server passes on: Latin-1 without control characters."


def bounded(examples=100):
    """Settings of a test that uses the database: the same examples each time."""
    suppressed = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(derandomize=True, deadline=None, max_examples=examples, suppress_health_check=suppressed)


def escaped(text):
    """Strategies for a form's value: encoded as it should be, or broken in one of the ways there are."""
    whole = quote_plus(text)
    return st.sampled_from(
        [whole, whole.replace("%", "%%"), whole[:-1], f"{whole}%00", f"%ED%A0%80{whole}", f"{whole}%F"]
    )


def forms(names, values):
    """Strategies for the bytes of a body: fields of these names and values, hardly ever faultless."""
    value = (SENDABLE_TEXT | st.sampled_from(values)).flatmap(escaped)
    name = st.sampled_from(names) | SENDABLE_TEXT.map(quote_plus)
    field = st.tuples(name, value).map("=".join) | name
    fields = st.lists(field, max_size=8).map("&".join).map(str.encode)
    many = st.integers(900, 1_200).map(lambda count: b"a=1&" * count)
    return fields | fields | fields | many | st.binary(max_size=60) | st.just(b"\xff\xfe" + "scope=a".encode("utf-16"))


CONTENT_TYPES = st.sampled_from(
    [
        *["application/x-www-form-urlencoded"] * 6,
        "application/x-www-form-urlencoded; charset=latin-1",
        "application/x-www-form-urlencoded; charset=utf-16",
        "application/x-www-form-urlencoded; charset=nonsense",
        "application/x-www-form-urlencoded;;=",
        "multipart/form-data",
        "multipart/form-data; boundary=x",
        "application/json",
    ]
)
