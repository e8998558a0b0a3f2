"""``kind=public``: a Standard public IP address, mapped to an ipConfiguration of one machine's interface."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

from cloudha import web
from cloudha.provider import (
    Accepted,
    AddressChange,
    AddressQuery,
    Binding,
    BindingPage,
    ConfigurationError,
    Conflict,
    Context,
    IPAddress,
    LocalConfigurationError,
    NotFound,
    Unavailable,
)
from cloudha_plugin_azure.arm import NETWORK, group, page
from cloudha_plugin_azure.interfaces import (
    Configuration,
    Nic,
    all_nics,
    chosen,
    configuration_number,
    fetch,
    write,
)
from cloudha_plugin_azure.operations import follow, under_way
from cloudha_plugin_azure.private_addresses import local_machine, settled
from cloudha_plugin_azure.resource_ids import canonical, configuration_id

__all__ = ["bind", "bindings", "unbind"]

MOST_PAGES = 200


class PublicIp(NamedTuple):
    """A public address object; ``holder`` is the canonical id of the interface that has it, "" for none.

    ``elsewhere``: the id of what has it instead of an interface (a load balancer, a gateway).
    """

    id: str
    exact_id: str
    ip: IPAddress
    holder: str
    configuration: str
    elsewhere: str
    static: bool


def bindings(context: Context, query: AddressQuery) -> BindingPage:
    """Return who has the address: one request for the list, one for the interface.

    :raises NotFound: there is no such public address in sight; that is no answer to who has it.
    """
    if query.ip is None:
        found, following = _page(context, query.page)
    else:
        pending = under_way(context, str(query.ip))
        if pending is not None:
            return BindingPage((Binding(query.ip, pending.node_id, "being changed"),))
        found, following = [_there(context, query.ip)], None
    machines: dict[str, Nic] = {}
    for item in found:
        if item.holder and item.holder not in machines:
            machines[item.holder] = fetch(context, item.holder)
    if query.ip is not None:
        return _judged(context, query, found[0], machines.get(found[0].holder))
    return BindingPage(
        tuple(Binding(i.ip, machines[i.holder].machine if i.holder else None, i.holder or i.id) for i in found),
        following,
    )


def bind(context: Context, change: AddressChange) -> Accepted:
    """Map the address to the chosen interface, after taking it from another one.

    :raises Conflict: not now: another change is under way, or it is not to be moved.
    :raises NotFound: there is no such public address.
    """
    item = _known(context, change.ip)
    target = chosen(context, change, all_nics(context))
    wanted = _wanted(context, target, item)
    done: list[str] = []
    if item.holder and (item.holder, item.configuration) != (target.id, wanted.name.lower()):
        holder = fetch(context, item.holder)
        if not change.move and holder.machine not in (None, canonical(change.node_id)):
            raise Conflict(f"{change.ip} is bound to {holder.machine}")
        done.append(_released(context, holder, item, wait=True))
    fresh = fetch(context, target.id)
    wanted = _wanted(context, fresh, item)
    if wanted.public not in ("", item.id):
        raise LocalConfigurationError(
            f"{wanted.name} of {fresh.name} has another public address already", advice="give private_ip=, or nic="
        )
    if wanted.public == item.id and fresh.updating:
        raise Conflict(f"{fresh.name} is being changed, and {change.ip} may not be there yet")
    if wanted.public == item.id and fresh.state.lower() == "succeeded":
        return Accepted(tuple(done), detail="already bound there")
    configurations = copy.deepcopy(fresh.document["properties"]["ipConfigurations"])
    number = configuration_number(fresh, wanted.name)
    configurations[number]["properties"]["publicIPAddress"] = {"id": item.exact_id}
    answer = write(context, fresh, configurations)
    follow(context, str(change.ip), answer.operation, None)
    return Accepted((*done, answer.request_id))


def unbind(context: Context, change: AddressChange) -> Accepted:
    """End the mapping, if an interface of that machine has it.

    :raises NotFound: there is no such public address in sight.
    """
    item = _there(context, change.ip)
    if not item.holder:
        return Accepted(detail="not bound there", sent=False)
    holder = fetch(context, item.holder)
    if holder.machine != canonical(change.node_id):
        return Accepted(detail="not bound there", sent=False)
    return Accepted((_released(context, holder, item, wait=False),))


def _judged(context: Context, query: AddressQuery, item: PublicIp, nic: Nic | None) -> BindingPage:
    me = local_machine(context, query.node_id)
    machine = nic.machine if nic else None
    if nic is not None and all(configuration.public != item.id for configuration in nic.configurations):
        # The interface no longer says so: the mapping is on its way out.
        settled(me, nic)
    return BindingPage((Binding(item.ip, machine, item.holder or item.elsewhere or item.id),))


def _released(context: Context, nic: Nic, item: PublicIp, *, wait: bool) -> str:
    """Write the interface without the mapping. With *wait*, go on only when Azure has done it at once."""
    configurations = copy.deepcopy(nic.document["properties"]["ipConfigurations"])
    mapped = [entry.name for entry in nic.configurations if entry.public == item.id]
    if not mapped:
        raise Conflict(f"{item.ip} is being released by {nic.name}")
    for name in mapped:
        del configurations[configuration_number(nic, name)]["properties"]["publicIPAddress"]
    answer = write(context, nic, configurations)
    if answer.operation and wait:
        raise Conflict(f"{item.ip} is being released by {nic.name} (request {answer.request_id})")
    follow(context, str(item.ip), answer.operation, nic.machine)
    return answer.request_id


def _wanted(context: Context, nic: Nic, item: PublicIp) -> Configuration:
    """Return the ipConfiguration that the operator means; without a word, the one that has the address already."""
    private = context.settings.address("private_ip")
    if private is None:
        return next((found for found in nic.configurations if found.public == item.id), nic.main(item.ip.version))
    found = nic.holding(private)
    if found is None:
        raise LocalConfigurationError(
            f"{nic.name} does not have the private address {private}",
            advice="check private_ip=, or start the private address first (a group, or an order constraint)",
        )
    return found


def _there(context: Context, ip: IPAddress) -> PublicIp:
    found = _find(context, ip)
    if found is None:
        raise NotFound(f"no public address {ip} here", advice="create it (Standard, static), or check resource_group=")
    return found


def _known(context: Context, ip: IPAddress) -> PublicIp:
    found = _there(context, ip)
    if found.elsewhere:
        raise ConfigurationError(f"{ip} belongs to {found.elsewhere}, no interface", advice="use another address")
    if not found.static:
        raise ConfigurationError(
            f"{ip} is dynamic, and would be lost when it moves", advice="use a Standard public address: it is static"
        )
    return found


def _find(context: Context, ip: IPAddress) -> PublicIp | None:
    # Azure cannot be asked for an address; one that is the only one of its kind is on one page only.
    return next((item for item in _all(context) if item.ip == ip), None)


def _all(context: Context) -> Iterator[PublicIp]:
    token: str | None = None
    for _ in range(MOST_PAGES):
        found, token = _page(context, token)
        yield from found
        if token is None:
            return
    raise Unavailable("the list of public addresses does not end", advice="check the endpoint")


def _page(context: Context, token: str | None) -> tuple[list[PublicIp], str | None]:
    where = group(context)
    method, arguments = ("list", (where,)) if where else ("list_all", ())
    documents, following = page(context, NETWORK, "public_ip_addresses", method, *arguments, token=token)
    return [found for found in map(_read, documents) if found is not None], following


def _read(document: Any) -> PublicIp | None:  # noqa: ANN401 - an answer, whatever it is
    """Return None for a dynamic address that nobody has: it has no address then."""
    exact = web.field(document, "id", str)
    properties = web.field(document, "properties", dict)
    method = web.field(properties, "publicIPAllocationMethod", str)
    text = properties.get("ipAddress")
    if not text and method.lower() == "dynamic":
        return None
    ip = web.address(properties, "ipAddress")
    used = properties.get("ipConfiguration")
    used_by = web.field(used, "id", str) if used is not None else ""
    interface = configuration_id(used_by)
    return PublicIp(
        canonical(exact),
        exact,
        ip,
        interface[0] if interface else "",
        interface[1] if interface else "",
        "" if interface else used_by,
        method.lower() == "static",
    )
