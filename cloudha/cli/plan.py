"""``cloudha plan``: the reviewed pcs commands for a described cluster, and the way from older agents."""

from __future__ import annotations

import sys

import click

from cloudha.cli.output import Output, json_option

__all__ = ["plan"]


@click.command()
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--from-cluster", is_flag=True, help="Propose the move from older agents, for this node's cluster.")
@click.option("--from-cib", metavar="FILE", help="The same for a saved configuration ('pcs cluster cib FILE').")
@click.option("--nic", metavar="NAME", default="", help="The move: interface of addresses whose agent names none.")
@click.option("--apply", "do_it", is_flag=True, help="Run the commands: on a draft, checked, pushed as one change.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--cib", "as_cib", is_flag=True, help="Print the resulting configuration (XML).")
@click.option("--example", is_flag=True, help="Print a description to begin with.")
@click.option("--untried", is_flag=True, help="Do not try the commands with pcs first.")
@json_option
def plan(
    output: Output,
    *,
    file: str | None,
    from_cluster: bool,
    from_cib: str | None,
    nic: str,
    do_it: bool,
    yes: bool,
    as_cib: bool,
    example: bool,
    untried: bool,
) -> None:
    """Print the pcs commands that make the cluster described in FILE (TOML), each with its reason.

    The commands were run on an empty configuration first, and crm_verify has looked at what came out. Nothing is
    changed without --apply. --from-cluster and --from-cib look for the older cloud agents instead.
    """
    # The parts are heavy for a command that may only print its help.
    from cloudha.planning import showing, showing_moves

    if sum((file is not None, from_cluster, from_cib is not None, example)) != 1:
        raise click.UsageError("Give one of: FILE, --from-cluster, --from-cib, --example.")
    if output.as_json and as_cib:
        raise click.UsageError("--json has the configuration in it; leave --cib out.")
    if untried and (as_cib or do_it):
        raise click.UsageError("--cib and --apply need the commands tried; leave --untried out.")
    if example:
        showing.show_example(output)
        return
    if do_it:
        _refuse_apply(output, file, yes=yes, as_cib=as_cib)
    if file is None:
        showing_moves.show_moves(output, from_cib, nic, as_cib=as_cib, tried=not untried)
        return
    if nic:
        raise click.UsageError("--nic is for --from-cluster and --from-cib; in FILE it is a key of the address.")
    if do_it:
        showing.apply_plan(output, file, ask=not yes)
        return
    showing.show_plan(output, file, as_cib=as_cib, tried=not untried)


def _refuse_apply(output: Output, file: str | None, *, yes: bool, as_cib: bool) -> None:
    if file is None:
        raise click.UsageError(
            "--apply is for a described cluster. A move has tests between its parts: run them one by one."
        )
    if as_cib:
        raise click.UsageError("--cib prints, --apply changes: give one of them.")
    if not yes and (output.as_json or not sys.stdin.isatty()):
        raise click.UsageError("--apply asks first, and nobody can be asked here. Give --yes as well.")
