"""An address on a network interface of this machine: is it there, put it there, take it away.

All of it goes through the ``ip`` program of iproute2 (4.14 or later, for its JSON). An answer is certain, or it is an
exception: a monitor that takes "could not look" for "not there" would restart a healthy service, and a stop that takes
it for "gone" would leave the address on two nodes.

Nothing here brings an interface up or down, or touches another address.
"""

from __future__ import annotations

import contextlib
import enum
import ipaddress
import os
import re
from typing import NamedTuple

from cloudha.deadline import Deadline
from cloudha.errors import AccessDenied, ConfigurationError, LocalConfigurationError, Unavailable, Unconfirmed, shown
from cloudha.record import Record
from cloudha.types import IPAddress

__all__ = [
    "AddressState",
    "add_address",
    "address_state",
    "check_interface",
    "has_address",
    "mac_of",
    "prefix_length",
    "remove_address",
]

# Pacemaker may start an agent without PATH, so the places are fixed.
PROGRAMS = ("/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip", "/bin/ip")
# English messages, and nothing of the caller's environment.
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
SYS_NET = "/sys/class/net"
# IFNAMSIZ of the kernel, less the closing zero byte.
LONGEST_NAME = 15
# Changing and looking again: more rounds would fight with whatever else changes the address.
ROUNDS = 5
ROUND_PAUSE = 0.1
# A killed process that hangs inside the kernel is not waited for any longer than this.
KILL_SECONDS = 0.5


class AddressState(enum.Enum):
    """What the interface says of one address."""

    #: not configured there, or there is no such interface. Certain.
    ABSENT = "absent"
    #: configured and not answering: a duplicate was detected, detection still runs, or the interface is down.
    UNUSABLE = "unusable"
    #: configured, and the interface is up.
    USABLE = "usable"


class _Entry(Record):
    """One configured address: with another prefix length or another peer it is another entry."""

    ip: IPAddress
    prefix: int
    peer: str
    secondary: bool
    pending: bool

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        return ipaddress.ip_network((self.peer or str(self.ip), self.prefix), strict=False)

    @property
    def argument(self) -> list[str]:
        """The words that make ``ip address del`` match this entry and no other."""
        return [str(self.ip), "peer", f"{self.peer}/{self.prefix}"] if self.peer else [f"{self.ip}/{self.prefix}"]


class _Interface(NamedTuple):
    up: bool
    entries: tuple[_Entry, ...]


class _Result(NamedTuple):
    code: int
    output: str
    errors: str


def prefix_length(ip: IPAddress, text: str) -> int:
    """Return the prefix length that the parameter ``cidr_netmask`` means for *ip*; "" means the address alone.

    *text* is a length ("24"), or for IPv4 also a netmask ("255.255.255.0").

    :raises ConfigurationError: not a length of that family, or a netmask with holes.
    """
    text = text.strip()
    longest = ip.max_prefixlen
    if not text:
        return longest
    length = 0
    if re.fullmatch(r"[0-9]{1,3}", text):
        length = int(text)
    elif ip.version == 4:
        length = _mask_length(text)
    if 1 <= length <= longest:
        return length
    example = ", or a netmask such as 255.255.255.0" if ip.version == 4 else ""
    raise ConfigurationError(
        f"parameter cidr_netmask={shown(text)} does not fit the IPv{ip.version} address {ip}",
        advice=f"write a prefix length from 1 to {longest}{example}",
    )


def _mask_length(text: str) -> int:
    """Return the length of a contiguous IPv4 netmask, 0 for any other text."""
    try:
        host_bits = int(ipaddress.IPv4Address(text)) ^ 0xFFFFFFFF
    except ValueError:
        return 0
    # Only a run of ones at the low end plus one is a power of two.
    return 32 - host_bits.bit_length() if host_bits & (host_bits + 1) == 0 else 0


def check_name(name: str) -> None:
    """Check the parameter ``nic`` without looking at this node.

    :raises ConfigurationError: no interface can have that name.
    """
    bad = name in ("", ".", "..") or len(os.fsencode(name)) > LONGEST_NAME
    if bad or any(c in "/:" or c.isspace() or not c.isprintable() for c in name):
        raise ConfigurationError(
            f"parameter nic={shown(name)} is not the name of an interface",
            advice=f"write a name such as eth0: {LONGEST_NAME} characters at the most, no blank, no / and no colon",
        )


