"""``kind=route``: an overlay address, outside the VPC's range, that route tables lead to one machine's interface.

It works across zones. A table without the route has it bound to nobody: so it is before the first start and after a
stop, and the tables' other routes are never touched.
"""

from __future__ import annotations

import ipaddress
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
from cloudha_plugin_aws.client import call
from cloudha_plugin_aws.interfaces import chosen, instances_having, interfaces_of

__all__ = ["bind", "bindings", "destination", "tables_wanted", "unbind"]


def bindings(context: Context, query: AddressQuery) -> BindingPage:
    """Read every listed table; one binding for each, held or not."""
    found: list[Binding] = []
    for table, routes in _tables(context).items():
        if query.ip is None:
            found += [Binding(ip, _instance(route), table) for ip, route in routes.items()]
        else:
            found.append(Binding(query.ip, _instance(routes.get(query.ip, {})), table))
    return BindingPage(tuple(found))


def bind(context: Context, change: AddressChange) -> Accepted:
    """Point the route of every table at the chosen interface: replace it where it is, create it where it is not.

    :raises LocalConfigurationError: the interface drops packets for addresses that are not its own.
    :raises Conflict: another machine has one of the routes, and it is not to be moved.
    """
    interface = chosen(context, change, interfaces_of(context, change.node_id))
    if interface.checks_source:
        raise LocalConfigurationError(
            f"the source/destination check of {interface.id} is on: it drops packets for {change.ip}",
            advice="run: aws ec2 modify-network-interface-attribute --no-source-dest-check "
            f"--network-interface-id {interface.id}",
        )
    found = {table: routes.get(change.ip) for table, routes in _tables(context).items()}
    for table, route in found.items():
        holder = _instance(route or {})
        if not change.move and holder not in (None, change.node_id):
            raise Conflict(f"{change.ip} leads to {holder} in {table}")
    done: list[str] = []
    for table, route in found.items():
        if route is None or route.get("NetworkInterfaceId") != interface.id:
            method = "create_route" if route is None else "replace_route"
            where = {"RouteTableId": table, **destination(change.ip)}
            done.append(call(context, method, **where, NetworkInterfaceId=interface.id).request_id)
    return Accepted(tuple(done), detail="" if done else "every table leads there already")


def unbind(context: Context, change: AddressChange) -> Accepted:
    """Delete the route from those tables where it leads to this machine."""
    done: list[str] = []
    for table, routes in _tables(context).items():
        if _instance(routes.get(change.ip, {})) != change.node_id:
            continue
        try:
            done.append(call(context, "delete_route", RouteTableId=table, **destination(change.ip)).request_id)
        except NotFound:
            # Deleted by somebody else between the two requests: what was wanted.
            continue
    return Accepted(tuple(done), detail="" if done else "not bound there", sent=bool(done))


def destination(ip: IPAddress) -> dict[str, str]:
    """Return the parameter that names a route to the address."""
    return {"DestinationCidrBlock": f"{ip}/32"} if ip.version == 4 else {"DestinationIpv6CidrBlock": f"{ip}/128"}


def tables_wanted(context: Context) -> tuple[str, ...]:
    """Return the listed tables.

    :raises ConfigurationError: none is.
    """
    wanted = tuple(dict.fromkeys(context.settings.items("route_tables")))
    if not wanted:
        raise ConfigurationError("parameter route_tables is missing", advice="add route_tables=rtb-...,rtb-...")
    return wanted


def _tables(context: Context) -> dict[str, dict[IPAddress, dict[str, Any]]]:
    """Return each listed table's routes to single addresses."""
    wanted = tables_wanted(context)
    document = call(context, "describe_route_tables", RouteTableIds=list(wanted)).document
    found = {
        web.field(table, "RouteTableId", str): _routes(web.field(table, "Routes", list))
        for table in web.field(document, "RouteTables", list)
    }
    if set(found) != set(wanted):
        raise Unavailable("the answer lacks route tables that were asked for", advice="check the endpoint")
    unsaid = [
        route
        for routes in found.values()
        for route in routes.values()
        if route.get("NetworkInterfaceId") and not route.get("InstanceId")
    ]
    owners = instances_having(context, (str(route["NetworkInterfaceId"]) for route in unsaid))
    for route in unsaid:
        route["InstanceId"] = owners[str(route["NetworkInterfaceId"])]
    return {table: found[table] for table in wanted}


def _routes(routes: list[dict[str, Any]]) -> dict[IPAddress, dict[str, Any]]:
    single: dict[IPAddress, dict[str, Any]] = {}
    for route in routes:
        text = route.get("DestinationCidrBlock") or route.get("DestinationIpv6CidrBlock")
        if not text:
            # To a prefix list, which is no address; every other route says where it leads to.
            web.field(route, "DestinationPrefixListId", str)
            continue
        try:
            network = ipaddress.ip_network(str(text))
        except ValueError:
            raise Unavailable(f"the answer has a route to {text!r}", advice="check the endpoint") from None
        if network.prefixlen == network.max_prefixlen:
            _check_target(route)
            single[network.network_address] = route
    return single


# What a route can lead to; see the members of Route in EC2's API.
TARGETS = (
    "CarrierGatewayId",
    "CoreNetworkArn",
    "EgressOnlyInternetGatewayId",
    "GatewayId",
    "InstanceId",
    "LocalGatewayId",
    "NatGatewayId",
    "NetworkInterfaceId",
    "OdbNetworkArn",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
)


def _check_target(route: dict[str, Any]) -> None:
    if not any(route.get(target) for target in TARGETS):
        raise Unavailable("the answer does not say where a route leads to", advice="check the endpoint")


def _instance(route: dict[str, Any]) -> str | None:
    return str(route["InstanceId"]) if route.get("InstanceId") else None
