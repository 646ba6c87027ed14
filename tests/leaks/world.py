"""A site with one of everything, whoever uses it, and all raw values that they know."""

import base64
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Model
from django.test import Client

from oauth_refresh.models import Application, Grant
from tests.admin.applications import seen
from tests.conftest import SECRET
from tests.consent import VERIFIER, CodeFlow, start_flow
from tests.factories import PASSWORD, GrantEventFactory, TrustedIssuerFactory, UsedAssertionFactory, UserFactory
from tests.jwts import EC_KEY, client_claims, grant_claims, jwks, key_application, sign
from tests.members.models import Member
from tests.oauth import OAuthClient, post_form

SALT = b"a salt of thirty-two bytes, here"


@dataclass
class World:
    flow: CodeFlow
    session: OAuthClient
    spent: str
    code: str
    client_assertion: str
    grant_assertion: str
    operator: Client
    raw_values: dict[str, str]
    rows: dict[type[Model], Any]
    replaces: str

    @property
    def application(self) -> Application:
        return self.session.application

    def form(self, endpoint: str, **parameters: str) -> Any:
        return post_form(endpoint, parameters, authorization=self.session.authorization)


def build_world() -> World:
    member = Member(username="alice")
    member.set_password(PASSWORD)
    member.is_staff = True  # for a proxy that lists nobody else
    member.save()
    user = member.user_ptr
    grant_types = "authorization_code client_credentials password refresh_token"
    flow = start_flow(user, grant_types=f"{grant_types} urn:ietf:params:oauth:grant-type:jwt-bearer")
    flow.browser.raise_request_exception = False
    code = flow.code()
    session = flow.client.start(user=user)
    spent = session.refresh_token
    session.rotate()
    session.grant = Grant.objects.get(pk=session.grant.pk)
    Grant.objects.filter(pk=session.grant.pk).update(retry_salt=SALT)
    GrantEventFactory(grant=session.grant)
    UsedAssertionFactory()
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY))
    boss = UserFactory(username="boss", is_staff=True, is_superuser=True)
    operator = Client(raise_request_exception=False)
    operator.force_login(boss)
    keys = bytes(session.grant.mac_key), SALT
    world = World(
        flow=flow,
        session=session,
        spent=spent,
        code=code,
        client_assertion=sign(client_claims(key_application(EC_KEY, client_id="with-a-key").client_id)),
        grant_assertion=sign(grant_claims(issuer, user)),
        operator=operator,
        raw_values={},
        rows={model: row_of(model, session) for model in admin.site._registry},
        replaces=seen(operator, session.application),
    )
    world.raw_values = {
        "secret": SECRET,
        "password": PASSWORD,
        "refresh token": session.refresh_token,
        "access token": session.access_token,
        "spent refresh token": spent,
        "code": code,
        "verifier": VERIFIER,
        "client assertion": world.client_assertion,
        "grant assertion": world.grant_assertion,
        **{f"key {n}, {form}": text for n, key in enumerate(keys) for form, text in forms_of_bytes(key).items()},
    }
    return world


def row_of(model: type[Model], session: OAuthClient) -> Any:
    """Return the row of a model that the requests concern."""
    own = {Grant: session.grant, Application: session.application}
    return own.get(model) or model._default_manager.order_by("pk").first()


def forms_of_bytes(key: bytes) -> dict[str, str]:
    return {"in hexadecimal": key.hex(), "as Python": repr(key)[2:-1], "in base64": base64.b64encode(key).decode()}


@contextmanager
def undone():
    """Take back whatever is stored inside; a durable transaction of ours may be the outermost one in it."""
    sandbox = transaction.atomic()
    sandbox._from_testcase = True
    with sandbox:
        yield
        transaction.set_rollback(True)
