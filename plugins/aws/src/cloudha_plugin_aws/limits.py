"""How many private addresses an interface may carry: a matter of the instance type. For ``cloudha doctor`` alone.

``NetworkInfo`` of DescribeInstanceTypes: "the maximum number of IPv4 addresses per network interface", the primary one
included, and the same for IPv6. A prefix that is delegated to the interface counts as one. The permission for that,
ec2:DescribeInstanceTypes, is none that the agents need.
"""

from __future__ import annotations

from typing import Any

from cloudha import web
from cloudha.limits import InterfaceLoad
from cloudha.provider import AddressChange, Context, Unavailable
from cloudha_plugin_aws.client import call
from cloudha_plugin_aws.interfaces import chosen, interfaces_of

__all__ = ["interface_load"]

CHECK = "check the endpoint"


def interface_load(context: Context, change: AddressChange) -> InterfaceLoad:
    """See :mod:`cloudha.limits`.

    :raises AccessDenied: the instance types may not be read.
    """
    four = change.ip.version == 4
    interface = chosen(context, change, interfaces_of(context, change.node_id))
    reservations = call(context, "describe_instances", InstanceIds=[change.node_id]).document
    (reservation,) = _one(reservations, "Reservations")
    (instance,) = _one(reservation, "Instances")
    kind = web.field(instance, "InstanceType", str)
    (known,) = _one(call(context, "describe_instance_types", InstanceTypes=[kind]).document, "InstanceTypes")
    network = web.field(known, "NetworkInfo", dict)
    filters = [{"Name": "network-interface-id", "Values": [interface.id]}]
    (found,) = _one(call(context, "describe_network_interfaces", Filters=filters).document, "NetworkInterfaces")
    addresses = web.field(found, "PrivateIpAddresses", list) if four else found.get("Ipv6Addresses") or ()
    prefixes = found.get("Ipv4Prefixes" if four else "Ipv6Prefixes") or ()
    return InterfaceLoad(
        interface.id,
        len(addresses) + len(prefixes),
        web.field(network, "Ipv4AddressesPerInterface" if four else "Ipv6AddressesPerInterface", int),
        held=change.ip in interface.addresses,
        source=f"EC2's limit for {kind}",
    )


def _one(document: Any, name: str) -> list[Any]:  # noqa: ANN401 - a part of an answer
    found = web.field(document, name, list)
    if len(found) != 1:
        raise Unavailable(f"the answer has {len(found)} {name}, not one", advice=CHECK)
    return found
