"""The dynamic group and the statements for ``cloudha policy oci``: those of ``permissions.txt`` that are needed.

What a condition can name: "Details for the Core Services" and "Using Tags to Manage Access" in Oracle's documents.
"""

from __future__ import annotations

import importlib.resources
import json
import re
from collections.abc import Iterator

from cloudha.policy import Document, Policy, PolicyRequest
from cloudha.provider import ConfigurationError
from cloudha_plugin_oci.options import API_KEY

__all__ = ["policy"]

FENCING = "fencing"
INSTANCE = re.compile(r"ocid1\.instance\.[a-z0-9.-]+\Z", re.IGNORECASE)
# The comment above the statements of a use.
HEADING = re.compile(r"# (?P<fencing>Fencing)|# kind=(?P<kind>[a-z]+)")
COMPARTMENT = "COMPARTMENT"
RULE, STATEMENTS = "matching-rule.txt", "statements.json"
MEANINGS = {
    COMPARTMENT: "the compartment: its name or path in statements, its OCID elsewhere; or give -o compartment_id=OCID",
    "CLUSTER": "value of the tag cluster.name that the cluster's instances have",
    "GROUP": "group of the user whose API key the nodes have",
}
ONE_INSTANCE = (
    "OCI's statements have no variable for single instances: INSTANCE_POWER_ACTIONS holds for every instance of the "
    "compartment; give the cluster a compartment of its own, or tag its instances, and move that permission into a "
    "statement that ends with: where target.resource.tag.NAMESPACE.KEY = 'VALUE'"
)
# "Using Tags to Manage Access": such a condition permits no listing.
NO_LISTS = "leave the other permissions without that condition: a tag of the target permits no listing"


def policy(request: PolicyRequest) -> Policy:
    """Return the matching rule and the statements; see :mod:`cloudha.policy`.

    :raises ConfigurationError: a node is no instance's OCID.
    """
    for node in request.nodes:
        if not INSTANCE.match(node):
            raise ConfigurationError(f"{node!r} is no instance's OCID", advice="write ocid1.instance...")
    places = request.settings.items("compartment_id")
    by_key = request.settings.text("auth") == API_KEY
    statements = [_placed(text, place, by_key=by_key) for text in _wanted(request) for place in places or ("",)]
    documents = [Document(STATEMENTS, json.dumps(list(dict.fromkeys(statements)), indent=2) + "\n")]
    where = places[0] if len(places) == 1 else COMPARTMENT
    steps = []
    if not by_key:
        documents.insert(0, Document(RULE, _rule(request.nodes, places) + "\n"))
        steps.append(
            'oci iam dynamic-group create --name cluster-nodes --description "HA cluster" '
            f'--matching-rule "$(cat {RULE})"'
        )
    steps.append(
        f'oci iam policy create --compartment-id {where} --name cluster-nodes --description "HA cluster" '
        f"--statements file://{STATEMENTS}"
    )
    everything = "".join([*(document.text for document in documents), *steps])
    return Policy(
        tuple(documents),
        tuple(steps),
        tuple((word, meaning) for word, meaning in MEANINGS.items() if re.search(rf"\b{word}\b", everything)),
        tuple(_notes(request, by_key=by_key)),
    )


def _wanted(request: PolicyRequest) -> Iterator[str]:
    uses = {*([FENCING] if request.fencing else []), *(kind.value for kind in request.kinds)}
    text = importlib.resources.files(__package__).joinpath("permissions.txt").read_text("utf-8")
    use = ""
    for line in text.splitlines():
        found = HEADING.match(line)
        if found:
            use = FENCING if found["fencing"] else found["kind"]
        elif line.startswith("Allow ") and use in uses:
            yield line


def _placed(statement: str, compartment: str, *, by_key: bool) -> str:
    if compartment:
        statement = statement.replace(f"in compartment {COMPARTMENT}", f"in compartment id {compartment}")
    return statement.replace("dynamic-group cluster-nodes", "group GROUP") if by_key else statement


def _rule(nodes: tuple[str, ...], places: tuple[str, ...]) -> str:
    if nodes:
        return "ANY {" + ", ".join(f"instance.id = '{node}'" for node in nodes) + "}"
    tagged = "tag.cluster.name.value = 'CLUSTER'"
    if len(places) > 1:
        return tagged
    return f"ALL {{instance.compartment.id = '{places[0] if places else COMPARTMENT}', {tagged}}}"


def _notes(request: PolicyRequest, *, by_key: bool) -> Iterator[str]:
    yield "a new dynamic group or policy takes some minutes, and until then OCI answers NotAuthorizedOrNotFound"
    if request.fencing:
        yield ONE_INSTANCE
        yield NO_LISTS
    if request.nodes and not by_key:
        yield "the nodes given limit who may do this (the dynamic group), not what it may be done to"
    if not by_key:
        yield "in a tenancy with identity domains write dynamic-group 'DOMAIN'/'cluster-nodes'"
    if len(request.settings.items("compartment_id")) > 1:
        yield f"{COMPARTMENT} is one that contains all of those given"
    if request.kinds:
        yield "where subnets or route tables are in another compartment, repeat the statements about them there"
