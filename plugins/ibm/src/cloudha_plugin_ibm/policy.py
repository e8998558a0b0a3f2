"""The commands for ``cloudha policy ibm``: the roles of ``permissions.md`` for each use, one policy for each resource.

The attributes (``instanceId`` and others) are those of "VPC resource attributes" in IBM's documents; IBM Cloud has no
document for all of this, so what is made is a script for its command line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from cloudha.policy import Document, Policy, PolicyRequest
from cloudha.provider import ConfigurationError, Kind

__all__ = ["policy"]

SCRIPT = "policy.sh"
NAME = "cloudha"
INSTANCE = re.compile(r"[0-9a-z]{4}_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
GROUP_ID = re.compile(r"[0-9a-f]{32}\Z")
VPC_ID = re.compile(r"r[0-9]{3}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
VIEWER, OPERATOR, EDITOR = ROLES = ("Viewer", "Operator", "Editor")
MACHINES, INTERFACES, SUBNETS = "instanceId", "virtualNetworkInterfaceId", "subnetId"
FLOATING, NETWORKS = "floatingIpId", "vpcId"
# permissions.md has the reasons, row by row.
POWER = (OPERATOR, EDITOR)
NEEDED: dict[Kind, dict[str, tuple[str, ...]]] = {
    Kind.PRIVATE: {MACHINES: (VIEWER,), INTERFACES: (VIEWER, EDITOR), SUBNETS: (VIEWER, OPERATOR)},
    Kind.PUBLIC: {
        MACHINES: (VIEWER,),
        INTERFACES: (VIEWER, EDITOR),
        SUBNETS: (OPERATOR,),
        FLOATING: (VIEWER, EDITOR),
    },
    Kind.ROUTE: {MACHINES: (VIEWER,), INTERFACES: (VIEWER,), SUBNETS: (VIEWER,), NETWORKS: (VIEWER, EDITOR)},
}
MEANINGS = {
    "GROUP": "resource group of the cluster; or give -o resource_group=...",
    "NODES": "ids of the cluster's instances, with blanks; or give --nodes",
}


def policy(request: PolicyRequest) -> Policy:
    """Return a script; see :mod:`cloudha.policy`.

    :raises ConfigurationError: a node is no instance's id.
    """
    for node in request.nodes:
        if not INSTANCE.match(node):
            raise ConfigurationError(f"{node!r} is no instance's id", advice="write the ids (0717_...), not the names")
    by_key = "api_key" in request.settings or "api_key_file" in request.settings
    text = "\n".join(
        ["#!/bin/sh", "set -eu", *_subject(request, by_key=by_key), *_policies(request, by_key=by_key), ""]
    )
    return Policy(
        (Document(SCRIPT, text),),
        (f"sh {SCRIPT}",),
        tuple((word, meaning) for word, meaning in MEANINGS.items() if re.search(rf"\b{word}\b", text)),
        tuple(_notes(request)),
    )


def _subject(request: PolicyRequest, *, by_key: bool) -> Iterator[str]:
    """Make what the policies are for: a service id whose key the nodes have, or a profile that the nodes are."""
    if by_key:
        yield f"ibmcloud iam service-id-create {NAME}"
        return
    yield f"ibmcloud iam trusted-profile-create {NAME}"
    yield f"for node in {' '.join(request.nodes) or 'NODES'}; do"
    yield '    ibmcloud is instance-update "$node" --metadata-service true'
    yield f'    ibmcloud iam trusted-profile-link-create {NAME} --name "$node" --cr-type VSI \\'
    yield '        --link-crn "$(ibmcloud is instance "$node" --output json | jq -r .crn)"'
    yield "done"


def _policies(request: PolicyRequest, *, by_key: bool) -> Iterator[str]:
    command = f"ibmcloud iam {'service' if by_key else 'trusted-profile'}-policy-create {NAME} --service-name is"
    group = request.settings.text("resource_group") or "GROUP"
    there = f"--resource-group-{'id' if GROUP_ID.match(group) else 'name'} {shlex.quote(group)}"
    roles: dict[str, set[str]] = {}
    for kind in request.kinds:
        for attribute, needed in NEEDED[kind].items():
            roles.setdefault(attribute, set()).update(needed)
    if request.fencing:
        roles.setdefault(MACHINES, set()).update((VIEWER,) if request.nodes else (VIEWER, *POWER))
    vpc = request.settings.text("vpc")
    for attribute, names in roles.items():
        one = vpc if attribute == NETWORKS and VPC_ID.match(vpc) else "*"
        listed = ",".join(role for role in ROLES if role in names)
        where = there if one == "*" else ""
        yield f'{command} --roles {listed} --attributes "{attribute}={one}" {where}'.rstrip()
    if request.fencing:
        for node in request.nodes:
            yield f'{command} --roles {",".join(POWER)} --attributes "{MACHINES}={node}"'


def _notes(request: PolicyRequest) -> Iterator[str]:
    yield "IBM Cloud grants roles, which hold more than is needed here: Editor on an instance lets it be changed, too"
    if request.fencing:
        yield "Editor is needed for the power of an instance as long as IBM lists that as a known issue; try without"
        yield (
            "viewing covers every instance of the resource group, power the given ones alone"
            if request.nodes
            else "power covers every instance of the resource group; narrow it with --nodes"
        )
    if request.kinds:
        yield "IBM's attributes do not tie interfaces, subnets or floating IPs to instances: all of the resource group"
    if Kind.PRIVATE in request.kinds:
        yield f"where binding is refused, add Editor to the roles on {SUBNETS}"
    if Kind.ROUTE in request.kinds:
        yield "a policy on a VPC holds for all of its routing tables; -o vpc=ID limits it to one VPC"
    yield "a new policy takes some minutes"
