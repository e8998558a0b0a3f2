"""What each hook asks of Azure, for ``--dry-run``; in the order in which it is sent. No SDK is imported here."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from cloudha.provider import Binding, IPAddress, Kind
from cloudha.requests import LOGIN, ApiRequest, Planned
from cloudha_plugin_azure.clouds import KNOWN, STACK_COMPUTE_VERSION, STACK_NETWORK_VERSION
from cloudha_plugin_azure.metadata import INSTANCE_VERSION, TOKEN_VERSION
from cloudha_plugin_azure.options import EVERYWHERE
from cloudha_plugin_azure.resource_ids import ResourceId, parse

__all__ = ["requests"]

METADATA = "metadata service"
SUBSCRIPTION, GROUP = "{subscription}", "{resource group}"
INTERFACES, PUBLIC, TABLES = "networkInterfaces", "publicIPAddresses", "routeTables"
NOT_THERE = "unless it is there already"
TAKEN = "while a change of this action is under way"


def requests(planned: Planned) -> tuple[ApiRequest, ...]:
    """Return the requests of one hook; see :mod:`cloudha.requests`."""
    arm = _Arm(planned)
    plain = {LOGIN: _login, "list_nodes": _list_nodes}.get(planned.hook, _power)
    if planned.hook.startswith("power_") or plain is not _power:
        return tuple(plain(arm, planned))
    if planned.ip is None or planned.kind is None:
        return ()
    make = {
        (Kind.PRIVATE, "list_ips"): _list_private,
        (Kind.PRIVATE, "bind_ip"): _bind_private,
        (Kind.PRIVATE, "unbind_ip"): _unbind_private,
        (Kind.PUBLIC, "list_ips"): _list_public,
        (Kind.PUBLIC, "bind_ip"): _bind_public,
        (Kind.PUBLIC, "unbind_ip"): _unbind_public,
        (Kind.ROUTE, "list_ips"): _list_routes,
        (Kind.ROUTE, "bind_ip"): _bind_route,
        (Kind.ROUTE, "unbind_ip"): _unbind_route,
    }.get((planned.kind, planned.hook))
    return tuple(make(arm, planned, planned.ip)) if make else ()


class _Arm:
    """Paths of Azure Resource Manager: as the parameters tell them, or the machine that was found by its name."""

    def __init__(self, planned: Planned) -> None:
        settings = planned.settings
        found = parse(planned.node.id) if planned.node else None
        by_name = planned.plug and parse(planned.plug) is None and not _is_address(planned.plug)
        stack = settings.text("cloud") == "stack"
        public = KNOWN["public"]
        self.subscription = settings.text("subscription_id") or (found.subscription if found else SUBSCRIPTION)
        self.group = settings.text("resource_group") or (found.group if found and by_name else GROUP)
        self.compute = STACK_COMPUTE_VERSION if stack else public.compute_version
        self.network = STACK_NETWORK_VERSION if stack else public.network_version
        self.lists_power = not stack

    def machine(
        self, method: str, known: ResourceId, action: str = "", more: str = "", *, view: bool = False
    ) -> ApiRequest:
        """Return a request about one machine."""
        path = f"{self.place(known.group)}/Microsoft.Compute/virtualMachines/{known.name}{action}"
        queries = [f"api-version={self.compute}", "$expand=instanceView" if view else "", more]
        return ApiRequest(f"{method} {path}?{'&'.join(filter(None, queries))}", changes=method != "GET")

    def machines(self, when: str = "") -> ApiRequest:
        """Return the listing of all machines."""
        expand = "&$expand=instanceView" if self.lists_power else ""
        path = f"{self.place(self.group)}/Microsoft.Compute/virtualMachines?api-version={self.compute}{expand}"
        return ApiRequest(f"GET {path}", when=when)

    def listing(self, what: str, when: str = "") -> ApiRequest:
        """Return a listing, whose further pages have addresses of their own."""
        path = f"{self.place(self.group)}/Microsoft.Network/{what}?api-version={self.network}"
        return ApiRequest(f"GET {path}", when=when)

    def network_thing(self, method: str, where: str, rest: str = "", *, body: str = "", when: str = "") -> ApiRequest:
        """Return a request about one thing: ``networkInterfaces/NAME``, in the parameters' group, or a resource id."""
        known = parse(where)
        if known:
            kind = next(name for name in (INTERFACES, PUBLIC, TABLES) if known.type.endswith(f"/{name.lower()}"))
            path = f"{self.place(known.group)}/Microsoft.Network/{kind}/{known.name}"
        else:
            path = f"{self.place(GROUP if self.group == EVERYWHERE else self.group)}/Microsoft.Network/{where}"
        request = f"{method} {path}{rest}?api-version={self.network}"
        return ApiRequest(request, body, changes=method != "GET", when=when)

    def place(self, group: str) -> str:
        """Return the beginning of a path, up to the provider of the resource."""
        within = "" if group == EVERYWHERE else f"/resourceGroups/{group}"
        return f"/subscriptions/{self.subscription}{within}/providers"


