"""Instances: which there are, their power, and switching it."""

from __future__ import annotations

import ipaddress
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
from cloudha_plugin_oci.client import COMPUTE, NETWORK, call, compartments, fetch, page, pages
from cloudha_plugin_oci.errors import ENDPOINT

__all__ = ["list_nodes", "power_off", "power_on", "power_state"]

# Instance.lifecycle_state in the SDK. What is not here is unknown: MOVING and CREATING_IMAGE say nothing about power.
STATES = {
    "PROVISIONING": PowerState.STARTING,
    "STARTING": PowerState.STARTING,
    "RUNNING": PowerState.ON,
    "STOPPING": PowerState.STOPPING,
    "TERMINATING": PowerState.STOPPING,
    "STOPPED": PowerState.OFF,
    "TERMINATED": PowerState.TERMINATED,
}
INSTANCE = "ocid1.instance."
# The tag that OCI gives the members of an instance pool.
POOL_TAG = "oci:compute:instancepool"
DETACHED = "DETACHED"
ABOUT_STATE = "IncorrectState"


def list_nodes(context: Context, query: NodeQuery) -> NodePage:
    """Return a page of instances, compartment by compartment.

    A plug that is an OCID costs one request. Any other may be a display name, or the hostname label or the own address
    of a VNIC: both are always looked for, since a name that means two machines must be seen to do so.
    """
    if query.plug is not None and query.plug.startswith("ocid1."):
        document = _found(context, query.plug)
        return NodePage((_node(document),) if document is not None else ())
    address = _as_address(query.plug)
    if address is not None:
        # Every IPv6 address can float, so none of them names a machine.
        return NodePage(_by_vnic(context, query.plug or "", address) if address.version == 4 else ())
    number, _, token = (query.page or "0:").partition(":")
    places = compartments(context)
    if int(number) >= len(places):
        return NodePage(_by_vnic(context, query.plug or "", None))
    named = {"display_name": query.plug} if query.plug is not None else {}
    documents, following = page(context, COMPUTE, "list_instances", places[int(number)], token=token or None, **named)
    nodes = tuple(_node(document) for document in documents)
    if following:
        return NodePage(nodes, f"{number}:{following}")
    last = int(number) + 1 == len(places) and query.plug is None
    return NodePage(nodes, None if last else f"{int(number) + 1}:")


def power_state(context: Context, node: Node) -> PowerReading:
    """Ask by the OCID, and believe only an answer about that one."""
    word = _state_word(context, node)
    return PowerReading(node.id, STATES.get(word, PowerState.UNKNOWN), raw=word)


def power_off(context: Context, node: Node) -> Accepted:
    """Stop it with STOP: SOFTSTOP would give the guest 15 minutes."""
    return _switched(context, node, "STOP", (PowerState.OFF, PowerState.TERMINATED))


def power_on(context: Context, node: Node) -> Accepted:
    """Start it. OCI refuses while it is stopping (Conflict)."""
    return _switched(context, node, "START", (PowerState.ON,))


def _switched(context: Context, node: Node, action: str, done: tuple[PowerState, ...]) -> Accepted:
    try:
        answer = call(context, COMPUTE, "instance_action", _ocid(node), action)
    except Conflict as conflict:
        # OCI refuses what is so already with the same words as what cannot be now. Any other refusal says nothing about
        # the state, and a reading of "stopped" may then be older than the last start.
        if not conflict.cause.startswith(ABOUT_STATE):
            raise
        word = _state_word(context, node)
        if STATES.get(word, PowerState.UNKNOWN) in done:
            return Accepted((conflict.request_id,), detail=f"was {word} already", sent=False)
        raise
    if web.field(answer.document, "id", str) != node.id:
        raise Unavailable(f"the answer is not about {node.id}", advice=ENDPOINT, request_id=answer.request_id)
    return Accepted((answer.request_id,))


def _state_word(context: Context, node: Node) -> str:
    document = fetch(context, COMPUTE, "get_instance", _ocid(node)).document
    return web.field(document, "lifecycleState", str)


def _ocid(node: Node) -> str:
    if not node.id.startswith(INSTANCE):
        raise NotFound(f"{node.id} is no OCID of an instance", advice="give its OCID or its display name")
    return node.id


def _found(context: Context, ocid: str) -> dict[str, Any] | None:
    """Return the instance, None when OCI says that there is none for us: no machine to be fenced, and no proof."""
    if not ocid.startswith(INSTANCE):
        return None
    try:
        found: dict[str, Any] = fetch(context, COMPUTE, "get_instance", ocid).document
    except NotFound as error:
        if not error.cause.startswith("NotAuthorizedOrNotFound"):
            raise
        return None
    return found


def _by_vnic(context: Context, plug: str, address: IPAddress | None) -> tuple[Node, ...]:
    """Return the instances with a VNIC whose own private IP has that address, or that hostname label.

    The cost grows with the subnets, not with the machines: a subnet's private IPs know their labels and VNICs.
    """
    attached: dict[str, str] = {}
    places: dict[str, None] = {}
    for compartment in compartments(context):
        for item in pages(context, COMPUTE, "list_vnic_attachments", compartment):
            # A VLAN's VNIC has no subnet; one that is still being attached has no OCID yet.
            if web.field(item, "lifecycleState", str) != DETACHED and item.get("vnicId") and item.get("subnetId"):
                attached[web.field(item, "vnicId", str)] = web.field(item, "instanceId", str)
                places[web.field(item, "subnetId", str)] = None
    narrowed = {"ip_address": str(address)} if address is not None else {}
    found: dict[str, tuple[str, tuple[IPAddress, ...]]] = {}
    for subnet in places:
        for item in pages(context, NETWORK, "list_private_ips", subnet_id=subnet, **narrowed):
            own = web.address(item, "ipAddress")
            instance = attached.get(item.get("vnicId") or "")
            label = str(item.get("hostnameLabel") or "")
            fits = own == address if address is not None else label.casefold() == plug.casefold()
            # Only the address that cannot float names a machine; else a plug could mean the holder.
            if instance and fits and item.get("isPrimary") is True:
                found[instance] = (label, (own,))
    return tuple(
        _node(fetch(context, COMPUTE, "get_instance", ocid).document, label if address is None else "", addresses)
        for ocid, (label, addresses) in found.items()
    )


def _node(document: dict[str, Any], label: str = "", addresses: tuple[IPAddress, ...] = ()) -> Node:
    """Return an instance as a node; its name is the hostname label where it was found by that."""
    warnings = []
    tags = document.get("freeformTags")
    if isinstance(tags, dict) and POOL_TAG in tags:
        warnings.append(
            f"member of the instance pool {tags[POOL_TAG]}, which may start or replace it when it is stopped"
        )
    if document.get("preemptibleInstanceConfig"):
        warnings.append("a preemptible instance: OCI may terminate it, and its capacity may be gone at the next start")
    return Node(
        id=web.field(document, "id", str),
        name=label or str(document.get("displayName") or ""),
        state=STATES.get(web.field(document, "lifecycleState", str), PowerState.UNKNOWN),
        addresses=addresses,
        warnings=tuple(warnings),
    )


def _as_address(text: str | None) -> IPAddress | None:
    try:
        return ipaddress.ip_address(text or "")
    except ValueError:
        return None
