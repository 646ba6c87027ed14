"""No report, log record, answer, row, session or signal holds a raw value, whatever fails and where."""

import dataclasses
import logging
import os
from contextlib import ExitStack, contextmanager, nullcontext
from http import HTTPStatus

import pytest
from django.apps import apps
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Model
from django.test import TestCase

from tests.leaks.failures import OURS, SIGNALS, Reached, failures, recording_hooks, statements
from tests.leaks.requests import REFUSED, SHOWING, our_views, requests_of
from tests.leaks.sample import build_sample, encodings_of_bytes, rolled_back
from tests.reports import Reports, encodings, raw_values_in
from tests.signals import connected

ENDPOINTS = (
    *(f"oauth_refresh:{name}" for name in ("token", "revoke", "introspect", "revocations", "verify")),
    *("oauth_metadata", "oauth_resource_metadata", "openid_configuration"),
)
"""They answer in JSON only."""

MISCONFIGURED = {"without_scopes": HTTPStatus.INTERNAL_SERVER_ERROR}
"""A view that names no required scopes, which is an error of the project."""


class Records(logging.Handler):
    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(f"{logging.Formatter().format(record)}\n{vars(record)!r}")


@dataclasses.dataclass
class Seen:
    """Everything that one request caused to be reported, sent, stored and answered."""

    response: object
    reports: str
    arguments: str
    stored: str
    digests: set[str]
    new_keys: list[str]

    def leaks(self, sample, *, is_shown):
        """Return the name or the text of each raw value that is where it must not be."""
        answer = "" if is_shown else f"{dict(self.response.headers)}\n{self.response.content.decode()}"
        keys = {name: raw for name, raw in sample.raw_values.items() if name.startswith("key ")}
        public = f"{self.reports}\n{answer}"
        everywhere = f"{public}\n{self.arguments}\n{self.stored}"
        return [
            *(name for name, raw in sample.raw_values.items() if name not in keys and is_in(everywhere, raw)),
            *(name for name, raw in keys.items() if is_in(public, raw)),
            *raw_values_in(everywhere, self.digests),
            *(key for key in self.new_keys if key in public),
        ]


def is_in(text, raw):
    return any(form in text for form in encodings(raw))


