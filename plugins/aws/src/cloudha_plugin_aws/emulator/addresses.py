"""Addresses on interfaces, Elastic IPs and routes: the checks that AWS makes, moves that really move, and the world.

What AWS refuses, and in which words, is from its API reference and from reports of users; moto refuses none of it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable

from moto.ec2.exceptions import EC2ClientError

from cloudha.types import IPAddress
from cloudha_plugin_aws.emulator.account import IPV6_RANGE, Account, Moto

__all__ = ["Addresses"]


class Addresses:
    """All addresses of an account. Every method is called with the account's lock held."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._tickets: dict[str, int] = {}

    # --- private ----------------------------------------------------------------------------------------------------

    def assign(self, interface: Moto, texts: Iterable[str], *, move: bool) -> None:
        """Give secondary private addresses to an interface, taking them from others of the VPC when *move*."""
        wanted = [text for text in texts if text not in _private(interface)]
        network = ipaddress.ip_network(interface.subnet.cidr_block)
        for text in wanted:
            if ipaddress.ip_address(text) not in network:
                raise _invalid(f"Address {text} does not fall within the subnet's address range")
            holder = self._holder(text)
            if holder is not None and holder.private_ip_address == text:
                raise _invalid(f"[{text}] is the primary address of {holder.id} and cannot be reassigned.")
            if holder is not None and not move:
                raise _invalid(f"[{text}] assigned, but move is not allowed.")
        if len(_private(interface)) + len(wanted) > self._account.behaviour.addresses:
            raise EC2ClientError(
                "PrivateIpAddressLimitExceeded",
                f"Number of private addresses will exceed limit for {interface.id}.",
            )
        for text in wanted:
            self._settle(text, lambda text=text: self._move_private(text, interface))  # type: ignore[misc]  # binds text

    def unassign(self, interface: Moto, texts: Iterable[str]) -> None:
        """Take secondary private addresses from an interface."""
        for text in texts:
            if text not in _private(interface):
                raise _invalid(f"Some of the specified addresses are not assigned to interface {interface.id}")
            if interface.private_ip_address == text:
                raise _invalid(f"The primary address {text} cannot be unassigned.")
        for text in texts:
            self._settle(text, lambda text=text: self._take_private(text, interface))  # type: ignore[misc]  # binds text

    def take_away(self, text: str) -> None:
        """Take a secondary address from whoever has it, at once, as somebody at the console would."""
        holder = self._holder(text)
        if holder is None or holder.private_ip_address == text:
            raise ValueError(f"no interface has the secondary address {text}")
        self._take_private(text, holder)

    def assign_ipv6(self, interface: Moto, texts: Iterable[str]) -> None:
        """Give IPv6 addresses that no interface has to one."""
        for text in texts:
            if ipaddress.ip_address(text) not in ipaddress.ip_network(IPV6_RANGE):
                raise _invalid(f"Address {text} does not fall within the subnet's address range")
            holder = next((i for i in self._account.interfaces() if text in i.ipv6_addresses), None)
            if holder not in (None, interface):
                raise EC2ClientError("InvalidIPAddress.InUse", f"Address {text} is in use.")
        for text in texts:
            self._settle(text, lambda text=text: self._set_ipv6(text, interface, held=True))  # type: ignore[misc]  # binds text

    def unassign_ipv6(self, interface: Moto, texts: Iterable[str]) -> None:
        """Take IPv6 addresses from an interface."""
        for text in texts:
            if text not in interface.ipv6_addresses:
                raise _invalid(f"The IPv6 address {text} is not assigned to {interface.id}.")
        for text in texts:
            self._settle(text, lambda text=text: self._set_ipv6(text, interface, held=False))  # type: ignore[misc]  # binds text

    def _move_private(self, text: str, interface: Moto) -> None:
        holder = self._holder(text)
        along = [a for a in self._account.backend.addresses if a.eni is not None and self.private_of(a) == text]
        if holder is not None:
            holder.private_ip_addresses = [i for i in holder.private_ip_addresses if i["PrivateIpAddress"] != text]
        interface.private_ip_addresses.append({"Primary": False, "PrivateIpAddress": text})
        for address in along:
            if address.eni is holder:
                address.eni, address.instance = interface, None
        self._route(text, interface)

    def _take_private(self, text: str, interface: Moto) -> None:
        for address in self._account.backend.addresses:
            if address.eni is interface and self.private_of(address) == text:
                self.disassociate(address)
        interface.private_ip_addresses = [i for i in interface.private_ip_addresses if i["PrivateIpAddress"] != text]
        self._route(text, None)

    def _set_ipv6(self, text: str, interface: Moto, *, held: bool) -> None:
        if held and text not in interface.ipv6_addresses:
            interface.ipv6_addresses.append(text)
        if not held and text in interface.ipv6_addresses:
            interface.ipv6_addresses.remove(text)
        self._route(text, interface if held else None)

    def _holder(self, text: str) -> Moto | None:
        return next((i for i in self._account.interfaces() if text in _private(i)), None)

    # --- public -----------------------------------------------------------------------------------------------------

    @staticmethod
    def private_of(address: Moto) -> str:
        """Return the private address that an Elastic IP is mapped to, "" for none. moto knows the primary one only."""
        if address.eni is None:
            return ""
        chosen = getattr(address, "chosen_private_ip", "")
        return chosen if chosen in _private(address.eni) else str(address.eni.private_ip_address)

    def associate(self, address: Moto, interface: Moto, private: str, *, move: bool) -> str:
        """Map an Elastic IP to an interface's private address ("": the primary one), and return the association."""
        private = private or interface.private_ip_address
        if private not in _private(interface):
            raise _invalid(f"Private address {private} is not assigned to {interface.id}.")
        if address.eni is interface and self.private_of(address) == private:
            return str(address.association_id)
        before = [a for a in self._account.backend.addresses if a.eni is interface and self.private_of(a) == private]
        if not move and (address.eni is not None or before):
            code = "Resource.AlreadyAssociated"
            raise EC2ClientError(code, f"resource {address.allocation_id} is already associated with {interface.id}")
        for other in before:
            self.disassociate(other)
        address.chosen_private_ip = private
        found = self._account.backend.associate_address(
            eni=interface, allocation_id=address.allocation_id, reassociate=True
        )
        self._route(address.public_ip, interface)
        return str(found.association_id)

    def disassociate(self, address: Moto) -> None:
        """End an Elastic IP's mapping."""
        self._account.backend.disassociate_address(association_id=address.association_id)
        self._route(address.public_ip, None)

    # --- routes -----------------------------------------------------------------------------------------------------

    def route_changed(self, cidr: str, interface: Moto | None) -> None:
        """Make the world follow a route to one address; an interface with the source check on drops the packets."""
        network = ipaddress.ip_network(cidr)
        if network.prefixlen == network.max_prefixlen:
            takes = interface is not None and not interface.source_dest_check
            self._route(str(network.network_address), interface if takes else None)

    # --- the world --------------------------------------------------------------------------------------------------

    def _route(self, text: str, interface: Moto | None) -> None:
        ip: IPAddress = ipaddress.ip_address(text)
        has = interface is not None and interface.instance is not None
        name = self._account.machine_name(interface.instance.id) if interface is not None and has else None
        self._account.world.route(ip, name)
        self._account.changed()

    def _settle(self, text: str, act: Callable[[], None]) -> None:
        """Do it now or, with a delay, later; the last one asked for wins."""
        ticket = self._tickets[text] = self._tickets.get(text, 0) + 1

        def run() -> None:
            with self._account.lock:
                if self._tickets[text] == ticket:
                    act()

        self._account.later(self._account.behaviour.bind, run)


def _private(interface: Moto) -> list[str]:
    return [str(item["PrivateIpAddress"]) for item in interface.private_ip_addresses]


def _invalid(message: str) -> EC2ClientError:
    return EC2ClientError("InvalidParameterValue", message)
