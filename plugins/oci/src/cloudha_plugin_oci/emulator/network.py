"""What the Virtual Network API changes: private IPs and IPv6s, public IPs, route tables.

The rules are those of the operations' descriptions in the SDK (``oci.core.VirtualNetworkClient``).
"""

from __future__ import annotations

import ipaddress
from typing import Any

from cloudha_plugin_oci.emulator.account import Account
from cloudha_plugin_oci.emulator.behaviour import OciError
from cloudha_plugin_oci.emulator.records import Document, assigned, matching

__all__ = ["create_ip", "detach_ip", "update_ip", "update_public_ip", "update_table"]

LIFETIMES = ("EPHEMERAL", "RESERVED")
# "A VNIC can have up to 64 secondary private IPs".
MOST_ADDRESSES = 64
NAMES = ("displayName", "freeformTags", "hostnameLabel")
RULE_FIELDS = {"cidrBlock", "description", "destination", "destinationType", "networkEntityId", "routeType"}


def create_ip(account: Account, kind: str, wanted: Document) -> Document:
    """CreatePrivateIp, CreateIpv6: on a VNIC."""
    vnic = _vnic(account, wanted.get("vnicId"))
    subnet = account.records.get("subnet", vnic["subnetId"])
    try:
        ip = ipaddress.ip_address(str(wanted.get("ipAddress")))
    except ValueError:
        raise _invalid("ipAddress is not an IP address") from None
    cidr = subnet["ipv6CidrBlock" if kind == "ipv6" else "cidrBlock"]
    if ip not in ipaddress.ip_network(cidr):
        raise _invalid(f"IP address {ip} does not fall within the subnet's CIDR {cidr}")
    same = matching(account.records.all(kind), subnetId=vnic["subnetId"])
    if any(ipaddress.ip_address(item["ipAddress"]) == ip for item in same):
        raise OciError(409, "Conflict", f"The requested IP address {ip} is already in use.")
    if len(matching(account.records.all(kind), vnicId=vnic["id"])) > MOST_ADDRESSES:
        raise OciError(400, "LimitExceeded", "The limit of IP addresses of the VNIC is exceeded.")
    made = account.add_private_ip(ip, vnic, lifetime=_lifetime(wanted) or "EPHEMERAL")
    changes: Document = {name: wanted[name] for name in NAMES if name in wanted}
    made = account.records.change(made["id"], **changes)
    account.deliver()
    return made


def update_ip(account: Account, held: Document, wanted: Document) -> Document:
    """UpdatePrivateIp, UpdateIpv6: another VNIC of the same subnet, another lifetime, other names."""
    _refuse_primary(held)
    changes: Document = {name: wanted[name] for name in NAMES if name in wanted}
    if lifetime := _lifetime(wanted):
        changes["lifetime"] = lifetime
    if "vnicId" in wanted:
        vnic = _vnic(account, wanted["vnicId"])
        if vnic["subnetId"] != held["subnetId"]:
            raise _invalid(f"VNIC {vnic['id']} is not in the subnet of {held['ipAddress']}")
        held = account.place(held, vnic)
    held = account.records.change(held["id"], **changes)
    account.deliver()
    return held


def detach_ip(account: Account, held: Document) -> Document | None:
    """PrivateIpVnicDetach, Ipv6VnicDetach; None when an address without a life of its own went with it."""
    _refuse_primary(held)
    if held.get("vnicId") is None:
        raise OciError(409, "IncorrectState", f"{held['ipAddress']} is not assigned to a VNIC.")
    kept = held["lifetime"] == "RESERVED"
    found = account.place(held, None) if kept else None
    if not kept:
        # What becomes of an ephemeral one is not documented: the worst is assumed here.
        account.records.remove(held["id"])
    account.deliver()
    return found


