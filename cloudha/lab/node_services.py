"""The cluster's daemons inside a node, in the order that matters: what systemd does elsewhere.

Installed in the nodes as ``systemctl``, so that ``pcs cluster stop`` and ``start`` work there; it knows only these two
units.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from cloudha.lab.programs import clean_environment, find, poll, run

__all__ = ["main", "start", "stop"]

DAEMONS = {"corosync": "corosync", "pacemaker": "pacemakerd"}
LOG = "/var/log/daemons.log"
START_SECONDS = 30.0
# Stopping moves the resources away first; their own time-outs decide how long that takes.
STOP_SECONDS = 90.0
FAILED, INACTIVE, UNKNOWN_UNIT = 1, 3, 5


def pids(daemon: str) -> list[int]:
    """Return the pids of the running *daemon*, by its name in /proc."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if Path(f"/proc/{entry}/comm").read_text().strip() == daemon:
                    found.append(int(entry))
            except OSError:
                continue  # it ended while we looked
    return found


def start(unit: str) -> bool:
    """Start *unit* and what it needs; return whether it runs."""
    if unit == "pacemaker" and not start("corosync"):
        return False
    daemon = DAEMONS[unit]
    if not pids(daemon):
        argv = [find(daemon), "-f"] if unit == "corosync" else [find(daemon)]
        with Path(LOG).open("ab") as log:
            subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                env=clean_environment(),
            )
    if unit == "corosync":
        return poll(lambda: run(["corosync-cfgtool", "-s"], check=False).ok, START_SECONDS)
    return poll(lambda: bool(pids(daemon)), START_SECONDS)


def stop(unit: str) -> bool:
    """Stop *unit* and what needs it, in good order; return whether it is gone."""
    if unit == "corosync" and not stop("pacemaker"):
        return False
    daemon = DAEMONS[unit]
    for pid in pids(daemon):
        os.kill(pid, signal.SIGTERM)
    return poll(lambda: not pids(daemon), STOP_SECONDS)


def _verb(verb: str, units: list[str]) -> int:
    if verb in ("is-enabled", "enable", "disable"):
        return 0 if set(units) <= set(DAEMONS) else FAILED  # these two start at every boot
    worst = 0
    for unit in units:
        if unit not in DAEMONS:
            code = INACTIVE if verb in ("is-active", "status") else UNKNOWN_UNIT
        elif verb in ("is-active", "status"):
            code = 0 if pids(DAEMONS[unit]) else INACTIVE
        elif verb in ("start", "stop"):
            code = 0 if (start if verb == "start" else stop)(unit) else FAILED
        elif verb == "restart":
            code = 0 if stop(unit) and start(unit) else FAILED
        else:
            code = FAILED
        worst = max(worst, code)
    return worst


def main() -> None:
    """Be ``systemctl VERB UNIT...`` for this node."""
    words = [word for word in sys.argv[1:] if not word.startswith("-")]
    if not words:
        raise SystemExit(FAILED)
    raise SystemExit(_verb(words[0], [unit.removesuffix(".service") for unit in words[1:]]))


if __name__ == "__main__":
    main()
