"""VPC routing tables: which are meant, what routes to single addresses they have, and for which zones.

A route serves one zone. In a table for egress that is where the traffic comes from, and the next hop may be in any
zone; in a table for ingress the next hop must be in that very zone (IBM, "About routing tables and routes").
"""

from __future__ import annotations

import ipaddress
from typing import Any, NamedTuple

from cloudha import web
from cloudha.provider import ConfigurationError, Context, IPAddress, NotFound, Unavailable
from cloudha_plugin_ibm import machines, metadata
from cloudha_plugin_ibm.client import every
from cloudha_plugin_ibm.errors import ENDPOINT

__all__ = ["Route", "Table", "routes_to", "tables", "vpc_of", "wanted"]

DELIVER = "deliver"
USER = "user"
INGRESS = (
    "route_direct_link_ingress",
    "route_internet_ingress",
    "route_transit_gateway_ingress",
    "route_vpc_zone_ingress",
)


class Route(NamedTuple):
    """A route to one address. ``hop`` is None where it leads to no address (a VPN), or delivers nothing."""

    id: str
    name: str
    ip: IPAddress
    zone: str
    hop: IPAddress | None
    ours: bool
    advertise: bool
    state: str


class Table(NamedTuple):
    """``egress``: the zones of the subnets that use the table; ``ingress``: whether traffic from outside does."""

    id: str
    name: str
    vpc: str
    egress: frozenset[str]
    ingress: bool

    def zones(self, own: str) -> frozenset[str]:
        """Return the zones that must have a route, when the machine that the address leads to is in zone *own*."""
        return self.egress | {own} if self.ingress or not self.egress else self.egress


def wanted(context: Context) -> tuple[str, ...]:
    """Return the listed tables, as the operator wrote them.

    :raises ConfigurationError: none is.
    """
    found = tuple(dict.fromkeys(context.settings.items("route_tables")))
    if not found:
        raise ConfigurationError("parameter route_tables is missing", advice="add route_tables=NAME,NAME")
    return found


def vpc_of(context: Context, machine: str | None) -> str:
    """Return the id of the VPC whose tables are meant: the parameter's, else the machine's.

    :raises CloudhaError: it cannot be found out, or there is no VPC of that name.
    """
    given = context.settings.text("vpc")
    if machines.VPC_ID.match(given):
        return given
    if given:
        for document in every(context, "list_vpcs", "vpcs"):
            if web.field(document, "name", str) == given:
                return web.field(document, "id", str)
        raise NotFound(f"no VPC {given} is in sight", advice="check vpc= and region=")
    if machine is None:
        return metadata.vpc(context)
    return web.field(web.field(machines.get(context, machine), "vpc", dict), "id", str)


def tables(context: Context, vpc: str) -> tuple[Table, ...]:
    """Return the listed tables.

    :raises NotFound: the VPC has no such table, or we may not see it.
    """
    names = wanted(context)
    documents = every(context, "list_vpc_routing_tables", "routing_tables", vpc)
    found = []
    for name in names:
        fitting = [d for d in documents if name in (web.field(d, "id", str), web.field(d, "name", str))]
        if not fitting:
            raise NotFound(
                f"{vpc} has no routing table {name}", advice="check route_tables=, vpc= and the access policy"
            )
        found.append(_table(context, vpc, fitting[0]))
    return tuple(dict.fromkeys(found))


def routes_to(context: Context, table: Table, ip: IPAddress | None) -> list[Route]:
    """Return the table's routes to the single address (None: to any).

    :raises Unavailable: one of them is being changed, so where it leads to is open.
    """
    documents = every(context, "list_vpc_routing_table_routes", "routes", table.vpc, table.id, counted=True)
    found = [route for route in map(_route, documents) if route is not None and ip in (None, route.ip)]
    for route in found:
        if ip is not None and route.state in ("pending", "updating", "deleting", "waiting"):
            raise Unavailable(f"the route {route.name} in {table.name} is {route.state}", retry_after=1.0)
    return found


def _table(context: Context, vpc: str, document: object) -> Table:
    table_id = web.field(document, "id", str)
    subnets = every(context, "list_subnets", "subnets", routing_table_id=table_id)
    # The filter is the server's; a subnet that names another table is not meant, whatever was answered.
    zones = frozenset(
        web.field(web.field(subnet, "zone", dict), "name", str)
        for subnet in subnets
        if web.field(web.field(subnet, "routing_table", dict), "id", str) == table_id
    )
    ingress = any(web.field(document, flag, bool) for flag in INGRESS)
    return Table(table_id, web.field(document, "name", str), vpc, zones, ingress)


def _route(document: Any) -> Route | None:  # noqa: ANN401 - a part of an answer
    """Read a route; None for one to more than one address."""
    try:
        network = ipaddress.ip_network(web.field(document, "destination", str))
    except ValueError:
        raise Unavailable("the answer has a route to no network", advice=ENDPOINT) from None
    action, hop = web.field(document, "action", str), web.field(document, "next_hop", dict)
    if network.prefixlen != network.max_prefixlen:
        return None
    # A VPN gateway's connection has an id instead.
    leads = action == DELIVER and "address" in hop
    if action == DELIVER and not leads:
        web.field(hop, "id", str)
    return Route(
        id=web.field(document, "id", str),
        name=web.field(document, "name", str),
        ip=network.network_address,
        zone=web.field(web.field(document, "zone", dict), "name", str),
        hop=web.address(hop, "address") if leads else None,
        ours=web.field(document, "origin", str) == USER and leads,
        advertise=web.field(document, "advertise", bool),
        state=web.field(document, "lifecycle_state", str),
    )
