"""German, the first translation: it is complete and current, and a German browser gets it."""

import ast
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from gettext import GNUTranslations
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils.translation import override

from oauth_refresh.errors import ServerError
from tests.admin.pages import admin_url, browser, column, log_entries, messages_on, page_text, staff
from tests.consent import start_flow
from tests.factories import ApplicationFactory, GrantEventFactory, GrantFactory, RefreshTokenFactory, UserFactory
from tests.user_pages.pages import url

PACKAGE = Path(__file__).parent.parent / "oauth_refresh"
CATALOGUE = Path("locale", "de", "LC_MESSAGES", "django.po")
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[a-z]|<[^>]+>")


@dataclass(kw_only=True)
class Entry:
    """One string of a catalogue, as ``msgid``, ``msgstr[1]`` and the like name its parts."""

    flags: str = ""
    parts: dict[str, str] = field(default_factory=dict)

    @property
    def source(self) -> tuple[str | None, ...]:
        return tuple(self.parts.get(name) for name in ("msgctxt", "msgid", "msgid_plural"))

    @property
    def forms(self) -> list[str]:
        """Return what each translation is of; a language may have more than two, but German has not."""
        return [text for name, text in self.parts.items() if name in {"msgid", "msgid_plural"}]

    @property
    def translations(self) -> list[str]:
        return [text for name, text in self.parts.items() if name.startswith("msgstr")]


def entries(path: Path) -> Iterator[Entry]:
    """Read a .po file, without its header."""
    _header, *blocks = path.read_text().strip().split("\n\n")
    for block in blocks:
        entry, part = Entry(), ""
        for line in block.split("\n"):
            if line.startswith("#"):
                entry.flags += line.removeprefix("#,") if line.startswith("#,") else ""
                continue
            name, quote, text = line.partition('"')
            part = name.strip() or part
            entry.parts[part] = entry.parts.get(part, "") + ast.literal_eval(quote + text)
        yield entry


@pytest.fixture(scope="module")
def german():
    return list(entries(PACKAGE / CATALOGUE))


@pytest.fixture
def in_german(settings):
    """Use the language of the browser in the project, and return the headers of a German browser."""
    after_session = settings.MIDDLEWARE.index("django.contrib.sessions.middleware.SessionMiddleware") + 1
    middleware = list(settings.MIDDLEWARE)
    middleware.insert(after_session, "django.middleware.locale.LocaleMiddleware")
    settings.MIDDLEWARE = middleware
    with override("en"):  # the middleware leaves the language of the last request behind
        yield {"accept-language": "de-DE,de;q=0.9,en;q=0.5"}


def test_every_string_is_translated(german):
    assert len(german) > 300
    assert [entry.source for entry in german if not all(entry.translations) or "fuzzy" in entry.flags] == []


def test_strings_with_a_plural_have_two_forms(german):
    forms = {bool(entry.source[2]): set() for entry in german}
    for entry in german:
        forms[bool(entry.source[2])].add(len(entry.translations))

    assert forms == {False: {1}, True: {2}}


def test_placeholders_and_tags_are_those_of_the_source(german):
    different = [
        (source, translation)
        for entry in german
        for source, translation in zip(entry.forms, entry.translations, strict=True)
        if sorted(_PLACEHOLDER.findall(source)) != sorted(_PLACEHOLDER.findall(translation))
    ]

    assert different == []


def test_compiled_catalogue_is_the_written_one(german):
    written = {}
    for entry in german:
        context, msgid, plural = entry.source
        key = msgid if context is None else f"{context}\x04{msgid}"
        forms = {(key, number): text for number, text in enumerate(entry.translations)}
        written |= forms if plural else {key: entry.translations[0]}

    with (PACKAGE / CATALOGUE).with_suffix(".mo").open("rb") as file:
        compiled = dict(GNUTranslations(file)._catalog)

    del compiled[""]  # the header
    assert compiled == written


