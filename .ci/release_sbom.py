"""release_sbom.py VERSION MADE WRITTEN: make the package the subject of a CycloneDX SBOM of an environment with it.

The tool lists the package as one of the components, because a dynamic version is not in ``pyproject.toml``.
"""

import json
import sys
from pathlib import Path

NAME = "django-oauth-refresh"


def main(version: str, made: str, written: str) -> int:
    sbom = json.loads(Path(made).read_text(encoding="utf-8"))
    [subject] = [component for component in sbom["components"] if component["name"] == NAME]
    if subject["version"] != version:
        sys.stderr.write(f"Installed is {subject['version']}, not {version}.\n")
        return 1
    sbom["components"].remove(subject)
    # It was installed from a file of the machine that built it, whose path says nothing to others.
    subject.pop("externalReferences", None)
    subject.pop("properties", None)
    sbom["metadata"]["component"] = subject | {"purl": f"pkg:pypi/{NAME}@{version}"}
    Path(written).write_text(json.dumps(sbom, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(sbom['components'])} components\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
