"""No raw value is stored, logged, reported or sent where it does not belong: all flows are played, then searched."""

import base64
import logging
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.backends import ModelBackend
from django.core.management import call_command
from django.db import OperationalError, connection
from django.test import override_settings
from django.urls import reverse

from oauth_refresh.signals import refresh_token_exchanged, tokens_issued
from tests.database import MODELS, stored_texts
from tests.factories import (
    PASSWORD,
    SECRET,
    AccessTokenFactory,
    ApplicationFactory,
    AuthorizationCodeFactory,
    GrantEventFactory,
    GrantFactory,
    RefreshTokenFactory,
    RevocationReceiverFactory,
    TrustedIssuerFactory,
    UsedAssertionFactory,
    UserFactory,
)
from tests.oauth import OAuthClient, basic, post_form, raw_basic
from tests.reports import Reports, encodings
from tests.signals import connected

WRONG_SECRET = "a-wrong-secret-of-more-than-22-characters"
WRONG_PASSWORD = "a wrong password"


class BrokenBackend(ModelBackend):
    """An authentication backend with a fault, and the password in its hands."""

    def authenticate(self, request, username=None, password=None, **kwargs):
        try:
            self.compare(username, password)
        except ValueError as error:
            raise LookupError from error

    def compare(self, username, password):
        held = f"{username}:{password}"
        raise ValueError(len(held))


