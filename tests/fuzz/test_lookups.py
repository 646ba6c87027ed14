"""Look-ups of any text find what is there and nothing else, and no text is an error to the database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauth_refresh.models import GrantEvent
from oauth_refresh.services.clients import find_application
from oauth_refresh.services.leaked_tokens import find_tokens_in, mentions_token
from oauth_refresh.services.lookup import find_access_token, find_refresh_token
from tests.database import database_snapshot
from tests.factories import SECRET
from tests.fuzz.texts import ANY_TEXT, bounded
from tests.oauth import OAuthClient

NOISE = (
    ANY_TEXT | st.text("ort_a-A0", max_size=60) | st.sampled_from(["ort_" + "A" * 92, "oat_" + "A" * 43, "ort_oat_"])
)


@pytest.fixture
def clients(client_app):
    """Two clients of a user; of the first, also a spent refresh token."""
    return [client_app, OAuthClient(client_app.application, SECRET).start(user=client_app.grant.user)]


@bounded(200)
@given(text=NOISE)
def test_text_that_is_no_token_finds_nothing(clients, text):
    assert find_refresh_token(text) is None
    assert find_access_token(text) is None
    assert find_tokens_in(text) == []
    assert find_application(text) is None


@bounded(200)
@given(before=NOISE, between=NOISE, after=NOISE, kinds=st.tuples(st.booleans(), st.booleans()))
def test_tokens_are_found_in_any_surrounding_text(clients, before, between, after, kinds):
    first, second = (
        client.refresh_token if is_refresh_token else client.access_token
        for client, is_refresh_token in zip(clients, kinds, strict=True)
    )
    text = f"{before}{first}{between}{second}{after}"

    assert mentions_token(text)
    assert [token.grant for token in find_tokens_in(text)] == [client.grant for client in clients]


@bounded(200)
@given(position=st.integers(0, 200), character=st.characters() | st.sampled_from("AZaz09-_\x00"), data=st.data())
def test_token_with_a_character_replaced_is_not_found(clients, position, character, data):
    raw = data.draw(st.sampled_from([clients[0].refresh_token, clients[0].access_token]))
    changed = raw[: position % len(raw)] + character + raw[position % len(raw) + 1 :]

    found = find_refresh_token(changed) or find_access_token(changed)

    assert (found is not None) == (changed == raw)


@bounded(100)
@given(text=NOISE)
def test_any_refused_token_changes_nothing(clients, text):
    before = database_snapshot()
    client = clients[0]
    form = text.encode(errors="replace").decode()

    assert client.refresh(form).status_code == 400
    assert client.revoke(form).status_code in {200, 400}

    assert database_snapshot() == before
    assert not GrantEvent.objects.exists()
