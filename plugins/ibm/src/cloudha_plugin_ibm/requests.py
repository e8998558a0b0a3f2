"""What each hook asks of IBM Cloud, for ``--dry-run``; in the order in which it is sent. No SDK is imported here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

from cloudha.deadline import Deadline
from cloudha.provider import Binding, Context, IPAddress, Kind
from cloudha.requests import LOGIN, ApiRequest, Planned
from cloudha_plugin_ibm.client import PAGE_SIZE
from cloudha_plugin_ibm.machines import (
    GROUP_ID,
    INSTANCE_ID,
    VPC_ID,
    _as_address,  # list_nodes takes these apart with it
    _filters,  # the very filters of list_nodes
)
from cloudha_plugin_ibm.metadata import INSTANCE_VERSION, TOKEN_VERSION
from cloudha_plugin_ibm.reads import API_VERSION, FILTERS, GENERATION

__all__ = ["requests"]

METADATA = "metadata service"
IDENTITY = "https://iam.cloud.ibm.com"
KEPT = "unless an action of the last minutes has left its token"
# interface_id may be a name, or the id of an attachment: what stands in a path is read first.
INTERFACE, RESERVED, SUBNET = "{interface}", "{reserved ip}", "{subnet}"
NOT_THERE = "unless it is there already"


def requests(planned: Planned) -> tuple[ApiRequest, ...]:
    """Return the requests of one hook; see :mod:`cloudha.requests`."""
    hook, node = planned.hook, planned.node.id if planned.node else ""
    if hook == LOGIN:
        return tuple(_login(planned))
    if hook == "list_nodes":
        return tuple(_list_nodes(planned))
    if hook == "power_state":
        return (_get(f"instances/{node}"),)
    if hook in ("power_off", "power_on"):
        return tuple(_switch(node, hook))
    if planned.ip is None or planned.kind is None:
        return ()
    make: Callable[[Planned, IPAddress, str], Iterator[ApiRequest]] | None = {
        (Kind.PRIVATE, "list_ips"): _list_private,
        (Kind.PRIVATE, "bind_ip"): _bind_private,
        (Kind.PRIVATE, "unbind_ip"): _unbind_private,
        (Kind.PUBLIC, "list_ips"): _list_public,
        (Kind.PUBLIC, "bind_ip"): _bind_public,
        (Kind.PUBLIC, "unbind_ip"): _unbind_public,
        (Kind.ROUTE, "list_ips"): _list_routes,
        (Kind.ROUTE, "bind_ip"): _bind_routes,
        (Kind.ROUTE, "unbind_ip"): _unbind_routes,
    }.get((planned.kind, hook))
    return tuple(make(planned, planned.ip, node)) if make else ()


def _login(planned: Planned) -> Iterator[ApiRequest]:
    settings = planned.settings
    by_key = bool(settings.secret("api_key") or settings.secret("api_key_file"))
    known = bool(settings.text("region") or settings.text("endpoint"))
    session = f"/instance_identity/v1/token?version={TOKEN_VERSION}"
    if not (by_key and known):
        yield ApiRequest(f"PUT {session}", '{"expires_in": 300}', when="" if not known else KEPT, service=METADATA)
    if not known:
        yield ApiRequest(f"GET /metadata/v1/instance?version={INSTANCE_VERSION}", service=METADATA)
    if by_key:
        service = settings.text("identity_endpoint") or IDENTITY
        yield ApiRequest("POST /identity/token", "grant_type=apikey", when=KEPT, service=service)
    else:
        yield ApiRequest(f"POST /instance_identity/v1/iam_token?version={TOKEN_VERSION}", when=KEPT, service=METADATA)


def _list_nodes(planned: Planned) -> Iterator[ApiRequest]:
    plug = planned.plug
    if INSTANCE_ID.match(plug):
        yield _get(f"instances/{plug}")
        return
    named = {} if _as_address(plug) else {"name": plug.lower()}
    yield _listing("instances", **named, **_filters(Context(planned.settings, Deadline(1.0))))


def _switch(node: str, hook: str) -> Iterator[ApiRequest]:
    action: dict[str, object] = {"type": "stop", "force": True} if hook == "power_off" else {"type": "start"}
    yield _change("POST", f"instances/{node}/actions", action)
    yield _get(f"instances/{node}", when="where that is refused, since the machine is so already")


def _list_private(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    mine = "unless the metadata service has told this machine's interface already"
    yield _get(f"instances/{node}", when=mine)
    yield _get(f"virtual_network_interfaces/{INTERFACE}")
    yield _listing(f"subnets/{SUBNET}/reserved_ips", when="unless that interface has it")


def _bind_private(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    there = NOT_THERE if any(_here(planned, node)) else ""
    yield _get(f"instances/{node}")
    yield _get(f"virtual_network_interfaces/{INTERFACE}")
    yield _listing(f"subnets/{SUBNET}/reserved_ips")
    free = next((item.where for item in planned.held if item.node_id is None), RESERVED)
    for item in planned.held:
        if item.node_id is not None:
            yield _get(f"virtual_network_interfaces/{item.where}", when=there)
            yield _change("DELETE", f"virtual_network_interfaces/{item.where}/ips/{RESERVED}", when=there)
    yield _change("PUT", f"virtual_network_interfaces/{INTERFACE}/ips/{free}", when=there)


def _unbind_private(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _get(f"instances/{node}")
    yield _get(f"virtual_network_interfaces/{INTERFACE}")
    for item in _here(planned, node):
        yield _listing(f"subnets/{SUBNET}/reserved_ips")
        yield _change("DELETE", f"virtual_network_interfaces/{item.where}/ips/{RESERVED}")


def _list_public(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _floating(planned)
    yield _get(f"virtual_network_interfaces/{INTERFACE}", when="where an interface has it")


def _bind_public(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    there = NOT_THERE if any(_here(planned, node)) else ""
    yield _get(f"instances/{node}")
    yield _get(f"virtual_network_interfaces/{INTERFACE}")
    yield _floating(planned)
    yield _floating(planned, target_id=INTERFACE, when=there)
    free = next((item.where for item in planned.held if item.node_id is None), "{floating ip}")
    yield _change("PATCH", f"floating_ips/{free}", {"target": {"id": INTERFACE}}, when=there)


def _unbind_public(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _get(f"instances/{node}")
    yield _floating(planned)
    for item in _here(planned, node):
        yield _change("DELETE", f"virtual_network_interfaces/{item.where}/floating_ips/{{floating ip}}")


def _list_routes(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _get(f"instances/{node}")
    yield from _tables(planned)
    yield _listing("instances", vpc_id=_vpc(planned), when="where a route leads to another machine")


def _bind_routes(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield _get(f"instances/{node}")
    yield _get(f"virtual_network_interfaces/{INTERFACE}")
    yield from _tables(planned)
    yield _listing("instances", vpc_id=_vpc(planned), when="without --take, where a route leads to another machine")
    routes = f"vpcs/{_vpc(planned)}/routing_tables/{{table}}/routes"
    # By table, in the order of the parameter as they were listed, and in each by zone, as they are changed.
    order = list(dict.fromkeys(_table(item) for item in planned.held))
    for item in sorted(planned.held, key=lambda item: (order.index(_table(item)), item.where)):
        zone = item.where.rpartition("/")[2]
        if item.node_id is not None:
            when = NOT_THERE if item.node_id == node else ""
            yield _change("PATCH", f"{routes}/{{route}}", {"next_hop": {"address": "{own address}"}}, when=when)
            continue
        body = {
            "destination": f"{ip}/{ip.max_prefixlen}",
            "zone": {"name": zone},
            "action": "deliver",
            "advertise": "{as in other zones}",
            "name": f"cloudha-{ip}-{zone}".replace(".", "-"),
            "next_hop": {"address": "{own address}"},
        }
        yield _change("POST", routes, body)
    stale = "for every route of another zone, in a table for traffic from outside alone"
    yield _change("DELETE", f"{routes}/{{route}}", when=stale)


def _unbind_routes(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _get(f"instances/{node}")
    yield from _tables(planned)
    for _ in _here(planned, node):
        yield _change("DELETE", f"vpcs/{_vpc(planned)}/routing_tables/{{table}}/routes/{{route}}")


def _tables(planned: Planned) -> Iterator[ApiRequest]:
    vpc = planned.settings.text("vpc")
    if vpc and not VPC_ID.match(vpc):
        yield _listing("vpcs")
    yield _listing(f"vpcs/{_vpc(planned)}/routing_tables")
    yield _listing("subnets", routing_table_id="{table}")
    yield _listing(f"vpcs/{_vpc(planned)}/routing_tables/{{table}}/routes")


def _floating(planned: Planned, when: str = "", **more: str) -> ApiRequest:
    group = planned.settings.text("resource_group")
    narrowed = {"resource_group_id": group} if GROUP_ID.match(group) and not more else {}
    return _listing("floating_ips", when=when, **more, **narrowed)


def _get(path: str, when: str = "") -> ApiRequest:
    return ApiRequest(f"GET /v1/{path}?version={API_VERSION}&generation={GENERATION}", when=when)


def _listing(path: str, when: str = "", **filters: str) -> ApiRequest:
    narrowed = "".join(f"{FILTERS.get(name, name)}={value}&" for name, value in filters.items())
    query = f"{narrowed}limit={PAGE_SIZE}&version={API_VERSION}&generation={GENERATION}"
    return ApiRequest(f"GET /v1/{path}?{query}", when=when)


def _change(method: str, path: str, document: object = None, when: str = "") -> ApiRequest:
    body = "" if document is None else json.dumps(document)
    request = f"{method} /v1/{path}?version={API_VERSION}&generation={GENERATION}"
    return ApiRequest(request, body, changes=True, when=when)


def _here(planned: Planned, node: str) -> Iterator[Binding]:
    yield from (item for item in planned.held if item.node_id and item.node_id == node)


def _table(item: Binding) -> str:
    return item.where.rpartition("/")[0]


def _vpc(planned: Planned) -> str:
    vpc = planned.settings.text("vpc")
    return vpc if VPC_ID.match(vpc) else "{vpc}"
