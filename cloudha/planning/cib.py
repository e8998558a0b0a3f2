"""A cluster's configuration (the CIB), as far as a plan reads it. Secrets are taken out while it is read."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass

from cloudha.errors import ConfigurationError
from cloudha.planning.agent_options import looks_secret

__all__ = ["CIBSECRET", "MASK", "Configuration", "Constraint", "Primitive"]

MASK = "***"
# What stands in the configuration for a secret that the tool cibsecret keeps in files of the nodes.
CIBSECRET = "lrm://"
# A large cluster's configuration has a few hundred kilobytes.
MOST_CHARACTERS = 16_777_216
URL_WITH_PASSWORD = re.compile(r"://[^/@\s]*:[^/\s]*@")
# What a plain move cannot take along, by the element that says so.
BEYOND = {"rule": "rules", "utilization": "utilization attributes"}


@dataclass(frozen=True, slots=True)
class Primitive:
    """One resource. ``agent``: as pcs writes it; ``group``: "" for none; ``beyond``: what a plan cannot move."""

    name: str
    agent: str
    parameters: Mapping[str, str]
    meta: Mapping[str, str]
    group: str
    beyond: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint: its element's name, its attributes, whether it is a plain one (no sets, no rules)."""

    kind: str
    attributes: Mapping[str, str]
    plain: bool
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class Configuration:
    """The configuration: what there is, in the order of the document. ``masked``: the document without secrets.

    ``orphans``: what is not configured any more, and has a history: the cluster will stop it.
    """

    properties: Mapping[str, str]
    defaults: Mapping[str, str]
    nodes: tuple[str, ...]
    primitives: tuple[Primitive, ...]
    constraints: tuple[Constraint, ...]
    levels: tuple[Mapping[str, str], ...]
    ids: frozenset[str]
    masked: str
    orphans: tuple[Primitive, ...] = ()

    @staticmethod
    def parse(content: str, source: str) -> Configuration:
        """Read a CIB.

        :param source: where it is from, for messages.
        :raises ConfigurationError: it is not one.
        """
        # A CIB has no document type; one would be there to make the parser swell.
        if len(content) > MOST_CHARACTERS or "<!DOCTYPE" in content or "<!ENTITY" in content:
            raise ConfigurationError(f"{source} is no CIB", advice="write one with: pcs cluster cib FILE")
        try:
            root = ET.fromstring(content)  # noqa: S314 - no document type, so no entities
        except ET.ParseError as error:
            raise ConfigurationError(
                f"{source} is no XML: {error}", advice="write the CIB with: pcs cluster cib FILE"
            ) from None
        if root.tag != "cib" or root.find("configuration") is None:
            raise ConfigurationError(f"{source} is no CIB: it begins with {root.tag}", advice="pcs cluster cib FILE")
        orphans = _orphans(root)
        _all_online(root)
        for pair in root.iter("nvpair"):
            name, value = pair.get("name", ""), pair.get("value", "")
            if (looks_secret(name) and not _leads_elsewhere(value)) or URL_WITH_PASSWORD.search(value):
                pair.set("value", MASK)
        resources = root.find("configuration/resources")
        primitives = [] if resources is None else [_primitive(found, root) for found in resources.iter("primitive")]
        constraints = root.find("configuration/constraints")
        return Configuration(
            properties=_pairs(root.findall("configuration/crm_config/cluster_property_set")),
            defaults=_pairs(root.findall("configuration/rsc_defaults/meta_attributes")),
            nodes=tuple(
                node.get("uname", "")
                for node in root.findall("configuration/nodes/node")
                # Guests and remote nodes are resources of the others.
                if node.get("type", "member") in ("member", "normal")
            ),
            primitives=tuple(primitives),
            constraints=tuple(_constraint(found) for found in (constraints if constraints is not None else ())),
            levels=tuple(dict(level.attrib) for level in root.iter("fencing-level")),
            ids=frozenset(found.get("id", "") for found in root.iter()),
            masked=ET.tostring(root, encoding="unicode"),
            orphans=orphans,
        )


def _orphans(root: ET.Element) -> tuple[Primitive, ...]:
    configured = {found.get("id", "") for found in root.iterfind("configuration//primitive")}
    found = {
        name: Primitive(name, _agent(history), {}, {}, "", ())
        for history in root.iterfind("status//lrm_resource")
        if (name := history.get("id", "").partition(":")[0]) not in configured
    }
    return tuple(found.values())


def _agent(element: ET.Element) -> str:
    return ":".join(filter(None, (element.get("class"), element.get("provider"), element.get("type"))))


def _all_online(root: ET.Element) -> None:
    """Replace the status by that of a healthy cluster: the real one has parameters of what ran, secrets among them."""
    for status in root.findall("status"):
        root.remove(status)
    status = ET.SubElement(root, "status")
    for node in root.findall("configuration/nodes/node"):
        state = {"id": node.get("id", ""), "uname": node.get("uname", "")}
        ET.SubElement(status, "node_state", state, in_ccm="true", crmd="online", join="member", expected="member")
    # crm_verify warns of nodes that nobody could fence.
    root.set("have-quorum", "1")


def _leads_elsewhere(value: str) -> bool:
    """Say whether a secret is not here: fence_ibm_vpc's apikey=@FILE, or what cibsecret keeps on each node."""
    return value.startswith("@/") or value == CIBSECRET


def _pairs(sets: list[ET.Element]) -> dict[str, str]:
    # The first set wins, as in Pacemaker when no scores say otherwise.
    return {pair.get("name", ""): pair.get("value", "") for found in reversed(sets) for pair in found.findall("nvpair")}


def _primitive(found: ET.Element, root: ET.Element) -> Primitive:
    name = found.get("id", "")
    beyond = [f"{text} ({tag})" for tag, text in BEYOND.items() if found.find(f".//{tag}") is not None]
    beyond += ["a template"] if found.get("template") else []
    beyond += ["several sets of parameters"] if len(found.findall("instance_attributes")) > 1 else []
    beyond += ["parameters shared by id-ref"] if found.find(".//*[@id-ref]") is not None else []
    for tag in ("clone", "master", "bundle"):
        inside = (inner.get("id") for outer in root.iter(tag) for inner in outer.iter("primitive"))
        beyond += [f"a {tag} around it"] if name in inside else []
    groups = (group.get("id", "") for group in root.iter("group") for inner in group if inner.get("id") == name)
    return Primitive(
        name=name,
        agent=_agent(found),
        parameters=_pairs(found.findall("instance_attributes")),
        meta=_pairs(found.findall("meta_attributes")),
        group=next(groups, ""),
        beyond=tuple(beyond),
    )


def _constraint(found: ET.Element) -> Constraint:
    names = {
        value
        for element in found.iter()
        for key, value in element.attrib.items()
        if key in ("rsc", "with-rsc", "first", "then") or (element.tag == "resource_ref" and key == "id")
    }
    return Constraint(found.tag, dict(found.attrib), plain=len(found) == 0, names=frozenset(names))
