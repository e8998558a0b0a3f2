"""The instance metadata service, version 2: below ``/opc/v2/``, with the header that it insists on.

Fields as in "Getting Instance Metadata" of Oracle's documents; ``/opc/v2/vnics`` has one private address for each VNIC,
its primary one, so a floating address never shows there.
"""

from __future__ import annotations

import ipaddress

from cloudha.testing.emulator import Reply, Request
from cloudha_plugin_oci.emulator.account import Account
from cloudha_plugin_oci.emulator.behaviour import OciError
from cloudha_plugin_oci.emulator.identities import Identities
from cloudha_plugin_oci.emulator.records import REGION, REGION_KEY, TENANCY, Document

__all__ = ["answer", "operation"]

PREFIX = "/opc/v2/"
HEADER = "Bearer Oracle"
REALM = {
    "realmDomainComponent": "oraclecloud.com",
    "realmKey": "oc1",
    "regionIdentifier": REGION,
    "regionKey": REGION_KEY.upper(),
}
NAMES = {"instance": "metadata.instance", "vnics": "metadata.vnics"}


def operation(request: Request) -> str:
    """Name what is asked for."""
    path = request.path.removeprefix(PREFIX).strip("/")
    if path.startswith("identity/"):
        return "metadata.certificates"
    return NAMES.get(path, "metadata.other")


def answer(account: Account, identities: Identities, request: Request) -> Reply:  # noqa: PLR0911 - one for each path
    """Answer about the machine that asks."""
    if request.headers.get("authorization") != HEADER:
        return Reply(403, b"Forbidden\n", {"Content-Type": "text/plain"})
    instance = _caller(account, request)
    if instance is None:
        return _nothing()
    match request.path.removeprefix(PREFIX).strip("/"):
        case "instance":
            return Reply.json(_instance(account, instance))
        case "instance/region":
            return _text(REGION.encode())
        case "vnics":
            return Reply.json([_vnic(account, vnic) for vnic in account.vnics(instance["id"])])
        case "identity/cert.pem" if identities.certificates:
            return _text(identities.certificate(instance["id"])[0])
        case "identity/key.pem" if identities.certificates:
            return _text(identities.certificate(instance["id"])[1])
        case "identity/intermediate.pem" if identities.certificates:
            return _text(identities.certificate(instance["id"])[2])
    return _nothing()


def _caller(account: Account, request: Request) -> Document | None:
    """Return the instance that a test says we are, else the one with the caller's address."""
    if account.myself:
        try:
            return account.named(account.myself)
        except LookupError:
            return None
    address = ipaddress.ip_address(request.client)
    found = [ocid for ocid, machine in account.machines.items() if machine.address == address]
    # A machine also asks from a floating address that it has.
    found = found or [held for held in (_holder(account, address),) if held]
    return account.records.get("instance", found[0]) if found else None


def _holder(account: Account, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str | None:
    held = account.address(address)
    return account.instance_of(held.get("vnicId")) if held else None


def _instance(account: Account, instance: Document) -> Document:
    names = ("availabilityDomain", "faultDomain", "compartmentId", "displayName", "id", "shape", "freeformTags")
    try:
        label = account.vnics(instance["id"])[0]["hostnameLabel"]
    except (IndexError, OciError):
        label = instance["displayName"]
    return {
        **{name: instance[name] for name in names},
        "hostname": label,
        "image": instance["imageId"],
        "metadata": {},
        "region": REGION_KEY,
        "canonicalRegionName": REGION,
        "ociAdName": f"{REGION_KEY}-ad-1",
        "regionInfo": REALM,
        "state": "Running",
        "tenantId": TENANCY,
        "timeCreated": 1600381928581,
    }


def _vnic(account: Account, vnic: Document) -> Document:
    subnet = account.records.get("subnet", vnic["subnetId"])
    return {
        "vnicId": vnic["id"],
        "privateIp": vnic["privateIp"],
        "vlanTag": 1,
        "macAddr": vnic["macAddress"],
        "virtualRouterIp": subnet["virtualRouterIp"],
        "subnetCidrBlock": subnet["cidrBlock"],
        "nicIndex": 0,
    }


def _text(body: bytes) -> Reply:
    return Reply(200, body, {"Content-Type": "text/plain"})


def _nothing() -> Reply:
    return Reply(404, b"<html><body><h1>404 Not Found</h1></body></html>\n", {"Content-Type": "text/html"})
