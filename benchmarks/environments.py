"""Virtual environments under ``~/.cache`` for packages of PyPI that ours does not depend on."""

import json
import subprocess
import venv
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

CACHE = Path.home() / ".cache" / "oauth-refresh-benchmarks"
_OURS = ("Django", "djangorestframework", "django-environ", "gunicorn", "psycopg", "psycopg-binary")
_VERSIONS = """
import json, sys
from importlib.metadata import version
print(json.dumps([version(name) for name in sys.argv[1:]]))
"""


def python_with(*requirements: str) -> str:
    """Return the Python of a virtual environment with these requirements. It is made at the first call."""
    folder = CACHE / sha256("\n".join(requirements).encode()).hexdigest()[:16]
    python, is_complete = folder / "bin" / "python", folder / "is-complete"
    if not is_complete.exists():
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--quiet", *requirements], check=True)  # noqa: S603  our own command
        is_complete.touch()
    return str(python)


def python_of_site_with(*requirements: str) -> str:
    """Return the Python of a Django site with these requirements. What the site needs besides has our versions."""
    return python_with(*requirements, *(f"{name}=={version(name)}" for name in _OURS))


def versions(python: str, *names: str) -> dict[str, str]:
    """Return the versions of installed packages, by their names."""
    printed = subprocess.run([python, "-c", _VERSIONS, *names], check=True, capture_output=True, text=True).stdout  # noqa: S603  our own command
    return dict(zip(names, json.loads(printed), strict=True))
