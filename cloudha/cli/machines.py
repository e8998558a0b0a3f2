"""``cloudha nodes`` and ``cloudha status``: which machines there are, and the power of one of them."""

from __future__ import annotations

from collections.abc import Iterable

import click
from rich.text import Text

from cloudha import fencing
from cloudha.cli.output import Output, cell, json_option, table
from cloudha.cli.settings import Cloud, provider_options
from cloudha.errors import one_line
from cloudha.host import Host
from cloudha.options import Audience
from cloudha.types import Node, PowerReading, PowerState

__all__ = ["find_nodes", "nodes", "state_cell", "status"]

STYLES = {PowerState.ON: "green", PowerState.OFF: "red", PowerState.TERMINATED: "red", PowerState.UNKNOWN: "magenta"}


def state_cell(state: PowerState) -> Text:
    """Return a state in its colour."""
    return cell(state.value, STYLES.get(state, "yellow"))


def find_nodes(host: Host, names: Iterable[str]) -> list[Node]:
    """Return the machines that *names* mean (ids, names or addresses), each of them once.

    :raises CloudhaError: one of them is not found, or found twice.
    """
    found = {node.id: node for node in (fencing.find_node(host, name) for name in names)}
    return list(found.values())


@click.command()
@provider_options
@json_option
def nodes(output: Output, cloud: Cloud) -> None:
    """List the machines that these credentials see."""
    host = cloud.host("nodes", Audience.FENCE)
    host.require("list_nodes")
    with output.waiting("asking the cloud for its machines"):
        # All pages first: a listing that breaks off must not look like a short one.
        found = sorted(fencing.nodes(host), key=lambda node: (node.name.casefold(), node.id))
    output.show(
        {"provider": cloud.name, "nodes": found},
        table(
            "name",
            "id",
            "power",
            "addresses",
            rows=[
                (cell(node.name, "bold"), node.id, state_cell(node.state), ", ".join(str(ip) for ip in node.addresses))
                for node in found
            ],
        ),
        *(cell(f"warning: {node.label}: {text}", "yellow") for node in found for text in node.warnings),
    )
    if not found:
        output.remark("the cloud shows no machine: check region, account, filters, and what the identity may see")


@click.command()
@click.argument("node")
@provider_options
@json_option
def status(output: Output, cloud: Cloud, node: str) -> None:
    """Show whether NODE (its id, name or address) is on. Exit code 1 means that nobody knows."""
    host = cloud.host("status", Audience.FENCE)
    host.require("list_nodes")
    with output.waiting(f"asking for the power of {node}"):
        found = fencing.find_node(host, node)
        reading = PowerReading(found.id, found.state)
        if host.provider.implements("power_state"):
            reading = host.power_state(found)
    raw = f" (in the cloud's words: {one_line(reading.raw)})" if reading.raw else ""
    line = Text.assemble(cell(found.label, "bold"), " is ", state_cell(reading.state), (raw, "dim"))
    output.show(
        {
            "provider": cloud.name,
            "node": found.replace(state=reading.state),
            "state": reading.state,
            "raw": reading.raw,
        },
        line,
        *(cell(f"warning: {text}", "yellow") for text in found.warnings),
    )
    if reading.state is PowerState.UNKNOWN:
        output.remark("the cloud reports a power state that the provider does not know")
        raise SystemExit(1)