def _power(arm: _Arm, planned: Planned) -> Iterator[ApiRequest]:
    machine = parse(planned.node.id) if planned.node else None
    if machine is None:
        return
    if planned.hook == "power_state":
        yield arm.machine("GET", machine, view=True)
    elif planned.hook == "power_off":
        yield arm.machine("POST", machine, "/powerOff", "skipShutdown=true")
    else:
        yield arm.machine("POST", machine, "/start")


def _login(arm: _Arm, planned: Planned) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    settings = planned.settings
    if not (settings.text("subscription_id") and settings.text("resource_group")):
        yield ApiRequest(f"GET /metadata/instance?api-version={INSTANCE_VERSION}", service=METADATA)
    if settings.secret("client_secret") or settings.secret("certificate_file"):
        tenant = settings.text("tenant_id")
        authority = KNOWN.get(settings.text("cloud") or "public", KNOWN["public"]).authority
        service = settings.text("identity_endpoint") or authority
        yield ApiRequest("GET /common/discovery/instance", when="by the SDK", service=service)
        yield ApiRequest(f"GET /{tenant}/v2.0/.well-known/openid-configuration", when="by the SDK", service=service)
        yield ApiRequest(f"POST /{tenant}/oauth2/v2.0/token", service=service)
        return
    audience = KNOWN.get(settings.text("cloud") or "public", KNOWN["public"]).audience
    client = f"&client_id={settings.text('client_id')}" if settings.text("client_id") else ""
    query = f"api-version={TOKEN_VERSION}&resource={audience}{client}"
    yield ApiRequest(f"GET /metadata/identity/oauth2/token?{query}", service=METADATA)


def _list_nodes(arm: _Arm, planned: Planned) -> Iterator[ApiRequest]:
    plug = planned.plug
    known = parse(plug)
    if not _is_address(plug):
        if known is None and arm.group == EVERYWHERE:
            yield arm.machines()
        else:
            yield arm.machine("GET", known or ResourceId("", arm.group, "", plug), view=True)
        return
    yield arm.listing(INTERFACES)
    where = ResourceId("", GROUP if arm.group == EVERYWHERE else arm.group, "", "{machine}")
    yield arm.machine("GET", where, view=True).replace(when="for the machine whose interface has the address")


def _list_private(arm: _Arm, planned: Planned, ip: IPAddress) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _under_way()
    yield arm.listing(INTERFACES, when="unless a change of this action is under way")


def _bind_private(arm: _Arm, planned: Planned, ip: IPAddress) -> Iterator[ApiRequest]:
    node, there = _node(planned), NOT_THERE if any(_here(planned)) else ""
    yield arm.listing(INTERFACES)
    for item in planned.held:
        if item.node_id != node and parse(item.where):
            yield arm.network_thing("GET", item.where)
            yield arm.network_thing("PUT", item.where, body=f"the interface as it was read, without {ip}")
    yield arm.network_thing("GET", _target(planned))
    body = f"the interface as it was read, with an ipConfiguration for {ip} (Static)"
    yield arm.network_thing("PUT", _target(planned), body=body, when=there)


def _unbind_private(arm: _Arm, planned: Planned, ip: IPAddress) -> Iterator[ApiRequest]:
    yield arm.listing(INTERFACES)
    for item in _here(planned):
        yield arm.network_thing("GET", item.where)
        yield arm.network_thing("PUT", item.where, body=f"the interface as it was read, without {ip}")


