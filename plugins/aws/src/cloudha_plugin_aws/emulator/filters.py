"""The filters of the Describe calls, over documents in the shapes of botocore's service model.

Names and meanings are from EC2's API reference. A filter that is not here is refused, as AWS refuses unknown ones:
nothing is ever filtered by a name that is silently passed over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import jmespath  # type: ignore[import-untyped]  # botocore brings it along, without types
from moto.ec2.exceptions import EC2ClientError

__all__ = ["fits"]

INTERFACE = {
    "addresses.association.public-ip": "PrivateIpAddresses[].Association.PublicIp",
    "addresses.private-ip-address": "PrivateIpAddresses[].PrivateIpAddress",
    "association.public-ip": "Association.PublicIp",
    "attachment.attachment-id": "Attachment.AttachmentId",
    "attachment.device-index": "Attachment.DeviceIndex",
    "attachment.instance-id": "Attachment.InstanceId",
    "attachment.status": "Attachment.Status",
    "availability-zone": "AvailabilityZone",
    "ipv6-addresses.ipv6-address": "Ipv6Addresses[].Ipv6Address",
    "mac-address": "MacAddress",
    "network-interface-id": "NetworkInterfaceId",
    "private-ip-address": "PrivateIpAddresses[].PrivateIpAddress",
    "source-dest-check": "SourceDestCheck",
    "status": "Status",
    "subnet-id": "SubnetId",
    "vpc-id": "VpcId",
}
# jmespath of what is compared, by operation and filter.
PATHS: Mapping[str, Mapping[str, str]] = {
    "DescribeInstances": {
        **{f"network-interface.{name}": f"NetworkInterfaces[].{path}" for name, path in INTERFACE.items()},
        "availability-zone": "Placement.AvailabilityZone",
        "dns-name": "PublicDnsName",
        "instance-id": "InstanceId",
        "instance-lifecycle": "InstanceLifecycle",
        "instance-state-name": "State.Name",
        "instance-type": "InstanceType",
        "ip-address": "PublicIpAddress",
        "private-dns-name": "PrivateDnsName",
        "private-ip-address": "PrivateIpAddress",
        "subnet-id": "SubnetId",
        "vpc-id": "VpcId",
    },
    "DescribeNetworkInterfaces": INTERFACE,
    "DescribeAddresses": {
        "allocation-id": "AllocationId",
        "association-id": "AssociationId",
        "domain": "Domain",
        "instance-id": "InstanceId",
        "network-interface-id": "NetworkInterfaceId",
        "private-ip-address": "PrivateIpAddress",
        "public-ip": "PublicIp",
    },
    "DescribeRouteTables": {
        "association.main": "Associations[].Main",
        "association.subnet-id": "Associations[].SubnetId",
        "route-table-id": "RouteTableId",
        "route.destination-cidr-block": "Routes[].DestinationCidrBlock",
        "route.instance-id": "Routes[].InstanceId",
        "vpc-id": "VpcId",
    },
}
WILDCARD = re.compile(r"\\(.)|([*?])|([^\\*?]+)", re.DOTALL)


def fits(operation: str, item: Mapping[str, Any], filters: list[Mapping[str, Any]]) -> bool:
    """Whether an item passes every filter: for each, one of its values is one of the item's.

    :raises EC2ClientError: a filter is not known.
    """
    return all(_passes(operation, item, given["Name"], given.get("Values") or []) for given in filters)


def _passes(operation: str, item: Mapping[str, Any], name: str, wanted: list[str]) -> bool:
    if name.startswith("tag:") or name == "tag-key":
        # Interfaces call it TagSet.
        tags = {tag["Key"]: tag["Value"] for tag in item.get("Tags") or item.get("TagSet") or ()}
        present = list(tags) if name == "tag-key" else [tags[key] for key in tags if key == name[4:]]
    else:
        path = PATHS[operation].get(name)
        if path is None:
            raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
        found = jmespath.search(path, item)
        present = [_text(value) for value in (found if isinstance(found, list) else [found]) if value not in (None, "")]
    return any(_pattern(value).fullmatch(text) for value in wanted for text in present)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _pattern(value: str) -> re.Pattern[str]:
    parts = [
        re.escape(escaped or plain) if escaped or plain else {"*": ".*", "?": "."}[wild]
        for escaped, wild, plain in WILDCARD.findall(value)
    ]
    return re.compile("".join(parts), re.DOTALL)
