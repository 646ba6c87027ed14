"""The pages in ``docs/``: the reference is complete, and no page names what does not exist."""

import importlib
import inspect
import re
import shlex
from ast import ImportFrom, parse, walk
from pathlib import Path

import pytest
from django.core.management import CommandError, get_commands, load_command_class
from django.dispatch import Signal

from docs import generated
from oauth_refresh import checks, errors, signals
from oauth_refresh.conf import AppSettings
from oauth_refresh.models import RevocationReason
from tests.docs.pages import DOCS, PAGES, blocks, read, section
from tests.docs.walkthrough import commands
from tests.openapi import described
from tests.server import ROOT

SIGNALS = {name: member for name, member in vars(signals).items() if isinstance(member, Signal)}
COMMANDS = generated.command_apps()
OF_OTHERS = {**COMMANDS, "demo": "example_project", "far_api": "example_project", "spectacular": "drf_spectacular"}
"""Commands of apps that a page asks to install."""

_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)[^)]*\)")


def name_of(path):
    return str(path.relative_to(DOCS))


@pytest.mark.parametrize("setting", list(AppSettings.declared()), ids=lambda setting: setting.key)
def test_every_setting_has_a_section_with_its_meaning_and_default(setting):
    text = section("reference/settings.md", setting.key)

    assert setting.help_text in text
    assert re.search(r"^- Default: \S", text, re.MULTILINE)
    assert re.search(r"^- Value: \S", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("key", "default", "value"),
    [
        ("ACCESS_TOKEN_LIFETIME", "1 hour", "a timedelta or a number of seconds, at least one second"),
        ("GRANT_LIFETIME", "90 days", "a timedelta or a number of seconds, at least one second; or None"),
        ("DEFAULT_SCOPES", "`[]`", "a list of strings"),
        ("RETRY_WINDOW", "0 seconds", "a timedelta or a number of seconds, not negative and at most a hundred years"),
        ("CODE_LIFETIME", "1 minute", "a timedelta or a number of seconds, at least one second"),
    ],
)
def test_default_and_value_of_a_setting_are_readable(key, default, value):
    assert f"- Default: {default}\n- Value: {value}\n" in section("reference/settings.md", key) + "\n"


@pytest.mark.parametrize("name", SIGNALS)
def test_every_signal_has_a_section_with_its_arguments(name):
    documented = re.search(rf'^{name} = Signal\(\)\n"""(.*?)[.:]', inspect.getsource(signals), re.MULTILINE)[1]
    arguments = ", ".join(re.findall("``(.*?)``", documented)).split(", ")

    text = section("reference/signals.md", name)

    assert [argument for argument in arguments if f"| `{argument}` |" not in text] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_section_with_all_its_arguments(name):
    command = load_command_class(COMMANDS[name], name)
    own = command.create_parser("manage.py", name).format_help().partition("--version")[0]

    text = section("reference/commands.md", name)

    assert command.help in text
    assert [option for option in set(re.findall(r"--[a-z][a-z-]+", own)) if f"`{option}" not in text] == []


def test_every_id_in_the_source_of_the_checks_is_in_the_reference():
    sources = [path.read_text() for path in Path(checks.__file__).parent.glob("*.py")]
    ids = {id_ for source in sources for id_ in generated.CHECK_ID.findall(source)}

    messages = {message.id: message for message in generated.check_messages()}

    assert len(ids) > 10
    assert set(messages) == ids
    assert all(f"| `{id_}` |" in read("reference/checks.md") for id_ in ids)
    assert all(message.message for message in messages.values())


def test_every_check_of_an_optional_app_is_in_the_reference():
    package = Path(checks.__file__).parent.parent
    sources = [path.read_text() for path in package.rglob("checks.py")]
    ids = {id_ for source in sources for id_ in re.findall(r'id="(\w+\.[EW][0-9]{3})"', source)}

    assert {"oauth_refresh_metrics.W001", "oauth_resource_server.E001"} <= ids
    assert [id_ for id_ in ids if f"| `{id_}` |" not in read("reference/checks.md")] == []


