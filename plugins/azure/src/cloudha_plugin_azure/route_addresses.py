"""``kind=route``: an address outside the virtual network's ranges, that route tables lead to one machine's interface.

It works across subnets and zones. A table without the route has it bound to nobody; other routes are never touched.
"""

from __future__ import annotations

import copy
import ipaddress
import json
from typing import Any

from cloudha import web
from cloudha.provider import (
    Accepted,
    AddressChange,
    AddressQuery,
    Binding,
    BindingPage,
    ConfigurationError,
    Conflict,
    Context,
    IPAddress,
    LocalConfigurationError,
    NotFound,
    Unavailable,
)
from cloudha_plugin_azure.arm import NETWORK, begin, call, group
from cloudha_plugin_azure.interfaces import Nic, all_nics, chosen, nics_of
from cloudha_plugin_azure.operations import follow, under_way
from cloudha_plugin_azure.private_addresses import local_machine
from cloudha_plugin_azure.resource_ids import ResourceId, canonical, parse

__all__ = ["bind", "bindings", "tables_wanted", "unbind"]

APPLIANCE = "VirtualAppliance"
Routes = dict[IPAddress, dict[str, Any]]


def bindings(context: Context, query: AddressQuery) -> BindingPage:
    """Read every listed table; one binding for each, held or not."""
    wanted = tables_wanted(context)
    pending = {name: under_way(context, _followed(query.ip, name)) for name in wanted} if query.ip else {}
    tables = {name: _routes(context, where) for name, where in wanted.items()}
    me = local_machine(context, query.node_id)
    nics = all_nics(context) if any(tables.values()) else []
    if me is not None and nics:
        nics_of(nics, me)
    found: list[Binding] = []
    for name, routes in tables.items():
        if query.ip is None:
            found += [Binding(ip, _leads_to(nics, route), name) for ip, route in routes.items()]
            continue
        meanwhile = pending[name]
        holder = meanwhile.node_id if meanwhile else _leads_to(nics, routes.get(query.ip))
        found.append(Binding(query.ip, holder, name))
    return BindingPage(tuple(found))


def bind(context: Context, change: AddressChange) -> Accepted:
    """Point the route of every table at the chosen interface's own address: change it, or create it.

    :raises LocalConfigurationError: the interface drops packets that are not for its own addresses.
    :raises Conflict: another machine has one of the routes, and it is not to be moved.
    """
    nics = all_nics(context)
    interface = chosen(context, change, nics)
    if not interface.forwards:
        raise LocalConfigurationError(
            f"IP forwarding of {interface.name} is off: Azure drops packets for {change.ip}",
            advice=f"run: az network nic update --ids {interface.id} --ip-forwarding true",
        )
    hop = interface.main(change.ip.version).ip
    tables = {name: (where, _routes(context, where)) for name, where in tables_wanted(context).items()}
    for name, (_, routes) in tables.items():
        holder = _leads_to(nics, routes.get(change.ip))
        if not change.move and holder not in (None, canonical(change.node_id)):
            raise Conflict(f"{change.ip} leads to {holder} in {name}")
    done: list[str] = []
    for name, (where, routes) in tables.items():
        route = routes.get(change.ip)
        if route is None or _hop(route) != hop:
            done.append(_write(context, name, where, change.ip, route, str(hop)))
    return Accepted(tuple(done), detail="" if done else "every table leads there already")


def unbind(context: Context, change: AddressChange) -> Accepted:
    """Delete the route from those tables where it leads to this machine."""
    nics = all_nics(context)
    nics_of(nics, change.node_id)
    done: list[str] = []
    for name, where in tables_wanted(context).items():
        route = _routes(context, where).get(change.ip)
        if route is None or _leads_to(nics, route) != canonical(change.node_id):
            continue
        try:
            answer = begin(
                context,
                NETWORK,
                "routes",
                "begin_delete",
                where.group,
                where.name,
                web.field(route, "name", str),
                headers={"If-Match": web.field(route, "etag", str)},
            )
        except NotFound:
            # Deleted by somebody else between the two requests: what was wanted.
            continue
        follow(context, _followed(change.ip, name), answer.operation, canonical(change.node_id))
        done.append(answer.request_id)
    return Accepted(tuple(done), detail="" if done else "not bound there", sent=bool(done))


