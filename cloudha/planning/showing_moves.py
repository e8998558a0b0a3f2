"""What ``cloudha plan --from-cluster`` prints: a table for each old resource, then the way, part by part."""

from __future__ import annotations

import os

import click

from cloudha.cli.output import Output, cell, table
from cloudha.errors import ConfigurationError
from cloudha.planning import pacemaker_tools
from cloudha.planning.applying import indented
from cloudha.planning.cib import MOST_CHARACTERS, Configuration
from cloudha.planning.moving import Move, Row, moves
from cloudha.planning.old_agents import UNSUPPORTED, Fate
from cloudha.planning.showing import force
from cloudha.planning.ways import Part, parts

__all__ = ["show_moves"]

STYLES = {Fate.SECRET: "yellow", Fate.DROPPED: "dim", Fate.DECISION: "bold red"}


def show_moves(output: Output, cib_file: str | None, nic: str, *, as_cib: bool, tried: bool) -> None:
    """Print what becomes of the older agents in a configuration, and the way there.

    :param cib_file: a saved configuration, None for that of this node's cluster.
    :param tried: run the commands on a copy first, where pcs is installed.
    :raises CloudhaError: it cannot be read, or pcs or crm_verify refuse what results.
    """
    source = os.path.basename(cib_file) if cib_file else "the cluster's configuration"
    configuration = Configuration.parse(_content(cib_file, source), source)
    found = moves(configuration, nic)
    left = {one.name: UNSUPPORTED[one.agent] for one in configuration.primitives if one.agent in UNSUPPORTED}
    way = parts(configuration, found)
    remarks: list[str] = []
    cib, verified = None, None
    if tried and (way or as_cib):
        cib, verified = _tried(output, configuration, way, remarks)
    elif way:
        remarks.append("the commands were not tried")
    for remark in remarks:
        output.remark(f"note: {remark}")
    if as_cib:
        click.echo(indented(cib or configuration.masked))
        return
    if output.as_json:
        output.show(
            {
                "source": source,
                "moves": [_document(move) for move in found],
                "left_as_they_are": left,
                "way": [_part_document(part) for part in way],
                "verified": verified,
                "remarks": remarks,
            }
        )
        return
    if not found and not way:
        click.echo(f"{source}: no resource of an agent that cloudha takes over from")
    for move in found:
        _show(output, move)
    for name, why in left.items():
        click.echo(f"{name}: {why}\n")
    for number, part in enumerate(way, 1):
        click.echo(f"== {number}. {part.title} ==\n")
        click.echo("\n".join(part.lines))
        click.echo(f"\n-> {part.check}\n")


def _content(cib_file: str | None, source: str) -> str:
    if cib_file is None:
        return pacemaker_tools.live_cib()
    try:
        with open(cib_file, encoding="utf-8") as stream:
            return stream.read(MOST_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        problem = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(
            f"{source} cannot be read: {problem}", advice="write one on a node with: pcs cluster cib FILE"
        ) from None


def _tried(
    output: Output, configuration: Configuration, way: list[Part], remarks: list[str]
) -> tuple[str | None, bool | None]:
    """Walk the whole way on a draft without secrets, and let Pacemaker check it after each part."""
    if not pacemaker_tools.available("pcs"):
        remarks.append("pcs is not installed here: the commands were not tried")
        return None, None
    verified: bool | None = None
    with output.waiting("trying the commands on a copy"), pacemaker_tools.draft(configuration.masked) as made:
        forced = force(remarks)
        for part in way:
            for step in part.steps:
                made.step(step, force=forced)
            verified = made.verify() if part.steps else verified
        if verified is None and way:
            remarks.append("crm_verify is not installed here: the result was not checked")
        return made.text(), verified


def _show(output: Output, move: Move) -> None:
    names = " + ".join(f"{old.name} ({old.agent})" for old in move.old)
    click.echo(f"{names} -> {move.name} ({move.becomes} provider={move.agent.provider})\n")
    rows = [(row.old or "-", row.new or "-", cell(_said(row), STYLES.get(row.fate, "")), row.note) for row in move.rows]
    output.show(None, table("old", "new", "value", "why", rows=rows))
    if move.open:
        click.echo("\nnot in the commands below, since it needs your decision:")
        for problem in move.open:
            click.echo(f"  - {problem}")
    click.echo()


def _said(row: Row) -> str:
    """Return the value column: the value, or what becomes of it."""
    return row.value if row.fate is Fate.MOVES else str(row.fate.value)


def _document(move: Move) -> dict[str, object]:
    return {
        "old": [{"resource": old.name, "agent": old.agent} for old in move.old],
        "new": {"resource": move.name, "agent": move.becomes, "provider": move.agent.provider},
        "parameters": [
            {"old": row.old, "new": row.new, "value": row.value, "fate": row.fate.value, "why": row.note}
            for row in move.rows
        ],
        "needs_your_decision": move.open,
    }


def _part_document(part: Part) -> dict[str, object]:
    return {"title": part.title, "lines": list(part.lines), "then": part.check}
