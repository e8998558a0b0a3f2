"""The matrix for people: a table in Markdown, and a picture of it in SVG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from campaign.cells import ADDRESS_ACTIONS, FENCE_ACTIONS
from campaign.judge import Verdict
from campaign.player import Result
from campaign.troubles import TROUBLES

__all__ = ["write_report"]

# From good to bad; a field of the table shows the worst of its cells.
ORDER = (Verdict.RIGHT.value, Verdict.UNKNOWN.value, Verdict.MISLED.value, "late", Verdict.WRONG.value)
SYMBOLS = dict(zip(ORDER, ("✓", "?", "m", "L", "✗"), strict=True))
COLOURS = dict(zip(ORDER, ("#5aa469", "#b9cfe0", "#e8c15a", "#d98a3d", "#c0392b"), strict=True))
MEANINGS = dict(
    zip(
        ORDER,
        (
            "right: every claim was true",
            "unknown: it failed honestly, in time, with one line",
            "misled: the cloud itself answered, all the time, what was not true",
            "late: Pacemaker would have killed it",
            "wrong: a lie",
        ),
        strict=True,
    )
)
ACTIONS = (*FENCE_ACTIONS, *(action for action in ADDRESS_ACTIONS if action not in FENCE_ACTIONS))
BOX, LEFT, TOP, LEGEND = 15, 170, 110, 22
# Between two agents' columns.
GAP = 8
# Of another agent's mistakes; ours are all told.
MOST_OF_OTHERS = 25

Column = tuple[str, str, str]
OURS = ("fence_cloud", "floating-ip")


def write_report(results: Iterable[Result], folder: Path, left: int) -> None:
    """Write ``faults.md`` and ``faults.svg``."""
    found = sorted(results, key=lambda result: result.cell)
    matrix = _matrix(found)
    (folder / "faults.md").write_text(_markdown(found, matrix, left))
    (folder / "faults.svg").write_text(_svg(matrix))


def standing(result: Result) -> str:
    """Return the word for one result."""
    if result.verdict == Verdict.WRONG.value:
        return result.verdict
    return "late" if "not in time" in result.complaints else result.verdict


def _matrix(results: Sequence[Result]) -> dict[Column, dict[str, list[Result]]]:
    """Sort results by column (agent, provider, action) and trouble."""
    matrix: dict[Column, dict[str, list[Result]]] = {}
    for result in results:
        cell = result.cell
        which = cell.agent if cell.agent != "ours" else ("floating-ip" if cell.kind else "fence_cloud")
        matrix.setdefault((which, cell.provider, cell.action), {}).setdefault(cell.trouble, []).append(result)
    return dict(sorted(matrix.items(), key=lambda item: _place(item[0])))


def _place(column: Column) -> tuple[bool, str, str, int]:
    which, provider, action = column
    return which not in OURS, provider, which, ACTIONS.index(action)


def _worst(results: Sequence[Result]) -> str:
    return max((standing(result) for result in results), key=ORDER.index)


def _markdown(results: Sequence[Result], matrix: Mapping[Column, Mapping[str, Sequence[Result]]], left: int) -> str:
    lines = ["# Faults", ""]
    lines += [f"{len(results)} cells played, {left} not yet. A field shows the worst of its cells and their number."]
    lines += [
        "",
        *(f"- {SYMBOLS[word]} {MEANINGS[word]}" for word in ORDER),
        "",
        "![the same as a picture](faults.svg)",
    ]
    lines += [
        "",
        "| agent | cells | right | unknown | misled | late | wrong | leaks, tracebacks, unclear | slowest s |",
    ]
    lines += ["|---|---|---|---|---|---|---|---|---|"]
    for name, own in _by_agent(results).items():
        counts = [sum(standing(result) == word for result in own) for word in ORDER]
        other = sum(bool([c for c in result.complaints if c != "not in time"]) for result in own)
        slowest = max(result.seconds for result in own)
        lines.append(f"| {name} | {len(own)} | {' | '.join(map(str, counts))} | {other} | {slowest:.1f} |")
    for agent, provider in dict.fromkeys((column[0], column[1]) for column in matrix):
        columns = [column for column in matrix if column[:2] == (agent, provider)]
        lines += ["", f"## {agent}, {provider}", "", f"| | {' | '.join(column[2] for column in columns)} |"]
        lines += ["|---" * (len(columns) + 1) + "|"]
        for trouble in TROUBLES:
            fields = [_field(matrix[column].get(trouble, [])) for column in columns]
            if any(fields):
                lines.append(f"| {trouble} | {' | '.join(fields)} |")
    lines += ["", "## What was wrong", ""]
    bad = [result for result in results if result.bad or result.verdict == Verdict.MISLED.value]
    lines += list(_wrong(bad)) or ["Nothing."]
    return "\n".join(lines) + "\n"


def _wrong(bad: Sequence[Result]) -> Iterator[str]:
    for name, own in _by_agent(bad).items():
        for result in own if name.startswith("ours") else own[:MOST_OF_OTHERS]:
            what = result.lie or ", ".join(result.complaints)
            yield f"- `{result.cell.key}`: {result.code}, {what}: {result.said}"
        if not name.startswith("ours") and len(own) > MOST_OF_OTHERS:
            yield f"- {name}: {len(own) - MOST_OF_OTHERS} more"


def _by_agent(results: Sequence[Result]) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for result in results:
        cell = result.cell
        name = f"ours, {cell.provider}" if cell.agent == "ours" else cell.agent
        found.setdefault(name, []).append(result)
    return found


def _field(results: Sequence[Result]) -> str:
    return f"{SYMBOLS[_worst(results)]} {len(results)}" if results else ""


def _svg(matrix: Mapping[Column, Mapping[str, Sequence[Result]]]) -> str:
    places, right = _columns(matrix)
    width, height = right + 60, TOP + BOX * len(TROUBLES) + 40 + LEGEND * len(ORDER)
    size = f'width="{width}" height="{height}" font-family="sans-serif" font-size="10"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', '<rect width="100%" height="100%" fill="white"/>']
    for number, trouble in enumerate(TROUBLES):
        y = TOP + number * BOX
        parts.append(f'<text x="{LEFT - 6}" y="{y + 11}" text-anchor="end">{escape(trouble)}</text>')
    named = ""
    for column, found in matrix.items():
        x = places[column]
        name = column[0] if column[0] == column[1] or column[0] not in OURS else f"{column[0]} {column[1]}"
        if name != named:
            parts.append(f'<text x="{x}" y="14" font-weight="bold">{escape(name)}</text>')
            named = name
        parts.append(f'<text transform="translate({x + 11},{TOP - 5}) rotate(-60)">{escape(column[2])}</text>')
        for number, trouble in enumerate(TROUBLES):
            if trouble in found:
                colour = COLOURS[_worst(found[trouble])]
                box = f'x="{x}" y="{TOP + number * BOX}" width="{BOX - 1}" height="{BOX - 1}"'
                parts.append(f'<rect {box} fill="{colour}"/>')
    for number, word in enumerate(ORDER):
        y = TOP + BOX * len(TROUBLES) + 20 + number * LEGEND
        parts.append(f'<rect x="{LEFT}" y="{y}" width="{BOX - 1}" height="{BOX - 1}" fill="{COLOURS[word]}"/>')
        parts.append(f'<text x="{LEFT + BOX + 6}" y="{y + 11}">{escape(MEANINGS[word])}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _columns(matrix: Iterable[Column]) -> tuple[dict[Column, int], int]:
    """Return where each column begins, with a gap before every agent and cloud, and where the last one ends."""
    places: dict[Column, int] = {}
    x, before = LEFT, ("", "")
    for column in matrix:
        if places and column[:2] != before:
            x += GAP
        before = column[:2]
        places[column] = x
        x += BOX
    return places, x
