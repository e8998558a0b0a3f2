"""``make bench``: our agents, Debian's and the floor on one machine, in one run, in turn; as a table and a picture.

The measuring happens in a network namespace of its own, since Debian's agents have the metadata service's address built
in. Raw numbers are kept in results/bench.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parent))

if TYPE_CHECKING:
    from cases import Case
    from measure import Command

HERE = Path(__file__).resolve()
TREE = HERE.parents[1]
RESULTS = TREE / "results"
# The simulated cloud knows its machines by their addresses. What agents keep between two runs is not this machine's.
SETUP = """
set -e
ip link set lo up
ip address add 169.254.169.254/32 dev lo
ip address add 10.9.9.1/32 dev lo
mkdir -p /run/cloudha
mount -t tmpfs -o mode=0700 none /run/cloudha
exec "$@"
"""


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15, help="runs of each command (default 15)")
    parser.add_argument("--counts", metavar="FILE", help="only count requests and processes; write nothing but FILE")
    parser.add_argument("--inside", metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        found = count_all() if options.counts else measure_all(options.runs)
        Path(options.inside).write_text(json.dumps(found, indent=1))
        return
    if os.geteuid() != 0:
        sys.exit("bench: must run as root: Debian's agents are kept in a network namespace of their own")
    if options.counts:
        enter("--counts", options.counts, "--inside", options.counts)
        return
    RESULTS.mkdir(exist_ok=True)
    raw = RESULTS / "bench.json"
    enter("--runs", str(options.runs), "--inside", str(raw))
    from report import write

    write(json.loads(raw.read_text()), TREE / "docs")
    print(f"written: docs/benchmark.md, docs/benchmark.svg; raw numbers: {raw.relative_to(TREE)}")


def enter(*words: str) -> None:
    """Run this program with these arguments in a network namespace of its own."""
    inside = [sys.executable, str(HERE), *words]
    subprocess.run(["unshare", "--net", "--mount", "sh", "-c", SETUP, "sh", *inside], check=True)


def count_all() -> list[dict[str, Any]]:
    """Return what does not depend on the machine's speed: requests and processes of each contestant; no fleets."""
    from cases import others, papers, working

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        return [counted(case) for case in chain(papers(root), working(root, shutil.which("aws")), others(root))]


def measure_all(runs: int) -> list[dict[str, Any]]:
    """Return one record for each case: its name and, for each contestant, the raw costs."""
    from cases import growing, others, papers, working

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        found = []
        for case in chain(papers(root), working(root, shutil.which("aws")), others(root), growing(root)):
            found.append(measured(case, max(3, int(runs * case.share))))
            medians = {n: round(statistics.median(c["wall"] for c in r["costs"])) for n, r in found[-1]["of"].items()}
            print(f"{case.name}: {medians} ms", flush=True)
        return found


def measured(case: Case, runs: int) -> dict[str, Any]:
    """Run the contestants of a case in turn; the order changes with every round."""
    from measure import run

    names = list(case.contestants)
    costs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for turn in range(runs + 1):
        for name in names if turn % 2 else reversed(names):
            case.before()
            cost = run(case.contestants[name])
            if turn:  # the first round warms the page cache for everybody
                costs[name].append(vars(cost))
    found = counted(case)
    for name in names:
        found["of"][name]["costs"] = costs[name]
    return found


def counted(case: Case) -> dict[str, Any]:
    """Run each contestant of a case twice: its requests, its processes."""
    from measure import processes, run

    of = {}
    for name in case.contestants:
        case.before()
        asked = count_requests(case, name, run)
        case.before()
        of[name] = {"processes": processes(case.contestants[name]), "requests": asked}
    case.after()
    return {"case": case.name, "note": case.note, "of": of}


def count_requests(case: Case, name: str, run: Callable[[Command], object]) -> dict[str, int] | None:
    """Return how many requests one run sends, to the API and to the metadata service."""
    if not case.servers:
        return None
    for server in case.servers:
        server.journal.clear()
    run(case.contestants[name])
    sent = [operation for server in case.servers for operation in server.journal.operations()]
    local = sum(operation.startswith("metadata.") for operation in sent)
    return {"api": len(sent) - local, "metadata": local}


if __name__ == "__main__":
    main()
