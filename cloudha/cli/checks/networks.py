"""The networks that this machine's interfaces are in."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Collection

from cloudha.cli.checks.programs import find, run
from cloudha.errors import Unavailable
from cloudha.types import IPAddress

__all__ = ["Network", "interface_networks"]

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def interface_networks(seconds: float, leave_out: Collection[IPAddress] = ()) -> dict[str, dict[IPAddress, Network]]:
    """Return, for each interface, its addresses and the network of each; the addresses in *leave_out* are left out.

    :raises Unavailable: the ``ip`` program is not here, or its answer cannot be read.
    """
    program = find("ip")
    if not program:
        raise Unavailable("there is no ip program here", advice="install iproute2 (RHEL: iproute)")
    ran = run([program, "-j", "address", "show"], seconds)
    try:
        return {
            str(link["ifname"]): {
                address: ipaddress.ip_network((str(address), int(info["prefixlen"])), strict=False)
                for info in link["addr_info"]
                if info and (address := ipaddress.ip_address(info["local"])) not in leave_out
            }
            for link in json.loads(ran.out)
            if link
        }
    except (KeyError, TypeError, ValueError):
        raise Unavailable(f"the answer of ip -j address cannot be read: {ran.said}") from None
