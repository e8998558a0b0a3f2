"""Writing interfaces and routes, with the checks that Azure makes: etags, addresses in use, one change at a time."""

from __future__ import annotations

import copy
import ipaddress
from typing import Any

from cloudha_plugin_azure.emulator.account import Account, Document, new_etag, new_route
from cloudha_plugin_azure.emulator.behaviour import ArmError
from cloudha_plugin_azure.emulator.operations import Operation

__all__ = ["delete_route", "put_nic", "put_route"]

# What the caller cannot change; the rest is replaced by what was sent.
READ_ONLY = ("resourceGuid", "macAddress", "virtualMachine", "primary", "nicType")


def put_nic(account: Account, name: str, sent: Document, if_match: str) -> tuple[Document, Operation | None]:
    """Replace an interface; an operation when that takes time.

    :raises ArmError: not with this document, or not now.
    """
    with account.lock:
        known = account.nics.get(name.lower())
        if known is None:
            raise ArmError(404, "ResourceNotFound", f"The Resource 'networkInterfaces/{name}' was not found.")
        _check(known, if_match)
        fresh: Document = {**sent, "name": known["name"], "id": known["id"], "type": known["type"], "etag": new_etag()}
        properties = fresh["properties"] = copy.deepcopy(sent["properties"])
        for field in READ_ONLY:
            properties.pop(field, None)
            if field in known["properties"]:
                properties[field] = known["properties"][field]
        _check_configurations(account, name, properties["ipConfigurations"])
        for item in properties["ipConfigurations"]:
            item["id"] = f"{known['id']}/ipConfigurations/{item['name']}"
            item["type"] = "Microsoft.Network/networkInterfaces/ipConfigurations"
            item["etag"] = fresh["etag"]
            item["properties"]["provisioningState"] = "Succeeded"
        slow = account.behaviour.network > 0 or account.behaviour.never_ends or bool(account.behaviour.fail_next)
        properties["provisioningState"] = "Updating" if slow else "Succeeded"
        account.nics[name.lower()] = fresh

        def act() -> None:
            with account.lock:
                fresh["properties"]["provisioningState"] = "Succeeded"
                fresh["etag"] = new_etag()
                account.settle(name)

        def fail() -> None:
            with account.lock:
                fresh["properties"]["provisioningState"] = "Failed"

        if not slow:
            account.settle(name)
            return copy.deepcopy(fresh), None
        answer = copy.deepcopy(fresh)
    seconds = account.behaviour.network or 0.05
    return answer, account.operations.begin("Microsoft.Network", "", seconds, act, fail)


def put_route(
    account: Account, table_name: str, name: str, sent: Document, if_match: str, if_none_match: str
) -> tuple[Document, Operation | None]:
    """Write one route of a table."""
    with account.lock:
        table = _table(account, table_name)
        routes = table["properties"]["routes"]
        known = next((route for route in routes if route["name"].lower() == name.lower()), None)
        if known is not None:
            _check(known, if_match)
        if (known is not None and if_none_match == "*") or (known is None and if_match):
            raise ArmError(412, "PreconditionFailed", "The condition specified using HTTP headers is not met.")
        wanted = sent["properties"]
        fresh = new_route(
            table["id"], name, wanted["addressPrefix"], wanted["nextHopType"], wanted.get("nextHopIpAddress")
        )
        if any(r is not known and r["properties"]["addressPrefix"] == wanted["addressPrefix"] for r in routes):
            raise ArmError(400, "RouteConflict", f"Route {name} has the same address prefix as another one.")
        return _changed(account, table, [route for route in routes if route is not known] + [fresh], fresh)


def delete_route(account: Account, table_name: str, name: str, if_match: str) -> Operation | None:
    """Take one route out of a table; one that is not there is gone already."""
    with account.lock:
        table = _table(account, table_name)
        routes = table["properties"]["routes"]
        known = next((route for route in routes if route["name"].lower() == name.lower()), None)
        if known is None:
            raise ArmError(404, "NotFound", f"Resource {name} not found.")
        _check(known, if_match)
        return _changed(account, table, [route for route in routes if route is not known], {"properties": {}})[1]


