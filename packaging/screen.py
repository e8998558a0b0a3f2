"""What stays on a terminal's screen of all that was written to it: spinners leave nothing, colours neither."""

from __future__ import annotations

import re

__all__ = ["on_screen"]

# Control sequences of ECMA-48, the short ones with digits included; then the four that move without one.
PIECE = re.compile(
    r"\x1b\[(?P<numbers>[0-?]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]"
    r"|(?P<control>[\x00-\x1f\x7f])|(?P<text>[^\x00-\x1f\x7f]+)"
)
TAB = 8


class _Screen:
    """Rows without an end, and as long as they must be: nothing is folded, and nothing scrolls away."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = [[]]
        self.row = self.column = 0

    def write(self, text: str) -> None:
        line = self.rows[self.row]
        line.extend(" " * (self.column - len(line)))
        line[self.column : self.column + len(text)] = text
        self.column += len(text)

    def control(self, character: str) -> None:
        if character == "\n":
            self.row += 1
            if self.row == len(self.rows):
                self.rows.append([])
        elif character == "\r":
            self.column = 0
        elif character == "\b":
            self.column = max(0, self.column - 1)
        elif character == "\t":
            self.write(" " * (TAB - self.column % TAB))

    def sequence(self, final: str, number: str) -> None:
        if final == "A":
            self.row = max(0, self.row - int(number or 1))
        elif final == "K":
            line = self.rows[self.row]
            # 0, or no number: to the end; 1: from the beginning; 2: all of it.
            kept = line[: self.column] if number in ("", "0") else []
            rest = [" "] * self.column + line[self.column :] if number == "1" else []
            self.rows[self.row] = kept or rest


def on_screen(written: str) -> str:
    """Return the lines that are to be seen in the end, without blank ones around them."""
    screen = _Screen()
    for piece in PIECE.finditer(written):
        if piece["text"]:
            screen.write(piece["text"])
        elif piece["control"]:
            screen.control(piece["control"])
        elif piece["final"]:
            screen.sequence(piece["final"], piece["numbers"])
    return "\n".join("".join(row).rstrip() for row in screen.rows).strip("\n")
