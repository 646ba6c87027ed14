"""Names that others chose: from right to left, with emoji, and with the characters that turn the direction of text.

A name changes nothing but itself: the words beside it keep their order, and it cannot look like another one.
"""

import json
import re
from http import HTTPStatus

import pytest
from django.db.models import Q
from django.utils import timezone

from oauth_refresh.admin.display import isolated
from oauth_refresh.models import GrantEvent
from oauth_refresh.services import revoke_grants
from tests.admin.pages import admin_url, column
from tests.factories import (
    SECRET,
    AccessTokenFactory,
    ApplicationFactory,
    GrantEventFactory,
    GrantFactory,
    RefreshTokenFactory,
    UserFactory,
)
from tests.oauth import OAuthClient, basic, post_form
from tests.user_pages.pages import list_page, signed_in

pytestmark = pytest.mark.django_db

OVERRIDE, ISOLATE_END = "\u202e", "\u2069"
CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
USER, APPLICATION = f"محمد {ISOLATE_END}{OVERRIDE}🦊 gpj", f"צילום {OVERRIDE}gnp.exe 📷"
SHOWN_USER, SHOWN_APPLICATION = "محمد 🦊 gpj", "צילום gnp.exe 📷"
PROGRAM = f"Fuchs/1 {OVERRIDE}🦊 " + "x" * 300


@pytest.fixture
def grant():
    """A grant with odd names everywhere, with an alarm, and another active grant of the same user and application."""
    user = UserFactory(username=USER)
    application = ApplicationFactory(name=APPLICATION, client_id=f"קוד{OVERRIDE}x")
    grant, _other = GrantFactory.create_batch(
        2, user=user, application=application, user_agent=PROGRAM[:255], address="192.0.2.1", generation=2
    )
    RefreshTokenFactory(grant=grant, generation=1, address="192.0.2.1", user_agent=PROGRAM[:255])
    AccessTokenFactory(grant=grant, generation=1)
    GrantEventFactory(
        grant=grant,
        kind=GrantEvent.Kind.REUSED,
        at=timezone.now(),
        same_caller=False,
        address="198.51.100.7",
        user_agent=PROGRAM[:255],
    )
    return grant


def html_of(client, url):
    response = client.get(url)
    assert response.status_code == HTTPStatus.OK
    return response.content.decode()


@pytest.mark.parametrize("name", ["grant", "refreshtoken", "accesstoken", "grantevent"])
def test_names_of_a_list_are_isolated(admin_browser, grant, name):
    html = html_of(admin_browser, admin_url(f"{name}_changelist"))

    cells = html.partition('id="result_list"')[2].partition("</table>")[0]
    assert f"<bdi>{SHOWN_USER}</bdi>" in cells
    assert f"<bdi>{SHOWN_APPLICATION}</bdi>" in cells
    assert not set(CONTROLS) & set(cells)


def test_names_of_the_overview_are_isolated(admin_browser, grant):
    html = html_of(admin_browser, admin_url("overview_changelist"))

    alarms = re.search(r'<section [^>]*aria-labelledby="oauth-alarms">(.*?)</section>', html, re.DOTALL)[1]
    assert f"<bdi>{SHOWN_APPLICATION}</bdi>, <bdi>{SHOWN_USER}</bdi>" in alarms
    assert not set(CONTROLS) & set(alarms)
    largest = html.partition('id="oauth-largest"')[2]
    assert f"<bdi>{USER}</bdi>" in largest


def test_sentences_about_a_grant_isolate_the_names_in_them(admin_browser, grant):
    html = html_of(admin_browser, admin_url("grant_change", grant.pk))

    user, application = f"\u2068{SHOWN_USER}\u2069", f"\u2068{SHOWN_APPLICATION}\u2069"
    assert f"<h1>{application} for {user}</h1>" in html
    assert f"{user} has 1 other active grant" in html
    assert f"{application} has 1 other active grant" in html


def test_page_that_asks_before_revoking_isolates_the_names(admin_browser, grant):
    html = html_of(admin_browser, admin_url("grant_revoke_user", grant.pk))

    assert f"All grants of \u2068{SHOWN_USER}\u2069." in html
    assert f"<bdi>{APPLICATION}</bdi>" in html
    page_of_user = html_of(admin_browser, admin_url("auth_user_revoke", grant.user_id))
    assert f"Selected: user <strong>\u2068{SHOWN_USER}\u2069</strong>." in page_of_user


def test_list_of_one_user_isolates_the_name_in_its_title(admin_browser, grant):
    html = html_of(admin_browser, admin_url("grant_changelist", user=grant.user_id))

    assert f"<h1>Grants of \u2068{SHOWN_USER}\u2069</h1>" in html


def test_reason_with_odd_characters_is_isolated(admin_browser, superuser, grant):
    revoke_grants(Q(pk=grant.pk), reason=f"سرقة {OVERRIDE}12", by=superuser)

    assert (
        "\u2068سرقة 12\u2069, by boss"
        in column(admin_browser.get(admin_url("grant_changelist", state="revoked")), "revocation")[0]
    )


def test_export_holds_the_names_as_they_are(admin_browser, grant):
    response = admin_browser.get(admin_url("grantevent_export_json"))

    text = b"".join(response.streaming_content).decode()
    assert text.isascii()  # no terminal, editor or ticket is turned by a file of escapes
    (row,) = json.loads(text)["rows"]
    assert (row["user"], row["user_agent"]) == (USER, PROGRAM[:255])


def test_long_program_opens_on_demand(admin_browser, grant):
    cells = column(admin_browser.get(admin_url("grantevent_changelist")), "origin")

    assert cells == [f"198.51.100.7 Fuchs {PROGRAM[:255].replace(OVERRIDE, '')}"]


def test_program_of_400_characters_is_kept_as_far_as_there_is_room(application, user, admin_browser):
    client = OAuthClient(application, SECRET).start(user=user)
    form = {"grant_type": "refresh_token", "refresh_token": client.refresh_token}
    headers = {"User-Agent": "Fuchs/1 (" + "x" * 391}

    post_form("token", form, authorization=basic(application.client_id, SECRET), headers=headers)

    shown = column(admin_browser.get(admin_url("refreshtoken_changelist")), "origin")
    assert f"127.0.0.1 Fuchs Fuchs/1 ({'x' * 246}" in shown


def test_pages_for_users_isolate_the_names(grant):
    response = list_page(signed_in(grant.user))

    assert f"<bdi>{APPLICATION}</bdi>" in response.content.decode()


@pytest.mark.parametrize(
    ("name", "text"),
    {
        "": "",
        "alice": "alice",
        "Zoë 🦊 …": "Zoë 🦊 …",
        "a\u202eb": "ab",
        "محمد": "\u2068محمد\u2069",
        "x\u2069 123 \u0661": "\u2068x 123 \u0661\u2069",
    }.items(),
)
def test_only_a_name_that_could_turn_a_sentence_is_isolated(name, text):
    assert isolated(name) == text