def check_interface(name: str) -> None:
    """Check the parameter ``nic``.

    :raises ConfigurationError: no interface can have that name.
    :raises LocalConfigurationError: this node has no such interface; the advice lists those it has.
    """
    check_name(name)
    if not os.access(f"{SYS_NET}/{name}/address", os.F_OK):
        raise _missing(name)


def mac_of(name: str) -> str:
    """Return the interface's hardware address in lower case, "" when it has none or only zeros.

    :raises LocalConfigurationError: no such interface here.
    """
    check_interface(name)
    try:
        mac = _read_value(f"{SYS_NET}/{name}/address").lower()
    except OSError:
        raise _missing(name) from None
    return mac if mac.strip("0:") else ""


def _read_value(path: str) -> str:
    handle = os.open(path, os.O_RDONLY)
    try:
        return os.read(handle, 256).decode("ascii", "replace").strip()
    finally:
        os.close(handle)


def _missing(name: str) -> LocalConfigurationError:
    try:
        with os.scandir(SYS_NET) as found:
            present = sorted(entry.name for entry in found if entry.is_dir())
    except OSError:
        present = []
    advice = f"write one of: {', '.join(present)}" if present else "see what 'ip link' lists"
    return LocalConfigurationError(f"parameter nic={shown(name)}: this node has no such interface", advice=advice)


def address_state(name: str, ip: IPAddress, deadline: Deadline) -> AddressState:
    """Return what the interface *name* says of *ip*, with any prefix length.

    A carrier that is gone does not count, an interface that is down does: the kernel then answers for none of its
    addresses. For IPv6, so does duplicate address detection that failed or still runs.

    :raises Unavailable: it could not be found out.
    :raises LocalConfigurationError: this node has no ``ip`` program.
    """
    interface = _read(name, deadline)
    found = [entry for entry in interface.entries if entry.ip == ip] if interface else []
    if interface is None or not found:
        return AddressState.ABSENT
    pending = any(entry.pending for entry in found)
    return AddressState.USABLE if interface.up and not pending else AddressState.UNUSABLE


def has_address(name: str, ip: IPAddress, deadline: Deadline) -> bool:
    """Whether *ip* is on the interface *name* and usable, for a monitor; both answers are certain.

    A stop asks for :attr:`AddressState.ABSENT` instead: what is not usable now may be so in a second. Raises what
    :func:`address_state` raises.
    """
    return address_state(name, ip, deadline) is AddressState.USABLE


def add_address(name: str, ip: IPAddress, prefix: int, deadline: Deadline) -> bool:
    """Put *ip* with the prefix length *prefix* on the interface *name*, and see that it is usable there.

    Present already is success. Present with another prefix length or a peer, or unusable: it is replaced, for IPv4
    without a gap. IPv6 goes without duplicate address detection: fencing has made sure that there is no duplicate, and
    detection would delay the start and could fail it. The kernel's defaults hold for everything else.

    :returns: whether anything was changed.
    :raises LocalConfigurationError: no such interface, it is down, IPv6 is disabled there, or no ``ip`` program.
    :raises AccessDenied: this process may not change addresses.
    :raises Unavailable: the interface could not be read.
    :raises Unconfirmed: it was added and is not there, or not usable.
    """
    reason = ""
    for attempt in range(ROUNDS):
        interface = _read(name, deadline)
        if interface is None:
            raise _missing(name)
        if not interface.up:
            raise LocalConfigurationError(
                f"interface {name} is down", advice=f"bring it up outside the cluster: ip link set {name} up"
            )
        there = [entry for entry in interface.entries if entry.ip == ip]
        wanted = [entry for entry in there if entry.prefix == prefix and not entry.peer and not entry.pending]
        others = [entry for entry in there if entry not in wanted]
        if wanted and not others:
            return attempt > 0
        if attempt > 1:
            deadline.sleep(ROUND_PAUSE)
        if ip.version == 6:
            # The kernel keeps one entry for each IPv6 address and changes neither its prefix length nor its state.
            reason = _delete(name, interface, others, deadline)
        if not wanted:
            reason = _add(name, ip, prefix, deadline) or reason
        elif ip.version == 4:
            reason = _delete(name, interface, others, deadline)
    raise Unconfirmed(
        f"{ip}/{prefix} does not stay usable on interface {name}{reason and ': '}{reason}",
        advice="find out what else changes the addresses of this interface",
    )


