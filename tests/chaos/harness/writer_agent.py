"""OCF agent of a writer that appends a line to the log that all nodes share, twenty times a second, until it is killed.

It trusts the cluster as a database does: it asks nobody whether another one writes. Copied into the nodes.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import signal
import sys
import time

LOG = "/var/log/chaos.jsonl"
# Below what every boot empties.
PIDS = "/run/chaos-writer.pid"
EVERY_SECONDS = 0.05
STOP_SECONDS = 20.0
SUCCESS, GENERIC, UNIMPLEMENTED, NOT_RUNNING = 0, 1, 3, 7

META_DATA = """<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="writer" version="1.0">
<version>1.1</version>
<longdesc lang="en">Appends to a shared log, as a database would.</longdesc>
<shortdesc lang="en">Writes</shortdesc>
<parameters/>
<actions>
<action name="start" timeout="30s"/>
<action name="stop" timeout="30s"/>
<action name="monitor" timeout="30s" interval="5s" depth="0"/>
<action name="meta-data" timeout="5s"/>
</actions>
</resource-agent>
"""


def birth(pid: int) -> str:
    """Return when the process was started, "" when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def running() -> int:
    """Return the writer's pid, 0 when none runs."""
    try:
        with open(PIDS) as file:
            pid, born = file.read().split()
    except (OSError, ValueError):
        return 0
    return int(pid) if birth(int(pid)) == born else 0


def start() -> int:
    """Start one writer. Its first line is there, and its pid is known, before it may write the second."""
    if running():
        return SUCCESS
    with open("/proc/sys/kernel/random/boot_id") as file:
        boot = file.read()[:8]
    who = {"node": platform.node(), "boot": boot, "start": os.urandom(4).hex()}
    log = os.open(LOG, os.O_WRONLY | os.O_APPEND)
    go, ready = os.pipe()
    if child := os.fork():
        os.close(go)
        with open(f"{PIDS}.new", "w") as file:
            file.write(f"{child} {birth(child)}\n")
        os.rename(f"{PIDS}.new", PIDS)
        write(log, who, 0)
        os.write(ready, b"g")
        return SUCCESS
    os.setsid()
    os.close(ready)
    if os.read(go, 1) != b"g":
        os._exit(1)  # whoever started us was killed before it knew us
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(null, number)
    sequence = 0
    while True:
        time.sleep(EVERY_SECONDS)
        sequence += 1
        write(log, who, sequence)


def write(log: int, who: dict[str, str], sequence: int) -> None:
    """Append one line, in one call."""
    os.write(log, json.dumps({**who, "sequence": sequence, "at": time.monotonic()}).encode() + b"\n")


def stop() -> int:
    """Kill the writer, and see that it is gone."""
    end = time.monotonic() + STOP_SECONDS
    while pid := running():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        if time.monotonic() > end:
            return GENERIC
        time.sleep(0.02)
    return SUCCESS


def main() -> int:
    """Do what the cluster wants and return the exit code of the OCF interface."""
    match sys.argv[1:]:
        case ["start"]:
            return start()
        case ["stop"]:
            return stop()
        case ["monitor"]:
            return SUCCESS if running() else NOT_RUNNING
        case ["meta-data"]:
            print(META_DATA)
            return SUCCESS
        case _:
            return UNIMPLEMENTED


if __name__ == "__main__":
    sys.exit(main())