def update_public_ip(account: Account, public: Document, wanted: Document) -> Document:
    """UpdatePublicIp: assign to a private IP, move, or (with an empty string) unassign. Asynchronous."""
    ocid = public["id"]
    if "privateIpId" not in wanted:
        return account.records.change(ocid, **{k: v for k, v in wanted.items() if k in ("displayName", "freeformTags")})
    if public["lifetime"] != "RESERVED":
        raise _invalid("An ephemeral public IP cannot be moved.")
    if public["lifecycleState"] not in ("AVAILABLE", "ASSIGNED", "UNASSIGNED"):
        raise OciError(409, "IncorrectState", f"{ocid} is {public['lifecycleState']}")
    target = str(wanted["privateIpId"] or "")
    if not target:
        changed = account.records.change(ocid, **assigned(public.get("assignedEntityId") or "", "UNASSIGNING"))
        account.later(account.behaviour.assign, lambda: _settle(account, ocid, "UNASSIGNING", "", "AVAILABLE"))
    else:
        account.records.get("privateip", target)
        taken = matching(account.records.all("publicip"), assignedEntityId=target)
        if any(item["id"] != ocid and item["lifecycleState"] in ("ASSIGNING", "ASSIGNED") for item in taken):
            raise OciError(409, "IncorrectState", f"{target} already has a public IP.")
        changed = account.records.change(ocid, **assigned(target, "ASSIGNING"))
        fails, account.behaviour.fail_silently = account.behaviour.fail_silently, False
        end = ("", "AVAILABLE") if fails else (target, "ASSIGNED")
        account.later(account.behaviour.assign, lambda: _settle(account, ocid, "ASSIGNING", *end))
    account.deliver()
    return changed


def update_table(account: Account, table: Document, wanted: Document) -> Document:
    """UpdateRouteTable: the rules given replace all that were there."""
    rules = wanted.get("routeRules")
    if not isinstance(rules, list):
        return table
    for rule in rules:
        _check_rule(account, rule)
    if len({rule["destination"] for rule in rules}) != len(rules):
        raise _invalid("Two route rules have one destination.")
    changed = account.records.change(table["id"], routeRules=[{"routeType": "STATIC", **rule} for rule in rules])
    if table["id"] == account.table["id"]:
        account.table = changed
    account.deliver()
    return changed


def _check_rule(account: Account, rule: Any) -> None:  # noqa: ANN401 - whatever was sent
    if not isinstance(rule, dict) or set(rule) - RULE_FIELDS:
        raise _invalid("A route rule has an unknown field.")
    entity = str(rule.get("networkEntityId", ""))
    if not rule.get("destination") or not entity:
        raise _invalid("A route rule lacks destination or networkEntityId.")
    kind = entity.split(".")[1] if entity.count(".") else ""
    if kind in ("privateip", "ipv6"):
        target = account.records.get(kind, entity)
        vnic = account.records.get("vnic", target["vnicId"]) if target.get("vnicId") else None
        if vnic is not None and not vnic["skipSourceDestCheck"]:
            raise _invalid(f"The VNIC of {entity} has its source/destination check on.")


def _settle(account: Account, ocid: str, state: str, private_ip: str, end: str) -> None:
    if account.records.get("publicip", ocid)["lifecycleState"] == state:
        account.records.change(ocid, **assigned(private_ip, end))
        account.deliver()


def _vnic(account: Account, ocid: object) -> Document:
    try:
        return account.records.get("vnic", str(ocid))
    except OciError:
        raise OciError(
            400, "RelatedResourceNotAuthorizedOrNotFound", f"VNIC {ocid} was not found, or you may not use it."
        ) from None


def _lifetime(wanted: Document) -> str:
    found = str(wanted.get("lifetime") or "")
    if found and found not in LIFETIMES:
        raise _invalid(f"lifetime is none of {', '.join(LIFETIMES)}")
    return found


def _refuse_primary(held: Document) -> None:
    if held.get("isPrimary"):
        raise _invalid(f"{held['ipAddress']} is a primary private IP, and cannot be updated or detached.")


def _invalid(why: str) -> OciError:
    return OciError(400, "InvalidParameter", why)
