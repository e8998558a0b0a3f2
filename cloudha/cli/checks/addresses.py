"""Can each floating address move: is it in the right subnet, free to float, and who holds it now?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cloudha.addresses import EVIDENCE_SECONDS, Request
from cloudha.cli.checks.case import Case
from cloudha.cli.checks.finding import Finding, bad, good, unknown, unknown_because, warn
from cloudha.cli.checks.networks import Network, interface_networks
from cloudha.cli.checks.targets import AddressTarget
from cloudha.errors import CloudhaError, NotFound, Unavailable
from cloudha.host import Host
from cloudha.types import AddressQuery, Binding, IPAddress, Kind, NodeQuery, Verdict

__all__ = ["find"]

IP_SECONDS = 3.0
# An address has a binding for each of its places; more pages than this are a bug of the provider.
MOST_PAGES = 20
REFUSED = "the cloud refuses to bind it, on every node"


def find(case: Case) -> Iterator[Finding]:
    """Look at every floating address whose parameters can be read."""
    requests = [target.request for target in case.addresses if target.request]
    for (ip, kind), count in Counter((request.ip, request.kind) for request in requests).items():
        if count > 1:
            what = f"{count} resources have the address {ip} ({kind.value})"
            yield bad("addresses.twice", what, "they take it from each other", "remove all but one")
    floating = {request.ip for request in requests}
    for target in case.addresses:
        if target.request is None or not target.usable:
            continue
        yield from _subnet(case, target, target.request, floating)
        if target.provider.implements("list_ips"):
            yield from _cloud(case, target, target.request)


def _subnet(case: Case, target: AddressTarget, request: Request, floating: set[IPAddress]) -> Iterator[Finding]:
    check = f"addresses.{target.label}.subnet"
    # A public address is the cloud's, and in no subnet.
    if request.kind is Kind.PUBLIC:
        return
    if not case.is_node and case.here not in case.member_names:
        yield _elsewhere(check, target, request)
        return
    try:
        all_networks = interface_networks(min(IP_SECONDS, case.deadline.remaining), floating)
    except Unavailable as error:
        yield unknown_because(check, f"{target.label}: the subnet of {request.ip}", error)
        return
    name = request.interface or _own_interface(case, all_networks)
    if name not in all_networks:
        yield _no_interface(case, check, target, request)
        return
    networks = [net for net in all_networks[name].values() if net.version == request.ip.version]
    subnets = [net for net in networks if net.prefixlen < net.max_prefixlen]
    text = ", ".join(map(str, subnets))
    inside = any(request.ip in net for net in subnets)
    if not subnets:
        what = f"{target.label}: {name} has no subnet to compare {request.ip} with"
        yield unknown(check, what, "a private address belongs to one subnet", "compare it with the cloud's subnet")
    elif request.kind is Kind.ROUTE and inside:
        why = "inside its own subnet an address is looked for directly, and the route is never used"
        what = f"{target.label}: {request.ip} is in the subnet of {name} ({text}), and kind=route"
        yield bad(check, what, why, "choose an address outside all subnets of the network")
    elif request.kind is Kind.PRIVATE and not inside:
        what = f"{target.label}: {request.ip} is not in the subnet of {name} ({text})"
        mend = "choose an address of the subnet; between subnets: kind=route"
        yield bad(check, what, REFUSED, mend)
    else:
        where = "outside" if request.kind is Kind.ROUTE else "in"
        yield good(check, f"{target.label}: {request.ip} is {where} the subnet of {name} ({text})")


def _own_interface(case: Case, networks: dict[str, dict[IPAddress, Network]]) -> str:
    """Return the interface with an address that the cloud knows as this machine's, "" when none has."""
    own = {address for node in case.local.values() for address in node.addresses}
    return next((name for name, held in networks.items() if any(address in held for address in own)), "")


def _no_interface(case: Case, check: str, target: AddressTarget, request: Request) -> Finding:
    if request.interface and not case.from_file:
        what = f"{target.label}: this node has no interface {request.interface}"
        mend = f"look with: ip link; pcs resource update {target.label} nic=..."
        return bad(check, what, "the address cannot start here", mend)
    return _elsewhere(check, target, request)


