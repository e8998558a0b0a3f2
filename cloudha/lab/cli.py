"""``cloudha lab``: the verbs, for a person at a terminal. Plain text elsewhere."""

from __future__ import annotations

import contextlib
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TextIO

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cloudha.lab import faults, reading, verbs
from cloudha.lab.failover import Cause, Failover, failover
from cloudha.lab.network import Scope
from cloudha.lab.nodes import exec_in
from cloudha.lab.problems import LabError, NotReady
from cloudha.lab.recording import Recording
from cloudha.lab.state import LabState, open_lab

__all__ = ["lab"]

P = ParamSpec("P")
INTERRUPTED = 130


def _console() -> Console:
    # Wide enough for a log; a terminal's own width counts there.
    return Console() if sys.stdout.isatty() else Console(width=160, no_color=True, highlight=False)


def verb(act: Callable[P, None]) -> Callable[P, None]:
    """Make every error of a lab one line, and an interruption a quiet exit code."""

    @functools.wraps(act)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            act(*args, **kwargs)
        except LabError as error:
            raise click.ClickException(str(error)) from None
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise SystemExit(INTERRUPTED) from None

    return guarded


name_option = click.option("--name", default="lab", show_default=True, help="Which lab; several can be up at once.")


@click.group()
def lab() -> None:
    """A real Pacemaker cluster in namespaces of this machine, on an emulated cloud. Needs root."""


@lab.command()
@name_option
@click.option("--provider", default="sim", show_default=True, help="Whose API the cloud speaks.")
@click.option(
    "--address-provider",
    default="",
    metavar="[lb-probe]",
    help="Who floats the address, by default --provider; lb-probe: a load balancer, whose probe the holder answers.",
)
@click.option("--nodes", default=2, show_default=True, help="How many nodes, 1 to 5.")
@click.option("--setup/--no-setup", default=True, show_default=True, help="Set fencing and an address up with pcs.")
@verb
def up(name: str, provider: str, address_provider: str, nodes: int, *, setup: bool) -> None:
    """Start a lab and set its cluster up."""
    console = _console()

    def report(step: verbs.Step) -> None:
        console.print(f"[bold]{step.seconds:6.1f} s[/bold]  {escape(step.text)}")
        for command in step.commands:
            console.print(f"          [dim]node1# {escape(command)}[/dim]", soft_wrap=True)

    verbs.up(name, provider=provider, address_provider=address_provider, nodes=nodes, setup=setup, report=report)
    console.print("cloudha lab status | failover | exec node1 pcs status | down", style="dim")


@lab.command()
@name_option
@verb
def down(name: str) -> None:
    """End the lab and remove everything of it, half built ones too."""
    click.echo(f"{name} is removed" if verbs.down(name) else f"no lab {name} is up")


@lab.command()
@name_option
@verb
def status(name: str) -> None:
    """Show the machines, the network and the cluster."""
    state = open_lab(name)
    found = verbs.status(state)
    console = _console()
    table = Table("node", "address", "power", "network", "cluster")
    online = found.cluster.online if found.cluster else ()
    for node in found.nodes:
        power = "on" if node.powered else "[red]off[/red]"
        network = f"[red]lost: {node.partition.value}[/red]" if node.partition else "whole"
        table.add_row(node.name, str(node.address), power, network, "online" if node.name in online else "offline")
    console.print(table)
    for ip, holder in found.routes.items():
        console.print(f"the cloud routes {ip} to {holder}")
    if not found.control:
        console.print(f"[red]the control plane does not run[/red]; see {state.control_log}")
    if found.cluster is None:
        console.print("no node's cluster answers")
        return
    quorum = "with quorum" if found.cluster.quorate else "WITHOUT quorum"
    console.print(f"cluster as {found.cluster.seen_from} sees it: DC {found.cluster.dc or 'none'}, {quorum}")
    for resource, nodes in found.cluster.running.items():
        console.print(f"  {resource}: {' and '.join(nodes) or 'stopped'}")
    for failure in found.cluster.failed:
        console.print(f"  [red]failed[/red] {escape(failure)}")


