"""What each hook asks of AWS, for ``--dry-run``; in the order in which it is sent. No SDK is imported here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from cloudha.provider import Binding, IPAddress, Kind
from cloudha.requests import LOGIN, ApiRequest, Planned
from cloudha_plugin_aws.machines import (
    PAGE,
    _searches,  # the very searches that list_nodes makes
    parse_filters,
)
from cloudha_plugin_aws.options import IF_POSSIBLE, NEVER
from cloudha_plugin_aws.route_addresses import destination

__all__ = ["requests"]

METADATA = "metadata service"
ROLE = "latest/meta-data/iam/security-credentials/"
HELD = "where EC2 names an interface without its machine"
NOT_THERE = "unless it is there already"


def requests(planned: Planned) -> tuple[ApiRequest, ...]:
    """Return the requests of one hook; see :mod:`cloudha.requests`."""
    node = planned.node.id if planned.node else ""
    plain = {
        LOGIN: _login,
        "list_nodes": _list_nodes,
        "power_state": _power_state,
        "power_off": _power_off,
        "power_on": _power_on,
    }.get(planned.hook)
    if plain:
        return tuple(plain(planned, node))
    if planned.ip is None or planned.kind is None:
        return ()
    make = {
        (Kind.PRIVATE, "list_ips"): _list_private,
        (Kind.PRIVATE, "bind_ip"): _bind_private if planned.ip.version == 4 else _bind_ipv6,
        (Kind.PRIVATE, "unbind_ip"): _unbind_private,
        (Kind.PUBLIC, "list_ips"): _list_public,
        (Kind.PUBLIC, "bind_ip"): _bind_public,
        (Kind.PUBLIC, "unbind_ip"): _unbind_public,
        (Kind.ROUTE, "list_ips"): _list_routes,
        (Kind.ROUTE, "bind_ip"): _bind_route,
        (Kind.ROUTE, "unbind_ip"): _unbind_route,
    }.get((planned.kind, planned.hook))
    return tuple(make(planned, planned.ip, node)) if make else ()


def _login(planned: Planned, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    settings = planned.settings
    if not settings.text("region"):
        known = "unless a profile or the environment tells the region"
        yield ApiRequest("PUT /latest/api/token", when=known, service=METADATA)
        yield ApiRequest("GET /latest/dynamic/instance-identity/document", when=known, service=METADATA)
    if not settings.text("access_key"):
        known = "unless a profile or the environment has credentials"
        yield ApiRequest("PUT /latest/api/token", when=known, service=METADATA)
        yield ApiRequest(f"GET /{ROLE}", when=known, service=METADATA)
        yield ApiRequest(f"GET /{ROLE}{{role}}", when=known, service=METADATA)
    if role := settings.text("role_arn"):
        yield ApiRequest("sts:AssumeRole", f"RoleArn={role}")


def _list_nodes(planned: Planned, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    for search in _searches(planned.plug):
        filters = [*search, *parse_filters(planned.settings.text("filter"))]
        yield _look("DescribeInstances", f"MaxResults={PAGE}, {_filters((f['Name'], f['Values']) for f in filters)}")


def _power_state(planned: Planned, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _look("DescribeInstances", f"InstanceIds=[{node}]")


def _power_on(planned: Planned, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _change("StartInstances", f"InstanceIds=[{node}]")


def _power_off(planned: Planned, node: str) -> Iterator[ApiRequest]:
    settings = planned.settings
    check = NEVER if settings.flag("skip_race_check") else settings.text("race_check") or IF_POSSIBLE
    if check != NEVER:
        asked = f"race_check={check}"
        yield ApiRequest("PUT /latest/api/token", when=asked, service=METADATA)
        yield ApiRequest("GET /latest/dynamic/instance-identity/document", when=asked, service=METADATA)
        on_another = f"{asked}, on a machine of EC2 that is not the target"
        yield ApiRequest("ec2:DescribeInstances", "InstanceIds=[{this machine}]", when=on_another)
    # boto3 of before late 2025 does not know SkipOsShutdown, and leaves it out.
    yield _change("StopInstances", f"InstanceIds=[{node}], Force=true, SkipOsShutdown=true")


def _list_private(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _interfaces(_holding(ip))
    twins = "where several VPCs have the address, unless the metadata service tells this machine's"
    yield _interfaces(("attachment.instance-id", node or "{machine}"), when=twins)


def _list_public(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _elastic(ip)
    yield _interfaces(("network-interface-id", "{interface}"), when=HELD)


def _list_routes(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _tables(planned)
    yield _interfaces(("network-interface-id", "{interface}"), when=HELD)


def _bind_private(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield _interfaces(("attachment.instance-id", node))
    move = str(planned.move).lower()
    yield _change(
        "AssignPrivateIpAddresses",
        f"NetworkInterfaceId={_target(planned)}, PrivateIpAddresses=[{ip}], AllowReassignment={move}",
        _unless_there(planned, node),
    )


def _bind_ipv6(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield _interfaces(_holding(ip))
    yield _interfaces(("attachment.instance-id", node))
    there = _unless_there(planned, node)
    for item in planned.held:
        yield _change("UnassignIpv6Addresses", f"NetworkInterfaceId={item.where}, Ipv6Addresses=[{ip}]", there)
    yield _change("AssignIpv6Addresses", f"NetworkInterfaceId={_target(planned)}, Ipv6Addresses=[{ip}]", there)


def _unbind_private(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield _interfaces(_holding(ip), ("attachment.instance-id", node))
    for item in _here(planned, node):
        where = f"NetworkInterfaceId={item.where}"
        if ip.version == 4:
            yield _change("UnassignPrivateIpAddresses", f"{where}, PrivateIpAddresses=[{ip}]")
        else:
            yield _change("UnassignIpv6Addresses", f"{where}, Ipv6Addresses=[{ip}]")


def _bind_public(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield _elastic(ip)
    yield _interfaces(("network-interface-id", "{interface}"), when=HELD)
    yield _interfaces(("attachment.instance-id", node))
    free = next((item.where for item in planned.held if item.node_id is None), "")
    private = planned.settings.address("private_ip") or "{private address}"
    move = str(planned.move or bool(list(_here(planned, node)))).lower()
    yield _change(
        "AssociateAddress",
        f"AllocationId={free or '{allocation}'}, NetworkInterfaceId={_target(planned)}, PrivateIpAddress={private}, "
        f"AllowReassociation={move}",
        _unless_there(planned, node),
    )


def _unbind_public(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield _elastic(ip)
    yield _interfaces(("network-interface-id", "{interface}"), when=HELD)
    for _ in _here(planned, node):
        yield _change("DisassociateAddress", "AssociationId={association}")


def _bind_route(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield _interfaces(("attachment.instance-id", node))
    yield _tables(planned)
    yield _interfaces(("network-interface-id", "{interface}"), when=HELD)
    for item in planned.held:
        route = f"RouteTableId={item.where}, {_destination(ip)}, NetworkInterfaceId={_target(planned)}"
        if item.node_id is not None:
            yield _change("ReplaceRoute", route, NOT_THERE if item.node_id == node else "")
        else:
            yield _change("CreateRoute", route, "where the table has no route to it")
            yield _change("ReplaceRoute", route, "where it has one, which leads to no machine")


def _unbind_route(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield _tables(planned)
    yield _interfaces(("network-interface-id", "{interface}"), when=HELD)
    for item in _here(planned, node):
        yield _change("DeleteRoute", f"RouteTableId={item.where}, {_destination(ip)}")


def _look(action: str, parameters: str, when: str = "") -> ApiRequest:
    return ApiRequest(f"ec2:{action}", parameters, when=when)


def _change(action: str, parameters: str, when: str = "") -> ApiRequest:
    return ApiRequest(f"ec2:{action}", parameters, changes=True, when=when)


def _interfaces(*filters: tuple[str, str], when: str = "") -> ApiRequest:
    return _look("DescribeNetworkInterfaces", _filters((name, [value]) for name, value in filters), when)


def _elastic(ip: IPAddress) -> ApiRequest:
    return _look("DescribeAddresses", _filters([("public-ip", [str(ip)])]))


def _tables(planned: Planned) -> ApiRequest:
    wanted = ", ".join(dict.fromkeys(planned.settings.items("route_tables")))
    return _look("DescribeRouteTables", f"RouteTableIds=[{wanted}]")


def _filters(filters: Iterable[tuple[object, object]]) -> str:
    listed = (f"{name}={','.join(values) if isinstance(values, list) else values}" for name, values in filters)
    return f"Filters=[{', '.join(listed)}]"


def _holding(ip: IPAddress) -> tuple[str, str]:
    return ("addresses.private-ip-address" if ip.version == 4 else "ipv6-addresses.ipv6-address", str(ip))


def _destination(ip: IPAddress) -> str:
    return ", ".join(f"{name}={value}" for name, value in destination(ip).items())


def _target(planned: Planned) -> str:
    return planned.settings.text("interface_id") or "{interface}"


def _here(planned: Planned, node: str) -> Iterator[Binding]:
    yield from (item for item in planned.held if item.node_id == node)


def _unless_there(planned: Planned, node: str) -> str:
    return NOT_THERE if any(_here(planned, node)) else ""
