"""The parts of the reference that are generated from the code, in Markdown: settings, commands, checks, errors."""

import ast
import inspect
import re
from argparse import Action
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from textwrap import fill

from django.core.checks import Tags
from django.core.management import find_commands, get_commands, load_command_class
from django.core.management.base import BaseCommand

from oauth_refresh import checks, errors
from oauth_refresh.conf import AppSettings
from oauth_refresh.conf.values import Setting
from oauth_refresh.contrib import toolkit
from oauth_refresh.models import RevocationReason
from oauth_refresh.models.token_settings import TokenSettings

CHECK_ID = re.compile(r"oauth_refresh\.[EW][0-9]{3}")
_UNBROKEN = "\x00"
_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def settings() -> str:
    """Return a section for each key: its meaning, its default, and its possible values."""
    overridable = {field.name for field in TokenSettings._meta.get_fields()}
    return "\n\n".join(_setting(setting, overridable=overridable) for setting in AppSettings.declared())


def _setting(setting: Setting, *, overridable: set[str]) -> str:
    lines = [
        f"## {setting.key}",
        setting.help_text,
        f"- Default: {_default(setting.default)}",
        f"- Value: {_accepted(setting)}",
    ]
    if setting.key.lower() in overridable:
        lines.append("- An application may have its own.")
    return "\n\n".join(lines[:2]) + "\n\n" + "\n".join(lines[2:])


def _default(default: object) -> str:
    if isinstance(default, timedelta):
        return duration(default)
    if isinstance(default, tuple):
        return f"`{list(default)}`"
    return f"`{default!r}`"


def duration(delta: timedelta) -> str:
    """Return a duration in its largest whole unit, such as ``14 days``."""
    total = int(delta.total_seconds())
    size, unit = next(((size, unit) for size, unit in _UNITS if total and total % size == 0), (1, "second"))
    return f"{total // size} {unit}{'' if total == size else 's'}"


def _accepted(setting: Setting) -> str:
    """Return what the setting accepts, by the errors that it raises for unusable values."""
    refusals = [refusal for value in (object(), timedelta(0)) if (refusal := _refusal(setting, value))]
    accepted = refusals[-1].removeprefix("write ")
    return accepted if _refusal(setting, None) or "None" in accepted else f"{accepted}; or None"


def _refusal(setting: Setting, value: object) -> str:
    try:
        setting.convert(value)
    except ValueError as error:
        return str(error)
    return ""


def command_apps() -> dict[str, str]:
    """Return the name of each command, and the app that it is in; an optional app need not be installed."""
    own = {name: app for name, app in get_commands().items() if app == "oauth_refresh"}
    folder = Path(toolkit.__file__).parent / "management"
    return dict(sorted(own.items())) | dict.fromkeys(sorted(find_commands(str(folder))), toolkit.__name__)


def commands() -> str:
    """Return a section for each command: what it does, how it is called, and its options."""
    return "\n\n".join(_command(name, app) for name, app in command_apps().items())


def _command(name: str, app: str) -> str:
    command = load_command_class(app, name)
    usual = {action.dest for action in BaseCommand().create_parser("manage.py", name)._actions}
    actions = [action for action in command.create_parser("manage.py", name)._actions if action.dest not in usual]
    words = [f"python manage.py {name}", *(_usage(action).replace(" ", _UNBROKEN) for action in actions)]
    usage = fill(" ".join(words), 80, subsequent_indent="    ", break_on_hyphens=False).replace(_UNBROKEN, " ")
    rows = "\n".join(f"| `{_spelled(action)}` | {_help(action)} |" for action in actions)
    return f"## {name}\n\n{command.help}\n\n```text\n{usage}\n```\n\n| argument | meaning |\n|---|---|\n{rows}"


def _spelled(action: Action) -> str:
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    return "`, `".join(f"{name}{value}" for name in action.option_strings) or value.strip()


def _usage(action: Action) -> str:
    spelled = _spelled(action).replace("`, `", " | ")
    return spelled if action.required else f"[{spelled}]"


def _help(action: Action) -> str:
    words = [(action.help or "") % {"default": action.default}]
    if action.required and action.option_strings:
        words.append("required")
    return "; ".join(filter(None, words))


@dataclass(frozen=True, kw_only=True)
class CheckMessage:
    """A message of a check, and when the check runs; ``…`` stands for what it found."""

    id: str
    message: str
    hint: str
    asked: str


def check_messages() -> list[CheckMessage]:
    """Return every message in the source of the checks, by id."""
    found = []
    for path in sorted(Path(inspect.getfile(checks)).parent.glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                found += _messages_in(function)
    return sorted(found, key=lambda message: message.id)


def _messages_in(function: ast.FunctionDef) -> Iterator[CheckMessage]:
    """Yield what is written as a call with ``id=``, or as a row of a table that ends with an id."""
    for node in ast.walk(function):
        text = hint = found = None
        if isinstance(node, ast.Call):
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            text, hint, found = (node.args or [None])[0], named.get("hint"), named.get("id")
        elif isinstance(node, ast.Tuple):
            text, hint, found = [None, None, None, *node.elts][-3:]
        if isinstance(found, ast.Constant) and CHECK_ID.fullmatch(str(found.value)):
            yield CheckMessage(id=found.value, message=_text(text), hint=_text(hint), asked=_asked(function.name))


def _asked(function: str) -> str:
    tag, deploy = next(((tag, deploy) for check, tag, deploy in checks.ALL if check.__name__ == function), ("", False))
    if deploy:
        return "`check --deploy`"
    return "`migrate`, `check --database`" if tag == Tags.database else "always"


def _text(node: ast.AST | None) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "" if node is None else "…"


def system_checks() -> str:
    """Return a table of all messages of the system checks."""
    rows = [f"| `{one.id}` | {one.message} {one.hint} | {one.asked} |" for one in check_messages()]
    return "\n".join(["| id | message, and what to do | runs with |", "|---|---|---|", *rows])


def error_classes() -> list[type[Exception]]:
    """Return the exceptions that the package raises to its callers, in the order of their file."""
    return [
        member
        for member in vars(errors).values()
        if isinstance(member, type) and issubclass(member, Exception) and member is not errors.OAuthError
    ]


def protocol_errors() -> str:
    """Return a table of the errors that a client is answered with."""
    rows = [
        f"| `{error.__name__}` | `{error.code}` | {int(error.status)} | {_public(error)} |"
        for error in error_classes()
        if issubclass(error, errors.OAuthError)
    ]
    return "\n".join(["| class | `error` | status | `error_description` |", "|---|---|---|---|", *rows])


def _public(error: type[errors.OAuthError]) -> str:
    return getattr(error, "public_description", "names the parameter or error to correct")


def other_errors() -> str:
    """Return a table of the exceptions that are not an answer of the protocol."""
    rows = [
        f"| `{error.__name__}` | {inspect.cleandoc(error.__doc__ or '').replace('``', '`').replace(chr(10), ' ')} |"
        for error in error_classes()
        if not issubclass(error, errors.OAuthError)
    ]
    return "\n".join(["| class | meaning |", "|---|---|", *rows])


def revocation_reasons() -> str:
    """Return a table of the reasons of our own."""
    rows = [f"| `{reason.value}` | {reason.label} |" for reason in RevocationReason]
    return "\n".join(["| reason | meaning |", "|---|---|", *rows])


PARTS = {
    "settings": settings,
    "commands": commands,
    "checks": system_checks,
    "protocol_errors": protocol_errors,
    "other_errors": other_errors,
    "reasons": revocation_reasons,
}
"""By the name that a page's marker gives."""