def _changed(
    account: Account, table: Document, routes: list[Any], fresh: Document
) -> tuple[Document, Operation | None]:
    slow = account.behaviour.network > 0 or account.behaviour.never_ends or bool(account.behaviour.fail_next)
    before = table["properties"]["routes"]
    if not slow:
        table["properties"]["routes"] = routes
        account.deliver()
        return copy.deepcopy(fresh), None
    table["properties"]["provisioningState"] = fresh["properties"]["provisioningState"] = "Updating"
    answer = copy.deepcopy(fresh)

    def end() -> None:
        table["properties"]["provisioningState"] = fresh["properties"]["provisioningState"] = "Succeeded"

    def act() -> None:
        with account.lock:
            end()
            table["properties"]["routes"] = routes
            account.deliver()

    def fail() -> None:
        with account.lock:
            end()
            table["properties"]["routes"] = before

    seconds = account.behaviour.network or 0.05
    return answer, account.operations.begin("Microsoft.Network", "", seconds, act, fail)


def _table(account: Account, name: str) -> Document:
    table = account.tables.get(name.lower())
    if table is None:
        raise ArmError(404, "ResourceNotFound", f"The Resource 'routeTables/{name}' was not found.")
    if table["properties"]["provisioningState"] == "Updating":
        raise ArmError(409, "AnotherOperationInProgress", f"Another operation on {name} is in progress.")
    return table


def _check(known: Document, if_match: str) -> None:
    if if_match and if_match != known["etag"]:
        raise ArmError(412, "PreconditionFailed", "The condition 'If-Match' specified using HTTP headers is not met.")
    if known["properties"]["provisioningState"] == "Updating":
        raise ArmError(
            409, "AnotherOperationInProgress", "Another operation on this or dependent resource is going on."
        )


def _check_configurations(account: Account, name: str, configurations: list[Any]) -> None:
    if sum(item["properties"].get("primary") is True for item in configurations) != 1:
        raise ArmError(400, "PrimaryIpConfigurationMissing", "Exactly one ipConfiguration must be primary.")
    names = [item["name"].lower() for item in configurations]
    if len(names) != len(set(names)):
        raise ArmError(400, "InvalidRequestFormat", "Two ipConfigurations have one name.")
    subnet = ipaddress.ip_network(account.nics[name.lower()]["tags"]["subnet"])
    network = configurations[0]["properties"]["subnet"]["id"].lower()
    for item in configurations:
        ip = ipaddress.ip_address(item["properties"]["privateIPAddress"])
        if ip.version == subnet.version and ip not in subnet:
            raise ArmError(400, "PrivateIPAddressNotInSubnet", f"{ip} is not in the subnet {subnet}.")
        for other, delivered in account.effective.items():
            if other == name.lower():
                continue
            others = account.nics[other]["properties"]["ipConfigurations"]
            if others[0]["properties"]["subnet"]["id"].lower() != network:
                continue
            shown = {str(ipaddress.ip_address(o["properties"]["privateIPAddress"])) for o in others}
            if str(ip) in shown or str(ip) in delivered:
                raise ArmError(
                    400,
                    "PrivateIPAddressInUse",
                    f"Private static IP address {ip} could not be allocated: already allocated to {other}.",
                )
        _check_public(account, name, item)


def _check_public(account: Account, name: str, item: Document) -> None:
    public = item["properties"].get("publicIPAddress")
    if not public:
        return
    keeper = account.public_ips.get(public["id"].rpartition("/")[2].lower())
    if keeper is None:
        raise ArmError(400, "InvalidResourceReference", f"Resource {public['id']} was not found.")
    used = keeper["properties"].get("ipConfiguration")
    mine = f"{account.nics[name.lower()]['id']}/ipConfigurations/{item['name']}".lower()
    if used and used["id"].lower() != mine:
        raise ArmError(400, "PublicIPAddressInUse", f"{public['id']} is already allocated to {used['id']}.")
