"""Play one cell: set the scene, put the trouble in force, run the agent, look at the truth."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from agent_process import lines, started
from campaign.cells import Cell
from campaign.clouds import Stage, close
from campaign.judge import Seen, Truth, Verdict, complaints, judge
from campaign.troubles import STALE_SECONDS, TROUBLES, Duration, Trouble, Way, begin, can_happen
from cloudha.local_mark import MarkKey, set_mark
from cloudha.plugins import Provider, load
from cloudha.testing.conformance import EmulatedCloud
from cloudha.testing.conformance.agents import Executables, shows
from cloudha.testing.conformance.hooks import secrets
from cloudha.types import IPAddress, Kind
from private_node import PrivateNode

__all__ = ["OPERATION_SECONDS", "POWER_SECONDS", "Command", "Player", "Result", "execute"]

# The parameter power_timeout (and query_timeout), and what Pacemaker's timeout is to be above it.
POWER_SECONDS = 5.0
FENCE_MARGIN_SECONDS = 10.0
# Of a floating-ip operation; the agent keeps 3 s of it as its margin.
OPERATION_SECONDS = 9.0
POLL_SECONDS = 0.02
# Between the two looks that the host takes before it says "off".
RESTART_SECONDS = 0.3
SETTLE_SECONDS = 0.3
DEEP = {"monitor-deep": "10"}


@dataclass(frozen=True)
class Command:
    """One process: what to run, its environment and standard input, and when Pacemaker would kill it."""

    words: Sequence[str]
    environment: Mapping[str, str]
    text: str
    seconds: float


@dataclass
class Result:
    """A cell, how it ended, and what was wrong with it."""

    cell: Cell
    code: int
    verdict: str
    seconds: float
    hits: int
    lie: str = ""
    complaints: list[str] = field(default_factory=list)
    said: str = ""

    @property
    def bad(self) -> bool:
        """Whether anything was wrong."""
        return bool(self.complaints) or self.verdict == Verdict.WRONG.value

    def to_json(self) -> dict[str, object]:
        """Return it as a JSON object."""
        return asdict(self)


def execute(command: Command, prefix: Sequence[str] = ()) -> Seen:
    """Run a command to its end, or kill it as Pacemaker would."""
    import subprocess  # for its exception only

    began = time.monotonic()
    with started([*prefix, *command.words], command.environment, cwd="/") as process:
        try:
            out, err = process.communicate(command.text.encode(), timeout=command.seconds)
            late = False
        except subprocess.TimeoutExpired as stopped:
            out, err = stopped.stdout or b"", stopped.stderr or b""
            late = True
    seconds = time.monotonic() - began
    code = process.returncode if process.returncode is not None else -9
    return Seen(code, out.decode(errors="replace"), err.decode(errors="replace"), seconds, late)


class Player:
    """Plays the cells of one provider, in one private place, one after the other."""

    def __init__(self, stage: Stage, place: PrivateNode, executables: Executables) -> None:
        self.stage = stage
        self.place = place
        self.cloud: EmulatedCloud = place.call(stage.make)
        self.provider: Provider = load(stage.provider, ())
        self.executables = executables
        self.operations = self.cloud._operations
        self.power_seconds = POWER_SECONDS
        self.operation_seconds = OPERATION_SECONDS

    def close(self) -> None:
        """End the emulator."""
        self.cloud.reset()
        close(self.cloud)

    def play(self, cell: Cell) -> Result | None:
        """Play one cell; None: this cloud cannot be brought into that trouble."""
        trouble, duration = TROUBLES[cell.trouble], Duration(cell.duration)
        cloud = self.cloud
        if not can_happen(trouble, duration, cloud):
            return None
        self.set_scene(cell)
        if trouble.way is Way.STALE:
            # What is set up must be old enough to be what a stale read tells, and an emulator may only see that a
            # machine was switched behind its back when it is asked.
            execute(Player.command(self, replace(cell, kind="", action="status", agent="ours")), self.place.prefix)
            time.sleep(STALE_SECONDS + SETTLE_SECONDS)
        held_before = self.holder(cell)
        begin(trouble, duration, cloud, self.operations)
        with _Watcher(cloud, cell, trouble) as watcher:
            seen = execute(self.command(cell), self.place.prefix)
        truth = self.truth(cell, held_before, was_off=watcher.was_off)
        verdict, lie = judge(cell, seen, truth)
        wrong = complaints(cell, seen) if cell.agent == "ours" else (["not in time"] if seen.late else [])
        wrong += [f"shows {name}" for name in self.leaks(seen.out + seen.err)]
        cloud.reset()
        said = seen.err.splitlines()[-1][:300] if seen.err.strip() else ""
        return Result(cell, seen.code, verdict.value, round(seen.seconds, 2), truth.hits, lie, wrong, said)

    def command(self, cell: Cell, **more: str) -> Command:
        """Return the process that the cell is about: our own agents, with *more* parameters."""
        options = self.cloud.options()
        if not cell.kind:
            values = {
                "nodename": self.cloud.machines[1].name,
                "plug": self.cloud.machines[1].name,
                "provider": cell.provider,
                "power_timeout": f"{self.power_seconds:g}",
                "query_timeout": f"{self.power_seconds:g}",
                **options,
                **more,
            }
            words = [str(self.executables.fence_cloud)]
            return Command(words, {}, lines(cell.action, **values), self.power_seconds + FENCE_MARGIN_SECONDS)
        action = "monitor" if cell.action in ("monitor-deep", "probe") else cell.action
        values = {
            "provider": cell.provider,
            "ip": str(self.addresses(cell)[0]),
            "kind": cell.kind,
            "CRM_meta_timeout": f"{self.operation_seconds * 1000:.0f}",
            "CRM_meta_interval": "10000" if cell.action.startswith("monitor") else "0",
            **options,
            **more,
        }
        environment = {f"OCF_RESKEY_{name}": value for name, value in values.items()}
        environment |= {"OCF_ROOT": "/usr/lib/ocf", "OCF_RESOURCE_INSTANCE": "vip"}
        environment["OCF_CHECK_LEVEL"] = DEEP.get(cell.action, "0")
        return Command([str(self.executables.floating_ip), action], environment, "", self.operation_seconds)

    def addresses(self, cell: Cell) -> tuple[IPAddress, IPAddress]:
        """Return the cell's address, and a neighbour that it is not about."""
        return self.cloud.addresses(Kind(cell.kind), 4)

    def set_scene(self, cell: Cell) -> None:
        """Make the cell's situation true."""
        cloud = self.cloud
        cloud.reset()
        marks = self.place.path("/run/cloudha")
        shutil.rmtree(marks, ignore_errors=True)
        me, peer = cloud.machines
        if not cell.kind:
            cloud.set_power(peer.id, on=cell.situation == "on")
            return
        kind = Kind(cell.kind)
        ip, other = self.addresses(cell)
        holder = {"here": me.id, "there": peer.id}.get(cell.situation)
        if holder is not None:
            cloud.give(kind, ip, holder)
        # Its neighbour belongs to whom the action is not about.
        cloud.give(kind, other, peer.id if cell.situation == "here" else me.id)
        if cell.situation == "here" and cell.action != "probe":
            # As the start that brought it here has left it; a probe finds what nobody has started.
            set_mark(MarkKey(cell.provider, kind, ip), directory=str(marks))

    def holder(self, cell: Cell) -> str | None:
        """Return who holds the cell's address in truth."""
        return self.cloud.holder(Kind(cell.kind), self.addresses(cell)[0]) if cell.kind else None

    def truth(self, cell: Cell, held_before: str | None = None, *, was_off: bool = False) -> Truth:
        """Look at the cloud from behind."""
        cloud = self.cloud
        me, target = cloud.machines
        untouched = cloud.powered(me.id) and (cloud.powered(target.id) if cell.kind else True)
        if cell.kind:
            neighbour = cloud.holder(Kind(cell.kind), self.addresses(cell)[1])
            untouched &= neighbour == (target.id if cell.situation == "here" else me.id)
        return Truth(
            target=target.id,
            name=target.name,
            me=me.id,
            peer_name=me.name,
            powered=cloud.powered(target.id),
            was_off=was_off,
            held_by=self.holder(cell),
            held_before=held_before,
            hits=cloud.faulted(),
            untouched=untouched,
        )

    def leaks(self, text: str) -> list[str]:
        """Return the names of the secret parameters whose value is in *text*."""
        known = secrets(self.provider, self.cloud)
        return [name for name, value in known.items() if shows(text, value)]


class _Watcher:
    """Sees whether the target was ever off, and starts it again behind everybody's back where that is the trouble."""

    def __init__(self, cloud: EmulatedCloud, cell: Cell, trouble: Trouble) -> None:
        self.was_off = False
        self._cloud = cloud
        self._target = cloud.machines[1].id
        self._restarts = trouble.way is Way.RESTART
        self._duration = Duration(cell.duration)
        self._needed = not cell.kind
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Watcher:  # noqa: PYI034 - typing has no Self in Python 3.10
        if self._needed:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        if self._needed:
            self._thread.join()

    def _watch(self) -> None:
        began, restarts = time.monotonic(), 0
        while not self._ending.wait(POLL_SECONDS):
            if self._cloud.powered(self._target):
                continue
            self.was_off = True
            if self._restarts and self._again(restarts, time.monotonic() - began):
                # Not after the agent has ended: what happens then was not so when it spoke.
                if self._ending.wait(RESTART_SECONDS):
                    return
                self._cloud.set_power(self._target, on=True)
                restarts += 1

    def _again(self, restarts: int, seconds: float) -> bool:
        if self._duration is Duration.ONCE:
            return restarts == 0
        return self._duration is Duration.GOOD or seconds < 2 * STALE_SECONDS
