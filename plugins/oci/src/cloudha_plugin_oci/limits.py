"""How many private addresses a VNIC may carry. For ``cloudha doctor`` alone.

"Private IP Addresses" of Oracle's documentation: at most 65 private IPv4 addresses, the primary one and up to 64
secondary ones, and 32 IPv6 addresses. Older editions, and those of some other realms, say 31 or 32 secondary ones.
"""

from __future__ import annotations

from cloudha import web
from cloudha.limits import InterfaceLoad
from cloudha.provider import AddressChange, Context
from cloudha_plugin_oci.client import NETWORK, pages
from cloudha_plugin_oci.vnics import chosen

__all__ = ["interface_load"]

MOST = {4: 65, 6: 32}


def interface_load(context: Context, change: AddressChange) -> InterfaceLoad:
    """See :mod:`cloudha.limits`."""
    vnic = chosen(context, change)
    listing = "list_private_ips" if change.ip.version == 4 else "list_ipv6s"
    carried = [web.address(item, "ipAddress") for item in pages(context, NETWORK, listing, vnic_id=vnic.id)]
    most = MOST[change.ip.version]
    return InterfaceLoad(vnic.id, len(carried), most, held=change.ip in carried, source="Oracle's limit")