@pytest.mark.parametrize(
    ("id_", "asked"), [("E003", "always"), ("E009", "`migrate`, `check --database`"), ("W002", "`check --deploy`")]
)
def test_reference_says_when_a_check_runs(id_, asked):
    assert {one.asked for one in generated.check_messages() if one.id == f"oauth_refresh.{id_}"} == {asked}


@pytest.mark.parametrize("error", generated.error_classes(), ids=lambda error: error.__name__)
def test_every_public_error_is_in_the_reference(error):
    page = read("reference/errors.md")

    assert f"| `{error.__name__}` | " in page
    if issubclass(error, errors.OAuthError):
        assert f"| `{error.__name__}` | `{error.code}` | {error.status.value} | " in page


def test_every_reason_of_a_revocation_is_in_the_reference():
    assert [reason for reason in RevocationReason if f"| `{reason.value}` |" not in read("reference/errors.md")] == []


@pytest.mark.parametrize(
    ("title", "path"),
    [
        ("POST token", "/oauth/token"),
        ("POST revoke", "/oauth/revoke"),
        ("POST introspect", "/oauth/introspect"),
        ("POST revocations", "/oauth/revocations"),
        ("GET verify", "/oauth/verify"),
        ("GET /.well-known/oauth-authorization-server", "/.well-known/oauth-authorization-server"),
    ],
)
def test_every_status_of_an_endpoint_is_in_the_reference(title, path):
    [operation] = described()["paths"][path].values()

    shown = set(re.findall(r"^\| (\d{3}) \|", section("reference/endpoints.md", title), re.MULTILINE))

    assert shown == set(operation["responses"])


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_python_block_compiles_and_imports_what_exists(path):
    for block in blocks(path, "python"):
        for node in walk(parse(block)):
            if isinstance(node, ImportFrom) and node.module.split(".")[0] == "oauth_refresh":
                module = importlib.import_module(node.module)
                assert [name.name for name in node.names if not hasattr(module, name.name)] == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_management_command_exists_and_takes_its_arguments(path):
    for line in command_lines(path):
        name, *arguments = shlex.split(line, comments=True)
        app = OF_OTHERS.get(name) or get_commands()[name]
        parser = load_command_class(app, name).create_parser("manage.py", name)
        try:
            parser.parse_args(arguments)
        except (CommandError, SystemExit) as error:
            pytest.fail(f"{line}: {error}")


def command_lines(path):
    """Return what follows ``manage.py`` in commands, without pipes and redirections."""
    typed = [command for body in blocks(path, "console") for command, _printed in commands(body)]
    text = "\n".join([*typed, *blocks(path, "sh")]).replace("\\\n", " ")
    return re.findall(r"manage\.py ((?:'[^']*'|\"[^\"]*\"|[^\n|<>&])+)", text)


def test_command_lines_are_found_in_every_shell_block(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ python manage.py check | cat\nmanage.py nothing\n$ python manage.py a \\\n  --b\n```\n"
        "```sh\n.venv/bin/python manage.py c 'd | e\nf' --count 1 > g\n```\n```text\nmanage.py nothing\n```\n"
    )

    found = [shlex.split(line) for line in command_lines(page)]

    assert found == [["check"], ["a", "--b"], ["c", "d | e\nf", "--count", "1"]]


@pytest.mark.parametrize("path", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda path: path.name)
def test_every_link_to_a_page_leads_to_one(path):
    assert [link for link in _LINK.findall(path.read_text()) if not (path.parent / link).is_file()] == []


@pytest.mark.parametrize("path", [path for path in PAGES if path.name != "index.md"], ids=name_of)
def test_every_page_is_in_a_table_of_contents(path):
    tables = [
        body
        for index in DOCS.rglob("index.md")
        for body in re.findall(r"```{toctree}(.*?)```", index.read_text(), re.DOTALL)
    ]

    assert re.search(rf"^(\.\./)?{path.stem}$", "\n".join(tables), re.MULTILINE)
