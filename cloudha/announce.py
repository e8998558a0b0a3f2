"""Tell the neighbours on a plain Ethernet segment that an address has moved here.

Without it, routers and machines of the same segment keep sending to the old owner until their caches time out. Clouds
route by themselves and ignore or drop these packets, which is why no outcome of this module fails a start.
"""

from __future__ import annotations

import ipaddress
import os

from cloudha.record import Record
from cloudha.types import IPAddress

__all__ = ["Announcement", "announce"]

# Linux's numbers: linux/sockios.h, linux/if.h, linux/if_arp.h, linux/if_ether.h.
SIOCGIFFLAGS = 0x8913
SIOCGIFHWADDR = 0x8927
IFREQ_SIZE = 40
IFF_UP = 0x1
IFF_LOOPBACK = 0x8
IFF_POINTOPOINT = 0x10
IFF_NOARP = 0x80
ARPHRD_ETHER = 1
ETH_P_IP = 0x0800
ETH_P_ARP = 0x0806

ARP_REQUEST = 1
ARP_REPLY = 2
BROADCAST_MAC = b"\xff" * 6
NO_MAC = b"\x00" * 6

# RFC 4861, 4.4: the advertisement, its override flag, and the option with our link-layer address in units of 8 bytes.
NEIGHBOUR_ADVERTISEMENT = 136
OVERRIDE = 0x20000000
TARGET_LINK_LAYER_ADDRESS = 2
ALL_NODES = "ff02::1"
# RFC 4861, 7.1.2: anything else came through a router and is dropped.
HOP_LIMIT = 255
# For the case that one is lost; RFC 4861, 7.2.6 allows three.
ADVERTISEMENTS = 2


class Announcement(Record):
    """What :func:`announce` did: ``packets`` sent, or 0 and the ``reason`` (one line) why none was."""

    packets: int
    reason: str = ""

    @property
    def sent(self) -> bool:
        """Whether at least one packet left."""
        return self.packets > 0


def announce(name: str, ip: IPAddress) -> Announcement:
    """Announce *ip*, which is already on the interface *name*, to all its neighbours. Never raises, never waits.

    IPv4: a gratuitous ARP request and reply, since some systems heed only the one or the other. IPv6: unsolicited
    neighbour advertisements with the override flag. Skipped where there is no segment to tell: on a loopback,
    point-to-point or non-Ethernet interface, on one without ARP, and on one that is down.
    """
    try:
        mac, reason = _hardware_address(name)
        if reason:
            return Announcement(0, f"interface {name} {reason}")
        if isinstance(ip, ipaddress.IPv4Address):
            return Announcement(_gratuitous_arp(name, ip, mac))
        return Announcement(_neighbour_advertisement(name, ip, mac))
    except OSError as error:
        return Announcement(0, f"interface {name}: {error.strerror or error}")
    except ValueError as error:
        return Announcement(0, f"interface {name!r}: {error}")


def _hardware_address(name: str) -> tuple[bytes, str]:
    """Return the interface's MAC, or why there is nobody to tell there.

    :raises OSError: no such interface.
    """
    # Here: only a start with the parameter nic needs them.
    import fcntl
    import socket
    import struct

    request = os.fsencode(name)
    if not 0 < len(request) < 16 or b"\0" in request:
        raise ValueError("not the name of an interface")
    request = request.ljust(IFREQ_SIZE, b"\0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        (flags,) = struct.unpack_from("=H", fcntl.ioctl(asking, SIOCGIFFLAGS, request), 16)
        family, mac = struct.unpack_from("=H6s", fcntl.ioctl(asking, SIOCGIFHWADDR, request), 16)
    reasons = (
        (not flags & IFF_UP, "is down"),
        (flags & IFF_LOOPBACK, "is a loopback"),
        (flags & IFF_POINTOPOINT, "is point-to-point"),
        (flags & IFF_NOARP, "has no ARP"),
        (family != ARPHRD_ETHER, "is not Ethernet"),
    )
    return mac, next((reason for applies, reason in reasons if applies), "")


def _gratuitous_arp(name: str, ip: ipaddress.IPv4Address, mac: bytes) -> int:
    import socket  # here: see _hardware_address

    # A reply names the MAC to be cached as its target too (RFC 5944, 4.6); in a request that field is unused.
    packets = (_arp(ARP_REQUEST, ip, mac, NO_MAC), _arp(ARP_REPLY, ip, mac, mac))
    # Protocol 0: this socket sends and never receives.
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sending:
        sending.settimeout(0)
        for packet in packets:
            sending.sendto(packet, (name, ETH_P_ARP, 0, ARPHRD_ETHER, BROADCAST_MAC))
    return len(packets)


def _arp(operation: int, ip: ipaddress.IPv4Address, mac: bytes, target_mac: bytes) -> bytes:
    import struct  # here: see _hardware_address

    header = struct.pack("!HHBBH", ARPHRD_ETHER, ETH_P_IP, len(mac), len(ip.packed), operation)
    return header + mac + ip.packed + target_mac + ip.packed


def _neighbour_advertisement(name: str, ip: ipaddress.IPv6Address, mac: bytes) -> int:
    # Here: see _hardware_address.
    import socket
    import struct

    index = socket.if_nametoindex(name)
    # The kernel fills in the checksum of ICMPv6.
    packet = struct.pack("!BBHI", NEIGHBOUR_ADVERTISEMENT, 0, 0, OVERRIDE) + ip.packed
    packet += struct.pack("!BB", TARGET_LINK_LAYER_ADDRESS, 1) + mac
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sending:
        sending.settimeout(0)
        sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
        sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        # The address itself as source: it exists already, and a link-local one may still be undergoing detection.
        sending.bind((str(ip), 0, 0, index))
        for _ in range(ADVERTISEMENTS):
            sending.sendto(packet, (ALL_NODES, 0, 0, index))
    return ADVERTISEMENTS
