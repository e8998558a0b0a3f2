"""Where a lab keeps what must outlive one command, and the log of what happened to it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloudha.lab import plan as plans
from cloudha.lab.problems import LabError, NotReady
from cloudha.lab.programs import poll, write_whole

__all__ = ["DEFAULT_ROOT", "Event", "LabState", "NodeState", "open_lab"]

DEFAULT_ROOT = "/var/lib/cloudha-lab"
ROOT_VARIABLE = "CLOUDHA_LAB_DIR"
# Every process of a lab carries it in its environment: that is how `down` finds them all, and only them.
MARK_VARIABLE = "CLOUDHA_LAB_STATE"
# Tells the control plane where files go that the nodes must be able to read.
SHARED_VARIABLE = "CLOUDHA_LAB_SHARED"
# What the directory of a lab holds from its first moment.
PARTS = ("net", "nodes", "routes", "layer", "shared")
LOCK_SECONDS = 40.0
# About half a minute of the witness's log.
FIRST_BLOCK = 128 * 1024


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to the lab's world. ``at``: seconds of the machine's monotonic clock."""

    at: float
    what: str
    node: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class NodeState:
    """The files of one node."""

    name: str
    directory: Path

    @property
    def disk(self) -> Path:
        """What survives a power cut, laid out as below /."""
        return self.directory / "disk"

    @property
    def pid(self) -> Path:
        """Host pid and start time of the node's PID 1."""
        return self.directory / "pid"

    @property
    def ready(self) -> Path:
        """Not empty once the node has its own mounts and its NIC; before that nobody may enter it."""
        return self.directory / "ready"

    @property
    def wanted(self) -> Path:
        """``on`` or ``off``: what the power switch says."""
        return self.directory / "power"

    @property
    def cut(self) -> Path:
        """The scope of a partition, while there is one."""
        return self.directory / "cut"

    @property
    def console(self) -> Path:
        """What the node's init and its daemons print."""
        return self.directory / "console.log"

    @property
    def held(self) -> Path:
        """JSON lines: which floating address came to or left the node's NIC, and when."""
        return self.directory / "held.jsonl"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the node's power switch: nobody else changes its power or its wire meanwhile."""
        with (self.directory / "lock").open("a") as file:
            if not poll(lambda: _try_lock(file.fileno()), LOCK_SECONDS):
                raise NotReady(f"{self.name}: somebody else has held its power switch for {LOCK_SECONDS:g} s")
            yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class LabState:
    """The directory of one lab. It may not exist yet.

    :param directory: absolute; its last part is the lab's name.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        #: whether this very object made the directory, so that a failure may remove it
        self.created = False
        self._plan: plans.Plan | None = None

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.directory.name

    @property
    def exists(self) -> bool:
        """Whether something of the lab is there, be it half built."""
        return self.directory.exists()

    @property
    def foreign(self) -> bool:
        """Whether the directory is there and was never a lab's: then nothing in it is ours to delete."""
        if not self.exists or (self.directory / "lab.json").exists():
            return False
        return any(file.name not in PARTS and not file.name.startswith("lab.json") for file in self.directory.iterdir())

    @property
    def plan(self) -> plans.Plan:
        """What ``up`` decided.

        :raises LabError: there is no such lab.
        """
        if self._plan is None:
            try:
                self._plan = plans.read_plan((self.directory / "lab.json").read_text())
            except (OSError, ValueError, TypeError):
                raise LabError(f"no lab {self.name} is up here; start one with: cloudha lab up") from None
        return self._plan

    def create(self, plan: plans.Plan) -> None:
        """Make the directory, or refuse when somebody else has one of that name."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.directory.mkdir(mode=0o755)
        except FileExistsError:
            raise LabError(
                f"lab {self.name} is already up ({self.directory}); remove it with: cloudha lab down --name {self.name}"
            ) from None
        self.created = True
        for part in PARTS:
            (self.directory / part).mkdir()
        for node in plan.nodes:
            self.node(node.name).directory.mkdir()
        write_whole(self.directory / "lab.json", plan.to_json())

    def node(self, name: str) -> NodeState:
        """Return the files of the node *name*, which need not exist."""
        return NodeState(name, self.directory / "nodes" / name)

    @property
    def nodes(self) -> tuple[NodeState, ...]:
        """The files of all nodes."""
        return tuple(self.node(node.name) for node in self.plan.nodes)

    @property
    def cloud_namespace(self) -> Path:
        """The file that the cloud's network namespace is bound to."""
        return self.directory / "net" / "cloud"

    @property
    def client_namespace(self) -> Path:
        """The file that the client's network namespace is bound to."""
        return self.directory / "net" / "client"

    @property
    def routes(self) -> Path:
        """One file for each floating address that is routed; its content is the machine's name."""
        return self.directory / "routes"

    @property
    def layer(self) -> Path:
        """The software that only the nodes see, laid out as below /."""
        return self.directory / "layer"

    @property
    def shared(self) -> Path:
        """Files of the control plane that every node sees at the same path, read-only: certificate authorities."""
        return self.directory / "shared"

    @property
    def control(self) -> Path:
        """JSON: how to reach the control plane, written when it listens."""
        return self.directory / "control.json"

    @property
    def control_log(self) -> Path:
        """What the control plane prints."""
        return self.directory / "control.log"

    @property
    def witness_log(self) -> Path:
        """JSON lines: every answer that the client got from a floating address."""
        return self.directory / "witness.jsonl"

    @property
    def balancer_log(self) -> Path:
        """JSON lines: which node began or ceased to answer the load balancer's probe, and when."""
        return self.directory / "load_balancer.jsonl"

    @property
    def environment(self) -> dict[str, str]:
        """The mark that every process of this lab carries."""
        return {MARK_VARIABLE: str(self.directory)}

    def note(self, what: str, node: str = "", detail: str = "") -> Event:
        """Write an event of the world down, and return it."""
        event = Event(time.monotonic(), what, node, detail)
        line = {"at": event.at, "time": time.time(), "what": what, "node": node, "detail": detail}
        with (self.directory / "events.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")
        return event

    def events(self, since: float = 0.0) -> list[Event]:
        """Return what happened after *since* (monotonic seconds), in order."""
        lines = read_lines(self.directory / "events.jsonl")
        found = [
            Event(float(str(x["at"])), str(x["what"]), str(x["node"]), str(x["detail"]))
            for x in lines
            if float(str(x["at"])) >= since
        ]
        return sorted(found, key=lambda event: event.at)


