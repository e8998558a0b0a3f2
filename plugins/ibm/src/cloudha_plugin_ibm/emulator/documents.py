"""The documents that the emulated VPC API answers with: every required field of the SDK's models, and no other."""

from __future__ import annotations

import ipaddress

from cloudha_plugin_ibm.emulator.account import Account
from cloudha_plugin_ibm.emulator.records import (
    Floating,
    Interface,
    Reserved,
    Route,
    Subnet,
    Table,
    Virtual,
    Vpc,
    new_id,
)
from cloudha_plugin_ibm.emulator.references import (
    BASE,
    CREATED,
    Document,
    address_reference,
    attachment,
    attachment_reference,
    child_interface,
    group_reference,
    reference,
    subnet_reference,
    table_reference,
    volume,
    zone_reference,
)

__all__ = [
    "action",
    "floating_ip",
    "instance",
    "instance_metadata",
    "interface",
    "reserved_ip",
    "route",
    "routing_table",
    "subnet",
    "vpc",
]


def vpc(account: Account, item: Vpc) -> Document:
    """Return a VPC."""
    acl, security = new_id("r006-", "acl", item.name), new_id("r006-", "security", item.name)
    return {
        **reference("vpcs", item.id, item.name, "vpc"),
        "classic_access": False,
        "created_at": CREATED,
        "cse_source_ips": [],
        "default_network_acl": reference("network_acls", acl, "acl"),
        "default_routing_table": table_reference(account, next(t for t in account.tables.values() if t.vpc == item.id)),
        "default_security_group": reference("security_groups", security, "security"),
        "dns": {"enable_hub": False, "resolution_binding_count": 0, "resolver": {"servers": [], "type": "system"}},
        "health_reasons": [],
        "health_state": "ok",
        "public_address_ranges": [],
        "resource_group": group_reference(),
        "status": "available",
    }


def instance(account: Account, virtual: Virtual, *, ago: float = 0.0) -> Document:
    """Return an instance as it was so many seconds ago."""
    attachments = [attachment(account, virtual, item) for item in account.interfaces_of(virtual.name)]
    children = [child_interface(account, virtual, item) for item in account.interfaces_of(virtual.name)]
    status = account.status(virtual, ago)
    membership = {
        "href": f"{BASE}/instance_groups/{new_id('r006-', 'g')}/memberships/{new_id('r006-', 'm')}",
        "id": new_id("r006-", "m"),
        "instance_group": reference("instance_groups", new_id("r006-", "g"), "scaled"),
        "name": "member",
    }
    return {
        **reference("instances", virtual.id, virtual.name, "instance"),
        "availability": {"class": "spot" if virtual.spot else "standard"},
        "availability_policy": {"host_failure": "restart", "preemption": "stop"},
        "bandwidth": 4000,
        "boot_volume_attachment": volume(virtual),
        "cluster_network_attachments": [],
        "confidential_compute_mode": "disabled",
        "created_at": CREATED,
        "disks": [],
        "enable_secure_boot": False,
        "health_reasons": [],
        "health_state": "ok",
        "lifecycle_reasons": [],
        "lifecycle_state": "stable",
        "memory": 8,
        "metadata_service": {"enabled": True, "protocol": "http", "response_hop_limit": 1},
        "network_attachments": attachments,
        "network_interfaces": children,
        **({"primary_network_attachment": attachments[0]} if attachments else {}),
        "primary_network_interface": children[0] if children else {},
        "profile": {
            "href": f"{BASE}/instance/profiles/bx2-2x8",
            "name": "bx2-2x8",
            "resource_type": "instance_profile",
        },
        "reservation_affinity": {"policy": "disabled", "pool": []},
        "resource_group": group_reference(virtual.group),
        "software_attachments": [],
        "startable": status == "stopped",
        "status": status,
        "status_reasons": [],
        "threads_per_core": 2,
        "total_network_bandwidth": 3000,
        "total_volume_bandwidth": 1000,
        "vcpu": {"architecture": "amd64", "count": 2, "manufacturer": "intel", "percentage": 100},
        "volume_attachments": [volume(virtual)],
        "volume_bandwidth_qos_mode": "weighted",
        "vpc": reference("vpcs", virtual.vpc, account.vpcs[virtual.vpc].name, "vpc"),
        "zone": zone_reference(virtual.zone),
        **({"instance_group_membership": membership} if virtual.scaled else {}),
    }


def instance_metadata(account: Account, virtual: Virtual) -> Document:
    """Return what the metadata service says to the machine itself: the instance without its addresses in the API."""
    full = instance(account, virtual)
    kept = ("crn", "id", "lifecycle_state", "memory", "name", "network_attachments", "resource_group", "resource_type")
    return {**{name: full[name] for name in kept}, "vpc": full["vpc"], "zone": full["zone"], "status": full["status"]}


def action(virtual: Virtual, kind: str, *, force: bool) -> Document:
    """Return an action that was accepted."""
    action_id = new_id("", "action", virtual.id, str(virtual.serial))
    return {
        "created_at": CREATED,
        "force": force,
        "href": f"{BASE}/instances/{virtual.id}/actions/{action_id}",
        "id": action_id,
        "status": "pending",
        "type": kind,
    }