def remove_address(name: str, ip: IPAddress, deadline: Deadline) -> bool:
    """Take *ip* off the interface *name*, with every prefix length and in every state, and see that it is gone.

    Absent, or no such interface, is success. Other addresses stay: where IPv4 addresses of one subnet depend on this
    one (it was added first), the interface's ``promote_secondaries`` is switched on, and left on, as systemd's
    defaults have it; switching it back would race with another address that is stopped at the same time.

    :returns: whether anything was changed.
    :raises AccessDenied: this process may not change addresses.
    :raises LocalConfigurationError: other addresses would be lost and that cannot be prevented, or no ``ip`` program.
    :raises Unavailable: the interface could not be read: the address may still be there.
    :raises Unconfirmed: it was removed and is still, or again, there.
    """
    reason = ""
    for attempt in range(ROUNDS):
        interface = _read(name, deadline)
        there = [entry for entry in interface.entries if entry.ip == ip] if interface else []
        if interface is None or not there:
            return attempt > 0
        if attempt > 1:
            deadline.sleep(ROUND_PAUSE)
        reason = _delete(name, interface, there, deadline)
    raise Unconfirmed(
        f"{ip} was removed from interface {name} and is still there{reason and ': '}{reason}",
        advice="find out what puts it back (NetworkManager, systemd-networkd, a cloud's guest agent)",
    )


def _add(name: str, ip: IPAddress, prefix: int, deadline: Deadline) -> str:
    """Add or refresh the entry; return why that failed, "" when it did not."""
    flags = ["nodad"] if ip.version == 6 else []
    return _change(["address", "replace", f"{ip}/{prefix}", "dev", name, *flags], name, deadline)


def _delete(name: str, interface: _Interface, entries: list[_Entry], deadline: Deadline) -> str:
    """Delete the entries; return why one of them failed, "" when none did."""
    reason = ""
    for entry in entries:
        _keep_secondaries(name, interface, entry)
        reason = _change(["address", "del", *entry.argument, "dev", name], name, deadline) or reason
    return reason


def _keep_secondaries(name: str, interface: _Interface, entry: _Entry) -> None:
    """See to it that deleting *entry* does not delete the other IPv4 addresses of its subnet.

    Without ``promote_secondaries`` the kernel deletes them with the first one, and routes through the subnet as well.
    """
    if entry.ip.version == 6 or entry.secondary or entry.prefix == entry.ip.max_prefixlen:
        return
    values = [f"/proc/sys/net/ipv4/conf/{scope}/promote_secondaries" for scope in ("all", name)]
    try:
        if "1" in [_read_value(path) for path in values]:
            return
        handle = os.open(values[1], os.O_WRONLY)
        try:
            os.write(handle, b"1\n")
        finally:
            os.close(handle)
    except OSError as error:
        lost = [str(e.ip) for e in interface.entries if e.secondary and e.network == entry.network and e.ip != entry.ip]
        if lost:
            raise LocalConfigurationError(
                f"removing {entry.ip} from interface {name} would remove {', '.join(lost)} too, and "
                f"{values[1]} cannot be set: {error.strerror}",
                advice=f"run: sysctl -w net.ipv4.conf.{name.replace('.', '/')}.promote_secondaries=1",
            ) from None


def _change(arguments: list[str], name: str, deadline: Deadline) -> str:
    """Run a changing ``ip`` command; return what it complained of: the caller looks whether it worked all the same."""
    result = _ip(arguments, deadline)
    reason = "" if result.code == 0 else result.errors or f"ip exited with {result.code}"
    if "Operation not permitted" in reason:
        raise AccessDenied(
            f"this process may not change addresses: {reason}", advice="run the agent as root (CAP_NET_ADMIN)"
        )
    if "IPv6 is disabled" in reason or "Permission denied" in reason:
        raise LocalConfigurationError(
            f"interface {name}: {reason}",
            advice=f"run: sysctl -w net.ipv6.conf.{name.replace('.', '/')}.disable_ipv6=0",
        )
    return reason


