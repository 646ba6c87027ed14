"""The client that ``docs/how-to/retry-window.md`` shows keeps its grant, with many threads at the same moment."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.docs.pages import DOCS, blocks
from tests.server import manage_all

THREADS = 10


@pytest.fixture
def store(origin, database_url, tmp_path):
    """The page's client with a first pair of unknown age."""
    commands = (
        ("createsuperuser", "--noinput", "--username", "ada", "--email", "ada@example.com"),
        ("oauth_create_application", "Phone app", "--client-id", "phone", "--public"),
        ("oauth_issue_tokens", "--application", "phone", "--user", "ada"),
    )
    printed = manage_all(*commands, database_url=database_url, DJANGO_SUPERUSER_PASSWORD="a long enough password")
    path = tmp_path / "pair.json"
    path.write_text(printed.splitlines()[-1])
    code, *_settings = blocks(DOCS / "how-to" / "retry-window.md", "python")
    names = {}
    exec(code, names)  # noqa: S102  it is our own page
    return names["TokenStore"](token_url=f"{origin}/oauth/token", client_id="phone", path=path)


def test_client_of_the_page_refreshes_once_for_many_threads(store):
    first = store.pair["access_token"]

    with ThreadPoolExecutor(THREADS) as threads:
        after_expiry = set(threads.map(lambda _: store.access_token(), range(THREADS)))
        [second] = after_expiry
        after_refusal = set(threads.map(lambda _: store.access_token(refused=second), range(THREADS)))
        [third] = after_refusal

    assert len({first, second, third}) == 3
    assert json.loads(store.path.read_text())["access_token"] == third
    assert store.access_token() == third