@pytest.mark.skipif(shutil.which("xgettext") is None, reason="needs GNU gettext, which .ci/run installs")
@pytest.mark.slow
def test_catalogue_holds_the_strings_of_the_sources(german, tmp_path, monkeypatch):
    shutil.copytree(PACKAGE, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    CATALOGUE.unlink()

    call_command("makemessages", locale=["de"], verbosity=0)

    assert {entry.source for entry in entries(CATALOGUE)} == {entry.source for entry in german}


@pytest.mark.django_db
def test_consent_page_is_german_for_a_german_browser(user, in_german):
    flow = start_flow(user)
    name = flow.client.application.name

    response = flow.browser.get(flow.url(), headers=in_german)

    assert '<html lang="de"' in response.content.decode()
    page = page_text(response)
    for words in (
        f"Darf {name} für Sie handeln?",
        "Die Anwendung darf dann",
        "Danach kehren Sie zu app.example zurück",
    ):
        assert words in page
    assert re.search(r"Zulassen\s+Ablehnen", page)


@pytest.mark.django_db
def test_consent_page_is_english_for_other_browsers(user, in_german):
    flow = start_flow(user)

    response = flow.browser.get(flow.url(), headers={"accept-language": "en"})

    assert "Allow Deny" in page_text(response)


REFUSALS = {
    "unknown application": (
        {"client_id": "nobody"},
        "Die Anwendung, die Sie hierher geschickt hat, ist unbekannt oder nicht mehr aktiv.",
    ),
    "other address": (
        {"redirect_uri": "https://evil.example/"},
        "Die Anwendung möchte Sie zu einer URL zurückschicken, die nicht für sie registriert ist.",
    ),
    "repeated parameter": (
        {"client_id": ["a", "b"]},
        "Die Anwendung, die Sie hierher geschickt hat, hat einen Parameter ihrer Anfrage wiederholt.",
    ),
    "long state": (
        {"state": "a" * 8_001},
        "Die Anfrage der Anwendung, die Sie hierher geschickt hat, ist zu lang.",
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("changes", "sentence"), REFUSALS.values(), ids=REFUSALS)
def test_refusal_is_german_on_the_page_and_english_in_the_log(user, in_german, caplog, changes, sentence):
    caplog.set_level("INFO", "oauth_refresh")
    flow = start_flow(user)

    response = flow.browser.get(flow.url(**changes), headers=in_german)

    assert f"Dieser Link funktioniert nicht {sentence}" in page_text(response)
    assert any(record.getMessage().startswith("Refused with invalid_request: The ") for record in caplog.records)


@pytest.mark.django_db
def test_plain_http_and_server_errors_are_reported_in_german(user, in_german, oauth_settings, german):
    oauth_settings(REQUIRE_HTTPS=True)

    response = browser(user).get(url("applications"), headers=in_german)

    assert "Diese Seite muss über https geöffnet werden." in page_text(response)
    assert ServerError.public_description in {entry.parts["msgid"] for entry in german}


@pytest.mark.django_db
def test_error_sent_to_the_client_stays_english(user, in_german):
    flow = start_flow(user)

    response = flow.browser.post(flow.url(), {"decision": "deny"}, headers=in_german)

    assert "error_description=The+user+refused." in response.url


@pytest.mark.django_db
def test_user_disconnects_an_application_in_german(user, in_german):
    grant = GrantFactory(user=user, application__name="Notebook")
    client = browser(user)

    page = client.get(url("applications"), headers=in_german)
    done = client.post(url("application_revoke", grant.public_id), headers=in_german, follow=True)

    assert "Verbundene Anwendungen Sie sind angemeldet als" in page_text(page)
    assert "Notebook wurde getrennt." in page_text(done)


@pytest.mark.django_db
def test_list_of_grants_is_german(in_german):
    grant = GrantFactory(revoked=True, revoked_reason="reuse_detected")

    response = browser(staff("view_grant")).get(admin_url("grant_changelist"), headers=in_german)

    assert column(response, "state") == ["widerrufen"]
    assert column(response, "last_refreshed") == ["nie erneuert"]
    assert column(response, "revocation")[0].endswith("ein verbrauchtes Refresh-Token wurde noch einmal verwendet")
    assert "Kompromittiertes Token" in page_text(response)
    assert str(grant.application) in page_text(response)


@pytest.mark.django_db
def test_timeline_keeps_the_capitals_of_a_language(in_german):
    event = GrantEventFactory(kind="retried")

    response = browser(staff("view_grant")).get(admin_url("grant_change", event.grant.pk), headers=in_german)

    assert [entry.title for entry in response.context["timeline"]] == [
        "Eine Erneuerung wurde wiederholt",
        "Erteilt",
    ]


REFUSED_TOKENS = {
    "inactive user": ({"username": "gone"}, {}, "Die Freigabe kann nicht erteilt werden: Der Benutzer ist inaktiv."),
    "inactive application": (
        {},
        {"is_active": False},
        "Die Freigabe kann nicht erteilt werden: Die Anwendung ist inaktiv.",
    ),
    "nothing asked for": ({"scope": []}, {}, "Wählen Sie eine Berechtigung: Diese Anwendung hat keine als Vorgabe."),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("changes", "fields", "sentence"), REFUSED_TOKENS.values(), ids=REFUSED_TOKENS)
def test_reason_why_no_tokens_can_be_generated_is_german(in_german, changes, fields, sentence):
    application = ApplicationFactory(**fields)
    UserFactory(username="alice")
    UserFactory(username="gone", is_active=False)
    client = browser(staff("view_application", "issue_tokens"))

    response = client.post(
        admin_url("application_tokens", application.pk),
        {"username": "alice", "scope": ["notes:read"]} | changes,
        headers=in_german,
    )

    assert response.context["form"].errors["__all__"] == [sentence]


ROWS = {
    "refreshtoken": (RefreshTokenFactory, "Refresh-Token 1 der Freigabe"),
    "grantevent": (GrantEventFactory, "(Generation 1)"),
}


@pytest.mark.django_db
@pytest.mark.parametrize(("model", "factory", "name"), [(model, *row) for model, row in ROWS.items()])
def test_rows_have_german_names_and_labels(in_german, model, factory, name):
    row = factory()

    response = browser(staff(f"view_{model}")).get(admin_url(f"{model}_change", row.pk), headers=in_german)

    assert name in page_text(response)
    assert "Freigabe:" in page_text(response)


@pytest.mark.django_db
def test_log_of_a_revocation_is_english_in_every_language(in_german):
    GrantFactory()
    client = browser(staff("view_grant", "revoke_grant"))

    response = client.post(
        admin_url("grant_revoke_list"), {"confirm": "yes", "reason": "Übung"}, headers=in_german, follow=True
    )

    assert messages_on(response) == [("success", "1 Freigabe wurde widerrufen.")]
    message = log_entries()[0][3]
    assert message.startswith("Revoked grants: 1. Reason: Übung. ")
    assert message.endswith(" Selected: all grants of the list.")