def _elsewhere(check: str, target: AddressTarget, request: Request) -> Finding:
    what = f"{target.label}: in which subnet {request.ip} must be cannot be told from here"
    mend = f"run cloudha doctor on each node, or --skip {check}"
    return unknown(check, what, "a private address belongs to one subnet", mend)


def _cloud(case: Case, target: AddressTarget, request: Request) -> Iterator[Finding]:
    check = f"addresses.{target.label}"
    try:
        host = target.host(case.deadline)
        yield from _owned(case, target, request)
        yield from _holder(case, target, request, _bindings(case, target, request, host))
    except NotFound as error:
        what = f"{target.label}: the cloud has no address {request.ip} ({request.kind.value}): {error.cause}"
        yield bad(check, what, REFUSED, error.advice or "create it in the cloud first")
        return
    except CloudhaError as error:
        yield unknown_because(check, f"{target.label}: who holds {request.ip}", error)
        return
    if case.is_node:
        yield from _evidence(case, target, request, host)


def _bindings(case: Case, target: AddressTarget, request: Request, host: Host) -> list[Binding]:
    me = case.me(target)
    found: list[Binding] = []
    page: str | None = None
    for _ in range(MOST_PAGES):
        answer = host.list_ips(AddressQuery(request.kind, request.ip, me, page))
        found.extend(answer.bindings)
        page = answer.next
        if page is None:
            return found
    raise Unavailable("list_ips does not end", advice="report this to the provider's author")


def _owned(case: Case, target: AddressTarget, request: Request) -> Iterator[Finding]:
    """Tell when a machine has the address for its own: it cannot leave it."""
    owners = {node.id: node for node in case.machines.values() if request.ip in node.addresses}
    for fence in case.fences:
        if not owners and fence.provider_name == target.provider_name and fence.usable:
            nodes = fence.host(case.deadline).list_nodes(NodeQuery(str(request.ip))).nodes
            owners = {node.id: node for node in nodes if request.ip in node.addresses}
    for node in owners.values():
        what = f"{target.label}: {request.ip} is the own address of the machine {node.label}"
        yield bad(f"addresses.{target.label}.own", what, "a machine's own address cannot move", "choose a free one")


def _holder(case: Case, target: AddressTarget, request: Request, bindings: list[Binding]) -> Iterator[Finding]:
    check = f"addresses.{target.label}.holder"
    holders = {binding.node_id for binding in bindings}
    if len(holders) > 1:
        places = "; ".join(f"{binding.where}: {_named(case, binding.node_id)}" for binding in bindings)
        why = "part of the clients reach one machine, and part another or none"
        mend = f"pcs resource restart {target.label}"
        yield warn(check, f"{target.label}: {request.ip} is held in different ways ({places})", why, mend)
        return
    holder = next(iter(holders), None)
    if holder is not None and case.machines and not case.name_of(holder):
        what = f"{target.label}: {request.ip} is held by {holder}, which is no node of this cluster"
        if request.takeover:
            mend = "if that is not wanted: takeover=never, or free the address there"
            yield warn(check, what, "the next start takes it from there", mend)
        else:
            yield bad(check, what, "takeover=never: no start succeeds", "free the address there")
        return
    yield good(check, f"{target.label}: {request.ip} is held by {_named(case, holder)}")


def _named(case: Case, holder: str | None) -> str:
    if holder is None:
        return "nobody now"
    name = case.name_of(holder)
    return f"{name} ({holder})" if name and name != holder else holder


def _evidence(case: Case, target: AddressTarget, request: Request, host: Host) -> Iterator[Finding]:
    """Say whether monitors can do without the API."""
    check = f"addresses.{target.label}.evidence"
    if not target.provider.implements("local_evidence"):
        return
    try:
        seen = host.local_evidence(AddressQuery(request.kind, request.ip, case.me(target)), EVIDENCE_SECONDS)
    except CloudhaError as error:
        yield unknown_because(check, f"{target.label}: what this machine sees of {request.ip} itself", error)
        return
    if seen.verdict is Verdict.CANNOT_TELL:
        yield good(check, f"{target.label}: each monitor asks the cloud's API ({seen.source})")
    else:
        yield good(check, f"{target.label}: monitors see the address without the API ({seen.source})")
