"""The custom roles for ``cloudha policy azure``: those of ``permissions.json`` that are needed, made narrow.

A custom role can be offered (``AssignableScopes``) in subscriptions and resource groups only, and assigned on single
resources, too ("Understand Azure role definitions").
"""

from __future__ import annotations

import importlib.resources
import json
from collections.abc import Iterator, Sequence
from typing import Any

from cloudha.policy import Document, Policy, PolicyRequest
from cloudha.provider import ConfigurationError, Kind
from cloudha_plugin_azure.options import EVERYWHERE
from cloudha_plugin_azure.resource_ids import ResourceId, parse

__all__ = ["policy"]

FENCING = "cloudha fencing"
ROLES = {
    Kind.PRIVATE: "cloudha private addresses",
    Kind.PUBLIC: "cloudha public addresses",
    Kind.ROUTE: "cloudha routes",
}
MACHINE = "microsoft.compute/virtualmachines"
# What a role needs wherever it is assigned: to see what it permits.
SEE_ITSELF = "Microsoft.Authorization/permissions/read"
SUBSCRIPTION = "SUBSCRIPTION"
MEANINGS = {
    SUBSCRIPTION: "id of the subscription; or give -o subscription_id=...",
    "PRINCIPAL": "object id of the nodes' managed identity or service principal (each of them)",
}
LOOKING = (
    "Azure lets nobody list a resource group's machines who may only see some of them: reading is permitted on all of "
    "it, power on the given machines alone"
)
INTERFACES = (
    "networkInterfaces/write holds for every interface where the role is assigned: Azure does not tie it to machines; "
    "assign the role on each interface instead (and on the subnet, for subnets/join) to make it narrower"
)


def policy(request: PolicyRequest) -> Policy:
    """Return a role for each use; with nodes, one to look and one for power, see :mod:`cloudha.policy`.

    :raises ConfigurationError: a node is no virtual machine's id, nor can it be completed to one.
    """
    machines = [_machine(request, node) for node in request.nodes]
    scopes = _scopes(request, [machine for machine in machines if machine is not None])
    roles: list[tuple[dict[str, Any], Sequence[str]]] = []
    if request.fencing:
        roles += _fencing(request, scopes)
    roles += [(_role(ROLES[kind], scopes), scopes) for kind in request.kinds]
    documents = [Document(f"{role['Name'].replace(' ', '-')}.json", _text(role)) for role, _ in roles]
    steps = list(_steps(documents, roles))
    everything = "".join([*(document.text for document in documents), *steps])
    return Policy(
        tuple(documents),
        tuple(steps),
        tuple((word, meaning) for word, meaning in MEANINGS.items() if word in everything),
        tuple(_notes(request)),
    )


def _machine(request: PolicyRequest, node: str) -> ResourceId:
    """Return the parts of the machine's id; a name is completed where subscription and resource group are given."""
    found = parse(node)
    subscription, group = request.settings.text("subscription_id"), request.settings.text("resource_group")
    if found is None and "/" not in node and subscription and group not in ("", EVERYWHERE):
        return ResourceId(subscription, group, MACHINE, node)
    if found is None or found.type != MACHINE:
        raise ConfigurationError(
            f"{node!r} is no virtual machine's id",
            advice="write /subscriptions/.../virtualMachines/NAME, or names with -o subscription_id= and "
            "-o resource_group=",
        )
    return found


def _scopes(request: PolicyRequest, machines: Sequence[ResourceId]) -> list[str]:
    subscription = request.settings.text("subscription_id") or SUBSCRIPTION
    group = request.settings.text("resource_group")
    if machines:
        return sorted({f"/subscriptions/{machine.subscription}/resourceGroups/{machine.group}" for machine in machines})
    if group and group != EVERYWHERE:
        return [f"/subscriptions/{subscription}/resourceGroups/{group}"]
    return [f"/subscriptions/{subscription}"]


def _fencing(request: PolicyRequest, scopes: list[str]) -> list[tuple[dict[str, Any], Sequence[str]]]:
    whole = _role(FENCING, scopes)
    if not request.nodes:
        return [(whole, scopes)]
    reads = [action for action in whole["Actions"] if action.endswith("/read")]
    changes = [action for action in whole["Actions"] if action not in reads]
    looking = {
        **whole,
        "Name": "cloudha looking",
        "Description": "Read the virtual machines and their power.",
        "Actions": reads,
    }
    power = {
        **whole,
        "Name": "cloudha power",
        "Description": "Power off and start the virtual machines that it is assigned on.",
        "Actions": [*changes, SEE_ITSELF],
    }
    on = [
        f"/subscriptions/{machine.subscription}/resourceGroups/{machine.group}"
        f"/providers/Microsoft.Compute/virtualMachines/{machine.name}"
        for machine in (_machine(request, node) for node in request.nodes)
    ]
    return [(looking, scopes), (power, on)]


def _role(name: str, scopes: list[str]) -> dict[str, Any]:
    text = importlib.resources.files(__package__).joinpath("permissions.json").read_text("utf-8")
    role: dict[str, Any] = next(role for role in json.loads(text) if role["Name"] == name)
    return {**role, "AssignableScopes": scopes}


def _text(role: dict[str, Any]) -> str:
    return json.dumps(role, indent=2) + "\n"


def _steps(documents: Sequence[Document], roles: Sequence[tuple[dict[str, Any], Sequence[str]]]) -> Iterator[str]:
    for document, (role, scopes) in zip(documents, roles, strict=True):
        yield f"az role definition create --role-definition @{document.name}"
        for scope in scopes:
            yield (
                f'az role assignment create --role "{role["Name"]}" --assignee-object-id PRINCIPAL '
                f"--assignee-principal-type ServicePrincipal --scope {scope}"
            )


def _notes(request: PolicyRequest) -> Iterator[str]:
    yield "a new role or assignment takes up to ten minutes"
    if request.fencing and request.nodes:
        yield LOOKING
    elif not request.settings.text("resource_group") and not request.nodes:
        yield "all of the subscription; narrow it with -o resource_group=... or --nodes"
    if {Kind.PRIVATE, Kind.PUBLIC} & set(request.kinds):
        yield INTERFACES
    if request.kinds:
        yield "virtual networks, public addresses and route tables elsewhere: assign the role there, too"
