"""Find plugins by reading ``entry_points.txt`` files, in a few milliseconds.

``importlib.metadata`` gives the same answer and costs several times all of ``fence_cloud -o metadata``; this is on
the path of every action. What is read is the packaging standard's own file (Entry points specification, PyPA), from
``*.dist-info`` and ``*.egg-info`` folders on ``sys.path``. As there, of two folders of one distribution name the one
earlier on the path counts.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator

from cloudha.record import Record

__all__ = ["EMULATORS", "OBSERVERS", "PROVIDERS", "Entry", "entries"]

PROVIDERS = "cloudha.providers"
OBSERVERS = "cloudha.observers"
EMULATORS = "cloudha.emulators"

SUFFIXES = (".dist-info", ".egg-info")
# A file that lists entry points has a few lines; a huge one is not for us.
MOST_BYTES = 1_000_000


class Entry(Record):
    """``name = value`` in a group, and the distribution and folder that declare it."""

    name: str
    value: str
    distribution: str
    version: str
    folder: str

    @property
    def origin(self) -> str:
        """The distribution for people: ``cloudha-plugin-sim 0.1.0 (/path)``."""
        return f"{self.distribution} {self.version} ({self.folder})".replace("  ", " ")


def entries(group: str, path: Iterable[str] | None = None) -> tuple[Entry, ...]:
    """Return all entries of *group* on *path* (default ``sys.path``), in the order of the path, then by name.

    Folders and files that cannot be read are passed over: a broken neighbour must not stop fencing.
    """
    seen: set[str] = set()
    found: list[Entry] = []
    for directory in sys.path if path is None else path:
        for name, version, folder in sorted(_distributions(directory or os.curdir)):
            if name not in seen:
                seen.add(name)
                found.extend(_read(group, name, version, folder))
    return tuple(found)


def _distributions(directory: str) -> Iterator[tuple[str, str, str]]:
    try:
        names = os.listdir(directory)
    except OSError:
        return
    for entry in names:
        stem, suffix = os.path.splitext(entry)
        if suffix in SUFFIXES:
            name, _, version = stem.partition("-")
            yield re.sub(r"[-_.]+", "-", name).lower(), version, os.path.join(directory, entry)


def _read(group: str, distribution: str, version: str, folder: str) -> Iterator[Entry]:
    try:
        with open(os.path.join(folder, "entry_points.txt"), "rb") as file:
            content = file.read(MOST_BYTES)
        if group.encode() not in content:
            return
        lines = content.decode().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    section = ""
    for raw in lines:
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1].strip()
        elif section == group and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield Entry(name.strip(), value.partition("[")[0].strip(), distribution, version, folder)
