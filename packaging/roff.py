"""Text for manual pages: roff that neither groff nor mandoc finds a fault with."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["Page", "escaped"]


def escaped(text: str) -> str:
    """Return *text* as roff: no escape, no request, and a hyphen that is pasted as a minus sign."""
    folded = " ".join(text.split())
    plain = folded.replace("\\", r"\(rs").replace("-", r"\-").replace("'", r"\(aq").replace("`", r"\(ga")
    # At the beginning of a line these would be requests.
    return r"\&" + plain if plain.startswith(".") else plain


class Page:
    """One manual page, written from the top down.

    :param date: of the page, as YYYY-MM-DD.
    """

    def __init__(self, name: str, section: int, date: str, source: str) -> None:
        self._lines = [f'.TH {escaped(name.upper())} {section} "{date}" "{escaped(source)}" "cloudha"', ".nh", ".ad l"]

    def section(self, title: str) -> None:
        """Begin a section."""
        self._lines.append(f".SH {escaped(title)}")

    def subsection(self, title: str) -> None:
        """Begin a part of a section."""
        self._lines.append(f".SS {escaped(title)}")

    def paragraph(self, text: str) -> None:
        """Write a paragraph."""
        self._lines += [".PP", escaped(text)]

    def line(self, text: str) -> None:
        """Write text where a paragraph begins already, right after a section's title."""
        self._lines.append(escaped(text))

    def example(self, lines: Iterable[str]) -> None:
        """Write lines as they are."""
        self._lines += [".PP", ".RS 4", ".nf", *(escaped_line(line) for line in lines), ".fi", ".RE"]

    def term(self, name: str, text: str) -> None:
        """Write a name in bold, and below it what it means."""
        self._lines += [".TP", rf"\fB{escaped(name)}\fR", escaped(text) or r"\&"]

    def text(self) -> str:
        """Return the page."""
        return "\n".join(self._lines) + "\n"


def escaped_line(line: str) -> str:
    """As :func:`escaped`, with the blanks at the beginning."""
    blanks = len(line) - len(line.lstrip())
    return r"\ " * blanks + escaped(line)
