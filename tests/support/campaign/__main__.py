"""``python -m campaign``: run the fault matrix as far as time allows, and write the table and the picture."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from campaign.cells import all_cells, sampled
from campaign.clouds import stages
from campaign.player import Result
from campaign.report import write_report
from campaign.run import Book, installed, play
from campaign.theirs import their_cells


def main() -> int:
    """Return 1 when anything was wrong with our agents."""
    given = _arguments()
    given.results.mkdir(parents=True, exist_ok=True)
    wanted = [stage for stage in stages() if not given.provider or stage.provider in given.provider]
    cells = all_cells(wanted)
    if given.sample:
        cells = sampled(cells, given.sample, given.seed)
    if given.theirs:
        cells += their_cells()
    # In random order, so that what was played when time is up is a fair sample of everything.
    random.Random(given.seed).shuffle(cells)  # noqa: S311 - to be repeated, not to be secret
    book = Book(given.results / "cells.jsonl")
    if given.again:
        bad = [key for key, result in book.results.items() if result.bad and result.cell.agent == "ours"]
        for key in bad:
            del book.results[key]
    known = sum(book.knows(cell) for cell in cells)
    print(f"{len(cells)} cells, {known} of them played before; {', '.join(s.provider for s in wanted)}", flush=True)
    with tempfile.TemporaryDirectory() as root:
        left = play(
            cells, book, installed(Path(root)), lanes=given.lanes, seconds=given.minutes * 60, seen=_say_when_bad
        )
    results = [book.results[cell.key] for cell in cells if cell.key in book.results]
    write_report(results, given.results, left)
    ours = [result for result in results if result.cell.agent == "ours"]
    wrong = [result for result in ours if result.bad]
    print(f"{len(results)} played, {left} left; of ours {len(wrong)} bad; see {given.results / 'faults.md'}")
    return 1 if wrong else 0


def _say_when_bad(result: Result) -> None:
    if result.bad and result.cell.agent == "ours":
        print(
            f"{result.cell.key}: {result.code}: {result.lie} {', '.join(result.complaints)}: {result.said}", flush=True
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="campaign", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/faults"), help="folder; what is there is kept")
    parser.add_argument("--minutes", type=float, default=20.0, help="after these no new cell is begun")
    parser.add_argument("--seed", type=int, default=1, help="of the order and of the sample")
    parser.add_argument("--sample", type=int, default=0, help="so many cells of our agents; 0: all")
    parser.add_argument("--lanes", type=int, default=6, help="how many agents run at a time; they mostly wait")
    parser.add_argument("--provider", action="append", default=[], help="only this one; may be given again")
    parser.add_argument(
        "--theirs", action=argparse.BooleanOptionalAction, default=True, help="fence_aws and awsvip, too"
    )
    parser.add_argument("--again", action="store_true", help="play again what went wrong before")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