def attributes_of(value):
    """Return the arguments of a signal, with every attribute of their rows and dataclasses."""
    if dataclasses.is_dataclass(value):
        return {field.name: attributes_of(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: attributes_of(part) for name, part in value.items()}
    return vars(value) if isinstance(value, Model) else value


def stored():
    """Return every row of the project, with sessions as they are read."""
    rows = [row for model in apps.get_models() for row in model._default_manager.values_list()]
    return f"{rows!r}\n{[session.get_decoded() for session in Session.objects.all()]!r}"


@contextmanager
def everything_recorded():
    """Yield the log records, and the mails that a project's administrators get, with all logging on."""
    records, mails, root = Records(), Reports(), logging.getLogger()
    mails.setLevel(logging.ERROR)  # as Django's own configuration has it
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(records)
    root.addHandler(mails)
    try:
        yield records, mails
    finally:
        root.removeHandler(mails)
        root.removeHandler(records)
        root.setLevel(level)


@contextmanager
def recording_signals():
    """Yield the name and the arguments of every signal of ours that is sent."""
    arguments = []
    with ExitStack() as connections:
        for name, signal in SIGNALS.items():

            def listen(signal, sender, name=name, **kwargs):
                arguments.append((name, attributes_of(kwargs)))

            connections.enter_context(connected(signal, listen))
        yield arguments


def send(sample, request, failure):
    """Send a request that fails, roll everything back, and return what was seen and what was reached."""
    with rolled_back(), everything_recorded() as (records, mails), recording_signals() as arguments:
        with TestCase.captureOnCommitCallbacks(execute=True), statements() as run, failure:
            response = request(sample)
            transaction.set_rollback(False)  # what failed here never came to the database
        seen = Seen(
            response=response,
            reports="\n".join([*filter(None, mails.mails), *records.texts]),
            arguments=repr(arguments),
            stored=stored(),
            digests=run.digests,
            new_keys=[text for key in run.keys for text in encodings_of_bytes(key).values()],
        )
    templates = {template.name for template in response.templates if (template.name or "").startswith(OURS)}
    signals = sorted({name for name, _arguments in arguments})
    return seen, Reached(statements=run.count, signals=signals, templates=sorted(templates))


@pytest.fixture
def sample(db):
    return build_sample()


@pytest.mark.parametrize("name", sorted(our_views()))
def test_view_that_fails_at_any_step_leaks_nothing(sample, name):
    for request_name, request in requests_of(name).items():
        asked = Reached()
        first, reached = send(sample, request, recording_hooks(asked))
        assert_arrived(name, request_name, first.response.status_code)
        reached.hooks = sorted(set(asked.hooks))
        assert_nothing_leaks(sample, name, first, request_name)
        for failure_name, failure in failures(reached, every=1 if is_thorough(name) else 3).items():
            seen, _reached = send(sample, request, failure)
            assert_nothing_leaks(sample, name, seen, f"{request_name}, {failure_name}")


def is_thorough(name):
    """Whether every single statement fails once; of pages that hold no raw value every third, unless more is wanted."""
    holds_raw_value = name in SHOWING or name == "admin:oauth_refresh_grant_find"
    return holds_raw_value or not name.startswith("admin:") or "FUZZ_EXAMPLES" in os.environ


def assert_arrived(name, request_name, status):
    """Without a fault a request comes to its end; rows that only services write have a page that refuses it."""
    forbidden = name.startswith("admin:") and name.endswith(("_add", "_delete"))
    refused = {REFUSED.get(request_name, MISCONFIGURED.get(name)), HTTPStatus.FORBIDDEN if forbidden else None} - {None}
    assert status in (refused or {200, 204, 302, 303}) or (forbidden and status == HTTPStatus.OK), (
        request_name,
        status,
    )


def assert_nothing_leaks(sample, name, seen, where):
    is_shown = name in SHOWING and seen.response.status_code < HTTPStatus.BAD_REQUEST
    assert (where, seen.leaks(sample, is_shown=is_shown)) == (where, [])
    assert_not_stored(name, seen.response, where)


def assert_not_stored(name, response, where):
    """Endpoints say so always, in JSON; pages unless Django's own page of an error takes their place."""
    status = response.status_code
    if name in ENDPOINTS:
        assert (
            response.status_code == HTTPStatus.NO_CONTENT or response.headers["Content-Type"] == "application/json"
        ), where
        assert status != HTTPStatus.INTERNAL_SERVER_ERROR, where
    is_page_of_user = name.startswith("oauth_") and status != HTTPStatus.INTERNAL_SERVER_ERROR
    if name in ENDPOINTS or is_page_of_user or (name in SHOWING and status < HTTPStatus.BAD_REQUEST):
        assert "no-store" in response.headers.get("Cache-Control", ""), where


def test_views_are_found_in_the_urlconf():
    models = {model._meta.model_name for model in apps.get_app_config("oauth_refresh").get_models()}
    models -= {"alarmreport", "overview", "prunerun", "revocationnotice"}  # they have no page for one row
    expected = {*ENDPOINTS, *SHOWING, *MISCONFIGURED, "notes", "plain", "plain_async", "admin:auth_user_revoke"}

    assert expected | {f"admin:oauth_refresh_{name}_change" for name in models} <= set(our_views())


def test_search_finds_what_a_careless_view_logs(sample):
    def careless(sample):
        logging.getLogger("careless").error("Took %s", sample.client.access_token)
        return sample.client.refresh()

    seen, _reached = send(sample, careless, nullcontext())

    assert seen.leaks(sample, is_shown=True) == ["access token"]
    assert len(seen.leaks(sample, is_shown=False)) == 3
