"""The IAM policy for ``cloudha policy aws``: the statements of ``permissions.json`` that are needed, made narrow.

Resource types and conditions: "Actions, resources, and condition keys for Amazon EC2", Service Authorization Reference.
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterator
from typing import Any

from cloudha.policy import Document, Policy, PolicyRequest
from cloudha.provider import ConfigurationError, Kind
from cloudha_plugin_aws.machines import INSTANCE

__all__ = ["policy"]

NAME = "policy.json"
STATEMENTS = {
    Kind.PRIVATE: ("PrivateAddress", "Ipv6Address"),
    Kind.PUBLIC: ("PublicAddress",),
    Kind.ROUTE: ("RouteAddress",),
}
LOOKS = {
    Kind.PRIVATE: ("ec2:DescribeNetworkInterfaces",),
    Kind.PUBLIC: ("ec2:DescribeNetworkInterfaces", "ec2:DescribeAddresses"),
    Kind.ROUTE: ("ec2:DescribeNetworkInterfaces", "ec2:DescribeRouteTables"),
}
LOOK_FOR_MACHINES = "ec2:DescribeInstances"
# The beginning of a region's name, and the partition of its ARNs.
PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
MEANINGS = {
    "CLUSTER": "value of the tag 'cluster' that the cluster's instances have",
    "ALLOCATION": "allocation id of the Elastic IP (eipalloc-...)",
    "TABLE": "id of the route table (rtb-...); or give -o route_tables=...",
    "ROLE": "role of the instances, whose instance profile they have",
}
ACCOUNT = "the account in the ARNs is *: an identity reaches only its own account, unless another one lets it in"
DESCRIBE = "EC2's Describe calls cannot be limited to single objects: the identity sees all of the region"
LIMITS = (
    "no agent needs ec2:DescribeInstanceTypes; with it, cloudha doctor tells whether the interfaces have room for the "
    "addresses"
)
INTERFACES = (
    "EC2 has no condition for the instance that a network interface belongs to: address changes are permitted on every "
    "interface; limit them with a tag on the interfaces (aws:ResourceTag/...), or with ec2:Subnet"
)


def policy(request: PolicyRequest) -> Policy:
    """Return one policy document; see :mod:`cloudha.policy`.

    :raises ConfigurationError: a node is no instance id.
    """
    for node in request.nodes:
        if not INSTANCE.match(node):
            raise ConfigurationError(f"{node!r} is no instance id", advice="write the ids (i-...), not the names")
    given = {item["Sid"]: item for item in _file()["Statement"]}
    region = request.settings.text("region") or "*"
    partition = next((name for start, name in PARTITIONS.items() if region.startswith(start)), "aws")
    prefix = f"arn:{partition}:ec2:{region}:*:"
    instances = [f"{prefix}instance/{node}" for node in request.nodes]
    statements = [{**given["Look"], "Action": list(_looks(request, given["Look"]["Action"]))}]
    if request.fencing:
        fencing = _placed(given["Fencing"], prefix)
        if instances:
            fencing["Resource"] = instances
            del fencing["Condition"]
        statements.append(fencing)
    for kind in request.kinds:
        statements += [_address(given[sid], kind, request, prefix, instances) for sid in STATEMENTS[kind]]
    text = json.dumps({**_file(), "Statement": statements}, indent=4) + "\n"
    step = f"aws iam put-role-policy --role-name ROLE --policy-name cloudha --policy-document file://{NAME}"
    return Policy(
        (Document(NAME, text),),
        (step,),
        tuple((word, meaning) for word, meaning in MEANINGS.items() if word in text or word in step),
        tuple(_notes(request, region)),
    )


def _file() -> dict[str, Any]:
    text = importlib.resources.files(__package__).joinpath("permissions.json").read_text("utf-8")
    document: dict[str, Any] = json.loads(text)
    return document


def _looks(request: PolicyRequest, order: list[str]) -> Iterator[str]:
    wanted = {look for kind in request.kinds for look in LOOKS[kind]}
    if request.fencing:
        wanted.add(LOOK_FOR_MACHINES)
    yield from (action for action in order if action in wanted)


def _placed(statement: dict[str, Any], prefix: str) -> dict[str, Any]:
    resources = statement["Resource"]
    listed = [resources] if isinstance(resources, str) else resources
    placed = [resource.replace("arn:aws:ec2:REGION:ACCOUNT:", prefix) for resource in listed]
    return {**statement, "Resource": placed[0] if isinstance(resources, str) else placed}


def _address(
    statement: dict[str, Any], kind: Kind, request: PolicyRequest, prefix: str, instances: list[str]
) -> dict[str, Any]:
    placed = _placed(statement, prefix)
    tables = request.settings.items("route_tables")
    if kind is Kind.ROUTE and tables:
        placed["Resource"] = [f"{prefix}route-table/{table}" for table in tables]
    elif kind is Kind.PUBLIC and instances:
        others = [resource for resource in placed["Resource"] if not resource.endswith(":instance/*")]
        placed["Resource"] = [*others, *instances]
    return placed


def _notes(request: PolicyRequest, region: str) -> Iterator[str]:
    yield DESCRIBE
    yield ACCOUNT
    if region == "*":
        yield "no region is given: all of partition aws; narrow it with -o region=... (needed for China and GovCloud)"
    if request.kinds and not request.fencing:
        yield f"where a resource has node=NAME, add {LOOK_FOR_MACHINES}"
    if Kind.PRIVATE in request.kinds:
        yield "drop the statement Ipv6Address if no IPv6 address floats, and PrivateAddress if no IPv4 one does"
        yield LIMITS
    if {Kind.PRIVATE, Kind.PUBLIC} & set(request.kinds):
        yield INTERFACES
    if Kind.ROUTE in request.kinds:
        yield "EC2 has no condition for the destination: every route of the table may be changed"
    role = request.settings.text("role_arn")
    if role:
        yield f"put it on {role}; the nodes' own identity needs only sts:AssumeRole on that"
