"""What ``cloudha plan FILE`` prints: scripts, tables, XML or one JSON document."""

from __future__ import annotations

from collections.abc import Sequence

import click

from cloudha.cli.output import Output, cell
from cloudha.planning import pacemaker_tools
from cloudha.planning.applying import apply, indented
from cloudha.planning.building import build
from cloudha.planning.description import EXAMPLE, Description
from cloudha.planning.reading import read
from cloudha.planning.script import PUSH, script
from cloudha.planning.steps import Step, shell_lines

__all__ = ["apply_plan", "force", "show_example", "show_plan"]

UNCHECKED = "pcs could not check the parameters against the agents' metadata, since {} not here: see cloudha install"


def show_example(output: Output) -> None:
    """Print a description to begin with."""
    if output.as_json:
        output.show({"example": EXAMPLE})
    else:
        click.echo(EXAMPLE, nl=False)


def show_plan(output: Output, file: str, *, as_cib: bool, tried: bool) -> None:
    """Print the commands for the description in *file*, or the configuration that results.

    :param tried: run the commands on an empty configuration first, where pcs is installed.

    :raises CloudhaError: the description is wrong, or pcs or crm_verify refuse what it makes.
    """
    description = read(file)
    steps = build(description)
    remarks: list[str] = []
    cib: str | None = None
    verified: bool | None = None
    if not tried:
        remarks.append("the commands were not tried")
    elif as_cib or pacemaker_tools.available("pcs"):
        with output.waiting("trying the commands on an empty configuration"), pacemaker_tools.draft() as made:
            forced = force(remarks)
            for step in steps:
                made.step(step, force=forced)
            verified = made.verify()
            cib = made.text()
    else:
        remarks.append("pcs is not installed here: the commands were not tried")
    if cib and verified is None:
        remarks.append("crm_verify is not installed here: the configuration was not checked")
    for remark in remarks:
        output.remark(f"note: {remark}")
    if as_cib and cib:
        click.echo(indented(cib))
        return
    document = {
        "cluster": description.cluster,
        "provider": description.provider,
        "nodes": description.nodes,
        "steps": _listed(steps),
        "push": PUSH,
        "cib": cib,
        "verified": verified,
        "remarks": remarks,
    }
    if output.as_json:
        output.show(document)
    else:
        # Not through a console, which would fold long lines and read ':heartbeat:' as a picture.
        click.echo(script(steps, *_head(description, verified)))


def apply_plan(output: Output, file: str, *, ask: bool) -> None:
    """Show the commands, ask, and run them as one change of the cluster.

    :raises CloudhaError: something failed; says whether the cluster was changed.
    :raises click.Abort: the answer is no.
    """
    description = read(file)
    steps = build(description)

    def agree(verified: bool | None) -> None:  # noqa: FBT001 - a callback with one argument
        # On standard error: the result is what was done.
        for step in steps:
            for line in shell_lines(step):
                click.echo(line, err=True)
        if verified is None:
            output.remark("note: crm_verify is not installed here: the configuration was not checked")
        if ask:
            click.confirm(f"Change the cluster {description.cluster}?", default=False, abort=True, err=True)

    undo = apply(description, steps, agree)
    document = {"cluster": description.cluster, "applied": True, "steps": _listed(steps), "take_back": undo}
    lines = [f"done: {len(steps)} commands, one change of the cluster {description.cluster}; see: pcs status"]
    output.show(document, *map(cell, [*lines, "to take it back, in this order:", *(f"    {line}" for line in undo)]))


def force(remarks: list[str]) -> bool:
    """Say whether pcs has to do without the agents' metadata, and leave a remark."""
    missing = pacemaker_tools.agents_missing()
    if missing:
        remarks.append(UNCHECKED.format(f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'}"))
    return bool(missing)


def _listed(steps: Sequence[Step]) -> list[dict[str, str]]:
    return [{"command": step.line, "why": step.why} for step in steps]


def _head(description: Description, verified: bool | None) -> list[str]:  # noqa: FBT001 - three values, not a switch
    checked = {True: "tried with pcs and checked with crm_verify", None: "not checked with pcs and crm_verify"}
    return [
        f"Cluster {description.cluster} ({', '.join(description.nodes)}), provider {description.provider}.",
        f"From {description.file}; {checked.get(verified, '')}.",
        "Read it, then run it as root on one node, after 'cloudha install' on all of them.",
    ]
