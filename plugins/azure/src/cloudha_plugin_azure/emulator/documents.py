"""The documents that the emulated Azure answers with, beside those that it keeps as they are."""

from __future__ import annotations

import ipaddress
from typing import Any

from cloudha.types import IPAddress
from cloudha_plugin_azure.emulator.account import LOCATION, SUBSCRIPTION, Account, Document, Virtual

__all__ = ["caller", "machine_document", "metadata_document", "permissions_document", "view_document"]

WORDS = {
    "starting": "VM starting",
    "running": "VM running",
    "stopping": "VM stopping",
    "stopped": "VM stopped",
    "deallocating": "VM deallocating",
    "deallocated": "VM deallocated",
}


def machine_document(account: Account, virtual: Virtual, *, view: bool) -> Document:
    """Return a machine as ``virtualMachines/get`` and ``list`` do."""
    # Azure is known to write the resource group in capitals here.
    group = virtual.group.upper() if account.behaviour.upper_case else virtual.group
    properties: Document = {
        "vmId": virtual.vm_id,
        "provisioningState": "Updating" if virtual.power in ("starting", "stopping") else "Succeeded",
        "hardwareProfile": {"vmSize": "Standard_D2s_v5"},
        "priority": virtual.priority,
        "networkProfile": {
            "networkInterfaces": [
                {"id": nic["id"], "properties": {"primary": nic["properties"]["primary"]}}
                for nic in nics_of(account, virtual)
            ]
        },
    }
    if virtual.scale_set:
        member = account.resource_id("Microsoft.Compute/virtualMachineScaleSets", virtual.scale_set)
        properties["virtualMachineScaleSet"] = {"id": member}
    if view:
        properties["instanceView"] = view_document(virtual)
    return {
        "name": virtual.name,
        "id": account.resource_id("Microsoft.Compute/virtualMachines", virtual.name, group),
        "type": "Microsoft.Compute/virtualMachines",
        "location": LOCATION,
        "tags": dict(virtual.tags),
        "properties": properties,
    }


def view_document(virtual: Virtual) -> Document:
    """Return the instance view."""
    return {
        "statuses": [
            {
                "code": "ProvisioningState/succeeded",
                "level": "Info",
                "displayStatus": "Provisioning succeeded",
                "time": "2025-01-01T00:00:00.0000000+00:00",
            },
            {
                "code": f"PowerState/{virtual.power}",
                "level": "Info",
                "displayStatus": WORDS.get(virtual.power, virtual.power),
            },
        ]
    }


def metadata_document(account: Account, virtual: Virtual) -> Document:
    """Return what the metadata service says to the machine itself."""
    interfaces = []
    for nic in nics_of(account, virtual):
        found: dict[int, list[Document]] = {4: [], 6: []}
        for item in nic["properties"]["ipConfigurations"]:
            ip = ipaddress.ip_address(item["properties"]["privateIPAddress"])
            public = {"publicIpAddress": _public(account, item)} if ip.version == 4 else {}
            found[ip.version].append({"privateIpAddress": str(ip), **public})
        interfaces.append(
            {
                "ipv4": {"ipAddress": found[4], "subnet": [{"address": "10.0.1.0", "prefix": "24"}]},
                "ipv6": {"ipAddress": found[6]},
                "macAddress": nic["properties"]["macAddress"].replace("-", ""),
            }
        )
    return {
        "compute": {
            "azEnvironment": "AzurePublicCloud",
            "location": LOCATION,
            "name": virtual.name,
            "resourceGroupName": virtual.group,
            "resourceId": account.resource_id("Microsoft.Compute/virtualMachines", virtual.name, virtual.group),
            "subscriptionId": SUBSCRIPTION,
            "vmId": virtual.vm_id,
            "vmScaleSetName": virtual.scale_set,
        },
        "network": {"interface": interfaces},
    }


def permissions_document(denied: tuple[str, ...]) -> Document:
    """Return the caller's permissions: all, but for those that are denied."""
    return {"value": [{"actions": ["*"], "notActions": list(denied)}]}


def nics_of(account: Account, virtual: Virtual) -> list[Any]:
    """Return the machine's interfaces."""
    wanted = account.resource_id("Microsoft.Compute/virtualMachines", virtual.name, virtual.group).lower()
    return [
        nic
        for nic in account.nics.values()
        if nic["properties"].get("virtualMachine", {}).get("id", "").lower() == wanted
    ]


def caller(account: Account, client: IPAddress) -> Virtual | None:
    """Return the machine that a request to the metadata service comes from."""
    if account.myself:
        return account.machines.get(account.myself.lower())
    return next((v for v in account.machines.values() if v.machine.address == client), None)


def _public(account: Account, item: Document) -> str:
    public = item["properties"].get("publicIPAddress")
    keeper = account.public_ips.get(public["id"].rpartition("/")[2].lower()) if public else None
    return str(keeper["properties"]["ipAddress"]) if keeper else ""
