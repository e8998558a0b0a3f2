"""``kind=private``: an ipConfiguration of its own, on the interface of one machine, in the same subnet.

A move is two writes: the old interface without it, then the new one with it. Azure refuses the second while the first
is under way, which is a Conflict: the host calls again, and a call finds out by itself how far the last one came.
"""

from __future__ import annotations

from typing import Any

from cloudha.provider import (
    Accepted,
    AddressChange,
    AddressQuery,
    Binding,
    BindingPage,
    CloudhaError,
    ConfigurationError,
    Conflict,
    Context,
    IPAddress,
    Unavailable,
)
from cloudha_plugin_azure import metadata
from cloudha_plugin_azure.interfaces import Nic, all_nics, chosen, configuration_number, fetch, nic_page, nics_of, write
from cloudha_plugin_azure.operations import follow, under_way
from cloudha_plugin_azure.resource_ids import canonical

__all__ = ["bind", "bindings", "local_machine", "settled", "unbind"]

# How long to wait before asking again about an interface that is being changed; Azure's own Retry-After is 10 s.
SETTLING_SECONDS = 5.0


def bindings(context: Context, query: AddressQuery) -> BindingPage:
    """Return who has the address, among the interfaces in sight, in this machine's virtual network."""
    if query.ip is None:
        nics, following = nic_page(context, query.page)
        return BindingPage(
            tuple(
                Binding(item.ip, nic.machine, nic.id)
                for nic in nics
                for item in nic.configurations
                if item.ip is not None
            ),
            following,
        )
    return _holders(context, query.ip, query.node_id)


def bind(context: Context, change: AddressChange) -> Accepted:
    """Give the chosen interface an ipConfiguration with the address, after taking it from another interface.

    :raises Conflict: not now: another change is under way, or it is not to be moved.
    """
    nics = all_nics(context)
    target = chosen(context, change, nics)
    found = [nic for nic in nics if nic.holding(change.ip) and nic.networks & target.networks]
    for nic in found:
        _refuse_own(nic, change.ip)
    done: list[str] = []
    for nic in found:
        if nic.id == target.id:
            continue
        if not change.move and nic.machine not in (None, canonical(change.node_id)):
            raise Conflict(f"{change.ip} is bound to {nic.machine}")
        done.append(_release(context, fetch(context, nic.id), change.ip))
    return _hold(context, fetch(context, target.id), change.ip, done)


def unbind(context: Context, change: AddressChange) -> Accepted:
    """Take the ipConfiguration with the address from the machine's interfaces."""
    held = [nic for nic in nics_of(all_nics(context), change.node_id) if nic.holding(change.ip)]
    for nic in held:
        _refuse_own(nic, change.ip)
    done: list[str] = []
    for nic in held:
        fresh = fetch(context, nic.id)
        if fresh.machine == nic.machine and fresh.holding(change.ip):
            done.append(_release(context, fresh, change.ip, wait=False))
    return Accepted(tuple(done), detail="" if done else "not bound there", sent=bool(done))


def settled(machine: str | None, nic: Nic) -> None:
    """Insist that the interface of this machine is not being changed, where an address is absent from it.

    :raises Unavailable: it is: Azure shows the change before it has been made.
    """
    if nic.updating and machine is not None and nic.machine == machine:
        raise Unavailable(
            f"{nic.name} is being changed, so what it holds is open",
            advice="a change of an interface may take minutes: give the operation a longer timeout",
            retry_after=SETTLING_SECONDS,
        )


def local_machine(context: Context, node_id: str) -> str | None:
    """Return the machine on whose behalf is asked, None where that cannot be found out."""
    if node_id:
        return canonical(node_id)
    try:
        return metadata.node(context).id
    except CloudhaError:
        return None


def _holders(context: Context, ip: IPAddress, node_id: str) -> BindingPage:
    pending = under_way(context, str(ip))
    if pending is not None:
        return BindingPage((Binding(ip, pending.node_id, "being changed"),))
    me = local_machine(context, node_id)
    nics = all_nics(context)
    # The same private address may be in another virtual network, too, and is not ours there.
    networks = frozenset[str]().union(*(nic.networks for nic in nics_of(nics, me))) if me else frozenset[str]()
    seen = [nic for nic in nics if not networks or nic.networks & networks]
    found = [Binding(ip, nic.machine, nic.id) for nic in seen if nic.holding(ip)]
    if not found:
        for nic in seen:
            settled(me, nic)
    return BindingPage(tuple(found))


def _release(context: Context, nic: Nic, ip: IPAddress, *, wait: bool = True) -> str:
    """Write the interface without the address. With *wait*, go on only when Azure has done it at once."""
    held = nic.holding(ip)
    if held is None:
        return ""
    _refuse_own(nic, ip)
    remaining: list[Any] = list(nic.document["properties"]["ipConfigurations"])
    del remaining[configuration_number(nic, held.name)]
    answer = write(context, nic, remaining)
    if not answer.operation:
        return answer.request_id
    if wait:
        raise Conflict(f"{ip} is being released by {nic.name} (request {answer.request_id})")
    follow(context, str(ip), answer.operation, nic.machine)
    return answer.request_id


def _hold(context: Context, nic: Nic, ip: IPAddress, done: list[str]) -> Accepted:
    present: list[Any] = list(nic.document["properties"]["ipConfigurations"])
    if nic.holding(ip):
        if nic.updating:
            raise Conflict(f"{nic.name} is being changed, and {ip} may not be there yet")
        if nic.state.lower() == "succeeded":
            return Accepted(tuple(done), detail="already bound there")
        # The last change failed half way; writing the same again is how Azure repairs that.
    else:
        present.append(_new(nic, ip))
    answer = write(context, nic, present)
    follow(context, str(ip), answer.operation, None)
    return Accepted((*done, answer.request_id))


def _new(nic: Nic, ip: IPAddress) -> dict[str, Any]:
    """Return an ipConfiguration for the address, in the subnet and application security groups of the main one.

    Azure wants the same application security groups on every ipConfiguration of an interface.
    """
    number = configuration_number(nic, nic.main().name)
    main = nic.document["properties"]["ipConfigurations"][number]["properties"]
    groups = main.get("applicationSecurityGroups")
    return {
        "name": f"cloudha-{ip}".replace(".", "-").replace(":", "-"),
        "properties": {
            "privateIPAddress": str(ip),
            "privateIPAllocationMethod": "Static",
            "privateIPAddressVersion": f"IPv{ip.version}",
            "subnet": {"id": main["subnet"]["id"]},
            "primary": False,
            **({"applicationSecurityGroups": groups} if groups else {}),
        },
    }


def _refuse_own(nic: Nic, ip: IPAddress) -> None:
    held = nic.holding(ip)
    if held is not None and held.primary:
        raise ConfigurationError(f"{ip} is the own address of {nic.name}", advice="choose an address that can float")
