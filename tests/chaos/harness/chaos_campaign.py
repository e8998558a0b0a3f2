"""The campaign: round after round, lab after lab, as far as the bounds allow."""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chaos_book import Book, Setup, read_results
from chaos_lab import started
from chaos_plan import plan_round
from chaos_report import write_report
from chaos_round import Result, play
from cloudha.lab.control import providers
from cloudha.lab.problems import LabError
from cloudha.lab.requirements import check_machine
from cloudha.lab.state import ROOT_VARIABLE

__all__ = ["Bounds", "campaign", "main"]

MOST_FAILED_LABS = 3
DESCRIPTION = """Chaos in the lab, as root.

Troubles at random befall clusters of two and three nodes on the clouds that can be emulated here, while a client asks
the address who it is and a writer appends to a log that all nodes share. The seed decides what happens; the same seed
again goes on after the last round that was played. Ends with 1 after a violation, with 2 when a round did not heal.
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """No round begins after the campaign has ``rounds`` rounds, or has run for ``seconds``."""

    rounds: int
    seconds: float


def main() -> int:
    """Run the campaign; return 1 after a violation, 2 when a round did not heal or a lab could not be built."""
    given = _arguments()
    check_machine()
    os.environ[ROOT_VARIABLE] = str(given.labs)
    setup = Setup(given.seed, given.provider or list(providers()), given.nodes or [2, 3], given.rounds_a_lab)
    played: list[Result] = []

    def tell(result: Result) -> None:
        played.append(result)
        _tell(result)

    broken = ""
    try:
        campaign(setup, Bounds(given.rounds, given.minutes * 60), given.results, tell)
    except LabError as error:
        broken = str(error)
    finally:
        print(f"see {write_report(read_results(given.results), given.results)}", flush=True)
    if any(result.violations for result in played):
        return 1
    return 2 if broken or any(result.error for result in played) else 0


def campaign(setup: Setup, bounds: Bounds, folder: Path, tell: Callable[[Result], None]) -> None:
    """Play what is left of the campaign, as far as the bounds allow.

    :raises LabError: several labs in turn could not be built.
    """
    book = Book(folder, setup)
    end = time.monotonic() + bounds.seconds
    failed = 0
    while book.rounds < bounds.rounds and time.monotonic() < end:
        setting = setup.setting(book.rounds)
        try:
            with started(f"chaos-{setup.seed}", setting) as lab:
                failed = 0
                while book.rounds < bounds.rounds and time.monotonic() < end and setup.setting(book.rounds) == setting:
                    result = play(lab, book.rounds, plan_round(setup.seed, book.rounds, setting.nodes))
                    if result.bad:
                        lab.keep(folder / "evidence" / f"seed-{setup.seed}-round-{book.rounds}")
                    book.add(result)
                    tell(result)
                    if result.bad:
                        break  # what comes after this would prove nothing
        except LabError as error:
            # Nothing has been tried yet, and the machine may have more time for the next one.
            failed += 1
            print(f"{setting}: {error}", flush=True)
            if failed == MOST_FAILED_LABS:
                raise


def _tell(result: Result) -> None:
    moved = ", ".join(f"{old} to {new} in {seconds} s" for old, new, seconds in result.failovers) or "no failover"
    print(
        f"{time.strftime('%H:%M:%S')} round {result.round} ({result.provider}, {result.nodes} nodes): "
        f"{'; '.join(result.troubles)}: {moved}; healed in {result.healed:.0f} s of {result.seconds:.0f}",
        flush=True,
    )
    bad = [f"VIOLATION {text}" for text in result.violations]
    bad += [f"NOT HEALED {result.error}"] if result.error else []
    for text in (*bad, *result.timeline):
        print(text, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=150, help="of the whole campaign, those played before included")
    parser.add_argument("--minutes", type=float, default=120.0, help="after these no new round is begun")
    parser.add_argument("--results", type=Path, default=Path("results/chaos"), help="folder; what is there is kept")
    parser.add_argument("--labs", type=Path, default=Path(tempfile.gettempdir()) / "cloudha-chaos", help="folder")
    parser.add_argument("--provider", action="append", default=[], help="only this cloud; may be given again")
    parser.add_argument("--nodes", action="append", type=int, default=[], help="only so many; may be given again")
    parser.add_argument("--rounds-a-lab", type=int, default=8, help="then comes the next cloud")
    return parser.parse_args()
