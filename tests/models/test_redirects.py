"""Redirect URIs, to the character: which may be registered, and which is the same as a registered one."""

from urllib.parse import urlsplit

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from oauth_refresh.models.redirects import matches_redirect_uri, validate_redirect_uris

bounded = hypothesis_settings(derandomize=True, deadline=None, max_examples=300)

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
PORTS = st.none() | st.integers(0, 65535)
PATHS = st.text("abz09-._~/%?=&;:@", max_size=12).map("/".__add__)
HOSTS = st.sampled_from(["127.0.0.1", "[::1]"])
REGISTERED = [
    "https://app.example/callback",
    "https://app.example/callback?tenant=1",
    "com.example.app:/callback",
    "http://127.0.0.1/callback",
    "http://127.0.0.1:8000/callback",
    "http://[::1]/callback",
    "http://localhost/callback",
]


def loopback(host, port, path):
    return f"http://{host}{'' if port is None else f':{port}'}{path}"


def is_registrable(text):
    try:
        validate_redirect_uris(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("uri", REGISTERED)
def test_registered_uri_matches_itself(uri):
    assert matches_redirect_uri(uri, uri)


@bounded
@given(uri=ANY_TEXT)
def test_any_text_matches_itself(uri):
    assert matches_redirect_uri(uri, uri)


def only_the_port_differs(uri, registered):
    """Say without regular expressions whether both are one loopback address, the same but for the port."""
    for address in ("http://127.0.0.1", "http://[::1]"):
        if uri.startswith(address) and registered.startswith(address):
            requested, known = behind_port(uri.removeprefix(address)), behind_port(registered.removeprefix(address))
            return requested is not None and requested == known
    return False


def behind_port(rest):
    """Return path and query; None if what stands before them is no port."""
    if rest.startswith(":"):
        port = rest[1:].partition("/")[0].partition("?")[0]
        rest = (
            rest[1 + len(port) :]
            if port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65535
            else "no port"
        )
    return rest if not rest or rest[0] in "/?" else None


@bounded
@given(
    registered=st.sampled_from(REGISTERED),
    added=ANY_TEXT | st.from_regex("[:0-9@/.]{1,6}", fullmatch=True),
    position=st.integers(0, 40),
)
def test_uri_with_anything_put_in_is_another_unless_it_is_a_port(registered, added, position):
    uri = registered[:position] + added + registered[position:]

    assert matches_redirect_uri(uri, registered) == (uri == registered or only_the_port_differs(uri, registered))


@bounded
@given(registered=st.sampled_from(REGISTERED), position=st.integers(0, 40), character=st.characters())
def test_uri_with_a_character_replaced_is_another_unless_it_is_of_the_port(registered, position, character):
    uri = registered[:position] + character + registered[position + 1 :]

    assert matches_redirect_uri(uri, registered) == (uri == registered or only_the_port_differs(uri, registered))


@bounded
@given(
    registered=st.sampled_from(REGISTERED), port=st.integers(0, 65535).map(str) | st.text(":0123456789٣", max_size=7)
)
def test_uri_with_a_port_put_in_matches_where_the_address_is_loopback(registered, port):
    scheme, slashes, rest = registered.partition("://")
    host, slash, path = rest.partition("/")
    uri = f"{scheme}{slashes}{host.removesuffix(':8000')}:{port}{slash}{path}"

    assert matches_redirect_uri(uri, registered) == (uri == registered or only_the_port_differs(uri, registered))


@bounded
@given(host=HOSTS, path=PATHS, requested=PORTS, known=PORTS)
def test_loopback_address_matches_on_any_port(host, path, requested, known):
    assert matches_redirect_uri(loopback(host, requested, path), loopback(host, known, path))


@bounded
@given(host=HOSTS, requested=PATHS, known=PATHS, port=PORTS)
def test_loopback_address_matches_on_its_own_path_only(host, requested, known, port):
    assert matches_redirect_uri(loopback(host, port, requested), loopback(host, None, known)) == (requested == known)


@bounded
@given(path=PATHS, requested=PORTS, known=PORTS)
def test_the_two_loopback_addresses_are_not_the_same(path, requested, known):
    assert not matches_redirect_uri(loopback("127.0.0.1", requested, path), loopback("[::1]", known, path))


@bounded
@given(host=ANY_TEXT, port=PORTS)
def test_no_other_host_matches_a_loopback_address(host, port):
    uri = loopback(host, port, "/callback")

    matches = matches_redirect_uri(uri, "http://127.0.0.1/callback")

    assert matches == (urlsplit(uri).netloc.partition(":")[0] == "127.0.0.1" if host == "127.0.0.1" else False)


@pytest.mark.parametrize(
    "uri",
    [
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:123456/callback",
        "http://127.0.0.1:+80/callback",
        "http://127.0.0.1:8٣/callback",
        "http://127.0.0.1:80:80/callback",
        "http://127.0.0.1:80@evil.example/callback",
        "http://127.0.0.1:80.evil.example/callback",
        "http://127.0.0.1:80\n/callback",
        "http://127.0.0.1:80/callback\n",
        "http://127.0.0.1:80\\callback",
        "http://user@127.0.0.1/callback",
        "http://127.0.0.1#/callback",
        "https://127.0.0.1/callback",
        "HTTP://127.0.0.1:80/callback",
    ],
)
def test_what_looks_like_a_port_does_not_match(uri):
    assert not matches_redirect_uri(uri, "http://127.0.0.1/callback")


@pytest.mark.parametrize(("allowed", "uri"), [(True, "http://localhost:8000/cb"), (False, "http://localhost:8000/cb")])
def test_port_of_localhost_is_for_the_project_to_free(oauth_settings, allowed, uri):
    oauth_settings(ALLOW_LOCALHOST_PORTS=allowed)

    assert matches_redirect_uri(uri, "http://localhost/cb") is allowed


def test_localhost_is_no_address(oauth_settings):
    oauth_settings(ALLOW_LOCALHOST_PORTS=True)

    assert not matches_redirect_uri("http://localhost:8000/cb", "http://127.0.0.1/cb")


@pytest.mark.parametrize("port", ["", ":8443"])
def test_port_of_a_site_is_not_free(port):
    assert not matches_redirect_uri(f"https://app.example{port or ':443'}/cb", f"https://app.example{port}1/cb")


@pytest.mark.parametrize("text", ["", "  \n ", *REGISTERED, "\n".join(REGISTERED), "http://127.0.0.2:1/x", "a.b://c/d"])
def test_uris_that_may_be_registered(text):
    assert is_registrable(text)


@pytest.mark.parametrize(
    "uri",
    [
        "http://app.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1@evil.example/cb",
        "http://0.0.0.0/cb",
        "http://127.1/cb",
        "http://localhost.evil.example/cb",
        "http:/cb",
        "http://",
        "https://",
        "https:///cb",
        "https:cb",
        "https://[::1",
        "https://app.example/cb#",
        "https://app.example/cb#x",
        "com.example.app:/cb#x",
        "/cb",
        "//app.example/cb",
        "app.example",
        "*",
        "javascript:alert(1)",
        "data:text/html,x",
        "file:///x",
        "ftp://app.example/cb",
        "myapp:/cb",
        "urn:ietf:wg:oauth:2.0:oob",
    ],
)
def test_uri_that_may_not_be_registered(uri):
    assert not is_registrable(uri)
    assert not is_registrable(f"https://app.example/cb {uri}")


@pytest.mark.parametrize(
    "uri",
    [
        "https://app.example\\@evil.example/cb",
        "https://user@app.example/cb",
        "https://user:password@app.example/cb",
        "https://app.example:99999/cb",
        "https://[1.2.3.4]/cb",
        "https://[::::]/cb",
        "https://[12345::]/cb",
        "https://app.example/[x]",
        "https://0x7f.1/cb",
        "https://127.1/cb",
        "https://1.2.3.4.5/cb",
        "https://a..b/",
        "https://./",
        "https://-/",
        "https://app.example/" + "x" * 2000,
        "com.example.app://[/",
        "com.example.app://a]b/",
        "https://app.example/é",
        "https://äpp.example/cb",
        "https://app.example/<cb>",
        "com.example.app:/c\\b",
        "https://app.example;x/cb",
        "https://app.example:port/cb",
        "https://app.example/\x00",
        "https://app.example/\x7f",
    ],
)
def test_text_that_is_no_uri_or_could_add_to_a_policy_may_not_be_registered(uri):
    assert not is_registrable(uri)


@pytest.mark.parametrize("uri", ["cursor://anysphere.cursor-mcp/oauth/callback", "cursor:/cb", "vscode://x?y=1"])
def test_scheme_without_a_period_is_for_the_project_to_allow(oauth_settings, uri):
    assert not is_registrable(uri)

    oauth_settings(REDIRECT_SCHEMES=["cursor", "vscode"])

    assert is_registrable(uri)


@pytest.mark.parametrize("uri", ["Cursor:/cb", "cursor:cb", "cursor:", "cursor2:/cb", "cursor:/[cb]", "cursor:/cb#x"])
def test_allowed_scheme_is_compared_whole(oauth_settings, uri):
    oauth_settings(REDIRECT_SCHEMES=["cursor"])

    assert not is_registrable(uri)


@bounded
@given(text=ANY_TEXT)
def test_any_text_is_either_registrable_or_refused(text):
    assert is_registrable(text) in {True, False}


@bounded
@given(scheme=st.sampled_from(["https", "http", "com.example.app", "a.b"]), rest=ANY_TEXT)
def test_registered_uri_is_absolute_and_has_no_fragment(scheme, rest):
    uri = f"{scheme}:{rest}"

    if is_registrable(uri):
        for part in uri.split():
            assert urlsplit(part).scheme in {"https", "http"} or "." in urlsplit(part).scheme
            assert "#" not in part


def test_port_that_does_not_exist_matches_nothing():
    assert not matches_redirect_uri("http://127.0.0.1:65536/callback", "http://127.0.0.1/callback")
