"""``python bench/scale.py``: one account's API budget shared by ever more clusters; ours, and fence_aws with awsvip.

Four parts, each kept in results/scale.json: ``measure`` runs the agents against emulated clouds and counts; ``check``
runs them against small buckets and compares with the simulation; ``simulate`` lets up to thousands of clusters share
an account; ``report`` writes docs/scale.md and docs/scale.svg. The first two need root, and a network of their own,
since upstream's agents have the metadata service's address built in.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from scale_model import Agent, Cloudha, Upstream
from scale_simulation import Rules, an_hour, node_loss

HERE = Path(__file__).resolve()
TREE = HERE.parents[1]
RAW = TREE / "results" / "scale.json"
SETUP = 'ip link set lo up && ip address add 169.254.169.254/32 dev lo && exec "$@"'
OUTSIDE, INSIDE = ("simulate", "report"), ("measure", "check")
AGENTS: dict[str, type[Agent]] = {"cloudha": Cloudha, "fence_aws + awsvip": Upstream}

CLUSTERS = (1, 2, 5, 10, 20, 50, 75, 100, 125, 150, 175, 200, 250, 300, 350, 400, 450, 500, 700, 1000, 2000, 5000)
SEEDS = 3
# From here on one run takes a minute, and says the same with every seed.
MANY = 1000

# Name: the rules, in an ordinary hour and when all clusters lose a node. The strict reading of AWS's page is the one
# in which a request that names its machines by id is an unfiltered one.
HOURS: dict[str, Rules] = {
    "fence_aws + awsvip, strict": Rules(Upstream),
    "fence_aws + awsvip, lenient": Rules(Upstream, ids_are_filters=True),
    "fence_aws + awsvip, strict, three tries": Rules(lambda account: Upstream(account, 3)),
    "cloudha": Rules(Cloudha),
    "cloudha, level 10": Rules(lambda account: Cloudha(account, level=10)),
    "cloudha, no dry run": Rules(lambda account: Cloudha(account, dry_runs=())),
}
LOSSES: dict[str, Rules] = {
    "fence_aws + awsvip, strict": Rules(Upstream),
    "fence_aws + awsvip, lenient": Rules(Upstream, ids_are_filters=True),
    "cloudha, strict": Rules(Cloudha),
    "cloudha, lenient": Rules(Cloudha, ids_are_filters=True),
    "fence_aws + awsvip, strict, 600 s": Rules(
        lambda account: Upstream(account, power_timeout=600), stonith_timeout=600.0
    ),
    "cloudha, strict, 600 s": Rules(lambda account: Cloudha(account, power_timeout=590.0), stonith_timeout=600.0),
}


def main() -> None:
    """Do the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=(*INSIDE, *OUTSIDE), help="measure, check, simulate, report")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.parts) - {*INSIDE, *OUTSIDE}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    RAW.parent.mkdir(exist_ok=True)
    if options.inside:
        for part in options.parts:
            keep(part, {"measure": measure, "check": check}[part]())
        return
    in_there = [part for part in INSIDE if part in options.parts]
    if in_there:
        if os.geteuid() != 0:
            sys.exit("scale: measure and check must run as root: upstream's agents are kept in a network of their own")
        inside = [sys.executable, str(HERE), "--inside", *in_there]
        subprocess.run(["unshare", "--net", "sh", "-c", SETUP, "sh", *inside], check=True)
    if "simulate" in options.parts:
        keep("simulate", simulate())
    if "report" in options.parts:
        from scale_report import write

        write(json.loads(RAW.read_text()), TREE / "docs")
        print("written: docs/scale.md, docs/scale.svg")


def keep(part: str, found: object) -> None:
    """Put a part's results beside those of the others."""
    kept = json.loads(RAW.read_text()) if RAW.exists() else {}
    RAW.write_text(json.dumps({**kept, part: found}, indent=1))


def measure() -> dict[str, Any]:
    """Count what the agents ask, see how they end, and hold the simulation's agents to that."""
    from scale_azure import measure_azure
    from scale_measure import measure as measure_aws
    from scale_model import differences
    from scale_pacemaker import ask_pacemaker

    runs = measure_aws(_command_line())
    if wrong := differences(runs, AGENTS):
        sys.exit("scale: the simulation's agents no longer do what the real ones do:\n" + "\n".join(wrong))
    return {"aws": runs, "azure": measure_azure(), "pacemaker": ask_pacemaker()}


def check() -> list[dict[str, Any]]:
    """Compare the simulation with a real run."""
    from scale_check import check as run

    return run(_command_line(), lambda who: Rules(AGENTS[who]))


def simulate() -> dict[str, Any]:
    """Simulate an hour, and the loss of a node in every cluster, for each number of clusters."""
    hours = {name: list(_each(name, rules, _hour)) for name, rules in HOURS.items()}
    losses = {name: list(_each(name, rules, _loss)) for name, rules in LOSSES.items()}
    return {"hours": hours, "losses": losses}


def _each(name: str, rules: Rules, run: Callable[[Rules, int, int], dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    for clusters in CLUSTERS:
        yield [run(rules, clusters, seed) for seed in range(SEEDS if clusters <= MANY else 1)]
        print(f"{name}, {clusters} clusters: {run.__name__.strip('_')} done", flush=True)


def _hour(rules: Rules, clusters: int, seed: int) -> dict[str, Any]:
    return asdict(an_hour(rules, clusters, seed))


def _loss(rules: Rules, clusters: int, seed: int) -> dict[str, Any]:
    lost = asdict(node_loss(rules, clusters, seed))
    return {**lost, "back": [round(seconds, 1) for seconds in sorted(lost["back"])]}


def _command_line() -> str:
    found = shutil.which("aws")
    if found is None:
        sys.exit("scale: awsvip needs the AWS command line (aws) in the PATH")
    return found


if __name__ == "__main__":
    main()
