"""What packages are made from: the projects of this tree, their one version, and the one time that goes into them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["EVERYWHERE", "LOCKS", "PROJECTS", "TARGET", "TREE", "check_versions", "packaged", "source_date", "version"]

TREE = Path(__file__).resolve().parents[1]
TARGET = TREE / "dist"
LOCKS = TREE / "requirements"
PROJECTS = (TREE, *sorted(file.parent for file in TREE.glob("plugins/*/pyproject.toml")))
# Part of every package: it is for any cloud, and needs nothing from outside.
EVERYWHERE = ("lb-probe",)
VERSION = re.compile(r'^(?:__version__|version) = "([^"]+)"$', re.MULTILINE)
RELEASE = re.compile(r"^## (\S+) - (\S+)$", re.MULTILINE)
DATE = re.compile(r"\d{4}-\d\d-\d\d\Z")


def packaged() -> tuple[str, ...]:
    """Return the providers that have a package of their own: those with a lock file of what they need."""
    return tuple(sorted(path.stem.removeprefix("package-") for path in LOCKS.glob("package-*.txt")))


def version() -> str:
    """Return the core's version."""
    return _version_in(TREE / "cloudha/__init__.py")


def check_versions(*, release: bool = False) -> str:
    """Return the one version of all projects; end the program when they differ, or the changelog does not have it.

    :param release: the changelog must say the date, too.
    """
    wanted = version()
    wrong = [
        f"{file.relative_to(TREE)} has {found}, the core {wanted}"
        for file in (project / "pyproject.toml" for project in PROJECTS[1:])
        if (found := _version_in(file)) != wanted
    ]
    newest = RELEASE.search((TREE / "CHANGELOG.md").read_text())
    if newest is None or newest[1] != wanted:
        wrong.append(f"CHANGELOG.md begins with {newest[1] if newest else 'no version'}, the core has {wanted}")
    elif release and not DATE.match(newest[2]):
        wrong.append(f"CHANGELOG.md says {newest[2]!r} for {wanted}, not the day of the release")
    if wrong:
        sys.exit("the versions are not the same everywhere:\n  " + "\n  ".join(wrong))
    return wanted


def source_date() -> int:
    """Return the time for everything that is built: SOURCE_DATE_EPOCH, else the last commit's, else the changelog's."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    if given.isdecimal():
        return int(given)
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=TREE, capture_output=True, text=True, check=False)
    text = done.stdout.strip()
    # An unpacked sdist has no history.
    return int(text) if text.isdecimal() else int((TREE / "CHANGELOG.md").stat().st_mtime)


def _version_in(file: Path) -> str:
    found = VERSION.search(file.read_text())
    if found is None:
        sys.exit(f"{file.relative_to(TREE)} has no version")
    return found[1]
