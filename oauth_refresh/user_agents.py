"""User agents (RFC 9110 §10.1.5) as people know them: "Firefox on Windows"."""

import re

from django.utils.text import Truncator
from django.utils.translation import gettext as _

_LONGEST_NAME = 40  # characters
_SYSTEMS = {"Mac OS X": "macOS", "Chrome OS": "ChromeOS"}
_PRODUCT = re.compile(r"[^/()]*")  # of ``Photo album/1.0 (build 7)``


def program_name(user_agent: str) -> str:
    """Return the program, and the system that it runs on where the text names it; "" for an empty text.

    The client chose the text, so it is what the program claims to be. Each of the two names has at most 40 characters,
    and none that directs text, which could turn what stands beside it.
    """
    # It is slow to import, and needed only by the pages that name programs.
    from ua_parser import parse_os, parse_user_agent  # noqa: PLC0415

    program, system = parse_user_agent(user_agent), parse_os(user_agent)
    product = (_PRODUCT.match(user_agent) or [""])[0]
    name = _plain(program.family if program is not None else product or user_agent)
    if system is None or not name:
        return name
    values = {"program": name, "system": _plain(_SYSTEMS.get(system.family, system.family))}
    return _("%(program)s on %(system)s") % values


def _plain(text: str) -> str:
    printable = "".join(character for character in text if character.isprintable())
    return Truncator(printable.strip()).chars(_LONGEST_NAME)
