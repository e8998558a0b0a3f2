"""Resource ids of Azure (``/subscriptions/.../providers/...``), which compare without case."""

from __future__ import annotations

import re
from typing import NamedTuple

from cloudha.provider import Unavailable

__all__ = ["ResourceId", "canonical", "configuration_id", "network_of", "parse", "read"]

FORM = re.compile(
    r"/subscriptions/(?P<subscription>[^/]+)/resourcegroups/(?P<group>[^/]+)"
    r"/providers/(?P<type>microsoft\.[a-z]+/[a-z]+)/(?P<name>[^/]+)(?P<rest>(?:/[^/]+/[^/]+)*)\Z",
    re.IGNORECASE,
)
CONFIGURATION = re.compile(r"(?P<nic>.+/networkinterfaces/[^/]+)/ipconfigurations/(?P<name>[^/]+)\Z")
SUBNET = re.compile(r"(?P<network>.+/virtualnetworks/[^/]+)/subnets/[^/]+\Z")


class ResourceId(NamedTuple):
    """The parts of an id; ``type`` in lower case, as ``microsoft.compute/virtualmachines``."""

    subscription: str
    group: str
    type: str
    name: str


def parse(text: str) -> ResourceId | None:
    """Return the parts of a resource's id, None when it is no such id (a name, or the id of a part of a resource)."""
    found = FORM.match(text)
    if not found or found["rest"]:
        return None
    return ResourceId(found["subscription"], found["group"], found["type"].lower(), found["name"])


def read(text: str) -> ResourceId:
    """Return the parts of an id in an answer.

    :raises Unavailable: it is no resource's id.
    """
    found = parse(text)
    if found is None:
        raise Unavailable("the answer has a resource id that is none", advice="check the endpoint")
    return found


def canonical(text: str) -> str:
    """Return the id in the one spelling in which ids are compared: Azure itself writes one in several ways."""
    return text.strip().rstrip("/").lower()


def configuration_id(text: str) -> tuple[str, str] | None:
    """Return the interface's canonical id and the ipConfiguration's name in lower case; None for anything else's id."""
    found = CONFIGURATION.match(canonical(text))
    return (found["nic"], found["name"]) if found and parse(found["nic"]) else None


def network_of(subnet: str) -> str:
    """Return the canonical id of the virtual network that a subnet is in.

    :raises Unavailable: it is no subnet's id.
    """
    found = SUBNET.match(canonical(subnet))
    if found is None:
        raise Unavailable("the answer has a subnet id that is none", advice="check the endpoint")
    return found["network"]
