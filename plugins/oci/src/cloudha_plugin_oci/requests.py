"""What each hook asks of OCI, for ``--dry-run``; in the order in which it is sent. No SDK is imported here."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator

from cloudha.provider import Binding, IPAddress, Kind
from cloudha.requests import LOGIN, ApiRequest, Planned
from cloudha_plugin_oci.client import PAGE
from cloudha_plugin_oci.federation import FEDERATE
from cloudha_plugin_oci.metadata import VERSION as METADATA_VERSION
from cloudha_plugin_oci.options import INSTANCE_PRINCIPAL
from cloudha_plugin_oci.reads import VERSION

__all__ = ["requests"]

METADATA = "metadata service"
FEDERATION = "federation"
KEPT = "unless an action of the last minutes has left its session"
VNIC, SUBNET, OBJECT, COMPARTMENT = "{vnic}", "{subnet}", "{private ip}", "{compartment}"
THIS_MACHINE = "on the machine itself, which knows its VNICs from the metadata service"
OTHER_MACHINE = "for another machine than this one"
ANOTHERS = "where another machine's VNIC has it"
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
        action = "STOP" if hook == "power_off" else "START"
        again = _get(f"instances/{node}", when="where that is refused, since the machine is so already")
        return (_change("POST", f"instances/{node}?action={action}"), again)
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
        (Kind.ROUTE, "bind_ip"): _bind_route,
        (Kind.ROUTE, "unbind_ip"): _unbind_route,
    }.get((planned.kind, hook))
    return tuple(make(planned, planned.ip, node)) if make else ()


def _login(planned: Planned) -> Iterator[ApiRequest]:
    settings = planned.settings
    here = "where the region, the compartment or this machine is not given"
    yield ApiRequest(f"GET {METADATA_VERSION}/instance/", when=here, service=METADATA)
    yield ApiRequest(f"GET {METADATA_VERSION}/vnics/", when=THIS_MACHINE, service=METADATA)
    if settings.text("auth") in ("", INSTANCE_PRINCIPAL):
        for name in ("cert", "key", "intermediate"):
            yield ApiRequest(f"GET {METADATA_VERSION}/identity/{name}.pem", when=KEPT, service=METADATA)
        service = settings.text("identity_endpoint") or FEDERATION
        yield ApiRequest(f"POST {FEDERATE}", "this machine's certificate", when=KEPT, service=service)


def _list_nodes(planned: Planned) -> Iterator[ApiRequest]:
    plug = planned.plug
    if plug.startswith("ocid1."):
        yield _get(f"instances/{plug}")
        return
    try:
        address = ipaddress.ip_address(plug)
    except ValueError:
        narrowed = ""
        for compartment in _compartments(planned):
            yield _listing("instances", f"compartmentId={compartment}&displayName={plug}")
    else:
        if address.version != 4:
            return
        narrowed = f"&ipAddress={address}"
    for compartment in _compartments(planned):
        yield _listing("vnicAttachments", f"compartmentId={compartment}")
    yield _listing("privateIps", f"subnetId={SUBNET}{narrowed}", "for every subnet with machines")
    yield _get("instances/{machine}", when="for every machine that is found so")


def _list_private(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield _listing(_objects(ip), f"vnicId={VNIC}", THIS_MACHINE)
    yield from _subnets(planned, node)
    yield _listing(_objects(ip), f"subnetId={_subnet(planned)}&ipAddress={ip}", "unless it is found so")
    yield from _attachments(planned, f"vnicId={VNIC}", ANOTHERS)


def _bind_private(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield from _chosen(planned, node)
    yield _listing(_objects(ip), f"subnetId={_subnet(planned)}&ipAddress={ip}")
    vnic = _target(planned)
    if not planned.held:
        details = {"ipAddress": str(ip), "vnicId": vnic, "lifetime": "RESERVED", "displayName": f"cloudha {ip}"}
        yield _change("POST", _objects(ip), details)
        return
    there = any(_here(planned, node))
    free = next((item.where for item in planned.held if item.node_id is None), OBJECT)
    if not planned.move:
        yield _get(f"{_objects(ip)}/{free}", when=NOT_THERE if there else "")
        yield from _attachments(planned, f"vnicId={VNIC}", ANOTHERS)
    path = f"{_objects(ip)}/{free}"
    apart = ", and unless it is there already" if there else ""
    yield _change("PUT", path, {"vnicId": vnic}, f"where its lifetime is RESERVED{apart}")
    yield _change("PUT", path, {"vnicId": vnic, "lifetime": "RESERVED"}, f"where it is not RESERVED{apart}")
    if there:
        yield _change("PUT", path, {"lifetime": "RESERVED"}, "where it is there already, and is not RESERVED")


def _unbind_private(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield from _subnets(planned, node)
    yield _listing(_objects(ip), f"subnetId={_subnet(planned)}&ipAddress={ip}")
    yield from _attachments(planned, f"vnicId={VNIC}", ANOTHERS)
    for _ in _here(planned, node):
        yield _get(f"{_objects(ip)}/{OBJECT}")
        yield _change("PUT", f"{_objects(ip)}/{OBJECT}", {"lifetime": "RESERVED"}, "where it is not RESERVED")
        yield _change("POST", f"{_objects(ip)}/{OBJECT}/actions/detach")


def _list_public(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield _by_address(ip)
    yield from _whose(planned, node, "where it is assigned")


def _bind_public(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield _by_address(ip)
    yield from _chosen(planned, node)
    yield _meant(planned)
    there = NOT_THERE if any(_here(planned, node)) else ""
    if not planned.move:
        yield from _whose(planned, node, "where it is assigned")
    free = next((item.where for item in planned.held if item.node_id is None), "{public ip}")
    yield _change("PUT", f"publicIps/{free}", {"privateIpId": OBJECT}, there)


def _unbind_public(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield _by_address(ip)
    yield from _whose(planned, node, "where it is assigned")
    for _ in _here(planned, node):
        yield _change("PUT", "publicIps/{public ip}", {"privateIpId": ""})


def _list_routes(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    for table in _tables(planned):
        yield _get(f"routeTables/{table}")
    yield from _whose(planned, node, "where it has a rule for the address")


def _bind_route(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    yield from _chosen(planned, node)
    yield _meant(planned, ip.version)
    for table in _tables(planned):
        yield _get(f"routeTables/{table}")
    if not planned.move:
        yield from _whose(planned, node, "where it has a rule for the address")
    rule = f"all rules as they were read, with {ip}/{ip.max_prefixlen} leading to {OBJECT}"
    for item in planned.held:
        yield _change("PUT", f"routeTables/{item.where}", rule, NOT_THERE if item.node_id == node else "")


def _unbind_route(planned: Planned, ip: IPAddress, node: str) -> Iterator[ApiRequest]:
    rules = f"all rules as they were read, without the one for {ip}/{ip.max_prefixlen}"
    mine = {item.where for item in _here(planned, node)}
    for table in _tables(planned):
        yield _get(f"routeTables/{table}")
        yield from _whose(planned, node, "where it has a rule for the address")
        if table in mine:
            yield _change("PUT", f"routeTables/{table}", rules)


def _chosen(planned: Planned, node: str) -> Iterator[ApiRequest]:
    yield from _attachments(planned, f"instanceId={node}", OTHER_MACHINE)
    yield _get(f"vnics/{VNIC}")


def _subnets(planned: Planned, node: str) -> Iterator[ApiRequest]:
    yield from _attachments(planned, f"instanceId={node}", OTHER_MACHINE)
    if not planned.settings.text("subnet_id"):
        yield _get(f"vnics/{VNIC}", when="unless it was read in this action")


def _meant(planned: Planned, version: int = 4) -> ApiRequest:
    private = planned.settings.address("private_ip")
    if private is None:
        return _listing("privateIps" if version == 4 else "ipv6", f"vnicId={_target(planned)}")
    return _listing(_objects(private), f"subnetId={_subnet(planned)}&ipAddress={private}")


def _whose(planned: Planned, node: str, when: str) -> Iterator[ApiRequest]:
    yield _get(f"{_objects(planned.ip) if planned.ip else 'privateIps'}/{OBJECT}", when=when)
    yield from _attachments(planned, f"instanceId={node}", f"{when}, {OTHER_MACHINE}")
    yield from _attachments(planned, f"vnicId={VNIC}", ANOTHERS)


def _attachments(planned: Planned, narrowed: str, when: str) -> Iterator[ApiRequest]:
    for compartment in _compartments(planned):
        yield _listing("vnicAttachments", f"compartmentId={compartment}&{narrowed}", when)


def _by_address(ip: IPAddress) -> ApiRequest:
    # A read, though it is a POST: what it looks for is in the body.
    return ApiRequest(f"POST {VERSION}/publicIps/actions/getByIpAddress", json.dumps({"ipAddress": str(ip)}))


def _get(path: str, when: str = "") -> ApiRequest:
    return ApiRequest(f"GET {VERSION}/{path}", when=when)


def _listing(path: str, query: str, when: str = "") -> ApiRequest:
    return ApiRequest(f"GET {VERSION}/{path}?{query}&limit={PAGE}", when=when)


def _change(method: str, path: str, body: object = "", when: str = "") -> ApiRequest:
    text = body if isinstance(body, str) else json.dumps(body)
    return ApiRequest(f"{method} {VERSION}/{path}", text, changes=True, when=when)


def _objects(ip: IPAddress) -> str:
    return "privateIps" if ip.version == 4 else "ipv6"


def _target(planned: Planned) -> str:
    return planned.settings.text("vnic_id") or VNIC


def _subnet(planned: Planned) -> str:
    return planned.settings.text("subnet_id") or SUBNET


def _compartments(planned: Planned) -> tuple[str, ...]:
    return tuple(dict.fromkeys(planned.settings.items("compartment_id"))) or (COMPARTMENT,)


def _tables(planned: Planned) -> tuple[str, ...]:
    return tuple(dict.fromkeys(planned.settings.items("route_tables")))


def _here(planned: Planned, node: str) -> Iterator[Binding]:
    yield from (item for item in planned.held if item.node_id and item.node_id == node)
