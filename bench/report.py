"""The figures as a page (Markdown) and a picture (SVG)."""

from __future__ import annotations

import platform
import statistics
import subprocess
from pathlib import Path
from typing import Any

__all__ = ["write"]

OURS = "cloudha"
COLOURS = {OURS: "#2a6f97", "floor": "#adb5bd", "bare interpreter": "#adb5bd"}
THEIRS = "#c8553d"
PACKAGES = ("pacemaker", "fence-agents", "resource-agents")
BAR, GAP, LEFT, WIDTH, TEXT = 16, 12, 220, 460, 12


def write(found: list[dict[str, Any]], folder: Path) -> None:
    """Write benchmark.md and benchmark.svg into *folder*."""
    lines = [
        "# Benchmark",
        "",
        "Written by `make bench`; medians of one run in which the contestants took turns on one machine, warm. Ratios",
        "count, milliseconds are this machine's. The API answers after 20 ms, for everybody. Raw numbers:",
        "`results/bench.json` of the run.",
        "",
        f"{platform.machine()}, Python {platform.python_version()}; {', '.join(_versions())}.",
        "",
        "![wall time](benchmark.svg)",
        "",
        "| what | who | wall | CPU | memory | processes | API requests | metadata requests | traffic |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for case in found:
        own = case["of"][OURS]
        for name, record in case["of"].items():
            asked = record["requests"] or {"api": "-", "metadata": "-"}
            cells = [
                _figure(record, own, kind, unit) for kind, unit in (("wall", "ms"), ("cpu", "ms"), ("memory", "MiB"))
            ]
            cells += [str(record["processes"] or "?"), str(asked["api"]), str(asked["metadata"])]
            cells += [f"{_median(record, 'traffic'):.1f} KiB"]
            lines.append(f"| {case['case']} | {name} | {' | '.join(cells)} |")
    notes = [f"- {case['case']}: {case['note']}" for case in found if case["note"]]
    notes += [
        "- fence_azure_arm and fence_ibm_vpc only print their metadata here: the one fails with current releases",
        "  of Azure's SDK, the other has its cloud's address built in. ocivip wants the oci command line, which",
        "  Debian does not have.",
    ]
    lines += ["", "In brackets: ours divided by theirs.", "", *notes, ""]
    (folder / "benchmark.md").write_text("\n".join(lines))
    (folder / "benchmark.svg").write_text(_picture(found))


def _versions() -> list[str]:
    done = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}\\n", *PACKAGES], capture_output=True, text=True, check=False
    )
    return done.stdout.splitlines()


def _median(record: dict[str, Any], kind: str) -> float:
    return float(statistics.median(cost[kind] for cost in record["costs"]))


def _figure(record: dict[str, Any], own: dict[str, Any], kind: str, unit: str) -> str:
    value = _median(record, kind)
    ratio = "" if record is own else f" ({_median(own, kind) / value:.2f})"
    return f"{value:.0f} {unit}{ratio}"


def _picture(found: list[dict[str, Any]]) -> str:
    rows: list[str] = []
    y = GAP
    for case in found:
        if "machines" in case["case"]:  # the same again and again, as it should be: the table has them
            continue
        longest = max(_median(record, "wall") for record in case["of"].values())
        y += TEXT + 2
        rows.append(f'<text x="4" y="{y - 2}" font-weight="bold">{case["case"]}</text>')
        for name, record in case["of"].items():
            value = _median(record, "wall")
            wide = max(1.0, WIDTH * value / longest)
            rows.append(f'<text x="{LEFT - 8}" y="{y + TEXT}" text-anchor="end">{name}</text>')
            rows.append(
                f'<rect x="{LEFT}" y="{y + 1}" width="{wide:.1f}" height="{BAR - 3}" '
                f'fill="{COLOURS.get(name, THEIRS)}"/>'
            )
            rows.append(f'<text x="{LEFT + wide + 5:.1f}" y="{y + TEXT}">{value:.0f} ms</text>')
            y += BAR
        y += GAP
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 90}" height="{y}" '
    ground = '<rect width="100%" height="100%" fill="white"/>\n'
    return head + f'font-family="sans-serif" font-size="{TEXT}">\n{ground}' + "\n".join(rows) + "\n</svg>\n"
