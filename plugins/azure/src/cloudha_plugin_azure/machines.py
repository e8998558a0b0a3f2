"""Virtual machines: which there are, their power, and switching it."""

from __future__ import annotations

import ipaddress
from typing import Any

from cloudha import web
from cloudha.provider import (
    Accepted,
    ConfigurationError,
    Context,
    IPAddress,
    Node,
    NodePage,
    NodeQuery,
    NotFound,
    PowerReading,
    PowerState,
    Unavailable,
)
from cloudha_plugin_azure.arm import COMPUTE, Answer, begin, call, group, page
from cloudha_plugin_azure.clouds import cloud_of
from cloudha_plugin_azure.interfaces import Nic, nic_page
from cloudha_plugin_azure.resource_ids import ResourceId, canonical, parse

__all__ = ["list_nodes", "parse_tags", "power_off", "power_on", "power_state"]

# "States and billing status of Azure Virtual Machines". What is not here is unknown.
STATES = {
    "powerstate/starting": PowerState.STARTING,
    "powerstate/running": PowerState.ON,
    "powerstate/stopping": PowerState.STOPPING,
    "powerstate/deallocating": PowerState.STOPPING,
    "powerstate/stopped": PowerState.OFF,
    "powerstate/deallocated": PowerState.OFF,
}
POWER = "powerstate/"
VIEW = "instanceView"
MACHINE = "microsoft.compute/virtualmachines"

Tags = dict[str, str]


def list_nodes(context: Context, query: NodeQuery) -> NodePage:
    """Return a page of machines. A plug costs one request, where the resource group is known; an address two."""
    if query.plug is None:
        return _listed(context, query.page, "")
    address = _as_address(query.plug)
    if address is not None:
        return _by_address(context, query, address)
    known = parse(query.plug)
    if known is None and not group(context):
        return _listed(context, query.page, query.plug)
    if known is not None and known.type != MACHINE:
        return NodePage(())
    document = _found(context, known.group if known else group(context), known.name if known else query.plug)
    return (
        NodePage((_node(document, query.plug),)) if document is not None and _fits(context, document) else NodePage(())
    )


def power_state(context: Context, node: Node) -> PowerReading:
    """Ask by the id, and believe only an answer about that id."""
    known = _machine(node)
    document = call(context, COMPUTE, "virtual_machines", "get", known.group, known.name, expand=VIEW).document
    if canonical(web.field(document, "id", str)) != canonical(node.id):
        raise Unavailable("the answer is about another machine", advice="check the endpoint")
    word = _power(document, wanted=True)
    return PowerReading(node.id, STATES.get(word.lower(), PowerState.UNKNOWN), raw=word)


def power_off(context: Context, node: Node) -> Accepted:
    """Cut the power: without the guest's shutdown, and without deallocating, which takes minutes longer."""
    known = _machine(node)
    answer = begin(context, COMPUTE, "virtual_machines", "begin_power_off", known.group, known.name, skip_shutdown=True)
    return _accepted(answer)


def power_on(context: Context, node: Node) -> Accepted:
    """Start it."""
    known = _machine(node)
    return _accepted(begin(context, COMPUTE, "virtual_machines", "begin_start", known.group, known.name))


def parse_tags(text: str) -> Tags:
    """Read the option ``filter``: ``key=value``, several with blanks between.

    :raises ConfigurationError: it is not that.
    """
    tags: Tags = {}
    for part in text.split():
        key, equals, value = part.partition("=")
        if not key or not equals:
            raise ConfigurationError(f"parameter filter={text!r} is not valid", advice="write key=value, key=value")
        # Names of tags compare without case, values with it.
        tags[key.lower()] = value
    return tags


