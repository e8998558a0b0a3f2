"""The figures of ``failover.py`` in the page docs/tuning.md, between its marks, and as a picture."""

from __future__ import annotations

import platform
import statistics
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from failover_clusters import CONTESTANTS
from failover_picture import picture
from failover_story import STAGES
from failover_tuning import BASE_NAME, CASES

__all__ = ["write"]

PAGE, PICTURE = "tuning.md", "failover.svg"
PACKAGES = ("pacemaker", "corosync", "fence-agents", "resource-agents")
WANTED = 10
PHASES = {
    "asking": "until the stop is asked for",
    "looking": "from the stop's end until the start is asked for",
    "starting": "after that",
}


def write(raw: dict[str, Any], docs: Path) -> str:
    """Write the picture and the page's tables into *docs*; return the tables.

    :raises ValueError: the page has lost its marks.
    """
    runs = {c.key: raw.get("runs", {}).get(c.key, []) for c in CONTESTANTS}
    blocks = {
        "comparison": _comparison(runs),
        "agents": _agents(runs),
        "settings": _settings(raw.get("tuning", {}), raw.get("totem", {})),
    }
    page = docs / PAGE
    text = page.read_text()
    for name, block in blocks.items():
        text = _replaced(text, name, block)
    page.write_text(text)
    if any(runs.values()):
        (docs / PICTURE).write_text(picture([(c.title, runs[c.key]) for c in CONTESTANTS if runs[c.key]]))
    return "\n\n".join(blocks.values())


def _replaced(text: str, name: str, block: str) -> str:
    begin, end = f"<!-- {name}: written by bench/failover.py -->", f"<!-- {name}: end -->"
    if begin not in text or end not in text:
        raise ValueError(f"{PAGE}: the marks of {name} are missing")
    return f"{text.partition(begin)[0]}{begin}\n{block}\n{end}{text.partition(end)[2]}"


def _figure(values: Sequence[float]) -> str:
    """Return the median, and in brackets the least and the most."""
    middle = f"{statistics.median(values):.2f}"
    return f"{middle} ({min(values):.2f}-{max(values):.2f})" if len(values) > 1 else middle


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _comparison(runs: dict[str, list[Any]]) -> str:
    columns = [f"{c.key}: {c.title}" for c in CONTESTANTS if runs[c.key]]
    kept = [runs[c.key] for c in CONTESTANTS if runs[c.key]]
    if not kept:
        return "Nothing measured."
    rows = [[f"{name}, s", *[_figure([run["stages"][name] for run in of]) for of in kept]] for name in STAGES]
    rows.append(["**total, s**", *[f"**{_figure([run['total'] for run in of])}**" for of in kept]])
    rows.append(["of that, agents' own, s", *[_figure([run["own"] for run in of]) for of in kept]])
    rows.append(["the cloud's, s", *[_figure([run["cloud"] for run in of]) for of in kept]])
    rows.append(["**agents' share of the total**", *[f"**{_share(of, 'total'):.0f} %**" for of in kept]])
    rows.append(["without the head start", *[f"{_share(of, 'head start'):.0f} %" for of in kept]])
    rows.append(["runs", *[str(len(of)) for of in kept]])
    return f"{_machine()}\n\n{_table(['', *columns], rows)}\n\n{_verdict(runs)}".rstrip()


def _verdict(runs: dict[str, list[Any]]) -> str:
    """Say whether the agents' share is what it was meant to be."""
    if not all(runs.values()):
        return ""
    mine, ours, theirs = (_share(runs[c.key], "total") for c in CONTESTANTS)
    small, smaller = (("missed", "reached")[good] for good in (mine <= WANTED, ours < theirs))
    return (
        f"Wanted is a share of at most {WANTED} % on the simulated cloud ({mine:.0f} %: {small}), and a "
        f"smaller one than that of the other agents on AWS ({ours:.0f} % against {theirs:.0f} %: {smaller})."
    )


def _share(of: list[Any], whole: str) -> float:
    """Return the median share, in percent."""
    shares = [
        100 * run["own"] / (run["total"] - (0 if whole == "total" else run["stages"]["head start"])) for run in of
    ]
    return float(statistics.median(shares))


def _agents(runs: dict[str, list[Any]]) -> str:
    """What each process of an agent takes of its own; the fence agent's in three parts."""
    rows = []
    for contestant in CONTESTANTS:
        of = runs[contestant.key]
        if not of:
            continue
        for phase, text in PHASES.items():
            rows.append([contestant.key, f"fence: {text}", _figure([run["fence"][phase] for run in of])])
        names = list(dict.fromkeys(span["what"] for run in of for span in run["spans"] if span["what"] != "fence"))
        for name in names:
            found = [span["own"] for run in of for span in run["spans"] if span["what"] == name]
            rows.append([contestant.key, name, _figure(found)])
    return _table(["", "process", "of its own, s"], rows)


def _settings(tuning: dict[str, list[Any]], totem: dict[str, Any]) -> str:
    rows = []
    base = statistics.median(run["total"] for run in tuning[BASE_NAME]) if tuning.get(BASE_NAME) else None
    for case in CASES:
        of = tuning.get(case.name)
        if not of:
            continue
        totals = [run["total"] for run in of]
        more = f"{statistics.median(totals) - base:+.1f}" if base is not None and case.how == "power" else ""
        text = case.text
        if case.name in totem:
            text += f" (effective: {totem[case.name]['token']} ms)"
        stages = [_stage(of, name) for name in ("detection", "head start", "fencing")]
        shares = [100 * run["own"] / run["total"] for run in of if "own" in run]
        share = f"{statistics.median(shares):.0f} %" if shares else ""
        rows.append([text, _figure(totals), "" if case.name == BASE_NAME else more, *stages, share])
    head = ["setting", "nobody answered for, s", "against the first, s", "detection", "head start", "fencing"]
    return _table([*head, "agents' share"], rows)


def _stage(of: list[Any], name: str) -> str:
    found = [run["stages"][name] for run in of if "stages" in run]
    return f"{statistics.median(found):.2f}" if found else ""


def _machine() -> str:
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *PACKAGES], capture_output=True, text=True, check=False
    )
    return f"{platform.machine()}, Python {platform.python_version()}; {', '.join(done.stdout.splitlines())}."
