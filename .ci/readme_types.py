"""Check the Python blocks of some pages as a user's own modules: ``mypy --strict`` with the plugins, then ``pyright``.

``python .ci/readme_types.py FOLDER`` writes them into FOLDER. A block that needs an import has to show it.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", "docs/reference/admin.md", "docs/reference/python.md", "docs/reference/signals.md")
BLOCK = re.compile(r"^(?P<indent> *)```python\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL)
MYPY = """[mypy]
strict = true
plugins = mypy_django_plugin.main, mypy_drf_plugin.main
# UserAdmin takes a type argument in django-stubs only, not when it runs.
disable_error_code = type-arg
[mypy.plugins.django-stubs]
django_settings_module = "tests.settings"
"""


ADDED_TO = {"INSTALLED_APPS": "list[str]", "urlpatterns": "list[object]"}
"""What a block adds to, and the type that it has in the project."""


def blocks(text):
    """Yield the line number of each block, and its code without the indentation of a list."""
    for match in BLOCK.finditer(text):
        code = re.sub(rf"^{match['indent']}", "", match["code"], flags=re.MULTILINE)
        yield text.count("\n", 0, match.start()) + 1, code


def main(folder):
    (folder / "mysite").mkdir(parents=True, exist_ok=True)
    (folder / "mysite" / "__init__.py").touch()
    for page in PAGES:
        for line, code in blocks((ROOT / page).read_text()):
            added_to = [f"{name}: {kind} = []\n" for name, kind in ADDED_TO.items() if f"{name} += [" in code]
            name = "mysite/views" if "class NotesView" in code else f"{Path(page).stem.lower()}_line_{line}"
            (folder / f"{name}.py").write_text("".join(added_to) + code)
    (folder / "mypy.ini").write_text(MYPY)
    pyright = {"typeCheckingMode": "standard", "extraPaths": [str(ROOT)]}
    (folder / "pyrightconfig.json").write_text(json.dumps(pyright))
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MYPYPATH": str(ROOT)}
    checks = (
        ("mypy", "--config-file", "mypy.ini", "."),
        ("pyright", "--project", ".", "--pythonpath", sys.executable),
    )
    return max(
        subprocess.run([sys.executable, "-m", *words], cwd=folder, env=environment, check=False).returncode
        for words in checks
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
