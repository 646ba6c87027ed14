"""The list of grants is searched by people and applications, and by the IDs that a log holds."""

from uuid import UUID

import pytest
from django.contrib.auth.models import AbstractUser

from tests.admin.pages import address, column, told
from tests.factories import GrantFactory

pytestmark = pytest.mark.django_db

GRANT, REVOCATION = UUID("11111111-2222-4333-8444-555555555555"), UUID("66666666-7777-4888-9999-aaaaaaaaaaaa")


@pytest.fixture(autouse=True)
def grants(db):
    """Three grants, each named by its scope."""
    GrantFactory(
        scope="a",
        user__username="alice",
        user__email="alice@example.org",
        application__name="Notes for web",
        application__client_id="web-1",
        public_id=GRANT,
    )
    GrantFactory(
        scope="b",
        revoked=True,
        user__username="bob",
        user__email="bob@example.org",
        application__name="Notes for phones",
        application__client_id="phone-1",
        revocation_id=REVOCATION,
    )
    GrantFactory(
        scope="c",
        without_user=True,
        application__name="Größenänderung <b>",
        application__client_id="o'brien \\ 100%",
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "abc"),
        ("alice", "a"),
        ("ALI", "a"),
        ("alice@example.org", "a"),
        ("example.org", "ab"),
        ("notes", "ab"),
        ("phone-1", "b"),
        ("phone", "b"),
        ("-1", "ab"),
        (str(GRANT), "a"),
        (GRANT.hex, "a"),
        (str(GRANT).upper(), "a"),
        (str(REVOCATION), "b"),
        ('"Notes for"', "ab"),
        ("'for phones'", "b"),
        ('"for Notes"', ""),
        ("for Notes", "ab"),
        ("alice web-1", "a"),
        ("alice phone-1", ""),
        ("alice bob", ""),
        (f"{REVOCATION} bob", "b"),
        (f"{REVOCATION} alice", ""),
        ("Größen", "c"),
        ("o'brien", "c"),
        ("100%", "c"),
        ("%", "c"),
        ("\\", "c"),
        ("<b>", "c"),
        ("_", ""),
        ('"', ""),
        ("'", "c"),
        ('""', "abc"),
        ('"alice', ""),
        ("\N{GOAT}", ""),
        ("' OR 1=1 --", ""),
        ("ort_ oat_", ""),
        ("password_fingerprint", ""),
        ("11111111", ""),
        ("nobody", ""),
    ],
)
def test_search_finds(operator, query, found):
    response = operator.get(address("grant_changelist"), {"q": query})

    assert sorted(column(response, "granted")) == list(found)


def test_strange_query_is_shown_again_as_text(operator):
    html = operator.get(address("grant_changelist"), {"q": '"><script>'}).content.decode()

    assert 'value="&quot;&gt;&lt;script&gt;"' in html
    assert '"><script>' not in html


def test_query_that_no_column_could_hold_is_refused(operator):
    response = operator.get(address("grant_changelist"), {"q": "a\x00b"})

    assert told(response) == [("error", "Null characters are not allowed.")]


@pytest.mark.parametrize("column_of_address", ["no_such_column", "get_full_name", None])
@pytest.mark.parametrize(("query", "found"), [("alice", ["a"]), ("@", [])])
def test_search_of_a_user_model_without_an_email_address_looks_at_names(
    operator, monkeypatch, column_of_address, query, found
):
    monkeypatch.setattr(AbstractUser, "EMAIL_FIELD", column_of_address)

    response = operator.get(address("grant_changelist"), {"q": query})

    assert column(response, "granted") == found


def test_box_says_what_can_be_searched(operator):
    html = operator.get(address("grant_changelist")).content.decode()

    assert "User name, e-mail address, application, or the ID of a grant or revocation." in html
