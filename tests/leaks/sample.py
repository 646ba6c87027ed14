"""A row of every model, browsers and clients that use them, and all raw values that these know."""

import base64
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Model
from django.test import Client

from oauth_refresh.models import Application, Grant
from oauth_refresh.services.revocation_feed import read_feed
from tests.admin.applications import replaces_field
from tests.consent import VERIFIER, CodeFlow, start_flow
from tests.factories import (
    PASSWORD,
    SECRET,
    GrantEventFactory,
    RevocationReceiverFactory,
    TrustedIssuerFactory,
    UsedAssertionFactory,
    UserFactory,
)
from tests.jwts import EC_KEY, client_claims, grant_claims, jwks, key_application, sign
from tests.members.models import Member
from tests.oauth import OAuthClient, post_form

SALT = b"a salt of thirty-two bytes, here"


@dataclass
class Sample:
    flow: CodeFlow
    client: OAuthClient
    spent: str
    code: str
    client_assertion: str
    grant_assertion: str
    staff: Client
    raw_values: dict[str, str]
    rows: dict[type[Model], Any]
    replaces: str
    cursor: str

    @property
    def application(self) -> Application:
        return self.client.application

    def form(self, endpoint: str, **parameters: str) -> Any:
        return post_form(endpoint, parameters, authorization=self.client.authorization)


def build_sample() -> Sample:
    member = Member(username="alice")
    member.set_password(PASSWORD)
    member.is_staff = True  # the proxy model lists staff only
    member.save()
    user = member.user_ptr
    grant_types = "authorization_code client_credentials password refresh_token"
    flow = start_flow(
        user, grant_types=f"{grant_types} urn:ietf:params:oauth:grant-type:jwt-bearer", is_resource_server=True
    )
    flow.browser.raise_request_exception = False
    code = flow.code()
    client = flow.client.start(user=user)
    spent = client.refresh_token
    client.rotate()
    client.grant = Grant.objects.get(pk=client.grant.pk)
    Grant.objects.filter(pk=client.grant.pk).update(retry_slots=SALT)
    GrantEventFactory(grant=client.grant)
    UsedAssertionFactory()
    RevocationReceiverFactory()
    issuer = TrustedIssuerFactory(jwks=jwks(EC_KEY))
    boss = UserFactory(username="boss", is_staff=True, is_superuser=True)
    staff = Client(raise_request_exception=False)
    staff.force_login(boss)
    keys = bytes(client.grant.mac_key), SALT
    sample = Sample(
        flow=flow,
        client=client,
        spent=spent,
        code=code,
        client_assertion=sign(client_claims(key_application(EC_KEY, client_id="with-a-key").client_id)),
        grant_assertion=sign(grant_claims(issuer, user)),
        staff=staff,
        raw_values={},
        rows={model: row_of(model, client) for model in admin.site._registry},
        replaces=replaces_field(staff, client.application),
        cursor=read_feed(client.application, None)["cursor"],
    )
    sample.raw_values = {
        "secret": SECRET,
        "password": PASSWORD,
        "refresh token": client.refresh_token,
        "access token": client.access_token,
        "spent refresh token": spent,
        "code": code,
        "verifier": VERIFIER,
        "client assertion": sample.client_assertion,
        "grant assertion": sample.grant_assertion,
        **{f"key {n}, {form}": text for n, key in enumerate(keys) for form, text in encodings_of_bytes(key).items()},
    }
    return sample


def row_of(model: type[Model], client: OAuthClient) -> Any:
    """Return the row of a model that the requests concern."""
    own = {Grant: client.grant, Application: client.application}
    return own.get(model) or model._default_manager.order_by("pk").first()


def encodings_of_bytes(key: bytes) -> dict[str, str]:
    return {"in hexadecimal": key.hex(), "as Python": repr(key)[2:-1], "in base64": base64.b64encode(key).decode()}


@contextmanager
def rolled_back():
    """Roll back what is stored inside, where a durable transaction of ours may be the outermost one."""
    sandbox = transaction.atomic()
    sandbox._from_testcase = True
    with sandbox:
        yield
        transaction.set_rollback(True)
