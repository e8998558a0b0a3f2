"""The two figures of docs/scale.md as one SVG, readable on light and on dark paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["Axis", "Line", "Panel", "picture"]

WIDTH, HEIGHT = 560, 220
LEFT, TOP, KEY, GAP = 74, 34, 316, 70
TEXT = 12
STYLE = """<style>
text { fill: #24292f; font: 12px sans-serif }
.title { font-weight: bold }
.grid { stroke: #d0d7de; stroke-width: 1 }
.line { fill: none; stroke-width: 2 }
.ours { stroke: #1f6f9f } .theirs { stroke: #c8553d } .bound { stroke: #6e7781 }
.dash { stroke-dasharray: 7 4 } .dots { stroke-dasharray: 2 4 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .grid { stroke: #3d444d }
  .ours { stroke: #58a6d6 } .theirs { stroke: #f0836b } .bound { stroke: #9198a1 }
}
</style>"""


@dataclass(frozen=True)
class Axis:
    """A scale with labelled ticks, logarithmic or not."""

    low: float
    high: float
    ticks: Sequence[tuple[float, str]]
    logarithmic: bool = True

    def part(self, value: float) -> float:
        """Return where a value lies, from 0 to 1; what lies outside is put at the edge."""
        value = min(max(value, self.low), self.high)
        if not self.logarithmic:
            return (value - self.low) / (self.high - self.low)
        return math.log(value / self.low) / math.log(self.high / self.low)


@dataclass(frozen=True)
class Line:
    """One line: its name in the key, its classes in the style, and its points."""

    name: str
    looks: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Panel:
    """One figure."""

    title: str
    across: Axis
    up: Axis
    lines: Sequence[Line]


def picture(panels: Sequence[Panel]) -> str:
    """Return the SVG."""
    tall = TOP + len(panels) * (HEIGHT + GAP)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + KEY} {tall}" '
    head += f'width="{LEFT + WIDTH + KEY}" height="{tall}">'
    parts = [head, STYLE]
    for number, panel in enumerate(panels):
        parts.extend(_drawn(panel, TOP + number * (HEIGHT + GAP)))
    return "\n".join([*parts, "</svg>", ""])


def _drawn(panel: Panel, top: float) -> list[str]:
    def x(value: float) -> float:
        return LEFT + WIDTH * panel.across.part(value)

    def y(value: float) -> float:
        return top + HEIGHT * (1 - panel.up.part(value))

    parts = [f'<text class="title" x="{LEFT}" y="{top - 12}">{panel.title}</text>']
    for value, label in panel.across.ticks:
        parts.append(f'<path class="grid" d="M{x(value):.1f} {top}V{top + HEIGHT}"/>')
        parts.append(f'<text x="{x(value):.1f}" y="{top + HEIGHT + 16}" text-anchor="middle">{label}</text>')
    for value, label in panel.up.ticks:
        parts.append(f'<path class="grid" d="M{LEFT} {y(value):.1f}H{LEFT + WIDTH}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{label}</text>')
    parts.append(f'<text x="{LEFT + WIDTH / 2}" y="{top + HEIGHT + 32}" text-anchor="middle">clusters</text>')
    for number, line in enumerate(panel.lines):
        parts.append(f'<path class="line {line.looks}" d="{_path(line.points, x, y)}"/>')
        at = top + 6 + number * (TEXT + 8)
        parts.append(f'<path class="line {line.looks}" d="M{LEFT + WIDTH + 12} {at}h28"/>')
        parts.append(f'<text x="{LEFT + WIDTH + 46}" y="{at + 4}">{line.name}</text>')
    return parts


def _path(points: Sequence[tuple[float, float]], x: Callable[[float], float], y: Callable[[float], float]) -> str:
    return "M" + "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in points)
