"""What a verb prints: text and tables for people, or one JSON document and nothing else (``--json``).

Names and texts come from a cloud, where anybody may have written them: they are shown as plain text on one line, never
as markup or as a terminal's control sequences.
"""

from __future__ import annotations

import contextlib
import enum
import functools
import ipaddress
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Concatenate, ParamSpec

import click
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from cloudha.errors import LONGEST_LINE, one_line
from cloudha.record import Record

__all__ = ["Output", "cell", "json_option", "plain", "table"]

P = ParamSpec("P")
# Of a file or pipe: identifiers are long, and a log's lines are not folded.
WIDE = 4000


def plain(value: object) -> object:
    """Return *value* as JSON knows it: records and mappings as objects, enumerations and addresses as text."""
    if isinstance(value, Record):
        return {name: plain(getattr(value, name)) for name in value.__match_args__}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, ipaddress.IPv4Address | ipaddress.IPv6Address):
        return str(value)
    return value


def cell(text: object, style: str = "") -> Text:
    """Return *text* for a table or a line: as it is, on one line, without control characters."""
    return Text(one_line(str(text), LONGEST_LINE), style=style)


def table(*columns: str, rows: Iterable[Iterable[object]] = ()) -> Table:
    """Return a table in the style of all verbs. Long identifiers are folded, never cut off: they are for copying."""
    made = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(item if isinstance(item, Text) else cell(item) for item in row))
    return made


class Output:
    """Where a verb's words go: its result to standard output, remarks and the spinner to standard error.

    :param as_json: the result is one JSON document.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._remarks = Console(stderr=True, highlight=False, emoji=False)

    def show(self, document: object, *parts: RenderableType) -> None:
        """Print the result: *document* (see :func:`plain`) as JSON, else *parts*, where text is no markup."""
        if self.as_json:
            # ASCII only: it must be printable whatever the locale is.
            click.echo(json.dumps(plain(document), indent=2))
            return
        terminal = sys.stdout.isatty()
        # Without emoji: ":heart" is a part of ocf:heartbeat:... here.
        console = (
            Console(highlight=False, emoji=False)
            if terminal
            else Console(highlight=False, emoji=False, width=WIDE, no_color=True)
        )
        for part in parts:
            console.print(part, markup=False, soft_wrap=isinstance(part, str | Text))

    def remark(self, text: str) -> None:
        """Print one line to standard error."""
        self._remarks.print(one_line(text, LONGEST_LINE), markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Show that something is going on, on a terminal.

        Meanwhile standard output leads to standard error: what a vendor's library prints is not our result.
        """
        sys.stdout.flush()
        spinner = self._remarks.status(cell(f"{text} ..."), spinner="dots") if self._remarks.is_terminal else None
        result = os.dup(1)
        os.dup2(2, 1)
        try:
            with spinner or contextlib.nullcontext():
                yield
        finally:
            sys.stdout.flush()
            os.dup2(result, 1)
            os.close(result)


def json_option(verb: Callable[Concatenate[Output, P], None]) -> Callable[P, None]:
    """Give *verb* the option ``--json``, and pass it an :class:`Output` as its first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
    @functools.wraps(verb)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        verb(Output(as_json=bool(kwargs.pop("as_json"))), *args, **kwargs)

    return wrapped
