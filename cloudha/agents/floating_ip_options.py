"""The parameters of ocf:cloudha:floating-ip beside those of the providers."""

from __future__ import annotations

from cloudha.options import Option, OptionType

__all__ = ["NOT_RELOADABLE", "OWN", "OWN_NAMES"]

OWN: tuple[Option, ...] = (
    Option("provider", "Cloud to talk to: the name of an installed provider", required=True),
    Option("ip", "The address that floats, IPv4 or IPv6, without a netmask", OptionType.ADDRESS, required=True),
    Option(
        "kind",
        "How it floats: a private address of the NIC, a public address mapped to it, or the target of a route",
        OptionType.CHOICE,
        "private",
        choices=("private", "public", "route"),
    ),
    Option(
        "nic",
        "Network interface of this node to put the address on; without it, the address is only bound in the cloud",
    ),
    Option("cidr_netmask", "Prefix length for the address on the interface (default 32, or 128 for IPv6)"),
    Option("node", "This node's id or name in the cloud; by default found out by the provider"),
    Option(
        "takeover",
        "Whether start takes the address from another machine; with never, it fails instead",
        OptionType.CHOICE,
        "always",
        choices=("always", "never"),
    ),
)
OWN_NAMES: frozenset[str] = frozenset(option.name for option in OWN)
# A change of these means another address, place or cloud: stop and start. Others take effect at the next action.
NOT_RELOADABLE = frozenset({"provider", "ip", "kind", "nic", "cidr_netmask", "node", "region"})
