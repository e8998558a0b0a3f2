"""The logs of a lab: where they are, and their last lines."""

from __future__ import annotations

import os
from pathlib import Path

from cloudha.lab.problems import LabError
from cloudha.lab.state import LabState

__all__ = ["log_files", "tail"]

NODE_LOGS = {
    "pacemaker": "var/log/pacemaker/pacemaker.log",
    "corosync": "var/log/corosync/corosync.log",
    "messages": "var/log/messages",
    "daemons": "var/log/daemons.log",
}
TAIL_BYTES = 256 * 1024


def log_files(state: LabState, place: str | None = None) -> dict[str, Path]:
    """Return the logs by name: ``control``, ``witness``, ``events``, ``node1/pacemaker``, ... those that exist.

    :raises LabError: *place* is no part of the lab.
    """
    found = {
        "control": state.control_log,
        "witness": state.witness_log,
        "load_balancer": state.balancer_log,
        "events": state.directory / "events.jsonl",
    }
    for node in state.nodes:
        found[f"{node.name}/console"] = node.console
        for name, path in NODE_LOGS.items():
            found[f"{node.name}/{name}"] = node.disk / path
    wanted = {
        name: path for name, path in found.items() if place is None or name == place or name.startswith(f"{place}/")
    }
    if not wanted:
        raise LabError(f"no log {place}; there are: {', '.join(found)}")
    return {name: path for name, path in wanted.items() if path.exists()}


def tail(path: Path, lines: int) -> list[str]:
    """Return the last *lines* lines of a log."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        return file.read().decode("utf-8", "replace").splitlines()[-lines:]