def tables_wanted(context: Context) -> dict[str, ResourceId]:
    """Return the listed tables, by the text that the operator wrote.

    :raises ConfigurationError: none is, or one is neither a name nor a route table's id.
    """
    wanted: dict[str, ResourceId] = {}
    for text in dict.fromkeys(context.settings.items("route_tables")):
        known = parse(text)
        if known is None and "/" not in text and group(context):
            known = ResourceId("", group(context), "microsoft.network/routetables", text)
        if known is None or known.type != "microsoft.network/routetables":
            raise ConfigurationError(
                f"route_tables has {text!r}, which is no route table",
                advice="write names of route tables in resource_group=, or their resource ids",
            )
        wanted[text] = known
    if not wanted:
        raise ConfigurationError("parameter route_tables is missing", advice="add route_tables=NAME,NAME")
    return wanted


def _write(
    context: Context, name: str, where: ResourceId, ip: IPAddress, route: dict[str, Any] | None, hop: str
) -> str:
    document: dict[str, Any] = copy.deepcopy(route) if route is not None else {"properties": {}}
    document["properties"].update(
        {"addressPrefix": f"{ip}/{ip.max_prefixlen}", "nextHopType": APPLIANCE, "nextHopIpAddress": hop}
    )
    # A new one must not overwrite what somebody else has created under this name meanwhile.
    condition = {"If-Match": web.field(route, "etag", str)} if route is not None else {"If-None-Match": "*"}
    route_name = web.field(route, "name", str) if route is not None else f"cloudha-{ip}".replace(":", "-")
    answer = begin(
        context,
        NETWORK,
        "routes",
        "begin_create_or_update",
        where.group,
        where.name,
        route_name,
        json.dumps(document).encode(),
        headers=condition,
    )
    written = _read(answer.document)
    if written is None or written[0] != ip or str(_hop(written[1])) != hop:
        raise Unavailable("the answer is about another route", advice="check the endpoint")
    state = web.field(answer.document["properties"], "provisioningState", str)
    follow(context, _followed(ip, name), answer.operation if state.lower() == "updating" else "", None)
    return answer.request_id


def _routes(context: Context, where: ResourceId) -> Routes:
    """Return the table's routes to single addresses."""
    document = call(context, NETWORK, "route_tables", "get", where.group, where.name).document
    if not canonical(web.field(document, "id", str)).endswith(f"/{where.name.lower()}"):
        raise Unavailable("the answer is about another route table", advice="check the endpoint")
    routes = web.field(web.field(document, "properties", dict), "routes", list)
    return dict(found for found in map(_read, routes) if found is not None)


def _read(route: Any) -> tuple[IPAddress, dict[str, Any]] | None:  # noqa: ANN401 - a part of an answer
    """Return the address and the route; None for a route to more than one address, or to a service tag."""
    properties = web.field(route, "properties", dict)
    web.field(route, "name", str)
    web.field(properties, "nextHopType", str)
    try:
        network = ipaddress.ip_network(web.field(properties, "addressPrefix", str))
    except ValueError:
        return None
    return (network.network_address, route) if network.prefixlen == network.max_prefixlen else None


def _hop(route: dict[str, Any]) -> IPAddress | None:
    properties = route["properties"]
    if properties["nextHopType"].lower() != APPLIANCE.lower():
        return None
    return web.address(properties, "nextHopIpAddress")


def _leads_to(nics: list[Nic], route: dict[str, Any] | None) -> str | None:
    """Return the machine whose interface has the route's next hop, None for none in sight."""
    hop = _hop(route) if route is not None else None
    return next((nic.machine for nic in nics if hop is not None and nic.holding(hop)), None)


def _followed(ip: IPAddress, table: str) -> str:
    return f"{ip} in {table}"
