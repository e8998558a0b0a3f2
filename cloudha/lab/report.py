"""One page that tells a failover: complete in itself, so that it can be mailed, kept and opened anywhere.

It asks no network for anything, runs no script, and is as readable by ear as by eye: the table is the picture. Both are
made from the same items of a :class:`~cloudha.lab.recording.Recording`.
"""

from __future__ import annotations

import base64
import hashlib
import tempfile
from html import escape
from importlib import resources
from pathlib import Path

from cloudha.lab.picture import BY_NODE, COLOURS, bar, draw, seconds
from cloudha.lab.problems import LabError
from cloudha.lab.recording import Item, Lane, Recording

__all__ = ["page", "write_page"]

CAUSES = {
    "power": "the power of {} is cut",
    "isolation": "{} loses the whole network",
    "split": "the nodes lose each other",
    "standby": "{} goes on standby",
}
# The lanes' names where there is little room.
WHERE = {
    Lane.CLIENT: "client",
    Lane.ROUTE: "cloud's routing",
    Lane.NIC: "NIC of",
    Lane.POWER: "power of",
    Lane.LAB: "lab",
    Lane.COROSYNC: "Corosync",
    Lane.PACEMAKER: "Pacemaker",
    Lane.AGENT: "agent's call",
    Lane.CHANGE: "agent's change",
    Lane.API: "cloud's API",
}
# A picture of the end alone is worth its room when it shows less than this part of the whole.
CLOSER = 0.5
BEFORE_SECONDS, AFTER_SECONDS = 0.2, 0.4
MODE = 0o644


def page(recording: Recording) -> str:
    """Return the page as HTML."""
    style = _template("style.css")
    numbers = {place: number for number, place in enumerate(_keys(recording), 1)}
    whole = draw(recording, numbers, recording.begin, recording.end, "What happened, from the cause to the end")
    words = {
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        "title": escape(_title(recording)),
        "provider": escape(recording.provider),
        "when": escape(recording.when),
        "lead": escape(_lead(recording)),
        "nodes": _legend(recording),
        "verdict": _verdict(recording),
        "phases": _phases(recording),
        "picture": whole,
        "keys": _told(recording),
        "closeup": _closeup(recording, numbers),
        "rows": "\n".join(_row(recording, item, numbers.get(place, 0)) for place, item in enumerate(recording.items)),
        "count": str(len(recording.items)),
        # The last one: nothing in it is looked at again.
        "style": style,
    }
    # Split at the marks first: what a log holds must never be taken for a mark of the template.
    head, *rest = _template("page.html.in").split("{{")
    pieces = [head]
    for piece in rest:
        word, _, text = piece.partition("}}")
        pieces += [words[word], text]
    return "".join(pieces)


def write_page(recording: Recording, file: Path) -> None:
    """Write the page, whole or not at all.

    :raises LabError: it cannot be written there.
    """
    text = page(recording)
    try:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False) as draft:
            path = Path(draft.name)
            draft.write(text)
        try:
            path.chmod(MODE)
            path.replace(file)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise LabError(f"{file} cannot be written: {error.strerror or error}") from None


def _template(name: str) -> str:
    return (resources.files("cloudha") / "templates" / "report" / name).read_text()


def _title(recording: Recording) -> str:
    return f"Failover of {recording.address}: {_cause(recording)}"


def _cause(recording: Recording) -> str:
    return CAUSES.get(recording.cause, recording.cause).format(recording.victim)


def _lead(recording: Recording) -> str:
    shot = f"Fenced: {', '.join(recording.fenced)}." if recording.fenced else "Nobody was fenced."
    if recording.outage is None:
        return f"The client still has no answer, {recording.end:.1f} s after the cause. {shot}"
    missed = f"had no answer for {recording.outage:.1f} s" if recording.outage else "missed no answer"
    stayed = f"stayed on {recording.holder}"
    moved = f"moved from {recording.victim} to {recording.holder}"
    way = stayed if recording.holder == recording.victim else moved
    return f"The address {way}. The client {missed}. {shot}"


def _legend(recording: Recording) -> str:
    return " ".join(
        f'<span class="chip c{number % COLOURS}">{escape(node)}</span>' for number, node in enumerate(recording.nodes)
    )


def _verdict(recording: Recording) -> str:
    if not recording.double_holders:
        return '<p class="verdict good">At no moment did two nodes hold or answer for the address.</p>'
    said = "<br>".join(escape(line) for line in recording.double_holders)
    return f'<p class="verdict bad" role="alert">TWO HOLDERS: {said}</p>'


def _phases(recording: Recording) -> str:
    if not recording.phases:
        return ""
    whole = recording.phases[-1].end
    rows = "".join(
        f'<tr><th scope="row">{escape(phase.name)}</th><td class="when">{phase.end - phase.begin:.2f} s</td>'
        f"<td>{bar(phase.begin, phase.end, whole)}</td></tr>"
        for phase in recording.phases
    )
    return (
        f'<section aria-labelledby="where"><h2 id="where">{whole:.1f} s from the cause to the first answer</h2>'
        f'<table class="phases">{rows}</table></section>'
    )


def _keys(recording: Recording) -> list[int]:
    """Return the places of the items that get a number: the key ones, up to the first answer."""
    last = recording.phases[-1].end if recording.phases else recording.end
    return [place for place, item in enumerate(recording.items) if item.key and item.begin <= last]


def _told(recording: Recording) -> str:
    """Return what the numbers in the picture stand for."""
    items = [recording.items[place] for place in _keys(recording)]
    lines = "".join(f"<li>{escape(_said(item))} <span>{seconds(item.begin)} s</span></li>" for item in items)
    return f'<ol class="keys">{lines}</ol>'


def _said(item: Item) -> str:
    if item.lane is Lane.API:
        return f"{item.node} asks the cloud: {item.text}"
    if item.lane in (Lane.COROSYNC, Lane.PACEMAKER):
        return f"{item.lane.value} on {item.node}: {item.text}"
    return item.text


def _closeup(recording: Recording, numbers: dict[int, int]) -> str:
    """Return a picture of the time from the fence agent's call to the answer, which is short and full."""
    if len(recording.phases) < 2:
        return ""
    begin = max(recording.phases[-2].begin - BEFORE_SECONDS, recording.begin)
    end = min(recording.phases[-1].end + AFTER_SECONDS, recording.end)
    if end - begin > CLOSER * (recording.end - recording.begin):
        return ""
    drawn = draw(recording, numbers, begin, end, "The same, from the fence agent's call to the first answer")
    return (
        f'<section aria-labelledby="near"><h2 id="near">The last {end - begin:.1f} s of it, closer</h2>'
        f"{drawn}</section>"
    )


def _row(recording: Recording, item: Item, number: int) -> str:
    when = seconds(item.begin) if item.begin >= recording.begin else "before"
    if item.end is not None:
        when += f" to {seconds(item.end)}" if item.end < recording.end else " to the end"
    where = WHERE[item.lane]
    if item.node:
        where += f" {item.node}" if item.lane in BY_NODE else f", {item.node}"
    kinds = " ".join([item.tone.value, *(["key"] if number else [])])
    identity = f' id="k{number}"' if number else ""
    return (
        f'<tr class="{kinds}"{identity}><td class="number">{number or ""}</td><td class="when">{when}</td>'
        f"<td>{escape(where)}</td><td>{escape(item.text)}</td></tr>"
    )
