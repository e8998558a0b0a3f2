"""docs/scale.md and docs/scale.svg from results/scale.json."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import scale_text as text
from scale_azure_limits import FENCE_INTERVAL, LIMITS, MONITOR_INTERVAL, PER_MACHINE, per_failover
from scale_picture import Axis, Line, Panel, picture

__all__ = ["first_with", "write"]

Results = dict[str, list[list[dict[str, Any]]]]

OURS, THEIRS = "cloudha", "fence_aws + awsvip"
HOUR = 3600.0
SHOWN_HOURS = (50, 100, 150, 200, 300, 500, 1000, 5000)
HOURS_OF = (f"{THEIRS}, strict", f"{THEIRS}, lenient", OURS, f"{OURS}, level 10")
SHOWN_LOSSES = (10, 50, 100, 300, 1000, 2000)
# Of the requests that stop machines, 50 at once and 5 a second pass; no agent can be faster than that.
STOPS_AT_ONCE, STOPS_A_SECOND = 50, 5
ACROSS = Axis(1, 5000, [(n, f"{n:,}") for n in (1, 10, 100, 1000, 5000)])
PER_CENT = Axis(0, 100, [(n, f"{n} %") for n in (0, 25, 50, 75, 100)], logarithmic=False)
SECONDS = Axis(20, HOUR, [(20, "20 s"), (60, "1 min"), (180, "3 min"), (600, "10 min"), (HOUR, "1 h, never")])


def write(raw: dict[str, Any], folder: Path) -> None:
    """Write scale.md and scale.svg into *folder*; parts that were not run are left out."""
    hours, losses = raw["simulate"]["hours"], raw["simulate"]["losses"]
    lines = [text.HEAD, _in_short(hours), "", *_answer(hours), "", text.NAMES, "![figures](scale.svg)", ""]
    lines += [text.LIMITS]
    if "measure" in raw:
        lines += [text.MEASURED, *_measured(raw["measure"]["aws"]), ""]
        lines += [text.PACEMAKER, *_pacemaker(raw["measure"]["pacemaker"]), ""]
    lines += [text.ASSUMPTIONS, text.HOURS, *_hours(hours), "", text.LOSSES, *_losses(losses), "", text.HELP]
    if "check" in raw:
        lines += [text.CHECK, *_check(raw["check"]), ""]
    if "measure" in raw:
        lines += [text.AZURE, *_azure(raw["measure"]["azure"])]
    (folder / "scale.md").write_text("\n".join(lines).rstrip() + "\n")
    (folder / "scale.svg").write_text(picture([_hour_panel(hours), _loss_panel(losses)]))


def _head(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]


def first_with(runs: Sequence[Sequence[dict[str, Any]]], field: str) -> int | None:
    """Return the smallest number of clusters for which any seed counted something, None for none."""
    return next((of_one[0]["clusters"] for of_one in runs if any(run[field] for run in of_one)), None)


def _in_short(hours: Results) -> str:
    def from_on(name: str, field: str) -> str:
        return _number(first_with(hours[name], field), hours[name])

    return (
        f"`fence_aws` with `awsvip` restarts healthy services from N = {from_on(f'{THEIRS}, strict', 'recovered')} on "
        f"({from_on(f'{THEIRS}, lenient', 'recovered')} in the lenient reading).\nOurs: "
        f"{from_on(OURS, 'recovered')}. The monitor of a fence device fails from N = "
        f"{from_on(f'{THEIRS}, strict', 'device_failed')} on with `fence_aws`\n"
        f"({from_on(f'{THEIRS}, lenient', 'device_failed')} in the lenient reading), with ours: "
        f"{from_on(OURS, 'device_failed')}."
    )


def _number(found: int | None, runs: Sequence[Sequence[dict[str, Any]]]) -> str:
    return f"{found:,}" if found else f"none, up to {runs[-1][0]['clusters']:,}"


def _answer(hours: Results) -> list[str]:
    rows = _head("an hour in which nothing is wrong", "services are restarted from N =", "fence monitors fail from N =")
    numbers = [of_one[0]["clusters"] for of_one in next(iter(hours.values()))]
    for name, runs in hours.items():
        cells = []
        for field in ("recovered", "device_failed"):
            found = first_with(runs, field)
            before = max((number for number in numbers if found and number < found), default=0)
            cells.append(_number(found, runs) + (f" (none at {before:,})" if before else ""))
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return rows


def _measured(runs: list[dict[str, Any]]) -> list[str]:
    rows = _head("action", "refused by the API", "who", "exit", "seconds", "requests")
    for run in runs:
        level = f", level {run['level']}" if run["level"] != "0" else ""
        retries = ", SDK with three tries" if run["retries"] == "standard" else ""
        what = run["action"] + (" of the address" if run["action"] in ("monitor", "start", "stop") else "")
        code = "killed" if run["exit"] < 0 else run["exit"]
        refused = {"": "-", "ec2.*": "everything"}.get(run["throttled"], run["throttled"].removeprefix("ec2."))
        who = run["who"] if run["who"] == OURS else ("awsvip" if "address" in what else "fence_aws")
        cells = [what + level + retries, refused, who, code, f"{run['seconds']:.1f}", _counted(run["asked"])]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return rows


def _counted(asked: list[str]) -> str:
    return ", ".join(f"{asked.count(name)} {name}" for name in dict.fromkeys(asked)) or "none"


def _pacemaker(answers: dict[str, list[str]]) -> list[str]:
    return [
        *_head("answer of the agent", "Pacemaker's plan"),
        *(f"| {question} | {'; '.join(plan) or 'nothing'} |" for question, plan in answers.items()),
    ]


def _hours(hours: Results) -> list[str]:
    service = ("services restarted in the hour", "clusters hit", "moved to the other node", "left down")
    rows = _head("N", "who", *service, "fence devices hit", "left down", "degraded monitors")
    rows += [
        f"| {clusters:,} | {name} | {' | '.join(_hour_cells(_of(hours[name], clusters)))} |"
        for clusters in SHOWN_HOURS
        for name in HOURS_OF
    ]
    return rows


def _of(runs: list[list[dict[str, Any]]], clusters: int) -> list[dict[str, Any]]:
    return next(of_one for of_one in runs if of_one[0]["clusters"] == clusters)


def _hour_cells(of_one: list[dict[str, Any]]) -> list[str]:
    def mean(field: str) -> float:
        return statistics.fmean(run[field] for run in of_one)

    def share(field: str, of: str = "clusters") -> str:
        return _per_cent(mean(field) / mean(of))

    counts = [f"{mean('recovered'):,.0f}", share("clusters_hit"), f"{mean('moved'):,.0f}", share("down")]
    return [*counts, share("devices_hit"), share("device_down"), share("degraded", "monitors")]


def _losses(losses: Results) -> list[str]:
    rows = _head("N", "who", "half are back after", "all are back after", "a fencing failed", "not back in an hour")
    for clusters in SHOWN_LOSSES:
        for name, runs in losses.items():
            of_one = _of(runs, clusters)
            cells = [_seconds(_when(of_one, 0.5)), _seconds(_when(of_one, 1.0))]
            cells += [_per_cent(_share(of_one, field)) for field in ("slow", "down")]
            rows.append(f"| {clusters:,} | {name} | {' | '.join(cells)} |")
    return rows


def _when(of_one: list[dict[str, Any]], share: float) -> float:
    """Return after how many seconds that share of the services was back; infinite when it never was."""
    found = []
    for run in of_one:
        place = math.ceil(run["clusters"] * share) - 1
        found.append(run["back"][place] if place < len(run["back"]) else math.inf)
    return statistics.median(found)


def _check(trials: list[dict[str, Any]]) -> list[str]:
    rows = _head("who", "clusters", "monitor of", "real: failed", "simulated: failed (nine tenths of the seeds)")
    fitting = 0
    for trial in trials:
        for what, name in (("address", "address"), ("device", "fence device")):
            real = trial["real"]
            shares = sorted(run[f"{what}_failed"] / max(1, run[what]) for run in trial["simulated"])
            low, high = shares[len(shares) // 20], shares[-len(shares) // 20]
            mean = statistics.fmean(shares)
            fitting += low <= real[f"{what}_failed"] / max(1, real[what]) <= high
            rows.append(
                f"| {trial['who']} | {trial['clusters']} | {name} | {real[f'{what}_failed']} of {real[what]}, "
                f"{_per_cent(real[f'{what}_failed'] / max(1, real[what]))} | {_per_cent(mean)} ({_per_cent(low)} to "
                f"{_per_cent(high)}) |"
            )
    return [*rows, "", f"{fitting} of the {2 * len(trials)} real shares lie in that range."]


def _azure(runs: list[dict[str, Any]]) -> list[str]:
    rows = _head("action", "seconds", "refused", "requests")
    for run in runs:
        asked = ", ".join(f"{number} {name}" for name, number in run["asked"].items()) or "none"
        rows.append(f"| {run['action']} | {run['seconds']} | {run['refused']} | {asked} |")
    once = per_failover(runs)
    rows += ["", *_head("limit of one machine", "at once", "a minute", "one failover asks")]
    rows += [
        f"| {item.name} | {item.limit.capacity:.0f} | {item.limit.refill * 60:.0f} | "
        f"{sum(once[name] for name in item.operations)} |"
        for item in PER_MACHINE
    ]
    rows += ["", *_head("limit of a subscription", "monitors alone reach it at N =", "failovers at once that pass")]
    monitors = {"monitor": MONITOR_INTERVAL, "fence monitor": FENCE_INTERVAL}
    for item in LIMITS:
        rate = sum(
            run["asked"].get(name, 0) / monitors[run["action"]]
            for run in runs
            if run["action"] in monitors
            for name in item.operations
        )
        each = sum(once[name] for name in item.operations)
        steady = f"{item.limit.refill / rate:,.0f}" if rate else "never"
        rows.append(f"| {item.name} | {steady} | {f'{item.limit.capacity / each:,.0f}' if each else 'any'} |")
    return rows


def _hour_panel(hours: Results) -> Panel:
    def line(name: str, looks: str, of: str, field: str) -> Line:
        return Line(name, looks, _points(hours[of], lambda runs: 100 * _share(runs, field)))

    return Panel(
        "An hour in which nothing is wrong: clusters that suffer",
        ACROSS,
        PER_CENT,
        [
            line("fence_aws + awsvip: service restarted", "theirs", f"{THEIRS}, strict", "clusters_hit"),
            line("the same, in the lenient reading", "theirs dash", f"{THEIRS}, lenient", "clusters_hit"),
            line("fence_aws: the device's monitor fails", "theirs dots", f"{THEIRS}, strict", "devices_hit"),
            line("cloudha: service restarted", "ours", OURS, "clusters_hit"),
            line("cloudha: the device's monitor fails", "ours dots", OURS, "devices_hit"),
        ],
    )


def _loss_panel(losses: Results) -> Panel:
    def line(name: str, looks: str, of: str, share: float) -> Line:
        return Line(name, looks, _points(losses[of], lambda runs: _when(runs, share)))

    numbers = [runs[0]["clusters"] for runs in losses[f"{OURS}, strict"]]
    bound = [(n, max(0.0, (n - STOPS_AT_ONCE) / STOPS_A_SECOND)) for n in numbers]
    return Panel(
        "All clusters lose a node in one moment: until services are back",
        ACROSS,
        SECONDS,
        [
            line("fence_aws + awsvip: half of them", "theirs", f"{THEIRS}, strict", 0.5),
            line("all of them", "theirs dash", f"{THEIRS}, strict", 1.0),
            line("cloudha: half of them", "ours", f"{OURS}, strict", 0.5),
            line("all of them", "ours dash", f"{OURS}, strict", 1.0),
            line("half of them, stonith-timeout 600 s", "ours dots", f"{OURS}, strict, 600 s", 0.5),
            Line("the stops alone, at 5 a second", "bound dots", bound),
        ],
    )


def _points(
    results: list[list[dict[str, Any]]], value: Callable[[list[dict[str, Any]]], float]
) -> list[tuple[float, float]]:
    return [(runs[0]["clusters"], value(runs)) for runs in results]


def _share(runs: list[dict[str, Any]], field: str) -> float:
    return statistics.fmean(run[field] / run["clusters"] for run in runs)


def _per_cent(share: float) -> str:
    return f"{share:.0%}" if share == 0 or share >= 0.01 else f"{share:.2%}"


def _seconds(seconds: float) -> str:
    return f"{seconds:,.0f} s" if math.isfinite(seconds) else "never"