def read_lines(path: Path, since: float = 0.0) -> list[dict[str, object]]:
    """Return the JSON lines of *path*; none when it is missing. A last line still being written is left out.

    With *since*, those whose ``at`` is not before it; their file is in the order of time, so only its end is read.
    """
    found: list[dict[str, object]] = []
    block = FIRST_BLOCK
    while True:
        try:
            with path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                start = max(0, size - block) if since else 0
                file.seek(start)
                # What begins in the middle of a line is no JSON, and falls out below.
                lines = file.read().splitlines()
        except OSError:
            return []
        found = [value for value in map(_parsed, lines) if value is not None]
        if start == 0 or (found and _at(found[0]) < since):
            return [value for value in found if _at(value) >= since] if since else found
        block *= 8


def _parsed(line: bytes) -> dict[str, object] | None:
    with contextlib.suppress(ValueError):
        value = json.loads(line)
        if isinstance(value, dict):
            return value
    return None


def _at(line: dict[str, object]) -> float:
    at = line.get("at")
    return float(at) if isinstance(at, int | float) else 0.0


def open_lab(name: str = "lab") -> LabState:
    """Return the state of the lab *name*, below ``$CLOUDHA_LAB_DIR`` or :data:`DEFAULT_ROOT`.

    :raises LabError: no lab can be called so.
    """
    plans.check_name(name)
    root = Path(os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)
    return LabState(root.resolve() / name)
