"""Kill an agent at every point between two requests, or at any time, and see what a second run makes of it.

A request that hangs holds the agent exactly there: before the operation is done, or after it was done and before its
answer. Together these are all the points at which the cloud can be left by a kill.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from agent_process import started
from campaign.cells import Cell
from campaign.judge import Verdict, judge
from campaign.player import Player, execute
from cloudha.local_mark import MarkKey, read_mark
from cloudha.testing.emulator import Effect, Fault
from cloudha.types import Kind
from cloudha.types import Verdict as Known

__all__ = ["Point", "half_written", "killed_after", "killed_at", "points", "settled"]

POLL_SECONDS = 0.005
REACH_SECONDS = 30.0
DONE_SECONDS = 0.1


@dataclass(frozen=True)
class Point:
    """After so many requests; ``done``: the next one's operation was done, its answer was not sent."""

    requests: int
    done: bool


def points(player: Player, cell: Cell, **more: str) -> tuple[list[Point], float]:
    """Run the action undisturbed, and return every point at which it can be killed, and how long it took."""
    player.set_scene(cell)
    seen = execute(player.command(cell, **more), player.place.prefix)
    assert seen.code == 0, (cell.key, seen)
    requests = sum(len(server.journal.entries()) for server in player.cloud.servers)
    return [Point(number, done) for number in range(requests) for done in (False, True)], seen.seconds


def killed_at(player: Player, cell: Cell, point: Point, **more: str) -> bool:
    """Kill the action at that point; whether it came so far."""
    player.set_scene(cell)
    for server in player.cloud.servers:
        server.faults.add(Fault("*", Effect.HANG, after=point.requests, performed=point.done))
    command = player.command(cell, **more)
    began = time.monotonic()
    with started([*player.place.prefix, *command.words], command.environment, cwd="/") as process:
        assert process.stdin
        process.stdin.write(command.text.encode())
        process.stdin.close()
        while not player.cloud.faulted() and process.poll() is None:
            assert time.monotonic() - began < REACH_SECONDS, (cell.key, point)
            time.sleep(POLL_SECONDS)
        if point.done and player.cloud.faulted():
            # The hit is counted before the operation is done, which takes the emulators milliseconds.
            time.sleep(DONE_SECONDS)
        reached = process.poll() is None
    for server in player.cloud.servers:
        server.faults.clear()
    return reached


def killed_after(player: Player, cell: Cell, seconds: float, **more: str) -> None:
    """Kill the action so long after its start, wherever it is then."""
    player.set_scene(cell)
    command = player.command(cell, **more)
    with started([*player.place.prefix, *command.words], command.environment, cwd="/") as process:
        assert process.stdin
        process.stdin.write(command.text.encode())
        process.stdin.close()
        time.sleep(seconds)


def settled(player: Player, cell: Cell, **more: str) -> str:
    """Do the action again, and return what is wrong then, "" for nothing: it succeeds, and that is true."""
    seen = execute(player.command(cell, **more), player.place.prefix)
    truth = player.truth(cell, player.holder(cell), was_off=True)
    verdict, lie = judge(cell, seen, truth)
    if seen.code or verdict is not Verdict.RIGHT:
        return f"{seen.code}: {lie} {seen.err}"
    if cell.kind and cell.action == "stop" and truth.held_by is not None:
        return f"{truth.held_by} holds it"
    return half_written(player, cell)


def half_written(player: Player, cell: Cell) -> str:
    """Return what the action has left on this machine and should not have, "" for nothing."""
    folder = player.place.path("/run/cloudha")
    found = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
    # Some providers keep a login there, whole and under its own name; a half-written one begins with a dot.
    found = [name for name in found if not name.startswith(("token.", "session."))]
    wanted: list[str] = []
    if cell.kind:
        key = MarkKey(cell.provider, Kind(cell.kind), player.addresses(cell)[0])
        wanted = [key.file_name] if cell.action == "start" else []
        if wanted and read_mark(key, directory=str(folder)) is not Known.YES:
            return f"the mark is not whole: {found}"
    return "" if found == wanted else f"left in /run/cloudha: {found}"