def interface(account: Account, item: Interface) -> Document:
    """Return a VNI."""
    where = account.subnets[item.subnet]
    security = new_id("r006-", "security", account.vpcs[where.vpc].name)
    target: Document = {}
    if item.share:
        href = f"{BASE}/shares/{new_id('r006-', 'share')}/mount_targets/{new_id('r006-', 'mount')}"
        target = {"href": href, "id": new_id("r006-", "mount"), "name": "mount", "resource_type": "share_mount_target"}
    elif item.machine:
        target = attachment_reference(account.machines[item.machine], item)
    return {
        **reference("virtual_network_interfaces", item.id, item.name, "virtual_network_interface"),
        "allow_ip_spoofing": item.spoofs,
        "auto_delete": False,
        "created_at": CREATED,
        "enable_infrastructure_nat": True,
        "ips": [address_reference(account, bound) for bound in account.bound_to(item)],
        "lifecycle_state": "stable",
        "mac_address": item.mac,
        "primary_ip": address_reference(account, account.reserved[item.primary]),
        "protocol_state_filtering_mode": "auto",
        "resource_group": group_reference(),
        "security_groups": [reference("security_groups", security, "security")],
        "subnet": subnet_reference(where),
        "vpc": reference("vpcs", where.vpc, account.vpcs[where.vpc].name, "vpc"),
        "zone": zone_reference(where.zone),
        **({"target": target} if target else {}),
    }


def reserved_ip(account: Account, item: Reserved) -> Document:
    """Return a reserved IP."""
    target: Document = {}
    if item.interface:
        bound = account.interfaces[item.interface]
        target = reference("virtual_network_interfaces", bound.id, bound.name, "virtual_network_interface")
    elif item.other:
        target = reference(f"{item.other}s", new_id("r006-", item.other), "other", item.other)
    return {
        **address_reference(account, item),
        "auto_delete": item.auto_delete,
        "created_at": CREATED,
        "lifecycle_state": item.state,
        "owner": item.owner,
        **({"target": target} if target else {}),
    }


def floating_ip(account: Account, item: Floating) -> Document:
    """Return a floating IP; its own ``resource_type`` is in no model."""
    target: Document = {}
    if item.interface:
        bound = account.interfaces[item.interface]
        target = {
            **reference("virtual_network_interfaces", bound.id, bound.name, "virtual_network_interface"),
            "primary_ip": address_reference(account, account.reserved[bound.primary]),
            "subnet": subnet_reference(account.subnets[bound.subnet]),
        }
    elif item.gateway:
        target = reference("public_gateways", new_id("r006-", "gateway"), "gateway", "public_gateway")
    return {
        **reference("floating_ips", item.id, item.name),
        "address": str(item.ip),
        "created_at": CREATED,
        "resource_group": group_reference(),
        "status": item.state,
        "zone": zone_reference(item.zone),
        **({"target": target} if target else {}),
    }


def subnet(account: Account, item: Subnet) -> Document:
    """Return a subnet."""
    total = ipaddress.ip_network(item.cidr).num_addresses
    used = sum(1 for reserved in account.reserved.values() if reserved.subnet == item.id)
    name = account.vpcs[item.vpc].name
    return {
        **subnet_reference(item),
        "available_ipv4_address_count": total - used,
        "created_at": CREATED,
        "ip_version": "ipv4",
        "ipv4_cidr_block": item.cidr,
        "network_acl": reference("network_acls", new_id("r006-", "acl", name), "acl"),
        "resource_group": group_reference(),
        "routing_table": table_reference(account, account.tables[item.table]),
        "status": "available",
        "total_ipv4_address_count": total,
        "vpc": reference("vpcs", item.vpc, name, "vpc"),
        "zone": zone_reference(item.zone),
    }


def routing_table(account: Account, item: Table) -> Document:
    """Return a routing table."""
    href = table_reference(account, item)["href"]
    return {
        **table_reference(account, item),
        "accept_routes_from": [],
        "advertise_routes_to": [],
        "created_at": CREATED,
        "is_default": True,
        "lifecycle_state": "stable",
        "resource_group": group_reference(),
        "route_direct_link_ingress": False,
        "route_internet_ingress": False,
        "route_transit_gateway_ingress": item.ingress,
        "route_vpc_zone_ingress": False,
        "routes": [{"href": f"{href}/routes/{r.id}", "id": r.id, "name": r.name} for r in item.routes],
        "subnets": [subnet_reference(s) for s in account.subnets.values() if s.table == item.id],
    }


def route(account: Account, table: Table, item: Route) -> Document:
    """Return a route."""
    return {
        "action": item.action,
        "advertise": item.advertise,
        "created_at": CREATED,
        "destination": item.destination,
        "href": f"{table_reference(account, table)['href']}/routes/{item.id}",
        "id": item.id,
        "lifecycle_state": item.state,
        "name": item.name,
        "next_hop": {"address": item.hop or "0.0.0.0"},  # noqa: S104 - what the API says for "nowhere"
        "origin": item.origin,
        "priority": item.priority,
        "zone": zone_reference(item.zone),
    }
