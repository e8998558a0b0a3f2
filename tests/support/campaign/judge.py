"""What an exit code claims, and whether it was true."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from campaign.cells import Cell
from campaign.troubles import TROUBLES, Duration

__all__ = ["Seen", "Truth", "Verdict", "complaints", "judge"]

LONGEST_LINE = 2500
# What each action may end with. Whatever else is said blames the node or the configuration, which are fine here.
FENCE_CODES: Mapping[str, frozenset[int]] = {"status": frozenset({0, 1, 2})}
ADDRESS_CODES: Mapping[str, frozenset[int]] = {
    "start": frozenset({0, 1, 4}),
    "stop": frozenset({0, 1}),
    **dict.fromkeys(("monitor", "monitor-deep", "probe"), frozenset({0, 1, 7, 190})),
}


class Verdict(enum.Enum):
    """``MISLED``: it repeated what the cloud itself, plausibly and against the truth, said for the whole time."""

    RIGHT = "right"
    UNKNOWN = "unknown"
    MISLED = "misled"
    WRONG = "wrong"


@dataclass(frozen=True)
class Seen:
    """What is seen of one run. ``seconds`` until it ended; ``late``: not before Pacemaker would have killed it."""

    code: int
    out: str
    err: str
    seconds: float
    late: bool


@dataclass(frozen=True)
class Truth:
    """What was true, from behind. ``target``: the machine that is meant, ``me`` the one that the agent runs on."""

    target: str
    name: str
    me: str
    peer_name: str
    powered: bool
    was_off: bool
    held_by: str | None
    held_before: str | None
    hits: int
    #: what nobody may touch is as it was: the other machine's power, the other address
    untouched: bool


def judge(cell: Cell, seen: Seen, truth: Truth) -> tuple[Verdict, str]:
    """Return the verdict on one run, and what was wrong with it."""
    if not truth.untouched:
        return Verdict.WRONG, "it touched what is not its own"
    if seen.late:
        return Verdict.UNKNOWN, ""
    lie = _fence_lie(cell, seen, truth) if not cell.kind else _address_lie(cell, seen, truth)
    trouble = TROUBLES[cell.trouble]
    if lie:
        if cell.action.startswith("list") and not seen.out.strip():
            # Pacemaker would forget all its targets; whoever runs a cluster has a machine, so this can be seen.
            return Verdict.WRONG, "an empty list, and exit code 0"
        patient = trouble.misleads and cell.duration != Duration.ONCE.value
        return (Verdict.MISLED if patient else Verdict.WRONG), lie
    codes = (ADDRESS_CODES if cell.kind else FENCE_CODES).get(cell.action, frozenset({0, 1}))
    if cell.agent == "ours" and seen.code not in codes:
        return Verdict.WRONG, f"exit code {seen.code} blames what is fine"
    return (Verdict.UNKNOWN if seen.code == 1 or (seen.code == 4 and cell.kind) else Verdict.RIGHT), ""


def _fence_lie(cell: Cell, seen: Seen, truth: Truth) -> str:  # noqa: PLR0911 - one for each claim
    blind = TROUBLES[cell.trouble].blinds and cell.duration == Duration.GOOD.value and truth.hits > 0
    match cell.action, seen.code:
        case "off", 0 if truth.powered:
            return "off, it says, and the machine runs"
        case "reboot", 0 if not truth.was_off:
            return "rebooted, it says, and it was never off"
        case "on", 0 if not truth.powered:
            return "on, it says, and it is off"
        case "status", 2 if truth.powered:
            return "off, it says, and the machine runs"
        case "status", 0 if not truth.powered:
            return "on, it says, and it is off"
        case (("list" | "list-status"), 0) if not _lists(cell, seen, truth):
            return "the list lacks a machine, or its state is wrong"
        case "monitor", 0 if blind:
            return "all is well, it says, and nobody can be fenced"
        case "metadata", 0 if not seen.out.startswith("<?xml"):
            return "no metadata"
    return ""


def _lists(cell: Cell, seen: Seen, truth: Truth) -> bool:
    words = seen.out.split()
    states = {True: ",ON", False: ",OFF"} if cell.action == "list-status" else {True: "", False: ""}
    if cell.agent != "ours":
        # Others have columns of their own; the ids must be there.
        return truth.target in seen.out and truth.me in seen.out
    wanted = f"{truth.target},{truth.name}{states[truth.powered]}", f"{truth.me},{truth.peer_name}{states[True]}"
    return all(line in words for line in wanted)


def _address_lie(cell: Cell, seen: Seen, truth: Truth) -> str:  # noqa: PLR0911 - one for each claim
    here = truth.held_by == truth.me
    match cell.action, seen.code:
        case "start", 0 if not here:
            return "started, it says, and it is not bound here"
        case "start", 7:
            return "start has no such code"
        case "stop", 0 | 7 if here:
            return "stopped, it says, and it is bound here"
        case (("monitor" | "monitor-deep" | "probe"), 7) if here:
            return "not running, it says, and it is bound here"
        case (("monitor" | "monitor-deep" | "probe"), 0 | 190) if not here:
            return "running, it says, and it is not bound here"
        case "meta-data", 0 if not seen.out.startswith("<?xml"):
            return "no metadata"
    if cell.action == "stop" and cell.situation == "there" and truth.held_by != truth.held_before:
        return "it took the address from another machine"
    if cell.action not in ("start", "stop") and truth.held_by != truth.held_before:
        return "it changed something"
    return ""


def complaints(cell: Cell, seen: Seen) -> list[str]:
    """Return what is wrong with the way in which it was said; only our own agents are held to it."""
    found = []
    lines = seen.err.splitlines()
    if "Traceback" in seen.err + seen.out:
        found.append("a traceback")
    if seen.late:
        found.append("not in time")
    elif seen.code == 1 and len(lines) != 1:
        found.append(f"{len(lines)} lines for one failure")
    elif seen.code not in (0, 1) and len(lines) > 1:
        found.append(f"{len(lines)} lines")
    if any(not line.isprintable() or len(line) > LONGEST_LINE for line in lines):
        found.append("a line that cannot be read")
    if seen.out and cell.kind and cell.action != "meta-data":
        found.append("something on standard output")
    return found
