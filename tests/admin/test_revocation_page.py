"""The page before a revocation: what is revoked, and a reason that can be stored."""

import re
from http import HTTPStatus

import pytest

from oauth_refresh.models import Grant
from tests.admin.pages import admin_url, browser, definitions, links, log_entries, page_text, plain_text, staff
from tests.admin.revocations import REASON, by_action, by_list, by_page, by_select_across, confirm
from tests.factories import ApplicationFactory, GrantFactory, UserFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def grant(db):
    return GrantFactory(user__username="alice", application__name="Notes", application__client_id="notes")


@pytest.mark.parametrize(
    ("reason", "complaint"),
    [
        ("", "This field is required."),
        ("   ", "This field is required."),
        ("\t\r\n", "This field is required."),
        ("x" * 256, "Ensure this value has at most 255 characters (it has 256)."),
        ("a\x00b", "Null characters are not allowed."),
    ],
)
@pytest.mark.parametrize("way", [by_page, by_action, by_list, by_select_across], ids=lambda way: way.__name__)
def test_reason_that_cannot_be_stored_is_refused_and_nothing_revoked(admin_browser, grant, way, reason, complaint):
    response = confirm(admin_browser, way(admin_browser, "grant", grant), reason=reason)

    assert response.status_code == HTTPStatus.OK
    assert re.findall(r'<ul class="errorlist".*?><li>(.*?)</li>', response.content.decode()) == [complaint]
    assert Grant.objects.get().revoked_at is None
    assert log_entries() == []


def test_confirmation_without_a_reason_is_refused(admin_browser, grant):
    response = admin_browser.post(admin_url("grant_revoke", grant.pk), {"confirm": "yes"})

    assert "This field is required." in page_text(response)
    assert Grant.objects.get().revoked_at is None


def test_reason_without_confirmation_only_asks(admin_browser, grant):
    response = admin_browser.post(admin_url("grant_revoke", grant.pk), {"reason": REASON})

    assert "This is revoked at once, and cannot be undone:" in page_text(response)
    assert "This field is required." not in page_text(response)
    assert Grant.objects.get().revoked_at is None


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("x" * 255, "x" * 255),
        ("é" * 255, "é" * 255),
        ("  spaces around ", "spaces around"),
        ("<b>'\"&\N{GOAT}", "<b>'\"&\N{GOAT}"),
    ],
)
def test_reason_is_stored_as_it_was_written(admin_browser, grant, written, stored):
    confirm(admin_browser, by_page(admin_browser, "grant", grant), reason=written)

    assert Grant.objects.get().revoked_reason == stored
    assert f"Reason: {stored}." in log_entries()[0][3]


def test_refused_reason_is_shown_again(admin_browser, grant):
    response = confirm(admin_browser, by_action(admin_browser, "grant", grant), reason="x" * 256)

    (box,) = re.findall(r'<input type="text" name="reason".*?>', response.content.decode())
    assert f'value="{"x" * 256}"' in box
    assert definitions(response) == {"grant": "1", "user": "1", "application": "1"}


def test_corrected_reason_revokes_what_was_selected(admin_browser, grant):
    other = GrantFactory()
    url, question = by_action(admin_browser, "grant", grant)
    refused = confirm(admin_browser, (url, question), reason="")

    confirm(admin_browser, (url, refused))

    assert list(Grant.objects.filter(revoked_at=None)) == [other]


def shares(response):
    """Return the largest shares of what is revoked: the title of each part, and its lines."""
    html = response.content.decode()
    found = re.findall(r"<section>\s*<h2>(.*?)</h2>\s*<ul>(.*?)</ul>", html, re.DOTALL)
    return {
        plain_text(title): [plain_text(line) for line in re.findall(r"<li.*?>(.*?)</li>", lines)]
        for title, lines in found
    }


def test_page_names_users_and_applications_with_their_shares(admin_browser, grant):
    GrantFactory(user=grant.user, application=ApplicationFactory(name="", client_id="mail"))
    GrantFactory(user=UserFactory(username="bob"), application=grant.application)
    GrantFactory(without_user=True, application=grant.application)

    _url, question = by_list(admin_browser, "grant", grant)
    everything = admin_browser.get(admin_url("grant_revoke_list"))

    assert shares(question) == {"Users": ["alice 1"], "Applications": ["Notes notes 1"]}
    assert shares(everything) == {"Users": ["alice 2", "bob 1"], "Applications": ["Notes notes 3", "mail 1"]}


