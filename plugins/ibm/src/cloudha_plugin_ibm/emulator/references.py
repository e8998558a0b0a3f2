"""The short forms in which the documents of the emulated VPC API name each other, and the parts of an instance."""

from __future__ import annotations

from typing import Any

from cloudha_plugin_ibm.emulator.account import REGION, Account
from cloudha_plugin_ibm.emulator.records import Interface, Reserved, Subnet, Table, Virtual, new_id

__all__ = [
    "BASE",
    "CREATED",
    "Document",
    "address_reference",
    "attachment",
    "attachment_reference",
    "child_interface",
    "group_id",
    "group_reference",
    "reference",
    "subnet_reference",
    "table_reference",
    "volume",
    "zone_reference",
]

Document = dict[str, Any]

BASE = f"https://{REGION}.iaas.cloud.ibm.com/v1"
ACCOUNT = "a/123456"
CREATED = "2025-01-01T00:00:00Z"


def group_id(name: str) -> str:
    """Return the id of a resource group."""
    return new_id("", "group", name).replace("-", "")


def address_reference(account: Account, item: Reserved) -> Document:
    """Return the short form of a reserved IP."""
    return {
        "address": str(item.ip),
        "href": f"{BASE}/subnets/{account.subnets[item.subnet].id}/reserved_ips/{item.id}",
        "id": item.id,
        "name": item.name,
        "resource_type": "subnet_reserved_ip",
    }


def reference(collection: str, item_id: str, name: str, kind: str = "") -> Document:
    """Return the short form of a resource."""
    singular = collection.rstrip("s").replace("_", "-")
    return {
        "crn": f"crn:v1:bluemix:public:is:{REGION}:{ACCOUNT}::{singular}:{item_id}",
        "href": f"{BASE}/{collection}/{item_id}",
        "id": item_id,
        "name": name,
        **({"resource_type": kind} if kind else {}),
    }


def attachment_reference(virtual: Virtual, item: Interface) -> Document:
    """Return the short form of a resource."""
    attachment = new_id("0717-", "attachment", item.name)
    return {
        "href": f"{BASE}/instances/{virtual.id}/network_attachments/{attachment}",
        "id": attachment,
        "name": f"{item.name}-attachment",
        "resource_type": "instance_network_attachment",
    }


def attachment(account: Account, virtual: Virtual, item: Interface) -> Document:
    """Return the short form of a network attachment."""
    return {
        **attachment_reference(virtual, item),
        "primary_ip": address_reference(account, account.reserved[item.primary]),
        "subnet": subnet_reference(account.subnets[item.subnet]),
        "virtual_network_interface": reference(
            "virtual_network_interfaces", item.id, item.name, "virtual_network_interface"
        ),
    }


def child_interface(account: Account, virtual: Virtual, item: Interface) -> Document:
    """Return the read-only form of an attachment that older clients see."""
    attachment = attachment_reference(virtual, item)
    return {
        **attachment,
        "href": attachment["href"].replace("network_attachments", "network_interfaces"),
        "resource_type": "network_interface",
        "primary_ip": address_reference(account, account.reserved[item.primary]),
        "subnet": subnet_reference(account.subnets[item.subnet]),
    }


def volume(virtual: Virtual) -> Document:
    """Return a network attachment, as an instance lists it."""
    volume, attachment = new_id("r006-", "volume", virtual.name), new_id("0717-", "boot", virtual.name)
    return {
        "href": f"{BASE}/instances/{virtual.id}/volume_attachments/{attachment}",
        "id": attachment,
        "name": "boot",
        "volume": reference("volumes", volume, f"{virtual.name}-boot", "volume"),
    }


def subnet_reference(item: Subnet) -> Document:
    """Return an instance's boot volume attachment."""
    return reference("subnets", item.id, item.name, "subnet")


def table_reference(account: Account, item: Table) -> Document:
    """Return the short form of a subnet."""
    collection = f"vpcs/{account.vpcs[item.vpc].id}/routing_tables"
    return {
        **reference("routing_tables", item.id, item.name, "routing_table"),
        "href": f"{BASE}/{collection}/{item.id}",
    }


def zone_reference(name: str) -> Document:
    """Return the short form of a routing table."""
    return {"href": f"{BASE}/regions/{REGION}/zones/{name}", "name": name}


def group_reference(name: str = "cluster") -> Document:
    """Return the short form of a zone."""
    return {
        "href": f"https://resource-controller.cloud.ibm.com/v2/resource_groups/{group_id(name)}",
        "id": group_id(name),
        "name": name,
    }