def _list_public(arm: _Arm, planned: Planned, ip: IPAddress) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _under_way()
    yield arm.listing(PUBLIC, when="unless a change of this action is under way")
    yield arm.network_thing("GET", f"{INTERFACES}/{{interface}}", when="where an interface has it")


def _bind_public(arm: _Arm, planned: Planned, ip: IPAddress) -> Iterator[ApiRequest]:
    there = NOT_THERE if any(_here(planned)) else ""
    yield arm.listing(PUBLIC)
    yield arm.listing(INTERFACES)
    for item in planned.held:
        if item.node_id and parse(item.where):
            mine = "where another of its ipConfigurations has it" if item.node_id == _node(planned) else ""
            yield arm.network_thing("GET", item.where, when=mine)
            yield arm.network_thing("PUT", item.where, body=f"the interface as it was read, without {ip}", when=mine)
    yield arm.network_thing("GET", _target(planned))
    body = f"the interface as it was read, with the public address {ip} on one ipConfiguration"
    yield arm.network_thing("PUT", _target(planned), body=body, when=there)


def _unbind_public(arm: _Arm, planned: Planned, ip: IPAddress) -> Iterator[ApiRequest]:
    yield arm.listing(PUBLIC)
    for item in planned.held:
        if item.node_id and parse(item.where):
            yield arm.network_thing("GET", item.where)
    for item in _here(planned):
        yield arm.network_thing("PUT", item.where, body=f"the interface as it was read, without {ip}")


def _list_routes(arm: _Arm, planned: Planned, ip: IPAddress) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield _under_way()
    for table in _tables(planned):
        yield arm.network_thing("GET", table)
    yield arm.listing(INTERFACES, when="where a table has routes to single addresses")


def _bind_route(arm: _Arm, planned: Planned, ip: IPAddress) -> Iterator[ApiRequest]:
    yield arm.listing(INTERFACES)
    for table in _tables(planned):
        yield arm.network_thing("GET", table)
    for item in planned.held:
        there = NOT_THERE if item.node_id == _node(planned) else ""
        body = f"addressPrefix {ip}/{ip.max_prefixlen}, nextHopType VirtualAppliance, nextHopIpAddress {{own address}}"
        name = f"cloudha-{ip}".replace(":", "-")
        if item.node_id is None:
            yield arm.network_thing("PUT", _table(item.where), f"/routes/{name}", body=body, when=_new(there))
        yield arm.network_thing("PUT", _table(item.where), "/routes/{route}", body=body, when=_old(item, there))


def _unbind_route(arm: _Arm, planned: Planned, ip: IPAddress) -> Iterator[ApiRequest]:  # noqa: ARG001 - all are called alike
    yield arm.listing(INTERFACES)
    mine = {item.where for item in _here(planned)}
    for text, table in zip(_wanted(planned), _tables(planned), strict=True):
        yield arm.network_thing("GET", table)
        if text in mine:
            yield arm.network_thing("DELETE", table, "/routes/{route}")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _new(there: str) -> str:
    return there or "where the table has no route to it"


def _old(item: Binding, there: str) -> str:
    return "where it has one, which leads to no machine" if item.node_id is None else there


def _under_way() -> ApiRequest:
    return ApiRequest("GET {address of the operation}", when=TAKEN)


def _node(planned: Planned) -> str:
    return planned.node.id if planned.node else ""


def _here(planned: Planned) -> Iterator[Binding]:
    yield from (item for item in planned.held if item.node_id == _node(planned) and item.node_id)


def _target(planned: Planned) -> str:
    wanted = planned.settings.text("interface_id")
    return wanted if parse(wanted) else f"{INTERFACES}/{wanted or '{interface}'}"


def _wanted(planned: Planned) -> tuple[str, ...]:
    return tuple(dict.fromkeys(planned.settings.items("route_tables")))


def _tables(planned: Planned) -> tuple[str, ...]:
    return tuple(_table(text) for text in _wanted(planned))


def _table(text: str) -> str:
    return text if parse(text) else f"{TABLES}/{text}"
