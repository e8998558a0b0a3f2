"""``cloudha ips``, ``bind`` and ``unbind``: where floating addresses are, and moving them by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import click

from cloudha import fencing
from cloudha.addresses import Request
from cloudha.audit import Outcome
from cloudha.cli.asking import confirm, dry_run_option, need_terminal, yes_option
from cloudha.cli.binding import RemoteAddress, bindings, find_holder, need_kind
from cloudha.cli.dry_run import address_calls, show_dry_run
from cloudha.cli.output import Output, cell, json_option, table
from cloudha.cli.settings import Cloud, provider_options
from cloudha.deadline import Deadline
from cloudha.errors import CloudhaError, ConfigurationError, Conflict, LocalConfigurationError, Unconfirmed
from cloudha.host import Host
from cloudha.options import Audience, Option, OptionType, parse
from cloudha.record import Record
from cloudha.requests import Planned
from cloudha.types import AddressQuery, Binding, IPAddress, Kind, Node, PowerState, Purpose

__all__ = ["bind", "ips", "unbind"]

F = TypeVar("F", bound=Callable[..., object])

KINDS = [kind.value for kind in Kind]
TO_THE_CLUSTER = "A cluster that manages the address is not told, and undoes this at its next monitor."


class _Address(click.ParamType[IPAddress]):
    name = "ip"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> IPAddress:
        try:
            found = parse([Option("ip", "", OptionType.ADDRESS)], {"ip": str(value)}).address("ip")
        except ConfigurationError as error:
            self.fail(str(error), param, ctx)
        if found is None:
            self.fail("an address is wanted", param, ctx)
        return found


class _Holding(Record):
    """A binding with all that a person wants to see of it."""

    ip: IPAddress
    kind: Kind
    node_id: str | None
    node_name: str
    where: str


class _Task(Record):
    """What ``bind`` or ``unbind`` was asked for, and what the cloud says of it before anything is changed."""

    action: str
    ip: IPAddress
    kind: Kind
    plug: str
    node: Node
    before: tuple[Binding, ...]

    @property
    def holders(self) -> frozenset[str]:
        """The ids of the machines that have it."""
        return frozenset(binding.node_id for binding in self.before if binding.node_id)

    @property
    def others(self) -> frozenset[str]:
        """Those of them that are not the one that is meant."""
        return self.holders - {self.node.id}


@click.command()
@click.argument("ip", required=False, type=_Address())
@click.option("--kind", type=click.Choice(KINDS), help="Only addresses that float in this way; by default, all kinds.")
@click.option(
    "--node", metavar="NODE", help="Look as this machine would: id, name or address. Needed by some providers."
)
@provider_options
@json_option
def ips(output: Output, cloud: Cloud, ip: IPAddress | None, kind: str | None, node: str | None) -> None:
    """Show who holds the address IP, or every address that is bound."""
    host = cloud.host("ips", Audience.ADDRESS)
    host.require("list_ips")
    if kind:
        need_kind(host, Kind(kind))
    asked = [Kind(kind)] if kind else list(host.provider.info.kinds)
    found: list[_Holding] = []
    left_out: dict[str, str] = {}
    with output.waiting("asking the cloud for addresses"):
        on_behalf = find_holder(host, node).id if node else ""
        for each in asked:
            try:
                answer = bindings(host, AddressQuery(each, ip, on_behalf))
            except LocalConfigurationError:
                raise
            except ConfigurationError as error:
                # Parameters that only another kind needs (route_tables) need not be given.
                if kind or len(left_out) + 1 == len(host.provider.info.kinds):
                    raise
                left_out[each.value] = error.cause
                continue
            found += [_Holding(b.ip, each, b.node_id, "", b.where) for b in answer]
        found = _named(output, host, sorted(found, key=_place_in_list))
    output.show(
        {"provider": cloud.name, "addresses": found, "left_out": left_out},
        table(
            "address",
            "kind",
            "machine",
            "where",
            rows=[(cell(h.ip, "bold"), h.kind.value, _label(h) or cell("nobody", "dim"), h.where) for h in found],
        )
        if found
        else cell(_nothing(ip, [each.value for each in asked if each.value not in left_out])),
    )
    for name, reason in left_out.items():
        output.remark(f"kind={name} is left out: {reason}")


def _shared(verb: F) -> F:
    for option in (
        click.argument("ip", type=_Address()),
        click.option("--node", metavar="NODE", required=True, help="The machine: its id, name or address."),
        click.option(
            "--kind",
            type=click.Choice(KINDS),
            default=Kind.PRIVATE.value,
            show_default=True,
            help="How it floats: on the NIC, as a public address mapped to it, or as the target of a route.",
        ),
    ):
        verb = option(verb)
    return provider_options(yes_option(dry_run_option(json_option(verb))))  # type: ignore[arg-type,return-value]  # click keeps the parameters on the function


@click.command()
@_shared
@click.option("--take", is_flag=True, help="Take it from the machine that holds it now.")
def bind(
    output: Output, cloud: Cloud, ip: IPAddress, node: str, kind: str, *, take: bool, yes: bool, dry_run: bool
) -> None:
    """Bind the address IP to a machine in the cloud, and see that it is there. No interface is touched."""
    host, task = _prepare(output, cloud, "bind", ip, node, kind)
    others = ", ".join(sorted(task.others))
    if others and not take:
        raise host.placed(
            Conflict(f"{others} holds it", advice="give --take to take it from there; whoever uses it there loses it"),
            str(ip),
        )
    plan = [
        _now(task),
        f"It will be {'taken from there and ' if others else ''}bound to {task.node.label}.",
        TO_THE_CLUSTER,
    ]
    if not _go_on(output, host, task, plan, ask=bool(others) and not yes, dry_run=dry_run, move=take):
        return
    request = Request(Kind(kind), ip, task.node.id, takeover=take)
    _carry_out(output, cloud, host, task, RemoteAddress(host, request).bind)


@click.command()
@_shared
def unbind(output: Output, cloud: Cloud, ip: IPAddress, node: str, kind: str, *, yes: bool, dry_run: bool) -> None:
    """Take the address IP from a machine in the cloud, and see that it is gone from there. No interface is touched."""
    host, task = _prepare(output, cloud, "unbind", ip, node, kind)
    here = task.node.id in task.holders
    plan = [
        _now(task),
        f"It will be taken from {task.node.label}." if here else f"{task.node.label} does not seem to hold it.",
        TO_THE_CLUSTER,
    ]
    if not _go_on(output, host, task, plan, ask=not yes, dry_run=dry_run):
        return
    address = RemoteAddress(host, Request(Kind(kind), ip, task.node.id))
    _carry_out(output, cloud, host, task, lambda: address.release(was_here=here))


def _prepare(output: Output, cloud: Cloud, action: str, ip: IPAddress, node: str, kind: str) -> tuple[Host, _Task]:
    """Find the machine and the holders, with reads only."""
    host = cloud.host(action, Audience.ADDRESS)
    host.require("list_ips", f"{action}_ip")
    need_kind(host, Kind(kind))
    with output.waiting(f"looking for {node} and {ip}"):
        found = find_holder(host, node)
        before = bindings(host, AddressQuery(Kind(kind), ip, found.id))
    if found.state is PowerState.TERMINATED and action == "bind":
        raise host.placed(Conflict(f"{found.label} is terminated", advice="bind it to a living machine"), str(ip))
    return host, _Task(action, ip, Kind(kind), node, found, tuple(before))


def _go_on(
    output: Output, host: Host, task: _Task, plan: Sequence[str], *, ask: bool, dry_run: bool, move: bool = True
) -> bool:
    """Show the dry run and return False, or return True when nobody objects."""
    if dry_run:
        document = {**_document(host, task), "before": task.before}
        planned = Planned(
            f"{task.action}_ip", host.settings, task.plug, task.node, task.kind, task.ip, move, task.before
        )
        show_dry_run(
            output, host, document, plan, address_calls(host, planned), purpose=Purpose.ADDRESSES, kind=task.kind
        )
        return False
    if ask:
        need_terminal(task.action)
        confirm(output, plan, f"{task.action.capitalize()} {task.ip}?")
    return True


def _carry_out(output: Output, cloud: Cloud, host: Host, task: _Task, change: Callable[[], None]) -> None:
    """Make the change, with time of its own, and show what the cloud says afterwards."""
    began = Deadline(0)
    host.go_on(Deadline(cloud.timeout))
    what = f"{task.action}ing {task.ip}"
    try:
        with output.waiting(f"{what} ({task.node.label})"):
            change()
    except KeyboardInterrupt:
        host.audit(
            f"{task.action}_ip",
            outcome=Outcome.UNKNOWN,
            target=str(task.ip),
            node=task.node,
            before=_now(task),
            after="",
            seconds=began.elapsed,
        )
        error = Unconfirmed(
            f"interrupted while {what}; the request may have been sent, and may still succeed",
            advice=f"look with: cloudha ips {task.ip}",
        )
        raise host.placed(error, str(task.ip)) from None
    after: list[Binding] | None = None
    try:
        with output.waiting(f"looking at {task.ip} again"):
            after = bindings(host, AddressQuery(task.kind, task.ip, task.node.id))
    except CloudhaError as error:
        output.remark(f"the change is confirmed; one more look was not possible: {error}")
    done = "is bound to" if task.action == "bind" else "is not bound to"
    output.show(
        {**_document(host, task), "before": task.before, "after": after, "seconds": round(began.elapsed, 1)},
        cell(f"{task.ip} {done} {task.node.label} (confirmed)"),
    )


def _document(host: Host, task: _Task) -> dict[str, object]:
    names = {"action": task.action, "ip": task.ip, "kind": task.kind, "node": task.node}
    return {"provider": host.provider.name, **names}


def _now(task: _Task) -> str:
    places = ", ".join(f"{b.node_id or 'nobody'} {b.where}".strip() for b in task.before)
    return f"{task.ip} ({task.kind.value}) is now held by {places or 'nobody'}."


def _named(output: Output, host: Host, found: Sequence[_Holding]) -> list[_Holding]:
    """Add the machines' names, for people; where they cannot be had, ids must do."""
    if not host.provider.implements("list_nodes") or not any(holding.node_id for holding in found):
        return list(found)
    try:
        names = {node.id: node.name for node in fencing.nodes(host)}
    except CloudhaError as error:
        output.remark(f"the machines' names are not known: {error}")
        return list(found)
    return [holding.replace(node_name=names.get(holding.node_id or "", "")) for holding in found]


def _nothing(ip: IPAddress | None, looked: Iterable[str]) -> str:
    """Say that nothing was found, and of what: a kind that was left out may have it."""
    kinds = " or ".join(looked)
    return f"{ip} is bound nowhere as a {kinds} address" if ip else f"no {kinds} address is bound"


def _place_in_list(holding: _Holding) -> tuple[int, int, int]:
    return KINDS.index(holding.kind.value), holding.ip.version, int(holding.ip)


def _label(holding: _Holding) -> str:
    return Node(holding.node_id, holding.node_name).label if holding.node_id else ""
