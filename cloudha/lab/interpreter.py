"""Starting this package's own programs, on the machine and inside nodes, with the Python that runs now."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["CONTROL_GROUP", "PROVIDER_GROUP", "hidden_paths", "module_command", "module_environment"]

CONTROL_GROUP = "cloudha.emulators"
PROVIDER_GROUP = "cloudha.providers"


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs *module* of this environment."""
    return [sys.executable, "-m", module, *arguments]


def module_environment() -> dict[str, str]:
    """Return what makes another interpreter find the modules that this one finds, from any directory."""
    entries = [str(Path(entry).resolve()) for entry in sys.path if entry and Path(entry).exists()]
    return {"PYTHONPATH": os.pathsep.join(entries), "PYTHONSAFEPATH": "1"}


def hidden_paths(covers: Iterable[str], more: Iterable[str] = ()) -> list[str]:
    """Return the directories of this Python environment that mounts on *covers* would hide, outermost ones only.

    The environment: the interpreter's prefixes, every entry of ``sys.path``, and the sources of each installed
    plugin, which an editable installation may keep anywhere. *more* directories are treated alike.
    """
    wanted = {sys.prefix, sys.base_prefix, sys.exec_prefix, str(Path(sys.executable).parent)}
    wanted |= {str(Path(sys.executable).resolve().parent)}
    wanted |= {entry for entry in sys.path if entry}
    wanted |= {*_plugin_sources(), *more}
    present = {os.path.abspath(path) for path in wanted if os.path.isdir(path)}  # symlinks as named
    present |= {os.path.realpath(path) for path in present}
    under = [path for path in present if any(path.startswith(cover.rstrip("/") + "/") for cover in covers)]
    return [path for path in sorted(under) if not any(path.startswith(other + "/") for other in under)]


def _plugin_sources() -> set[str]:
    found = {str(Path(__file__).parents[2])}
    for group in (CONTROL_GROUP, PROVIDER_GROUP):
        for entry in importlib.metadata.entry_points(group=group):
            try:
                spec = importlib.util.find_spec(entry.module.partition(".")[0])
            except (ImportError, ValueError):
                continue  # a broken plugin is for the host to report, when it is the one asked for
            for place in (spec.submodule_search_locations or ()) if spec else ():
                found.add(str(Path(place).parent))
    return found
