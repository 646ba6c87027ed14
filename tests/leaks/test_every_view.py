"""No raw value leaves by a report, a log record, an answer, a row, a session or a signal, whatever fails and where."""

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

from tests.admin.test_reports import raw_values_in
from tests.interference import connected
from tests.leaks.scenes import REFUSED, SHOWING, our_views, scenes_of
from tests.leaks.stages import OURS, SIGNALS, Reached, noting_hooks, stages, statements
from tests.leaks.world import build_world, forms_of_bytes, undone
from tests.test_leaks import Reports, forms

ENDPOINTS = ("oauth_refresh:token", "oauth_refresh:revoke", "oauth_refresh:introspect", "oauth_metadata")
"""They answer in JSON and nothing else."""

MISCONFIGURED = {"forgotten": HTTPStatus.INTERNAL_SERVER_ERROR}
"""An API that forgot to say which scopes it needs, and so fails."""


class Records(logging.Handler):
    def __init__(self):
        super().__init__()
        self.texts = []

    def emit(self, record):
        self.texts.append(f"{logging.Formatter().format(record)}\n{vars(record)!r}")


@dataclasses.dataclass
class Seen:
    """All that got out while one request was answered."""

    response: object
    reports: str
    carried: str
    stored: str
    digests: set[str]
    new_keys: list[str]

    def leaks(self, world, *, is_shown):
        """Return the name or the text of each raw value that is where it must not be."""
        answer = "" if is_shown else f"{dict(self.response.headers)}\n{self.response.content.decode()}"
        keys = {name: raw for name, raw in world.raw_values.items() if name.startswith("key ")}
        public = f"{self.reports}\n{answer}"
        everywhere = f"{public}\n{self.carried}\n{self.stored}"
        return [
            *(name for name, raw in world.raw_values.items() if name not in keys and is_in(everywhere, raw)),
            *(name for name, raw in keys.items() if is_in(public, raw)),
            *raw_values_in(everywhere, self.digests),
            *(key for key in self.new_keys if key in public),
        ]


def is_in(text, raw):
    return any(form in text for form in forms(raw))


def told(value):
    """Return what a signal carries, to the last attribute of its rows and dataclasses."""
    if dataclasses.is_dataclass(value):
        return {field.name: told(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: told(part) for name, part in value.items()}
    return vars(value) if isinstance(value, Model) else value


def stored():
    """Return every row of the project, with sessions as they are read."""
    rows = [row for model in apps.get_models() for row in model._default_manager.values_list()]
    return f"{rows!r}\n{[session.get_decoded() for session in Session.objects.all()]!r}"


@contextmanager
def everything_recorded():
    """Yield the log records and the mails that a project's administrators get, with all logging on."""
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
def listening():
    """Yield what every signal of ours carries, by the signal's name."""
    carried = []
    with ExitStack() as connections:
        for name, signal in SIGNALS.items():

            def listen(signal, sender, name=name, **kwargs):
                carried.append((name, told(kwargs)))

            connections.enter_context(connected(signal, listen))
        yield carried


def play(world, scene, stage):
    """Let a request fail at a stage, take everything back, and return what was seen of it, and what it reached."""
    with undone(), everything_recorded() as (records, mails), listening() as carried:
        with TestCase.captureOnCommitCallbacks(execute=True), statements() as run, stage:
            response = scene(world)
            transaction.set_rollback(False)  # what failed here never came to the database
        seen = Seen(
            response=response,
            reports="\n".join([*filter(None, mails.mails), *records.texts]),
            carried=repr(carried),
            stored=stored(),
            digests=run.digests,
            new_keys=[text for key in run.keys for text in forms_of_bytes(key).values()],
        )
    templates = {template.name for template in response.templates if (template.name or "").startswith(OURS)}
    signals = sorted({name for name, _told in carried})
    return seen, Reached(statements=run.count, signals=signals, templates=sorted(templates))


@pytest.fixture
def world(db):
    return build_world()


@pytest.mark.parametrize("name", sorted(our_views()))
def test_fault_at_any_stage_of_a_view_leaks_nothing(world, name):
    for scene_name, scene in scenes_of(name).items():
        asked = Reached()
        first, reached = play(world, scene, noting_hooks(asked))
        assert_arrived(name, scene_name, first.response.status_code)
        reached.hooks = sorted(set(asked.hooks))
        assert_nothing_leaks(world, name, first, scene_name)
        for stage_name, stage in stages(reached, every=1 if is_thorough(name) else 3).items():
            seen, _reached = play(world, scene, stage)
            assert_nothing_leaks(world, name, seen, f"{scene_name}, {stage_name}")


def is_thorough(name):
    """Whether every single statement fails once; of pages that hold no raw value every third, unless more is wanted."""
    holds_raw_value = name in SHOWING or name == "admin:oauth_refresh_grant_find"
    return holds_raw_value or not name.startswith("admin:") or "FUZZ_EXAMPLES" in os.environ


def assert_arrived(name, scene_name, status):
    """Without a fault a request comes to its end; rows that only services write have a page that refuses it."""
    forbidden = name.startswith("admin:") and name.endswith(("_add", "_delete"))
    refused = {REFUSED.get(scene_name, MISCONFIGURED.get(name)), HTTPStatus.FORBIDDEN if forbidden else None} - {None}
    assert status in (refused or {200, 204, 302, 303}) or (forbidden and status == HTTPStatus.OK), (scene_name, status)


def assert_nothing_leaks(world, name, seen, where):
    is_shown = name in SHOWING and seen.response.status_code < HTTPStatus.BAD_REQUEST
    assert (where, seen.leaks(world, is_shown=is_shown)) == (where, [])
    assert_not_stored(name, seen.response, where)


def assert_not_stored(name, response, where):
    """Endpoints say so always, in JSON; pages unless Django's own page of an error takes their place."""
    status = response.status_code
    if name in ENDPOINTS:
        assert response.headers["Content-Type"] == "application/json", where
        assert status != HTTPStatus.INTERNAL_SERVER_ERROR, where
    is_page_of_user = name.startswith("oauth_") and status != HTTPStatus.INTERNAL_SERVER_ERROR
    if name in ENDPOINTS or is_page_of_user or (name in SHOWING and status < HTTPStatus.BAD_REQUEST):
        assert "no-store" in response.headers.get("Cache-Control", ""), where


def test_views_are_found_by_the_urlconf():
    models = [model._meta.model_name for model in apps.get_app_config("oauth_refresh").get_models()]
    expected = {*ENDPOINTS, *SHOWING, *MISCONFIGURED, "notes", "plain", "plain_async", "admin:auth_user_revoke"}

    assert expected | {f"admin:oauth_refresh_{name}_change" for name in models} <= set(our_views())


def test_search_finds_what_a_careless_view_lets_out(world):
    def careless(world):
        logging.getLogger("careless").error("Took %s", world.session.access_token)
        return world.session.refresh()

    seen, _reached = play(world, careless, nullcontext())

    assert seen.leaks(world, is_shown=True) == ["access token"]
    assert len(seen.leaks(world, is_shown=False)) == 3