def _read(name: str, deadline: Deadline) -> _Interface | None:
    """Return the interface with its addresses, None when this node certainly has none of that name."""
    result = _list(["address", "show", "dev", name], deadline)
    if result.code == 0:
        for link in _objects(result):
            if link.get("ifname") == name:
                return _interface(link)
    # The exit code is the same for "no such device" and for any failure: only the whole list can tell.
    listing = _list(["link", "show"], deadline)
    if listing.code == 0:
        names = [link.get("ifname") for link in _objects(listing)]
        if names and None not in names and name not in names:
            return None
    failed = result if result.code else listing
    raise _unreadable(f"ip address show dev {name} exited with {failed.code}: {failed.errors or 'no answer'}")


def _list(arguments: list[str], deadline: Deadline) -> _Result:
    for _ in range(ROUNDS):
        result = _ip(["-j", *arguments], deadline)
        # "Dump was interrupted": something changed while the kernel listed it, and the list may lack an address.
        if "interrupted" not in result.errors:
            return result
    raise _unreadable("addresses kept changing while they were listed")


def _objects(result: _Result) -> list[dict[str, object]]:
    import json  # here: metadata, and monitors without the parameter nic, never need it

    try:
        parsed = json.loads(result.output)
    except ValueError:
        raise _unreadable(f"ip -j printed no JSON: {result.output[:80]!r}") from None
    if not isinstance(parsed, list) or not all(isinstance(link, dict) for link in parsed):
        raise _unreadable(f"ip -j printed no list of interfaces: {result.output[:80]!r}")
    return parsed


def _interface(link: dict[str, object]) -> _Interface:
    flags, infos = link.get("flags"), link.get("addr_info")
    if not isinstance(flags, list) or not isinstance(infos, list):
        raise _unreadable("ip -j left out the flags or the addresses")
    return _Interface("UP" in flags, tuple(_entry(info) for info in infos if info))


def _entry(info: dict[str, str | int | bool]) -> _Entry:
    try:
        peer = info.get("address", "")
        return _Entry(
            ip=ipaddress.ip_address(info["local"]),
            prefix=int(info["prefixlen"]),
            peer=str(ipaddress.ip_address(peer)) if peer else "",
            secondary=bool(info.get("secondary")),
            pending=bool(info.get("tentative") or info.get("dadfailed")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _unreadable(f"ip -j printed an address that cannot be read: {str(info)[:200]}") from None


def _unreadable(cause: str) -> Unavailable:
    return Unavailable(cause, advice="run 'ip -j address' on this node; iproute2 4.14 or later is needed")


def _ip(arguments: list[str], deadline: Deadline) -> _Result:
    """Run the ``ip`` program and return what it said, within the deadline."""
    import subprocess  # here: only agents with the parameter nic need it

    program = next((path for path in PROGRAMS if os.access(path, os.X_OK)), "")
    if not program:
        raise LocalConfigurationError(
            f"there is no ip program here (looked for {', '.join(PROGRAMS)})",
            advice="install the package iproute2 (RHEL: iproute)",
        )
    command = f"ip {' '.join(arguments)}"
    if deadline.passed:
        raise Unavailable(f"{command}: no time left")
    try:
        # No "with": leaving it waits without a limit, and a process hanging in the kernel outlives even its kill.
        pipe, null = subprocess.PIPE, subprocess.DEVNULL
        process = subprocess.Popen([program, *arguments], stdin=null, stdout=pipe, stderr=pipe, env=ENVIRONMENT)
    except OSError as error:
        raise Unavailable(f"{program} cannot be run: {error.strerror}") from None
    try:
        output, errors = process.communicate(timeout=deadline.remaining)
    except subprocess.TimeoutExpired:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=KILL_SECONDS)
        raise Unavailable(f"{command}: no answer within the time that was left") from None
    return _Result(process.returncode, output.decode("utf-8", "replace"), errors.decode("utf-8", "replace").strip())
