"""The dry run of a change: which hooks would be called, what they send, and the permissions for that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from cloudha.cli.output import Output, cell, table
from cloudha.cli.requests import declared_requests
from cloudha.errors import CloudhaError
from cloudha.host import Host
from cloudha.record import Record
from cloudha.requests import LOGIN, ApiRequest, Planned
from cloudha.types import AccessReport, Kind, Node, PowerState, Purpose, Verdict

__all__ = ["address_calls", "power_calls", "show_dry_run"]

VERDICT_STYLES = {Verdict.YES: "green", Verdict.NO: "red", Verdict.CANNOT_TELL: "yellow"}
POWER_WHEN = {
    "power_off": "once, whatever it reads as now; again after 10 s without effect",
    "power_on": "once, whatever it reads as now; again after 10 s without effect",
}
POWER_LOOKS = {
    "power_off": "repeated until two looks in a row find it off",
    "power_on": "repeated until it is on",
}


class Call(Record):
    """A hook that would be called. ``changes``: whether it asks for a change; ``when``: how often, and why.

    ``requests``: what it sends, in order; None where the provider does not say.
    """

    hook: str
    target: str
    changes: bool
    when: str
    requests: tuple[ApiRequest, ...] | None


def power_calls(host: Host, hooks: Sequence[str], names: Sequence[str], targets: Sequence[Node]) -> Iterator[Call]:
    """Yield what ``off``, ``on`` and ``reboot`` call, in order: the machines go each half of the way together.

    :param hooks: the halves.
    :param names: as a person wrote them.
    """
    yield from _login(host)
    for name in dict.fromkeys(names):
        yield _call(host, Planned("list_nodes", host.settings, plug=name), name, "once, before all else")
    for hook in hooks:
        going = [node for node in targets if hook != "power_off" or node.state is not PowerState.TERMINATED]
        for node in going:
            planned = Planned(hook, host.settings, node=node)
            yield _call(host, planned, node.label, POWER_WHEN[hook], changes=True)
        for node in going:
            planned = Planned("power_state", host.settings, node=node)
            yield _call(host, planned, node.label, POWER_LOOKS[hook])


def address_calls(host: Host, planned: Planned) -> Iterator[Call]:
    """Yield what ``bind`` and ``unbind`` call, in order.

    :param planned: the call that changes something; its ``plug`` is the machine as a person wrote it.
    """
    ip, label = str(planned.ip), planned.node.label if planned.node else ""
    looking = planned.replace(hook="list_ips")
    finding = "list_nodes" if host.provider.implements("list_nodes") else "local_node"
    yield from _login(host)
    yield _call(host, planned.replace(hook=finding), planned.plug, "once, before all else")
    yield _call(host, looking, ip, "once, before the change")
    if planned.hook == "bind_ip":
        yield _call(host, planned, f"{ip} to {label}", "once; again while the cloud is busy with it", changes=True)
        yield _call(host, looking, ip, "repeated until that machine holds it, and no other")
    else:
        yield _call(host, planned, f"{ip} from {label}", "once; leaves other machines alone", changes=True)
        yield _call(host, looking, ip, "repeated until that machine does not hold it")
    yield _call(host, looking, ip, "once, to show the result")


def show_dry_run(
    output: Output,
    host: Host,
    document: dict[str, object],
    plan: Iterable[str],
    calls: Iterable[Call],
    *,
    purpose: Purpose,
    kind: Kind = Kind.PRIVATE,
) -> None:
    """Print the hooks that would be called, their requests, and the permissions that are needed for the purpose.

    The requests are those that the provider declares (:mod:`cloudha.requests`), if it does. The permissions are looked
    at as ``fence_cloud -o monitor`` does, which changes nothing.

    :raises SystemExit: with 1 when a permission is known to be missing.
    """
    listed = list(calls)
    report, trouble = _access(output, host, purpose, kind)
    permissions = report.permissions if report else ()
    output.show(
        {
            **document,
            "dry_run": True,
            "calls": listed,
            "identity": report.identity if report else "",
            "permissions": permissions,
            "permissions_unknown": trouble,
        },
        *(cell(line) for line in plan),
        "",
        table("hook", "of", "", "when", rows=[(cell(c.hook, "bold"), c.target, _effect(c), c.when) for c in listed]),
        "",
        *_requests(listed),
        *_permissions(report, trouble, purpose),
        cell("Dry run: nothing was changed.", "bold"),
    )
    if any(permission.granted is Verdict.NO for permission in permissions):
        output.remark("permissions are missing: this would fail")
        raise SystemExit(1)


def _effect(call: Call) -> Text:
    return cell("changes", "bold red") if call.changes else cell("reads", "dim")


def _requests(calls: Iterable[Call]) -> Iterator[RenderableType]:
    """Yield the requests of each hook, in order, each on a line that can be copied."""
    known = [call for call in calls if call.requests]
    if not known:
        return
    yield cell("requests, in order; what stands in {} is known from an earlier answer:", "bold")
    for call in known:
        yield Text.assemble(cell(call.hook, "bold"), f" ({call.when}):")
        for item in call.requests or ():
            words = cell(f"{item.request} ({item.body})" if item.body else item.request)
            why = "; ".join(filter(None, (item.service, item.when)))
            mark = cell("changes", "bold red") if item.changes else Text("reads  ", style="dim")
            yield Text.assemble("  ", mark, " ", words, "  " if why else "", cell(why and f"[{why}]", "dim"))
    yield ""


def _access(output: Output, host: Host, purpose: Purpose, kind: Kind) -> tuple[AccessReport | None, str]:
    if not host.provider.implements("check_access"):
        return None, "the provider does not check permissions"
    try:
        with output.waiting("looking at the permissions"):
            return host.check_access(purpose, kind), ""
    except CloudhaError as error:
        return None, str(error)


def _permissions(report: AccessReport | None, trouble: str, purpose: Purpose) -> list[RenderableType]:
    if report is None:
        return [cell(f"permissions: not known: {trouble}", "yellow"), ""]
    whose = f" that {report.identity} has, of those" if report.identity else ""
    rows = [
        (permission.name, cell(permission.granted.value, VERDICT_STYLES[permission.granted]), permission.detail)
        for permission in report.permissions
    ]
    return [
        cell(f"permissions{whose} needed for {purpose.value}:", "bold"),
        table("", "", "", rows=rows),
        "",
    ]


def _call(host: Host, planned: Planned, target: str, when: str, *, changes: bool = False) -> Call:
    return Call(planned.hook, target, changes, when, declared_requests(host.provider, planned))


def _login(host: Host) -> Iterator[Call]:
    call = _call(host, Planned(LOGIN, host.settings), host.provider.name, "once")
    if call.requests:
        yield call
