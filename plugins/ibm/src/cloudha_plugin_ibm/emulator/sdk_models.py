"""Hold the emulator's answers to the SDK's own models: every required field there, nothing lost, nothing unknown.

A document that comes out of its model as it went in has no field that the model does not know. Where a model leaves a
part open (whatever an address is bound to), the part goes through the model of its own kind.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ibm_vpc import vpc_v1 as sdk

from cloudha.testing.emulator import Reply

__all__ = ["problems"]

MODELS: dict[str, Any] = {
    "machines.list": sdk.InstanceCollection,
    "machines.get": sdk.Instance,
    "power_off": sdk.InstanceAction,
    "power_on": sdk.InstanceAction,
    "vpcs.list": sdk.VPCCollection,
    "subnets.list": sdk.SubnetCollection,
    "reserved_ips.list": sdk.ReservedIPCollection,
    "interfaces.list": sdk.VirtualNetworkInterfaceCollection,
    "interfaces.get": sdk.VirtualNetworkInterface,
    "reserved_ips.bind": sdk.ReservedIPReference,
    "floating_ips.list": sdk.FloatingIPCollection,
    "floating_ips.bind": sdk.FloatingIP,
    "tables.list": sdk.RoutingTableCollection,
    "routes.list": sdk.RouteCollection,
    "routes.create": sdk.Route,
    "routes.change": sdk.Route,
}
# Parts that a model hands on as they are, by the field's name and the part's own resource type.
PARTS: dict[tuple[str, str], dict[str, Any]] = {
    ("target", "virtual_network_interface"): {
        "reserved_ips": sdk.ReservedIPTargetVirtualNetworkInterfaceReferenceReservedIPTargetContext,
        "floating_ips": sdk.FloatingIPTargetVirtualNetworkInterfaceReference,
    },
    ("target", "network_interface"): {"floating_ips": sdk.FloatingIPTargetNetworkInterfaceReference},
    ("target", "instance_network_attachment"): {
        "interfaces": sdk.VirtualNetworkInterfaceTargetInstanceNetworkAttachmentReferenceVirtualNetworkInterfaceContext
    },
    ("target", "share_mount_target"): {"interfaces": sdk.VirtualNetworkInterfaceTargetShareMountTargetReference},
    ("target", "load_balancer"): {"reserved_ips": sdk.ReservedIPTargetLoadBalancerReference},
    ("target", "public_gateway"): {"floating_ips": sdk.FloatingIPTargetPublicGatewayReference},
    ("next_hop", ""): {"routes": sdk.RouteNextHopIP},
}
ERROR_FIELDS = {"code", "message", "more_info", "target"}


def problems(operation: str, reply: Reply) -> list[str]:
    """Return what is wrong with an answer of the VPC API; nothing for other services and for answers without a body."""
    if not reply.body.strip() or operation.startswith(("iam.", "metadata.")):
        return []
    document = json.loads(reply.body)
    if reply.status >= 300:
        return list(_refusal(document))
    model = MODELS.get(operation)
    if model is None:
        return ["there is no model for this operation"]
    return [*_through(model, document, operation), *_parts(document, operation.partition(".")[0])]


def _through(model: Any, document: Any, where: str) -> Iterator[str]:  # noqa: ANN401 - the SDK's classes have no base
    try:
        back = model.from_dict(document).to_dict()
    except ValueError as error:
        yield f"{where}: {error}"
        return
    yield from _differences(document, back, where)


def _differences(sent: Any, back: Any, where: str) -> Iterator[str]:  # noqa: ANN401 - documents
    if isinstance(sent, dict) and isinstance(back, dict):
        for name in sorted(set(sent) | set(back)):
            if name not in back:
                yield f"{where}.{name} is in no model"
            elif name not in sent:
                yield f"{where}.{name} comes from the model alone"
            else:
                yield from _differences(sent[name], back[name], f"{where}.{name}")
    elif isinstance(sent, list) and isinstance(back, list) and len(sent) == len(back):
        for number, (one, other) in enumerate(zip(sent, back, strict=True)):
            yield from _differences(one, other, f"{where}[{number}]")
    elif sent != back:
        yield f"{where} went in as {sent!r} and came out as {back!r}"


def _parts(document: Any, family: str) -> Iterator[str]:  # noqa: ANN401 - a document
    if isinstance(document, list):
        for item in document:
            yield from _parts(item, family)
    elif isinstance(document, dict):
        for name, value in document.items():
            if name in ("target", "next_hop") and isinstance(value, dict):
                model = PARTS.get((name, str(value.get("resource_type", ""))), {}).get(family)
                if model is None:
                    yield f"{family}: no model for {name} {value}"
                else:
                    yield from _through(model, value, f"{family}.{name}")
            yield from _parts(value, family)


def _refusal(document: Any) -> Iterator[str]:  # noqa: ANN401 - a document
    errors = document.get("errors")
    if not isinstance(errors, list) or not errors or set(document) != {"errors", "trace"}:
        yield f"no error document: {document}"
        return
    for error in errors:
        if not {"code", "message"} <= set(error) <= ERROR_FIELDS:
            yield f"no error: {error}"