def _listed(context: Context, token: str | None, name: str) -> NodePage:
    """Return the machines of one page: those of that name, or all for ""."""
    expand = {"expand": VIEW} if cloud_of(context).lists_power else {}
    where = group(context)
    method, arguments = ("list", (where,)) if where else ("list_all", ())
    documents, following = page(context, COMPUTE, "virtual_machines", method, *arguments, token=token, **expand)
    found = [_node(document) for document in documents if _fits(context, document)]
    return NodePage(tuple(node for node in found if not name or node.name.casefold() == name.casefold()), following)


def _by_address(context: Context, query: NodeQuery, address: IPAddress) -> NodePage:
    """Search the interfaces, since Azure cannot be asked for an address; then ask for the machine that has it."""
    nics, following = nic_page(context, query.page)
    found: list[Node] = []
    for machine_id in sorted({nic.machine for nic in nics if nic.machine and address in _own(nic)}):
        known = _machine(Node(machine_id))
        document = _found(context, known.group, known.name)
        if document is not None and _fits(context, document):
            found.append(_node(document, addresses=(address,)))
    return NodePage(tuple(found), following)


def _own(nic: Nic) -> tuple[IPAddress, ...]:
    """Return the address that names the machine: the one that cannot float, so that a plug never means the holder."""
    return tuple(item.ip for item in nic.configurations if item.primary and item.ip is not None)


def _found(context: Context, where: str, name: str) -> dict[str, Any] | None:
    """Return the machine's document with its instance view; None when Azure says that there is no such machine."""
    try:
        found: dict[str, Any] = call(context, COMPUTE, "virtual_machines", "get", where, name, expand=VIEW).document
    except NotFound as error:
        if not error.cause.lower().startswith(("resourcenotfound", "notfound:")):
            raise
        return None
    if not canonical(web.field(found, "id", str)).endswith(f"/{name.lower()}"):
        raise Unavailable("the answer is about another machine", advice="check the endpoint")
    return found


def _fits(context: Context, document: dict[str, Any]) -> bool:
    tags = {str(key).lower(): value for key, value in (document.get("tags") or {}).items()}
    return all(tags.get(key) == value for key, value in parse_tags(context.settings.text("filter")).items())


def _node(document: dict[str, Any], plug: str = "", addresses: tuple[IPAddress, ...] = ()) -> Node:
    node_id = canonical(web.field(document, "id", str))
    name = web.field(document, "name", str)
    # A node has one id, in one spelling; where the operator wrote another, that counts as its name.
    if plug and plug != node_id and canonical(plug) == node_id:
        name = plug
    properties = web.field(document, "properties", dict)
    warnings = []
    scale_set = properties.get("virtualMachineScaleSet")
    if isinstance(scale_set, dict):
        member = str(scale_set.get("id", "")).rpartition("/")[2]
        warnings.append(f"member of the scale set {member}, which may start or replace it when it is stopped")
    if str(properties.get("priority", "")).lower() in ("spot", "low"):
        warnings.append("a spot machine: Azure may evict it, and may refuse to start it")
    state = STATES.get(_power(document).lower(), PowerState.UNKNOWN)
    return Node(node_id, name, state, addresses, tuple(warnings))


def _power(document: dict[str, Any], *, wanted: bool = False) -> str:
    """Return the one power state of the instance view, "" where it says none, or two.

    :raises Unavailable: the view is *wanted* and not in the answer, or cannot be read.
    """
    properties = web.field(document, "properties", dict)
    if not wanted and VIEW not in properties:
        return ""
    statuses = web.field(web.field(properties, VIEW, dict), "statuses", list)
    words = [web.field(status, "code", str) for status in statuses]
    power = [word for word in words if word.lower().startswith(POWER)]
    return power[0] if len(power) == 1 else ""


def _machine(node: Node) -> ResourceId:
    known = parse(node.id)
    if known is None or known.type != MACHINE:
        raise NotFound(f"{node.id} is no id of a virtual machine", advice="give its name or its resource id")
    return known


def _accepted(answer: Answer) -> Accepted:
    return Accepted((answer.request_id,), detail=answer.operation)


def _as_address(text: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
