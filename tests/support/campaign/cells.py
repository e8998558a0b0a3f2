"""The cells of the matrix: who does what, in which situation, while what goes wrong for how long."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from campaign.clouds import Stage
from campaign.troubles import TROUBLES, Duration, Trouble, Way

__all__ = ["ADDRESS_ACTIONS", "FENCE_ACTIONS", "Cell", "all_cells", "cells_of", "sampled"]

# What is true before the action. For fencing, of the machine that is meant; for addresses, of who holds it.
FENCE_ACTIONS = {
    "off": ("on", "off"),
    "reboot": ("on",),
    "on": ("off",),
    "status": ("on", "off"),
    "monitor": ("on",),
    "list": ("on",),
    "list-status": ("off",),
    "validate-all": ("on",),
    "metadata": ("on",),
}
ADDRESS_ACTIONS = {
    "start": ("free", "there"),
    "stop": ("here", "there"),
    "monitor": ("here", "there"),
    "monitor-deep": ("here", "there"),
    "probe": ("here", "there"),
    "validate-all": ("free",),
    "reload-agent": ("free",),
    "meta-data": ("free",),
}
CHANGING = frozenset({"off", "reboot", "on", "start", "stop"})
# They ask nobody; that they do not is shown once for each trouble.
SILENT = frozenset({"metadata", "meta-data", "reload-agent"})
# Their cells count as if so many like them had been chosen already.
SILENT_WEIGHT = 12


@dataclass(frozen=True, order=True)
class Cell:
    """One cell. ``agent``: ``ours``, or the name of another one. ``kind``: of address, "" for fencing."""

    provider: str
    agent: str
    kind: str
    action: str
    situation: str
    trouble: str
    duration: str

    @property
    def key(self) -> str:
        """A name for files and messages."""
        return "/".join(asdict(self).values())


def all_cells(stages: Iterable[Stage]) -> list[Cell]:
    """Return every cell of our agents on these clouds."""
    found = []
    for stage in stages:
        if stage.fencing:
            found += list(_cells(stage.provider, "ours", "", FENCE_ACTIONS))
        for kind in stage.kinds:
            found += list(_cells(stage.provider, "ours", kind.value, ADDRESS_ACTIONS))
    return found


def _cells(provider: str, agent: str, kind: str, actions: dict[str, tuple[str, ...]]) -> Iterator[Cell]:
    for action, situations in actions.items():
        for situation in situations:
            for trouble in TROUBLES.values():
                for duration in Duration:
                    if _makes_sense(action, trouble, duration):
                        yield Cell(provider, agent, kind, action, situation, trouble.name, duration.value)


def _makes_sense(action: str, trouble: Trouble, duration: Duration) -> bool:
    if trouble.way is Way.RESTART:
        return action in ("off", "reboot")
    if trouble.way is Way.STALE and duration is not Duration.GOOD:
        return False
    if trouble.way is Way.NEVER and duration is Duration.ONCE:
        return False
    if trouble.way is Way.NEVER or trouble.scope.value == "changes":
        return action in CHANGING
    return action not in SILENT or duration is Duration.GOOD


def cells_of(provider: str, agent: str, kind: str, actions: Iterable[str]) -> list[Cell]:
    """Return the cells that another agent can do, too."""
    table = ADDRESS_ACTIONS if kind else FENCE_ACTIONS
    return list(_cells(provider, agent, kind, {action: table[action] for action in actions}))


def sampled(cells: Sequence[Cell], count: int, seed: int) -> list[Cell]:
    """Choose *count* cells: of every provider as many, and every trouble with every action as evenly as chance lets."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
    by_provider: dict[str, list[Cell]] = {}
    for cell in sorted(cells):
        by_provider.setdefault(cell.provider, []).append(cell)
    for found in by_provider.values():
        chance.shuffle(found)
    seen: dict[tuple[str, str], int] = {}
    chosen: list[Cell] = []
    while len(chosen) < count and any(by_provider.values()):
        for provider in sorted(by_provider):
            left = by_provider[provider]
            if left and len(chosen) < count:
                best = min(left, key=lambda cell: _crowd(cell, seen))
                left.remove(best)
                for key in _coordinates(best):
                    seen[key] = seen.get(key, 0) + 1
                chosen.append(best)
    return chosen


def _coordinates(cell: Cell) -> tuple[tuple[str, str], ...]:
    return (
        (cell.trouble, ""),
        (cell.trouble, cell.provider),
        (cell.action, cell.kind),
        (cell.duration, cell.provider),
        (cell.trouble, cell.action),
    )


def _crowd(cell: Cell, seen: dict[tuple[str, str], int]) -> int:
    crowd = sum(seen.get(key, 0) for key in _coordinates(cell))
    # They ask nobody, so they hardly show anything.
    return crowd + SILENT_WEIGHT if cell.action in SILENT else crowd
