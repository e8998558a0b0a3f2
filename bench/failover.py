"""Where the time of a failover goes, ours and theirs, on real clusters in the lab. Run as root.

    python bench/failover.py [--runs 10] [--only a|b|c]     twenty minutes
    python bench/failover.py --tuning [--only NAME]         half an hour
    python bench/failover.py --report                       writes the page and the picture again

a: our agents on the simulated cloud; b: our agents on AWS; c: fence_aws, awsvip and IPaddr2 on AWS. Raw numbers go to
results/failover.json after each run, whatever ends the program; what was not measured again is kept there. With
``--resume`` runs that are there count. ``--minutes`` bounds it: no run begins after that, and none takes longer than
eight minutes, whatever goes wrong.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import failover_clouds
from cloudha.lab import verbs
from cloudha.lab.problems import LabError
from cloudha.lab.reading import log_files
from cloudha.lab.state import LabState
from failover_clusters import CONTESTANTS, USUAL, Contestant, Settings, set_up
from failover_run import cut_power, settle
from failover_story import Story, split, told
from failover_tuning import measure_tuning

TREE = Path(__file__).resolve().parents[1]
RAW = TREE / "results" / "failover.json"
FAILED = TREE / "results" / "failover_failed"
LAB = "share"


class Bench:
    """The raw numbers, and the time that is left."""

    def __init__(self, minutes: float, name: str) -> None:
        self.name = name
        self.end = time.monotonic() + 60 * minutes
        self.raw: dict[str, Any] = json.loads(RAW.read_text()) if RAW.exists() else {}
        self.failures = 0

    @property
    def over(self) -> bool:
        """Whether no run may begin any more."""
        return time.monotonic() > self.end

    def runs(self, *place: str, fresh: bool = False) -> list[Any]:
        """Return the list of runs kept under these names."""
        at = self.raw
        for name in place[:-1]:
            at = at.setdefault(name, {})
        if fresh:
            at[place[-1]] = []
        found: list[Any] = at.setdefault(place[-1], [])
        return found

    def save(self) -> None:
        """Write the raw numbers down."""
        RAW.parent.mkdir(exist_ok=True)
        fresh = RAW.with_suffix(".new")
        fresh.write_text(json.dumps(self.raw, indent=1) + "\n")
        fresh.replace(RAW)

    def failed(self, what: str, error: Exception) -> None:
        """Note a run that did not work."""
        self.failures += 1
        print(f"{what}: FAILED: {error}", flush=True)

    @staticmethod
    def keep_logs(state: LabState) -> None:
        """Keep what is needed to see why a run did not work."""
        FAILED.mkdir(parents=True, exist_ok=True)
        for name, file in log_files(state).items():
            shutil.copy(file, FAILED / name.replace("/", "-"))
        print(f"the logs are in {FAILED.relative_to(TREE)}", flush=True)

    @contextmanager
    def lab(self, contestant: Contestant, settings: Settings) -> Iterator[LabState]:
        """A lab with the contestant's cluster, for the block."""
        state = verbs.up(self.name, provider=contestant.provider, nodes=settings.nodes, setup=False)
        with verbs.removed_at_the_end(state):
            set_up(state, contestant, settings)
            yield state


def record(story: Story) -> dict[str, Any]:
    """Return a run as it is kept: the split, and the story that it was made from."""
    parted = split(story)
    return {
        "total": round(parted.total, 3),
        "stages": {name: round(seconds, 3) for name, seconds in parted.stages.items()},
        "own": round(parted.own, 3),
        "cloud": round(parted.cloud, 3),
        "fence": {name: round(seconds, 3) for name, seconds in parted.fence.items()},
        "spans": [{**dataclasses.asdict(span), "own": round(span.own, 3)} for span in parted.spans],
        "story": dataclasses.asdict(story),
    }


def compare(bench: Bench, contestant: Contestant, runs: int, *, resume: bool) -> None:
    """Measure one contestant."""
    kept = bench.runs("runs", contestant.key, fresh=not resume)
    if len(kept) >= runs or bench.over:
        return
    with bench.lab(contestant, USUAL) as state:
        tries = 0
        while len(kept) < runs and tries < runs + 3 and not bench.over:
            tries += 1
            settle(state)
            try:
                kept.append(record(cut_power(state)))
            except (LabError, ValueError) as error:
                bench.failed(contestant.key, error)
                bench.keep_logs(state)
                continue
            bench.save()
            run = kept[-1]
            told = ", ".join(f"{name} {seconds:.2f}" for name, seconds in run["stages"].items())
            print(f"{contestant.key} {len(kept)}: {run['total']:.2f} s ({told}); agents {run['own']:.2f}", flush=True)


def main() -> None:
    """Measure what was asked for, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=0, help="of each (default 10; 3 with --tuning)")
    parser.add_argument("--only", default="", help="a, b or c, several with commas; a setting's name with --tuning")
    parser.add_argument("--tuning", action="store_true", help="measure settings instead")
    parser.add_argument("--resume", action="store_true", help="go on where the last one stopped")
    parser.add_argument("--report", action="store_true", help="measure nothing")
    parser.add_argument("--minutes", type=float, default=0.0, help="no run begins later (default 40; 60 with --tuning)")
    parser.add_argument("--name", default=LAB, help="the lab's name")
    options = parser.parse_args()
    bench = Bench(options.minutes or (60 if options.tuning else 40), options.name)
    only = set(filter(None, options.only.split(",")))
    if options.report:
        for kept in bench.raw.get("runs", {}).values():
            kept[:] = [record(told(run["story"])) for run in kept]
    else:
        if os.geteuid() != 0:
            sys.exit("failover: must run as root, like every lab")
        with tempfile.TemporaryDirectory() as folder:
            failover_clouds.announce(Path(folder))
            if options.tuning:
                measure_tuning(bench, only, options.runs or 3, resume=options.resume)
            else:
                for contestant in CONTESTANTS:
                    if not only or contestant.key in only:
                        try:
                            compare(bench, contestant, options.runs or 10, resume=options.resume)
                        except LabError as error:
                            bench.failed(contestant.key, error)
    bench.save()
    from failover_report import write

    print(write(bench.raw, TREE / "docs"))
    if bench.failures:
        sys.exit(f"{bench.failures} did not work; see above")


if __name__ == "__main__":
    main()
