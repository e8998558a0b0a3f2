"""``kind=route``: an address outside the VCN's ranges, that route tables lead to a private IP of one machine's VNIC.

OCI replaces a table's rules as a whole. So a change starts from a fresh read, touches the one rule, leaves all others
as they were read, and is written with the etag of that read: a change in between is met with a fresh read.
"""

from __future__ import annotations

import copy
import ipaddress
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
    Unavailable,
)
from cloudha_plugin_oci.client import NETWORK, call, fetch, stamped
from cloudha_plugin_oci.errors import ENDPOINT
from cloudha_plugin_oci.public_addresses import assigned_to
from cloudha_plugin_oci.vnics import chosen, myself, private_ip_machine

__all__ = ["bind", "bindings", "tables_wanted", "unbind"]

TABLE = "ocid1.routetable."
CIDR_BLOCK = "CIDR_BLOCK"


class Table(NamedTuple):
    """A route table as read: its rules as the documents that they are."""

    id: str
    rules: list[Any]
    etag: str

    def entity(self, ip: IPAddress) -> str:
        """Return the OCID that the address leads to, "" when there is no rule for it."""
        found = [rule for rule in self.rules if _destination(rule) == ip]
        return web.field(found[0], "networkEntityId", str) if found else ""


def bindings(context: Context, query: AddressQuery) -> BindingPage:
    """Read every listed table; one binding for each, held or not."""
    machine = myself(context, query)
    found: list[Binding] = []
    for ocid in tables_wanted(context):
        table = _read(context, ocid)
        wanted = [query.ip] if query.ip is not None else [ip for ip in map(_destination, table.rules) if ip]
        for ip in wanted:
            entity = table.entity(ip)
            found.append(Binding(ip, private_ip_machine(context, entity, machine) if entity else None, ocid))
    return BindingPage(tuple(found))


def bind(context: Context, change: AddressChange) -> Accepted:
    """Point the rule of every table at the private IP that is meant: change it, or add it.

    :raises LocalConfigurationError: the VNIC drops packets that are not for its own addresses.
    :raises Conflict: another machine has one of the rules, and it is not to be moved; or a table was changed meanwhile.
    """
    vnic = chosen(context, change)
    if not vnic.forwards:
        raise LocalConfigurationError(
            f"the source/destination check of {vnic.id} is on: OCI drops packets for {change.ip}",
            advice=f"run: oci network vnic update --vnic-id {vnic.id} --skip-source-dest-check true",
        )
    target = assigned_to(context, vnic, change.ip.version)
    tables = [_read(context, ocid) for ocid in tables_wanted(context)]
    if not change.move:
        for table in tables:
            entity = table.entity(change.ip)
            holder = private_ip_machine(context, entity, change.node_id) if entity else None
            if holder not in (None, change.node_id):
                raise Conflict(f"{change.ip} leads to {holder} in {table.id}")
    done = [
        _written(context, table, _pointed(table.rules, change.ip, target))
        for table in tables
        if table.entity(change.ip) != target
    ]
    return Accepted(tuple(done), detail="" if done else "every table leads there already")


def unbind(context: Context, change: AddressChange) -> Accepted:
    """Take the rule from those tables where it leads to this machine."""
    machine = myself(context, change)
    done: list[str] = []
    for ocid in tables_wanted(context):
        table = _read(context, ocid)
        entity = table.entity(change.ip)
        if entity and private_ip_machine(context, entity, machine) == machine:
            done.append(_written(context, table, [r for r in table.rules if _destination(r) != change.ip]))
    return Accepted(tuple(done), detail="" if done else "not bound there", sent=bool(done))


def tables_wanted(context: Context) -> tuple[str, ...]:
    """Return the listed tables.

    :raises ConfigurationError: none is, or one is no OCID of a route table.
    """
    wanted = tuple(dict.fromkeys(context.settings.items("route_tables")))
    for text in wanted:
        if not text.startswith(TABLE):
            raise ConfigurationError(
                f"route_tables has {text!r}, which is no route table", advice=f"write OCIDs: {TABLE}..., with commas"
            )
    if not wanted:
        raise ConfigurationError("parameter route_tables is missing", advice="add route_tables=OCID,OCID")
    return wanted


def _pointed(rules: list[Any], ip: IPAddress, entity: str) -> list[Any]:
    """Return the rules with the one for *ip* leading to *entity*, in its place, with all else that it says."""
    found = [copy.deepcopy(rule) for rule in rules]
    for rule in found:
        if _destination(rule) == ip:
            rule["networkEntityId"] = entity
            return found
    added = {
        "destination": f"{ip}/{ip.max_prefixlen}",
        "destinationType": CIDR_BLOCK,
        "networkEntityId": entity,
        "description": "cloudha",
    }
    return [*found, added]


def _written(context: Context, table: Table, rules: list[Any]) -> str:
    answer = call(context, NETWORK, "update_route_table", table.id, {"routeRules": rules}, if_match=table.etag)
    if web.field(answer.document, "id", str) != table.id:
        raise Unavailable("the answer is about another route table", advice=ENDPOINT, request_id=answer.request_id)
    return answer.request_id


def _read(context: Context, ocid: str) -> Table:
    answer = fetch(context, NETWORK, "get_route_table", ocid)
    return Table(ocid, web.field(answer.document, "routeRules", list), stamped(answer))


def _destination(rule: object) -> IPAddress | None:
    """Return the one address that a rule is for, None where it is for a network or a service."""
    fields: Any = rule if isinstance(rule, dict) else {}
    # The old name of the field is still answered for old rules.
    text = fields.get("destination") or fields.get("cidrBlock")
    if not isinstance(text, str):
        raise Unavailable("the answer has a route rule without a destination", advice=ENDPOINT)
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return None
    return network.network_address if network.prefixlen == network.max_prefixlen else None
