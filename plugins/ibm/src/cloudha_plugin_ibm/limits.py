"""How many addresses a virtual network interface may carry, its own included. For ``cloudha doctor`` alone."""

from __future__ import annotations

from cloudha.limits import InterfaceLoad
from cloudha.provider import AddressChange, Context
from cloudha_plugin_ibm.interfaces import chosen, insist_ipv4, own_instance
from cloudha_plugin_ibm.private_addresses import MOST_ADDRESSES

__all__ = ["interface_load"]


def interface_load(context: Context, change: AddressChange) -> InterfaceLoad:
    """See :mod:`cloudha.limits`."""
    insist_ipv4(change.ip)
    instance, _ = own_instance(context, change.node_id)
    found = chosen(context, change, instance)
    held = change.ip in found.ips
    return InterfaceLoad(found.name, len(found.ips), MOST_ADDRESSES, held=held, source="IBM Cloud's quota")
