"""Draw a recorded failover: one rail for each lane, time from left to right, as SVG that fits any width.

Positions are in percent of the width and heights in pixels, so that text keeps its size on a phone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from cloudha.lab.recording import Item, Lane, Recording, Tone

__all__ = ["BY_NODE", "COLOURS", "bar", "draw", "seconds"]

LABEL, RAIL, GAP, BADGE, AXIS = 16, 20, 8, 20, 24
# Room at both ends, in percent, so that nothing at the edge is cut.
EDGE = 2.0
# Two numbers nearer than this, in percent of a phone's width, would cover each other.
NEAR = 7.0
STEPS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
MOST_TICKS = 9
#: Nodes have colours of their own, and more nodes than these share them.
COLOURS = 5
# What a character of a span's text takes, in percent of a page's width; a text without room is left to the table.
CHARACTER = 0.75
SHAPES: Mapping[Tone, str] = {
    Tone.PLAIN: "M-5 10a5 5 0 1 0 10 0a5 5 0 1 0 -10 0Z",
    Tone.CHANGE: "M0 2L8 10L0 18L-8 10Z",
    Tone.QUIET: "M-2 4H2V16H-2Z",
    Tone.BAD: "M-7 5L-5 3L0 8L5 3L7 5L2 10L7 15L5 17L0 12L-5 17L-7 15L-2 10Z",
}
#: Lanes that have a rail for each node.
BY_NODE = frozenset({Lane.NIC, Lane.POWER})


def seconds(value: float) -> str:
    """Return a moment as the page writes it."""
    return f"{value:+.2f}"


def bar(begin: float, end: float, whole: float) -> str:
    """Return a small bar from *begin* to *end* of *whole*, for a table; decoration only."""
    x, width = 100 * begin / whole, max(100 * (end - begin) / whole, 0.5)
    return (
        f'<svg height="16" aria-hidden="true"><rect class="rail" width="100%" height="16" rx="3"/>'
        f'<rect class="phase" x="{x:.2f}%" width="{width:.2f}%" height="16" rx="3"/></svg>'
    )


def draw(recording: Recording, numbers: Mapping[int, int], begin: float, end: float, title: str) -> str:
    """Return the picture of the time from *begin* to *end*.

    :param numbers: the number of each key item, by its place in ``recording.items``.
    :param title: what a screen reader calls the picture.
    """
    scale = _Scale(begin, end)
    seen = [(place, item) for place, item in enumerate(recording.items) if _reaches(item, begin, end)]
    keys = [(numbers[place], item.begin) for place, item in seen if place in numbers and item.begin >= begin]
    badges, high = _badges(keys, scale)
    parts, top = [], high + GAP
    for lane, node in _rails(item for _, item in seen):
        label = f"{lane.value} {node}".strip()
        on_rail = [item for _, item in seen if item.lane is lane and (lane not in BY_NODE or item.node == node)]
        parts.append(f'<text class="lane" x="{EDGE}%" y="{top + 12}">{escape(label)}</text>')
        y = top + LABEL
        parts.append(f'<rect class="rail" x="0" y="{y}" width="100%" height="{RAIL}" rx="3"/>')
        # Questions first, so that what matters lies on top of them.
        drawn = sorted(on_rail, key=lambda item: (item.end is None, item.tone is not Tone.QUIET))
        parts += [_drawn(item, scale, y, recording.nodes) for item in drawn]
        top = y + RAIL + GAP
    guides = "".join(
        f'<line class="guide" x1="{scale.at(at):.2f}%" x2="{scale.at(at):.2f}%" y1="{BADGE}" y2="{top}"/>'
        for _, at in keys
    )
    return (
        f'<svg height="{top + AXIS}" role="img" aria-label="{escape(title)}">'
        f"{_axis(scale, high, top)}{guides}{''.join(parts)}{badges}</svg>"
    )


class _Scale:
    def __init__(self, begin: float, end: float) -> None:
        self.begin, self.end = begin, end

    def at(self, moment: float) -> float:
        """Return the place of a moment in percent of the width."""
        part = (min(max(moment, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return EDGE + part * (100 - 2 * EDGE)


def _reaches(item: Item, begin: float, end: float) -> bool:
    return item.begin <= end and (item.begin if item.end is None else item.end) >= begin


def _rails(items: Iterable[Item]) -> list[tuple[Lane, str]]:
    found = {(item.lane, item.node if item.lane in BY_NODE else "") for item in items}
    return sorted(found, key=lambda rail: (list(Lane).index(rail[0]), rail[1]))


def _drawn(item: Item, scale: _Scale, y: float, nodes: Sequence[str]) -> str:
    x = scale.at(item.begin)
    title = f"<title>{escape(_said(item))}</title>"
    whose = f"n{nodes.index(item.node) % COLOURS}" if item.node in nodes else ""
    if item.end is None:
        kind = f"dot {item.tone.value} {whose}".strip()
        return f'<svg class="{kind}" x="{x:.2f}%" y="{y}"><path d="{SHAPES[item.tone]}"/>{title}</svg>'
    width = max(scale.at(item.end) - x, 0.4)
    colour = "bad" if item.tone is Tone.BAD else whose
    text = f'<text x="6" y="14">{escape(_short(item))}</text>' if width > CHARACTER * (len(_short(item)) + 1) else ""
    return (
        f'<svg class="span {colour}" x="{x:.2f}%" y="{y}" width="{width:.2f}%" height="{RAIL}">'
        f'<rect x="0.5" y="0.5" width="100%" height="{RAIL - 1}" rx="3"/>{text}{title}</svg>'
    )


def _said(item: Item) -> str:
    until = "" if item.end is None else f" to {seconds(item.end)}"
    who = f"{item.node}: " if item.node and item.node not in item.text else ""
    return f"{seconds(item.begin)}{until} s: {who}{item.text}"


def _short(item: Item) -> str:
    if item.lane is Lane.POWER or item.tone is Tone.BAD:
        return item.text
    head, _, rest = item.text.partition(": ")
    return head if item.lane is Lane.AGENT else rest.partition(" ")[0] if item.lane is Lane.CHANGE else item.node


def _badges(keys: Sequence[tuple[int, float]], scale: _Scale) -> tuple[str, int]:
    """Return the numbers above the rails, in as many rows as keep them apart, and how high that is."""
    parts = []
    row = highest = 0
    before = -NEAR
    for number, at in keys:
        x = scale.at(at)
        row = row + 1 if x - before < NEAR else 0
        highest, before = max(highest, row), x
        parts.append(
            f'<svg class="dot badge" x="{x:.2f}%" y="{row * BADGE}">'
            f'<circle cy="10" r="9"/><text y="14">{number}</text></svg>'
        )
    return "".join(parts), BADGE * (highest + 1)


def _axis(scale: _Scale, top: int, bottom: int) -> str:
    parts = []
    for at in _ticks(scale.begin, scale.end):
        x = scale.at(at)
        anchor = "start" if x < NEAR else "end" if x > 100 - NEAR else "middle"
        parts.append(
            f'<line class="grid" x1="{x:.2f}%" x2="{x:.2f}%" y1="{top}" y2="{bottom}"/>'
            f'<text class="tick" x="{x:.2f}%" y="{bottom + 16}" text-anchor="{anchor}">{at:+g} s</text>'
        )
    return "".join(parts)


def _ticks(begin: float, end: float) -> Iterator[float]:
    step = next((step for step in STEPS if (end - begin) / step <= MOST_TICKS), end - begin)
    first = int(begin / step) - 1
    for number in range(first, first + 3 + int((end - begin) / step)):
        if begin <= number * step <= end:
            yield round(number * step, 3)
