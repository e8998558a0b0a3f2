"""A writer in the place of a database: an OCF agent, the log that all nodes share, and what the log must look like.

The log is one file with a link on every node's disk. Whoever runs the writer can append to it, whether or not its
network works: what a disk in a storage network is to a cluster.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cloudha.lab.nodes import run_in
from cloudha.lab.state import LabState

__all__ = ["GROUP", "WRITER", "Entry", "Reader", "install_writer", "judge_log"]

WRITER, GROUP = "writer", "service"
LOG = "var/log/chaos.jsonl"
AGENT = Path(__file__).with_name("writer_agent.py")
INSTALLED = "usr/lib/ocf/resource.d/chaos/writer"


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the log. ``start`` names one start of the writer; its lines are numbered by ``sequence`` from 0."""

    node: str
    boot: str
    start: str
    sequence: int
    at: float

    def __str__(self) -> str:
        return f"{self.node} (boot {self.boot}, start {self.start}) number {self.sequence} at {self.at:.3f}"


@dataclass
class Judge:
    """The rule, line by line: once somebody else has written, a start of the writer never writes again."""

    last: Entry | None = None
    over: set[tuple[str, str, str]] = field(default_factory=set)

    def hear(self, entry: Entry) -> str:
        """Return what is wrong with the next line of the log, "" for nothing."""
        key, last = (entry.node, entry.boot, entry.start), self.last
        before = (last.node, last.boot, last.start) if last else None
        self.last = entry
        if before == key and last is not None:
            return "" if entry.sequence == last.sequence + 1 else f"after {last} comes {entry}"
        if before is not None:
            self.over.add(before)
        if key in self.over:
            return f"{entry}, though {last} had written"
        return "" if entry.sequence == 0 else f"begins in the middle: {entry}, after {last}"


class Reader:
    """Reads the log as it grows, and judges it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = 0
        self._judge = Judge()
        self.entries: list[Entry] = []

    @property
    def last(self) -> Entry | None:
        """The last line that was read."""
        return self._judge.last

    def more(self) -> list[str]:
        """Read what is new, keep it in ``entries``, and return what is wrong with it."""
        with self._file.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        whole = new.rpartition(b"\n")[0]
        self._read += len(whole) + 1 if whole else 0
        wrong = []
        for line in whole.splitlines():
            try:
                entry = Entry(**json.loads(line))
            except (ValueError, TypeError):
                wrong.append(f"no entry: {line[:200]!r}")
                continue
            self.entries.append(entry)
            if said := self._judge.hear(entry):
                wrong.append(said)
        return wrong


def judge_log(entries: Iterable[Entry]) -> list[str]:
    """Return what is wrong with a log."""
    judge = Judge()
    return [said for said in map(judge.hear, entries) if said]


def install_writer(state: LabState) -> Reader:
    """Put the writer into one group with the address, behind it, and return the log's reader."""
    script = state.layer / INSTALLED
    script.parent.mkdir(parents=True)
    script.write_text(f"#!{sys.executable} -IS\n{AGENT.read_text()}")
    script.chmod(0o755)
    first, *others = state.nodes
    log = first.disk / LOG
    log.touch()
    for node in others:
        os.link(log, node.disk / LOG)
    ops = ["op", "start", "timeout=30s", "op", "stop", "timeout=30s", "op", "monitor", "interval=5s", "timeout=30s"]
    run_in(
        state, first.name, "pcs", "resource", "create", WRITER, "ocf:chaos:writer", *ops, "--group", GROUP, seconds=90
    )
    run_in(state, first.name, "pcs", "resource", "group", "add", GROUP, "vip", "--before", WRITER, seconds=90)
    return Reader(log)
