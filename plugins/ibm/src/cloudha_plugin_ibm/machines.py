"""Virtual server instances: which there are, their power, and switching it."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from cloudha import web
from cloudha.provider import (
    Accepted,
    Conflict,
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
from cloudha_plugin_ibm.client import Answer, call, page
from cloudha_plugin_ibm.errors import ENDPOINT

__all__ = ["fits", "get", "list_nodes", "named", "own_addresses", "power_off", "power_on", "power_state"]

# The values of Instance.status in the SDK, and older ones in IBM's documents. What is not here is unknown: a failed
# or paused instance may still hold its disks.
STATES = {
    "pending": PowerState.STARTING,
    "starting": PowerState.STARTING,
    "restarting": PowerState.STARTING,
    "resuming": PowerState.STARTING,
    "running": PowerState.ON,
    "stopping": PowerState.STOPPING,
    "pausing": PowerState.STOPPING,
    "deleting": PowerState.STOPPING,
    "stopped": PowerState.OFF,
}
# "0717_e21b7391-2ca2-4ab5-84a8-b92157a633b0", with the zone in front; names have no underscore.
INSTANCE_ID = re.compile(r"[0-9a-zA-Z-]+_[0-9a-fA-F-]{36}\Z")
GROUP_ID = re.compile(r"[0-9a-f]{32}\Z")
VPC_ID = re.compile(r"[a-z]\d{3}-[0-9a-fA-F-]{36}\Z")
FAILED = "failed"
# "An action was requested on a resource which is not supported at the current status of the resource." Only a refusal
# that speaks of the status says that the status was looked at; with another one, a reading of "stopped" may be old.
ABOUT_STATUS = ("status", "state", "already", "stopped")


def list_nodes(context: Context, query: NodeQuery) -> NodePage:
    """Return a page of instances. A name or an id costs one request; an address is searched page by page."""
    plug = query.plug
    if plug is None or _as_address(plug) is not None:
        found, following = page(context, "list_instances", "instances", token=query.page, **_filters(context))
        address = _as_address(plug) if plug else None
        nodes = [_node(document) for document in found if fits(context, document)]
        return NodePage(tuple(n for n in nodes if address is None or address in n.addresses), following)
    if INSTANCE_ID.match(plug):
        try:
            document = get(context, plug)
        except NotFound:
            return NodePage(())
        return NodePage((_node(document),) if fits(context, document) else ())
    # Names of instances are unique in a region, and in lower case; the API compares them whole.
    found, following = page(
        context, "list_instances", "instances", token=query.page, name=plug.lower(), **_filters(context)
    )
    return NodePage(tuple(_node(document) for document in found if fits(context, document)), following)


def power_state(context: Context, node: Node) -> PowerReading:
    """Ask by the id, and believe only an answer about that id."""
    word = web.field(get(context, node.id), "status", str)
    return PowerReading(node.id, STATES.get(word, PowerState.UNKNOWN), raw=word)


def power_off(context: Context, node: Node) -> Accepted:
    """Cut the power: forced, which waits neither for the guest nor for actions that are queued."""
    return _act(context, node, "stop", PowerState.OFF, force=True)


def power_on(context: Context, node: Node) -> Accepted:
    """Start it."""
    return _act(context, node, "start", PowerState.ON)


def get(context: Context, instance_id: str) -> dict[str, Any]:
    """Return an instance's document.

    :raises NotFound: there is no such instance in this region, or none that we may see.
    """
    if not INSTANCE_ID.match(instance_id):
        raise NotFound(f"{instance_id!r} is no id of an instance", advice="give its name or its id")
    document: dict[str, Any] = call(context, "get_instance", instance_id).document
    if web.field(document, "id", str) != instance_id:
        raise Unavailable("the answer is about another instance", advice=ENDPOINT)
    return document


def fits(context: Context, document: object) -> bool:
    """Whether an instance, a subnet or a floating IP is in the VPC and resource group that the parameters name."""
    return named(document, "vpc", context.settings.text("vpc")) and named(
        document, "resource_group", context.settings.text("resource_group")
    )


def named(document: object, part: str, wanted: str) -> bool:
    """Whether a document's *part*, a reference, has the id or name *wanted*; "" fits all, so does a missing part."""
    if not wanted or not isinstance(document, dict) or part not in document:
        return True
    reference = web.field(document, part, dict)
    return wanted in (web.field(reference, "id", str), web.field(reference, "name", str))


def own_addresses(document: object) -> tuple[IPAddress, ...]:
    """Return the addresses that name an instance: the primary ones of its interfaces, which cannot float."""
    interfaces = web.field(document, "network_interfaces", list)
    return tuple(web.address(web.field(interface, "primary_ip", dict), "address") for interface in interfaces)


def _act(context: Context, node: Node, action: str, wanted: PowerState, **options: object) -> Accepted:
    try:
        answer = call(context, "create_instance_action", node.id, action, **options)
    except Conflict as conflict:
        about_status = any(word in conflict.cause.lower() for word in ABOUT_STATUS)
        if not about_status or power_state(context, node).state is not wanted:
            raise
        return Accepted((conflict.request_id,), detail=f"it is {wanted.value} already", sent=False)
    _check(answer, action)
    return Accepted((answer.request_id,), detail=web.field(answer.document, "id", str))


def _check(answer: Answer, action: str) -> None:
    """Insist that the answer is about this action, and that it has not failed already."""
    status = web.field(answer.document, "status", str)
    if web.field(answer.document, "type", str) != action:
        raise Unavailable("the answer is about another action", advice=ENDPOINT)
    if status == FAILED:
        raise Unavailable(f"IBM Cloud says that the {action} has failed", advice="IBM Cloud has a fault")


def _node(document: object) -> Node:
    warnings = []
    if isinstance(document, dict) and document.get("instance_group_membership"):
        group = web.field(document["instance_group_membership"], "name", str)
        warnings.append(f"member of an instance group ({group}), which may start or replace it when it is stopped")
    availability = document.get("availability") if isinstance(document, dict) else None
    if isinstance(availability, dict) and availability.get("class") == "spot":
        warnings.append("a spot instance: IBM Cloud may stop or delete it, and may refuse to start it")
    word = web.field(document, "status", str)
    return Node(
        id=web.field(document, "id", str),
        name=web.field(document, "name", str),
        state=STATES.get(word, PowerState.UNKNOWN),
        addresses=own_addresses(document),
        warnings=tuple(warnings),
    )


def _filters(context: Context) -> dict[str, str]:
    """Return the filters that the server can apply; the rest is for :func:`fits`."""
    vpc, group = context.settings.text("vpc"), context.settings.text("resource_group")
    filters = {}
    if vpc:
        filters["vpc_id" if VPC_ID.match(vpc) else "vpc_name"] = vpc
    if GROUP_ID.match(group):
        filters["resource_group_id"] = group
    return filters


def _as_address(text: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
