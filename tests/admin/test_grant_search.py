"""The list of grants is searched by user and application, and by the IDs that a log holds."""

from urllib.parse import urlencode
from uuid import UUID

import pytest
from django.contrib.auth.models import AbstractUser

from oauth_refresh.models import Grant
from tests.admin.pages import admin_url, column
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
        ("Größen", "c"),
        ("o'brien", "c"),
        ("100%", "c"),
        ("%", "c"),
        ("\\", "c"),
        ("<b>", "c"),
        ("_", ""),
        ('""', ""),
        ("alice '", ""),
        ('"', ""),
        (f"{GRANT} alice", "a"),
        ('"alice', ""),
        ("\N{GOAT}", ""),
        ("' OR 1=1 --", ""),
        ("ort_ oat_", ""),
        ("password_fingerprint", ""),
        ("11111111", ""),
        ("nobody", ""),
    ],
)
def test_search_finds(admin_browser, query, found):
    response = admin_browser.get(admin_url("grant_changelist"), {"q": query})

    assert sorted(column(response, "scope")) == list(found)


def test_strange_query_is_shown_again_as_text(admin_browser):
    html = admin_browser.get(admin_url("grant_changelist"), {"q": '"><script>'}).content.decode()

    assert 'value="&quot;&gt;&lt;script&gt;"' in html
    assert '"><script>' not in html


@pytest.mark.parametrize("column_of_address", ["no_such_column", "get_full_name", None])
@pytest.mark.parametrize(("query", "found"), [("alice", ["a"]), ("@", [])])
def test_search_of_a_user_model_without_an_email_address_looks_at_names(
    admin_browser, monkeypatch, column_of_address, query, found
):
    monkeypatch.setattr(AbstractUser, "EMAIL_FIELD", column_of_address)

    response = admin_browser.get(admin_url("grant_changelist"), {"q": query})

    assert column(response, "scope") == found


def test_box_says_what_can_be_searched(admin_browser):
    html = admin_browser.get(admin_url("grant_changelist")).content.decode()

    assert "User name, e-mail address, application, address or network, or the ID of a grant or revocation." in html


@pytest.mark.parametrize("model", ["grant", "refreshtoken", "accesstoken", "application"])
@pytest.mark.parametrize("quote", ['"', "'", '""', "alice '"])
def test_search_for_a_quote_alone_lets_nothing_be_revoked(admin_browser, model, quote):
    url = f"{admin_url(f'{model}_revoke_list')}?{urlencode({'q': quote})}"
    before = list(Grant.objects.values())

    admin_browser.post(url, {"reason": "by mistake", "confirm": "1"})

    assert list(Grant.objects.values()) == before
