"""A timeline of failovers as SVG, readable on light and on dark pages."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from failover_story import STAGES, busy, told

__all__ = ["picture"]

# A run of the raw numbers.
Run = Mapping[str, Any]

WIDTH, LEFT, RIGHT, BAR, TEXT, GAP = 760, 8, 70, 22, 12, 18
# Middle tones, with as much contrast to white as to black; text inside bars is white on them.
COLOURS = {
    "detection": "#6b7a8f",
    "head start": "#8f7a5c",
    "fencing": "#b0473b",
    "address": "#2f7fa8",
    "network": "#4f8a4f",
    "agent": "#7a5ca8",
    "cloud": "#9aa0a6",
}
STYLE = (
    "text{font-family:sans-serif;font-size:12px;fill:#1f2328}.in{fill:#fff;font-size:11px}.axis{stroke:#8b949e}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.in{fill:#fff}}"
)
# A word fits into a bar of this width.
CHARACTER = 6.2


def picture(contestants: Sequence[tuple[str, Sequence[Run]]]) -> str:
    """Draw one run of each contestant, the one whose total is the median (of an even number, the upper one).

    Two bars each: the stages, and below them the agents' processes with the time that they waited for the cloud.
    """
    chosen = [(title, sorted(runs, key=lambda run: run["total"])[len(runs) // 2]) for title, runs in contestants]
    longest = max(run["total"] for _, run in chosen)
    scale = (WIDTH - LEFT - RIGHT) / longest
    parts: list[str] = []
    y = GAP
    for title, run in chosen:
        parts.append(f'<text x="{LEFT}" y="{y}" font-weight="bold">{escape(title)}</text>')
        y += 6
        parts += _stages(run, y, scale)
        parts.append(f'<text x="{LEFT + run["total"] * scale + 6:.1f}" y="{y + 16}">{run["total"]:.1f} s</text>')
        y += BAR + 3
        parts += _processes(run, y, scale)
        y += BAR // 2 + GAP + TEXT
    parts += _axis(y - TEXT, longest, scale)
    y += TEXT + 6
    parts += _legend(y)
    size = f'width="{WIDTH}" height="{y + GAP}" viewBox="0 0 {WIDTH} {y + GAP}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>Where the time of a failover goes</title>'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>", ""])


def _box(span: tuple[float, float], y: float, height: float, colour: str, scale: float, name: str = "") -> str:
    begin, end = span
    wide = max(0.5, (end - begin) * scale)
    box = f'<rect x="{LEFT + begin * scale:.1f}" y="{y}" width="{wide:.1f}" height="{height}" fill="{COLOURS[colour]}">'
    box += f"<title>{escape(name or colour)}: {end - begin:.2f} s</title></rect>"
    if name and wide > len(name) * CHARACTER + 6:
        box += f'<text class="in" x="{LEFT + begin * scale + 4:.1f}" y="{y + 15}">{escape(name)}</text>'
    return box


def _stages(run: Run, y: float, scale: float) -> list[str]:
    found, at = [], 0.0
    for name in STAGES:
        found.append(_box((at, at + run["stages"][name]), y, BAR, name, scale, name))
        at += run["stages"][name]
    return found


def _processes(run: Run, y: float, scale: float) -> list[str]:
    found = []
    at_work = busy(told(run["story"]))
    for span in run["spans"]:
        begin, end = span["begin"], span["end"]
        found.append(_box((begin, end), y, BAR // 2, "agent", scale))
        inside = [(max(begin, first), min(end, last)) for first, last in at_work if first < end and last > begin]
        found += [_box(part, y, BAR // 2, "cloud", scale) for part in inside]
    return found


def _axis(y: float, longest: float, scale: float) -> list[str]:
    step = max(1, 5 * round(longest / 30)) if longest > 12 else 1
    end = LEFT + longest * scale
    found = [f'<line class="axis" x1="{LEFT}" y1="{y}" x2="{end:.1f}" y2="{y}"/>']
    for second in range(0, math.floor(longest) + 1, step):
        x = LEFT + second * scale
        found.append(f'<line class="axis" x1="{x:.1f}" y1="{y}" x2="{x:.1f}" y2="{y + 4}"/>')
        found.append(f'<text x="{x:.1f}" y="{y + 16}" text-anchor="middle">{second}</text>')
    found.append(f'<text x="{end + 14:.1f}" y="{y + 16}">seconds</text>')
    return found


def _legend(y: float) -> list[str]:
    found, x = [], float(LEFT)
    names = {**{name: name for name in STAGES}, "agent": "an agent's process", "cloud": "it waits for the cloud"}
    for colour, name in names.items():
        found.append(f'<rect x="{x:.0f}" y="{y}" width="11" height="11" fill="{COLOURS[colour]}"/>')
        found.append(f'<text x="{x + 15:.0f}" y="{y + 10}">{escape(name)}</text>')
        x += 15 + len(name) * 6.8 + 12
    return found
