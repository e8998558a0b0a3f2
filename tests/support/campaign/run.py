"""Play many cells side by side, each lane in a private place of its own, and keep what was found as it is found."""

from __future__ import annotations

import contextlib
import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from campaign.cells import Cell
from campaign.clouds import Stage, stages
from campaign.player import Player, Result
from campaign.theirs import METADATA_ADDRESS, TheirPlayer
from cloudha import install
from cloudha.testing.conformance.agents import Executables
from private_node import private_node

__all__ = ["Book", "installed", "play"]

METADATA_ADDRESS_ON_LOOPBACK = f"ip address add {METADATA_ADDRESS}/32 dev lo"


def installed(root: Path) -> Executables:
    """Install both agents below *root*, as ``cloudha install`` does."""
    install.install(root)
    return Executables(root / install.AGENTS["fence_cloud"], root / install.AGENTS["floating-ip"])


class Book:
    """The results so far, one line of JSON each; a campaign that was broken off goes on where it was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.results: dict[str, Result] = {}
        #: cells that a cloud cannot be brought into
        self.impossible: set[str] = set()
        if path.exists():
            for line in path.read_text().splitlines():
                with contextlib.suppress(ValueError, TypeError, KeyError):
                    self._read(json.loads(line))

    def _read(self, found: dict[str, object]) -> None:
        given = found.pop("cell")
        cell = Cell(**given)  # type: ignore[arg-type]  # a TypeError leaves the line out
        if "impossible" in found:
            self.impossible.add(cell.key)
        else:
            self.results[cell.key] = Result(cell=cell, **found)  # type: ignore[arg-type]  # as above

    def knows(self, cell: Cell) -> bool:
        """Whether the cell was played."""
        return cell.key in self.results or cell.key in self.impossible

    def note(self, cell: Cell, result: Result | None) -> None:
        """Keep a result; None: the cell is impossible."""
        line = {"cell": vars_of(cell), "impossible": True} if result is None else result.to_json()
        with self._lock:
            if result is None:
                self.impossible.add(cell.key)
            else:
                self.results[cell.key] = result
            with self._path.open("a") as file:
                file.write(json.dumps(line) + "\n")


def vars_of(cell: Cell) -> dict[str, str]:
    """Return a cell's coordinates."""
    return {name: getattr(cell, name) for name in cell.__dataclass_fields__}


@dataclass(frozen=True)
class _Plan:
    executables: Executables
    book: Book
    until: float
    seen: Callable[[Result], None]


def play(
    cells: Sequence[Cell],
    book: Book,
    executables: Executables,
    *,
    lanes: int,
    seconds: float,
    seen: Callable[[Result], None] = lambda _: None,
) -> int:
    """Play the cells that the book does not know, until the time is up; return how many are left.

    :raises Exception: what a lane has raised: the campaign's own fault, not an agent's.
    """
    waiting: dict[tuple[str, bool], queue.SimpleQueue[Cell]] = {}
    for cell in cells:
        if not book.knows(cell):
            waiting.setdefault((cell.provider, cell.agent == "ours"), queue.SimpleQueue()).put(cell)
    plan = _Plan(executables, book, time.monotonic() + seconds, seen)
    by_name = {stage.provider: stage for stage in stages()}
    errors: list[BaseException] = []
    threads = [
        threading.Thread(
            target=_lane,
            args=(by_name[provider], Player if ours else TheirPlayer, waiting[provider, ours], plan, errors),
        )
        for provider, ours in _shared(sorted(waiting), lanes)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(not book.knows(cell) for cell in cells)


def _shared(names: Sequence[tuple[str, bool]], lanes: int) -> Iterator[tuple[str, bool]]:
    """Give every queue a lane, and the lanes that are left to the queues in turn."""
    for number in range(max(lanes, len(names)) if names else 0):
        yield names[number % len(names)]


def _lane(
    stage: Stage,
    kind: type[Player],
    cells: queue.SimpleQueue[Cell],
    plan: _Plan,
    errors: list[BaseException],
) -> None:
    try:
        with private_node(METADATA_ADDRESS_ON_LOOPBACK) as place:
            player = kind(stage, place, plan.executables)
            try:
                while time.monotonic() < plan.until and not errors:
                    cell = cells.get_nowait()
                    result = player.play(cell)
                    plan.book.note(cell, result)
                    if result is not None:
                        plan.seen(result)
            finally:
                player.close()
    except queue.Empty:
        return
    except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
        errors.append(error)
