"""What this machine sees of its addresses by itself, without the API and without credentials."""

from __future__ import annotations

from cloudha.provider import AddressQuery, CloudhaError, Context, Evidence, Kind, Verdict
from cloudha_plugin_aws import metadata

__all__ = ["evidence"]

SOURCE = "the instance metadata service (local-ipv4s)"


def evidence(context: Context, query: AddressQuery) -> Evidence:
    """Say whether the address is on an interface of this machine.

    Only for private IPv4 addresses: for these, AWS names the metadata service as the way to confirm a move
    (AssignPrivateIpAddresses: "check network/interfaces/macs/mac/local-ipv4s in the instance metadata"). For Elastic
    IPs, IPv6 and routes it says no such thing, so there it cannot be told from here.
    """
    if query.ip is None or query.kind is not Kind.PRIVATE or query.ip.version != 4:
        return Evidence(Verdict.CANNOT_TELL, "AWS names no local evidence for this kind of address")
    try:
        if query.node_id and query.node_id != metadata.instance_id(context):
            return Evidence(Verdict.CANNOT_TELL, f"this machine is not {query.node_id}")
        held = metadata.held_addresses(context, query.ip.version)
    except CloudhaError as error:
        return Evidence(Verdict.CANNOT_TELL, error.cause)
    return Evidence(Verdict.YES if query.ip in held else Verdict.NO, SOURCE)