@lab.command(name="exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@name_option
@click.argument("place")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
@verb
def exec_(name: str, place: str, command: tuple[str, ...]) -> None:
    """Run COMMAND (a shell by default) in PLACE: a node, client or cloud."""
    exec_in(open_lab(name), place, command)


@lab.command()
@name_option
@click.argument("node")
@verb
def cut(name: str, node: str) -> None:
    """Cut the power of NODE."""
    verbs.cut(open_lab(name), node)
    click.echo(f"{node} has no power")


@lab.command()
@name_option
@click.argument("node")
@verb
def on(name: str, node: str) -> None:
    """Give NODE power."""
    verbs.on(open_lab(name), node)
    click.echo(f"{node} has power")


@lab.command()
@name_option
@click.argument("node")
@click.option("--everything", is_flag=True, help="From the cloud's API and the client too, not only the other nodes.")
@verb
def partition(name: str, node: str, *, everything: bool) -> None:
    """Cut NODE off from the other nodes; its NIC keeps its carrier."""
    verbs.partition(open_lab(name), node, Scope.EVERYTHING if everything else Scope.NODES)
    click.echo(f"{node} is cut off from {'everything' if everything else 'the other nodes'}")


@lab.command()
@name_option
@click.argument("node", required=False)
@verb
def heal(name: str, node: str | None) -> None:
    """End the partition of NODE, or every one."""
    verbs.heal(open_lab(name), node)
    click.echo("healed")


@lab.command()
@name_option
@click.argument("effect", required=False)
@click.argument("operation", default="*,!metadata.*")
@click.option("--count", type=click.IntRange(min=1), help="How many requests it hits.")
@click.option("--seconds", type=float, help="How long it lasts.")
@click.option("--after", type=click.IntRange(min=0), help="How many requests pass before the first hit.")
@click.option("--status", type=int, help="HTTP status, of effect error.")
@click.option("--retry-after", type=float, help="Seconds in Retry-After, of throttle and error.")
@click.option("--delay", type=float, help="Seconds, of delay and drip.")
@click.option("--age", type=float, help="Seconds, of stale.")
@click.option("--clear", is_flag=True, help="End all faults.")
@verb
def fault(name: str, effect: str | None, operation: str, *, clear: bool, **more: float | None) -> None:
    """Make the cloud misbehave: EFFECT (throttle, error, hang, refuse, ...) on OPERATION. Without EFFECT: list."""
    state = open_lab(name)
    if clear:
        faults.clear_faults(state)
        click.echo("no faults any more")
    if effect:
        click.echo(f"fault {faults.add_fault(state, operation, effect, **more)} is in force")
    elif not clear:
        for entry in faults.list_faults(state):
            set_ = {key: value for key, value in entry.items() if value not in (None, [], False)}
            click.echo(" ".join(f"{key}={value}" for key, value in set_.items()))


@lab.command(name="failover")
@name_option
@click.option("--cause", type=click.Choice([cause.value for cause in Cause]), default="power", show_default=True)
@click.option(
    "--report", "file", type=click.Path(path_type=Path, dir_okay=False), help="Tell it as a page, too (HTML)."
)
@verb
def failover_(name: str, cause: str, file: Path | None) -> None:
    """Let something happen to the holder of the address, and measure what the client sees."""
    from cloudha.lab.recorder import record  # it loads the provider, to know what is secret
    from cloudha.lab.report import write_page

    state = open_lab(name)
    begin = time.monotonic()
    try:
        story = failover(state, Cause(cause))
    except NotReady:
        # One that did not end well is the one to look at; what is wrong with it is said all the same.
        with contextlib.suppress(LabError):
            if state.events(begin):
                recording = record(state, Cause(cause), begin)
                if file:
                    write_page(recording, file)
                    click.echo(f"how far it got: {file}", err=True)
        raise
    show(_console(), story)
    recording = record(state, Cause(cause), begin, story)
    if file:
        write_page(recording, file)
        click.echo(f"the same as a page: {file}")
    undo(state, story)
    if story.double_holders:
        raise SystemExit(1)


def undo(state: LabState, story: Failover) -> None:
    """Give the cluster back what the cause took, so that the next failover can begin."""
    if story.cause in (Cause.ISOLATION, Cause.SPLIT):
        verbs.heal(state)
    elif story.cause is Cause.STANDBY:
        verbs.unstandby(state, story.victim)


def show(console: Console, story: Failover) -> None:
    """Print a failover as a story with times."""
    for moment in story.timeline:
        style = "bold" if moment.text.startswith("client:") else ""
        console.print(f"{moment.seconds:+8.2f} s  {escape(moment.text)}", style=style)
    shot = f"fenced: {', '.join(story.fenced)}" if story.fenced else "nobody was fenced"
    console.print(f"\n{story.cause.value} of {story.victim}: the address is on {story.holder}, {shot}")
    console.print(f"the client had no answer for [bold]{story.outage:.1f} s[/bold]")
    if story.double_holders:
        console.print("[red]TWO HOLDERS[/red]: " + escape("; ".join(story.double_holders)))
    else:
        console.print("at no moment did two nodes hold or answer for the address")


@lab.command()
@name_option
@click.option("--from", "source", type=click.File(), metavar="JSON", help="What --json wrote before; needs no lab.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("failover.html"),
    show_default=True,
    help="The page.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what is known as JSON, and write no page.")
@verb
def report(name: str, source: TextIO | None, output: Path, *, as_json: bool) -> None:
    """Tell the lab's last failover as one HTML page, complete in itself."""
    from cloudha.lab.recorder import kept  # as above
    from cloudha.lab.report import write_page

    recording = Recording.from_json(source.read()) if source else kept(open_lab(name))
    if as_json:
        click.echo(recording.to_json(), nl=False)
        return
    write_page(recording, output)
    click.echo(f"{output}: {recording.cause} of {recording.victim}, {len(recording.items)} entries")


@lab.command()
@click.option("--name", default="demo", show_default=True, help="What the lab is called meanwhile.")
@click.option("--provider", default="sim", show_default=True, help="Whose API the cloud speaks.")
@click.option("--nodes", default=2, show_default=True, help="How many nodes, 2 to 5.")
@verb
def demo(name: str, provider: str, nodes: int) -> None:
    """Start a lab, cut the power of the node that has the address, show what a client notices, remove the lab."""
    from cloudha.lab.demo import demonstrate  # only this verb needs it

    console = _console()

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    story = demonstrate(say, lambda told: show(console, told), name=name, provider=provider, nodes=nodes)
    if story.double_holders:
        raise SystemExit(1)


@lab.command()
@name_option
@click.argument("place", required=False)
@click.option("--lines", default=20, show_default=True, help="How many of each.")
@verb
def logs(name: str, place: str | None, lines: int) -> None:
    """Show the last lines of the logs: all, or those of PLACE (control, node1, node1/pacemaker, ...)."""
    for title, path in reading.log_files(open_lab(name), place).items():
        click.echo(f"==> {title}: {path}")
        for line in reading.tail(path, lines):
            click.echo(line)