@dataclass
class Played:
    """What was made and seen while the flows were played."""

    raw: dict[str, str] = field(default_factory=dict)
    answers: list[tuple[str, Any]] = field(default_factory=list)
    token_answers: list[tuple[str, Any]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    reports: Reports = field(default_factory=Reports)

    def leaks(self, text: str) -> list[str]:
        """Return the names of the raw values that ``text`` holds, as they are or encoded for a form or a header."""
        return [name for name, raw in self.raw.items() if any(form in text for form in encodings(raw))]

    def take(self, flow: str, response: Any) -> Any:
        """Remember an answer, and every token in it."""
        body = response.json() if response.content else {}
        tokens = {name: value for name, value in body.items() if name in {"access_token", "refresh_token"}}
        self.raw |= {f"{name} of {flow}": value for name, value in tokens.items()}
        (self.token_answers if tokens else self.answers).append((flow, response))
        return response


def fail(**kwargs):
    raise LookupError


def failing_on(*starts):
    """Let the database fail in every statement that starts like one of these."""

    def execute_or_fail(execute, sql, params, many, context):
        if sql.startswith(starts):
            raise OperationalError("the connection is lost")
        return execute(sql, params, many, context)

    return connection.execute_wrapper(execute_or_fail)


def play_everything_that_works(played, client, username):
    credentials = {"client_id": client.application.client_id, "client_secret": SECRET}
    granted = played.take("password", client.token(grant_type="password", username=username, password=PASSWORD))
    played.take("client credentials", post_form("token", {"grant_type": "client_credentials", **credentials}))
    played.take("revocation", client.revoke(granted.json()["access_token"]))
    played.take("unknown token", client.revoke(WRONG_SECRET))
    rotated = played.take("refresh", client.refresh())
    played.take("narrowed refresh", client.refresh(rotated.json()["refresh_token"], scope="notes:read"))


def play_everything_that_is_refused(played, client, username):
    client_id = client.application.client_id
    refresh_form = {"grant_type": "refresh_token", "refresh_token": client.refresh_token}
    credentials = {"client_id": client_id, "client_secret": SECRET}
    other_client = OAuthClient(ApplicationFactory(public=True))
    played.take("wide scope", client.refresh(scope="PRODUCTION"))
    played.take("wrong password", client.token(grant_type="password", username=username, password=WRONG_PASSWORD))
    played.take("wrong secret", post_form("token", refresh_form, authorization=basic(client_id, WRONG_SECRET)))
    played.take(
        "wrong secret in body", post_form("token", {**refresh_form, **credentials, "client_secret": WRONG_SECRET})
    )
    played.take("two secrets", post_form("token", credentials, authorization=basic(client_id, WRONG_SECRET)))
    played.take("no colon", post_form("token", refresh_form, authorization=raw_basic(SECRET.encode())))
    played.take("no base64", post_form("token", refresh_form, authorization=f"Basic {SECRET}"))
    played.take("another scheme", post_form("token", refresh_form, authorization=f"Bearer {client.access_token}"))
    played.take("missing parameter", client.token(grant_type="refresh_token", password=PASSWORD))
    played.take("another client", other_client.refresh(client.refresh_token))
    played.take("revoked by another client", other_client.revoke(client.access_token))
    played.take("malformed token", client.refresh(client.refresh_token + "x"))
    played.take("another content type", post_form("token", refresh_form, content_type="text/plain"))


def play_every_fault(played, client, username):
    with connected(refresh_token_exchanged, fail):
        played.take("fault of a receiver", client.refresh())
    for statement in ("SELECT", "UPDATE", "INSERT"):
        with failing_on(statement, "WITH"):  # by which PostgreSQL updates and inserts
            played.take(f"fault in {statement}", client.refresh())
    with failing_on("UPDATE"):
        played.take("fault in UPDATE while revoking", client.revoke(client.access_token))
    with override_settings(AUTHENTICATION_BACKENDS=["tests.test_leaks.BrokenBackend"]):
        played.take("fault of a backend", client.token(grant_type="password", username=username, password=PASSWORD))
    with connected(tokens_issued, fail):
        played.take("fault of a listener", client.refresh())


def play_everything(played):
    user = UserFactory()
    client = OAuthClient(ApplicationFactory(raw_secret=SECRET), SECRET).start(user=user)
    played.raw = {
        "client secret": SECRET,
        "wrong secret": WRONG_SECRET,
        "user password": PASSWORD,
        "wrong password": WRONG_PASSWORD,
        "authorization": f"{client.application.client_id}:{SECRET}",
        "first access token": client.access_token,
        "first refresh token": client.refresh_token,
    }
    play_everything_that_is_refused(played, client, user.username)
    play_everything_that_works(played, client, user.username)
    played.take("reuse", client.refresh())
    client.start(user=user)
    played.raw |= {"second access token": client.access_token, "second refresh token": client.refresh_token}
    play_every_fault(played, client, user.username)
    played.take("reuse after a fault", client.refresh())


@pytest.fixture(scope="module")
def played(django_db_setup, django_db_blocker):
    """Play all flows once, with all logging on; return what to search for, and where."""
    played, root = Played(), logging.getLogger()
    level = root.level
    root.addHandler(played.reports)
    root.setLevel(logging.DEBUG)
    with django_db_blocker.unblock():
        try:
            play_everything(played)
            played.columns = stored_texts()
        finally:
            root.setLevel(level)
            root.removeHandler(played.reports)
            call_command("flush", interactive=False, verbosity=0)
    return played


def test_every_request_was_answered_as_expected(played):
    assert {flow: response.status_code for flow, response in played.token_answers} == dict.fromkeys(
        ["password", "client credentials", "refresh", "narrowed refresh", "fault of a listener"], 200
    )
    assert {flow: response.status_code for flow, response in played.answers} == {
        "revocation": 200,
        "unknown token": 200,
        "wide scope": 400,
        "wrong password": 400,
        "wrong secret": 401,
        "wrong secret in body": 401,
        "two secrets": 400,
        "no colon": 401,
        "no base64": 401,
        "another scheme": 401,
        "missing parameter": 400,
        "another client": 400,
        "revoked by another client": 400,
        "malformed token": 400,
        "another content type": 400,
        "reuse": 400,
        "fault of a receiver": 503,
        "fault in SELECT": 503,
        "fault in UPDATE": 503,
        "fault in UPDATE while revoking": 503,
        "fault in INSERT": 503,
        "fault of a backend": 503,
        "reuse after a fault": 400,
    }


def test_search_finds_what_there_is_to_find(played):
    (body,) = [response.content.decode() for flow, response in played.token_answers if flow == "refresh"]

    assert played.leaks(body) == ["access_token of refresh", "refresh_token of refresh"]
    assert played.leaks(basic("x", SECRET)) == []
    assert "authorization" in played.leaks(raw_basic(played.raw["authorization"].encode()))


def test_no_column_holds_a_raw_value(played):
    assert len(played.columns) > 100
    assert played.leaks("\n".join(played.columns)) == []


def test_no_log_record_holds_a_raw_value(played):
    formatter = logging.Formatter()
    texts = [f"{formatter.format(record)}\n{vars(record)!r}" for record in played.reports.records]

    assert len(texts) > 30
    assert [leaks for text in texts if (leaks := played.leaks(text))] == []


def test_no_report_to_administrators_holds_a_raw_value(played):
    mails = played.reports.mails

    assert len([mail for mail in mails if "LookupError" in mail]) > 3
    assert [leaks for mail in mails if (leaks := played.leaks(mail))] == []


def test_no_answer_but_that_to_its_owner_holds_a_raw_value(played):
    found = {
        flow: played.leaks(f"{dict(response.headers)}\n{response.content.decode()}")
        for flow, response in played.answers
    }

    assert {flow: leaks for flow, leaks in found.items() if leaks} == {}


def test_token_answer_holds_its_own_tokens_only(played):
    for flow, response in played.token_answers:
        leaks = played.leaks(f"{dict(response.headers)}\n{response.content.decode()}")

        assert leaks == [name for name in played.raw if name.endswith(f"token of {flow}")]


@pytest.fixture
def secrets_of_rows(db):
    """What the columns of secret things hold, of rows of every model."""
    grant = GrantFactory(retry_slots=b"salt" * 8, application=ApplicationFactory(old_secret_digest="0ld" * 21))
    rows = [RefreshTokenFactory(grant=grant), AccessTokenFactory(grant=grant), GrantEventFactory(grant=grant)]
    rows += [AuthorizationCodeFactory(grant=grant), UsedAssertionFactory(), RevocationReceiverFactory()]
    TrustedIssuerFactory()
    digests = [
        grant.application.secret_digest,
        grant.application.old_secret_digest,
        grant.password_fingerprint,
        *[row.digest for row in rows if hasattr(row, "digest")],
    ]
    keys = [bytes(grant.mac_key), bytes(grant.retry_slots)]
    return [*digests, *[form for key in keys for form in (key.hex(), repr(key), base64.b64encode(key).decode())]]


@pytest.mark.parametrize(
    "model", [model for model in MODELS if admin.site.is_registered(model)], ids=lambda model: model.__name__
)
@pytest.mark.parametrize("page", ["changelist", "change", "history"])
def test_page_of_the_admin_shows_no_digest_and_no_key(client, secrets_of_rows, model, page):
    client.force_login(UserFactory(is_staff=True, is_superuser=True))
    arguments = [] if page == "changelist" else [model._default_manager.get().pk]

    response = client.get(reverse(f"admin:oauth_refresh_{model._meta.model_name}_{page}", args=arguments))

    assert response.status_code == 200
    assert [secret for secret in secrets_of_rows if secret in response.content.decode()] == []