def test_page_names_no_users_to_staff_who_may_not_view_them(grant):
    responses = [
        browser(staff("view_grant", "revoke_grant", *permissions)).get(admin_url("grant_revoke_list"))
        for permissions in ([], ["view_user"])
    ]

    assert ["Users" in shares(response) for response in responses] == [False, True]
    assert [definitions(response)["user"] for response in responses] == ["1", "1"]


def test_page_names_only_the_largest_shares(admin_browser):
    for number in range(7):
        GrantFactory.create_batch(
            7 - number,
            user=UserFactory(username=f"user-{number}"),
            application=ApplicationFactory(name=f"App {number}", client_id=f"app-{number}"),
        )

    response = admin_browser.get(admin_url("grant_revoke_list"))

    rest = "and others"
    assert definitions(response) == {"grants": "28", "users": "7", "applications": "7"}
    assert shares(response) == {
        "Users": [*[f"user-{number} {7 - number}" for number in range(5)], rest],
        "Applications": [*[f"App {number} app-{number} {7 - number}" for number in range(5)], rest],
    }


def test_page_without_users_names_none(admin_browser):
    GrantFactory(without_user=True, application__name="Cron", application__client_id="cron")

    response = admin_browser.get(admin_url("grant_revoke_list"))

    assert shares(response) == {"Applications": ["Cron cron 1"]}


@pytest.mark.parametrize(
    ("way", "sentence"),
    [
        (by_page, "Selected: application Notes ."),
        (by_list, "Everything that the list of applications shows, on all its pages."),
        (by_select_across, "Everything that the list of applications shows, on all its pages."),
    ],
)
def test_page_says_what_was_selected(admin_browser, grant, way, sentence):
    _url, question = way(admin_browser, "application", grant.application)

    assert f"{sentence} This is revoked at once, and cannot be undone:" in page_text(question)


@pytest.mark.parametrize(("count", "label"), [(1, "Revoke 1 grant"), (2, "Revoke 2 grants")])
def test_button_says_how_many_grants_are_revoked(admin_browser, count, label):
    GrantFactory.create_batch(count)

    html = admin_browser.get(admin_url("grant_revoke_list")).content.decode()

    assert f'<button type="submit" class="oauth-danger">{label}</button>' in html


def test_names_are_shown_as_text(admin_browser):
    name = "<script>alert(1)</script>"
    grant = GrantFactory(user__username=name, application__name=name, application__client_id=name)

    _url, question = by_page(admin_browser, "application", grant.application)

    assert name not in question.content.decode()
    assert shares(question) == {"Users": [f"{name} 1"], "Applications": [f"{name} 1"]}


def test_page_can_be_left(admin_browser, grant):
    pages = {
        admin_url("grant_change", grant.pk): by_page(admin_browser, "grant", grant),
        admin_url("grant_changelist"): by_action(admin_browser, "grant", grant),
        admin_url("grant_changelist", pk__in=grant.pk): by_list(admin_browser, "grant", grant),
    }

    left = {back: back in links(question) for back, (_url, question) in pages.items()}

    assert left == dict.fromkeys(pages, True)


def test_page_proposes_reasons(admin_browser, grant):
    _url, question = by_page(admin_browser, "grant", grant)

    assert re.findall(r'<option value="([\w ]+)">', question.content.decode()) == [
        "leaked token",
        "lost or stolen device",
        "security incident",
        "application compromised",
    ]


def test_page_shows_no_secret_of_the_grants(admin_browser, client_app):
    tokens = [*client_app.grant.refresh_tokens.all(), *client_app.grant.access_tokens.all()]
    grant = client_app.grant
    secrets = [client_app.refresh_token, client_app.access_token, *[token.digest for token in tokens]]
    secrets += [grant.mac_key.hex(), grant.password_fingerprint, grant.application.secret_digest]

    pages = [
        by_page(admin_browser, model, row)[1].content.decode()
        for model, row in (("grant", grant), ("application", grant.application), ("auth_user", grant.user))
    ]

    assert [secret for secret in secrets for page in pages if secret in page] == []
