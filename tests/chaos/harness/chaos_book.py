"""What has been played with a seed: one JSON line a round, after a line that says how the campaign is set up."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from chaos_plan import Setting
from chaos_round import Result

__all__ = ["Book", "Setup"]


@dataclass(frozen=True, slots=True)
class Setup:
    """What decides, with the seed, where each round is played. The plan of its troubles hangs on the seed alone."""

    seed: int
    providers: Sequence[str]
    nodes: Sequence[int]
    rounds_a_lab: int

    def setting(self, number: int) -> Setting:
        """Return where round *number* (from 0) is played: providers in turn, each with every number of nodes."""
        block = number // self.rounds_a_lab
        nodes = self.nodes[block // len(self.providers) % len(self.nodes)]
        return Setting(self.providers[block % len(self.providers)], nodes)


class Book:
    """The file of one seed; made when it is missing.

    :raises ValueError: it is there, for another setup.
    """

    def __init__(self, folder: Path, setup: Setup) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"seed-{setup.seed}.jsonl"
        head = cast("dict[str, object]", json.loads(json.dumps(asdict(setup))))
        known = read(self._file)
        if known and known[0] != head:
            raise ValueError(f"{self._file} is of another setup: {json.dumps(known[0])}; take another seed or folder")
        # Without a last line that the end of the campaign cut in two.
        whole = [json.dumps(line) for line in (known or [head])]
        self._file.write_text("\n".join([*whole, ""]))
        self.rounds = len(whole) - 1

    def add(self, result: Result) -> None:
        """Write a round down."""
        with self._file.open("a") as file:
            file.write(json.dumps(result.to_json()) + "\n")
        self.rounds += 1


def read(file: Path) -> list[Mapping[str, object]]:
    """Return the lines; what is no JSON object ends them."""
    found: list[Mapping[str, object]] = []
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            value = json.loads(line)
        except ValueError:
            break
        found.append(value)
    return found


def read_results(folder: Path) -> dict[int, list[Result]]:
    """Return the rounds of all seeds of a folder."""
    found: dict[int, list[Result]] = {}
    for file in sorted(folder.glob("seed-*.jsonl")):
        head, *lines = read(file) or [{}]
        if head:
            found[int(str(head["seed"]))] = [Result(**cast("dict[str, object]", line)) for line in lines]  # type: ignore[arg-type]  # as add() wrote them
    return found
