"""The instance metadata service, version 2 only: session tokens, identity, interfaces, tags, the role's credentials.

Paths and formats are from "Instance metadata categories" in the EC2 User Guide; moto's has no interfaces.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import time
from collections.abc import Mapping

from cloudha.testing.emulator import Reply, Request
from cloudha_plugin_aws.emulator.account import Account, Moto
from cloudha_plugin_aws.emulator.addresses import Addresses

__all__ = ["MetadataService", "operation"]

PREFIX = "/latest/"
TTL_HEADER = "x-aws-ec2-metadata-token-ttl-seconds"
TOKEN_HEADER = "x-aws-ec2-metadata-token"  # noqa: S105 - the name of a header
MOST_SECONDS = 21_600
FAR_AWAY = "2036-01-01T00:00:00Z"


def operation(path: str) -> str:
    """Name a request: ``metadata.token``, ``.interfaces``, ``.identity``, ``.credentials``, ``.tags``, ``.other``."""
    for part, name in (
        ("api/token", "token"),
        ("network/interfaces", "interfaces"),
        ("instance-identity", "identity"),
        ("security-credentials", "credentials"),
        ("tags/", "tags"),
    ):
        if part in path:
            return f"metadata.{name}"
    return "metadata.other"


class MetadataService:
    """Answers below ``/latest/``; who asks is seen by the address that the request comes from."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._tokens: dict[str, float] = {}

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        path = request.path.removeprefix(PREFIX)
        if path == "api/token":
            return self._token(request)
        if self._tokens.get(request.headers.get(TOKEN_HEADER, ""), 0.0) < time.monotonic():
            return _plain("", 401)
        with self._account.lock:
            instance = self._account.identify(ipaddress.ip_address(request.client))
            if instance is None:
                return _plain("", 404)
            found = self._tree(instance).get(path.rstrip("/"))
        return _plain("", 404) if found is None else _plain(found)

    def _token(self, request: Request) -> Reply:
        seconds = request.headers.get(TTL_HEADER, "")
        # A request that came through a proxy is refused, so that no open proxy hands out credentials.
        if request.method != "PUT" or "x-forwarded-for" in request.headers:
            return _plain("", 403)
        if not seconds.isdecimal() or not 1 <= int(seconds) <= MOST_SECONDS:
            return _plain("", 400)
        token = secrets.token_urlsafe(40)
        self._tokens[token] = time.monotonic() + int(seconds)
        return Reply(200, token.encode(), {"Content-Type": "text/plain", TTL_HEADER: seconds})

    def _tree(self, instance: Moto) -> Mapping[str, str]:
        behaviour, region = self._account.behaviour, self._account.region
        tree = {
            "meta-data/instance-id": instance.id,
            "meta-data/local-ipv4": str(instance.private_ip_address),
            "meta-data/mac": str(instance.nics[0].mac_address),
            "meta-data/placement/region": region,
            "meta-data/placement/availability-zone": str(instance.placement.zone),
            "meta-data/network/interfaces/macs": "\n".join(f"{nic.mac_address}/" for nic in instance.nics.values()),
            "dynamic/instance-identity/document": self._document(instance),
        }
        if behaviour.metadata_tags:
            tree |= {f"meta-data/tags/instance/{tag['key']}": str(tag["value"]) for tag in instance.get_tags()}
        if behaviour.role:
            tree["meta-data/iam/security-credentials"] = behaviour.role
            tree[f"meta-data/iam/security-credentials/{behaviour.role}"] = _credentials()
        for index, nic in instance.nics.items():
            tree |= {
                f"meta-data/network/interfaces/macs/{nic.mac_address}/{k}": v for k, v in self._nic(index, nic).items()
            }
        return tree

    def _nic(self, index: int, nic: Moto) -> Mapping[str, str]:
        public = [a for a in self._account.backend.addresses if a.eni is nic]
        tree = {
            "device-number": str(index),
            "interface-id": nic.id,
            "local-ipv4s": "\n".join(item["PrivateIpAddress"] for item in nic.private_ip_addresses),
            "mac": nic.mac_address,
            "owner-id": self._account.id,
            "subnet-id": nic.subnet.id,
            "vpc-id": nic.subnet.vpc_id,
        }
        if nic.ipv6_addresses:
            tree["ipv6s"] = "\n".join(nic.ipv6_addresses)
        if public:
            tree["public-ipv4s"] = "\n".join(address.public_ip for address in public)
            tree |= {f"ipv4-associations/{a.public_ip}": Addresses.private_of(a) for a in public}
        return tree

    def _document(self, instance: Moto) -> str:
        return json.dumps(
            {
                "accountId": self._account.id,
                "architecture": "x86_64",
                "availabilityZone": instance.placement.zone,
                "imageId": instance.image_id,
                "instanceId": instance.id,
                "instanceType": instance.instance_type,
                "privateIp": instance.private_ip_address,
                "region": self._account.region,
                "version": "2017-09-30",
            }
        )


def _credentials() -> str:
    return json.dumps(
        {
            "Code": "Success",
            "LastUpdated": "2026-01-01T00:00:00Z",
            "Type": "AWS-HMAC",
            "AccessKeyId": "ASIAEMULATEDROLE0000",
            "SecretAccessKey": "emulated",
            "Token": "emulated",
            "Expiration": FAR_AWAY,
        }
    )


def _plain(text: str, status: int = 200) -> Reply:
    return Reply(status, text.encode(), {"Content-Type": "text/plain"})
