"""release_contents.py VERSION COMMITTED PACKAGE…: the packages hold what was committed, and nothing else.

COMMITTED is a file with the paths of the commit. The sdist has all of them, the wheel those of the package.
"""

import sys
import tarfile
import zipfile
from pathlib import Path


def contents(package: Path) -> set[str]:
    """Return the paths of the files in an sdist or wheel."""
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as wheel:
            return set(wheel.namelist())
    with tarfile.open(package) as sdist:
        return {name.partition("/")[2] for name in sdist.getnames()}


def expected(package: Path, *, version: str, committed: set[str]) -> set[str]:
    """Return the paths that should be in a package."""
    if package.suffix != ".whl":
        return committed | {"PKG-INFO"}
    metadata = f"django_oauth_refresh-{version}.dist-info"
    added = {f"{metadata}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "licenses/LICENSE")}
    return {path for path in committed if path.startswith("oauth_refresh/")} | added


def main(version: str, committed_file: str, *packages: str) -> int:
    committed = set(Path(committed_file).read_text(encoding="utf-8").splitlines())
    failed = False
    for package in map(Path, packages):
        found, wanted = contents(package), expected(package, version=version, committed=committed)
        differences = [f"missing: {path}" for path in sorted(wanted - found)]
        differences += [f"not committed: {path}" for path in sorted(found - wanted)]
        sys.stdout.write("\n".join([f"{package.name}: {len(found)} files", *differences, ""]))
        failed |= bool(differences)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
