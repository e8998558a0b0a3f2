"""The cluster's configuration (CIB) as far as fencing and floating addresses depend on it.

The rules of inheritance are those of "Pacemaker Explained": of several attribute sets the one with the highest score
counts, ``cib-bootstrap-options`` before all; a template, a group or clone, and the defaults fill in what a resource
does not say. Sets with a rule are left out, since whether it holds is the cluster's to know.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from xml.etree import ElementTree as ET

from cloudha.errors import ConfigurationError
from cloudha.record import Record

__all__ = ["ADDRESS_AGENT", "FENCE_AGENT", "Cib", "Member", "Operation", "Resource", "is_true", "parse_cib", "seconds"]

FENCE_AGENT = "stonith:fence_cloud"
ADDRESS_AGENT = "ocf:cloudha:floating-ip"
REMOTE_AGENT = "ocf:pacemaker:remote"
# Pacemaker's own default for an operation without a timeout.
DEFAULT_OPERATION_SECONDS = 20.0
BOOTSTRAP = "cib-bootstrap-options"
TRUE_WORDS = frozenset({"true", "on", "yes", "y", "1"})
TIME = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]*)\Z")
UNITS = {"": 1.0, "s": 1.0, "sec": 1.0, "ms": 0.001, "msec": 0.001, "us": 1e-6, "usec": 1e-6}
UNITS |= {"m": 60.0, "min": 60.0, "h": 3600.0, "hr": 3600.0}
DURATION = re.compile(r"PT(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?\Z")
INFINITY = 1_000_000.0


class Operation(Record):
    """A configured operation; times in seconds. ``explicit``: whether a timeout is written down anywhere.

    ``id``: "" when it is not configured; ``attributes``: those of its own, as they are written.
    """

    name: str
    interval: float = 0.0
    timeout: float = DEFAULT_OPERATION_SECONDS
    explicit: bool = False
    level: str = ""
    on_fail: str = ""
    enabled: bool = True
    id: str = ""
    attributes: Mapping[str, str] = {}


class Resource(Record):
    """A primitive: ``agent`` as in ``ocf:cloudha:floating-ip``; ``parameters`` as the agent gets them."""

    id: str
    agent: str
    parameters: Mapping[str, str]
    meta: Mapping[str, str]
    operations: tuple[Operation, ...]

    @property
    def stopped(self) -> bool:
        """Whether the operator wants it stopped: of a fence device, that it must not be used."""
        return self.meta.get("target-role", "").lower() == "stopped"

    def operation(self, name: str) -> Operation:
        """Return the operation *name* with the shortest timeout; the defaults when none is configured."""
        found = [operation for operation in self.operations if operation.name == name and operation.enabled]
        return min(found, key=lambda operation: operation.timeout, default=Operation(name))


class Member(Record):
    """A node of the cluster. ``online``: by the status section, None when that does not say."""

    name: str
    online: bool | None = None
    standby: bool = False
    maintenance: bool = False
    remote: bool = False


class Cib(Record):
    """The whole of it. ``levels``: the devices that a fencing topology names, with the target of each."""

    properties: Mapping[str, str]
    members: tuple[Member, ...]
    resources: tuple[Resource, ...]
    levels: tuple[tuple[str, str], ...] = ()

    @property
    def fences(self) -> tuple[Resource, ...]:
        """The fence devices that are ours."""
        return tuple(resource for resource in self.resources if resource.agent == FENCE_AGENT)

    @property
    def addresses(self) -> tuple[Resource, ...]:
        """The floating addresses that are ours."""
        return tuple(resource for resource in self.resources if resource.agent == ADDRESS_AGENT)

    @property
    def other_fences(self) -> tuple[Resource, ...]:
        """Fence devices of other agents."""
        return tuple(r for r in self.resources if r.agent.startswith("stonith:") and r.agent != FENCE_AGENT)


def is_true(text: str) -> bool:
    """Read a boolean as Pacemaker does."""
    return text.strip().lower() in TRUE_WORDS


def seconds(text: str) -> float | None:
    """Read a time as Pacemaker does (``30``, ``30s``, ``2min``, ``500ms``, ``PT1M``); None when it is none."""
    if found := DURATION.match(text.strip()):
        hours, minutes, rest = (float(part or 0) for part in found.groups())
        return hours * 3600 + minutes * 60 + rest
    short = TIME.match(text.strip().lower())
    return float(short[1]) * UNITS[short[2]] if short and short[2] in UNITS else None


def parse_cib(text: str) -> Cib:
    """Return what the XML says.

    :raises ConfigurationError: it is no CIB.
    """
    advice = "make the file with: cibadmin --query > FILE"
    # No CIB has a document type; one could hold entities that never end.
    if "<!DOCTYPE" in text:
        raise ConfigurationError("the CIB has a document type declaration", advice=advice)
    try:
        root = ET.fromstring(text)  # noqa: S314 - of the cluster or its administrator, and without entities, see above
    except ET.ParseError as error:
        raise ConfigurationError(f"the CIB is no XML: {error}", advice=advice) from None
    if root.tag != "cib" or root.find("configuration") is None:
        raise ConfigurationError(f"the CIB is a <{root.tag}> without configuration", advice=advice)
    return _Reader(root).read()


class _Reader:
    def __init__(self, root: ET.Element) -> None:
        self.root = root
        self.by_id = {str(element.get("id")): element for element in root.iter() if element.get("id")}
        self.resource_defaults = self._defaults("rsc_defaults")
        self.operation_defaults = self._defaults("op_defaults")

    def read(self) -> Cib:
        properties = self._pairs(self.root.findall("configuration/crm_config/cluster_property_set"))
        top = self.root.find("configuration/resources")
        resources = tuple(self._resources(top, {}, {})) if top is not None else ()
        levels = tuple(
            (level.get("target") or level.get("target-pattern") or level.get("target-attribute") or "", device.strip())
            for level in self.root.iterfind("configuration/fencing-topology/fencing-level")
            for device in (level.get("devices") or "").split(",")
        )
        return Cib(properties, tuple(self._members(resources)), resources, levels)

    def _members(self, resources: Iterable[Resource]) -> Iterator[Member]:
        states = {state.get("uname"): state for state in self.root.iterfind("status/node_state")}
        seen = set()
        for node in self.root.iterfind("configuration/nodes/node"):
            name = str(node.get("uname") or node.get("id"))
            seen.add(name)
            attributes = self._pairs(node.findall("instance_attributes"))
            remote = node.get("type") == "remote"
            yield Member(
                name,
                None if remote else _online(states.get(name)),
                is_true(attributes.get("standby", "")),
                is_true(attributes.get("maintenance", "")),
                remote,
            )
        for resource in resources:
            if resource.agent == REMOTE_AGENT and resource.id not in seen:
                yield Member(resource.id, remote=True)

    def _resources(
        self, parent: ET.Element, parameters: Mapping[str, str], meta: Mapping[str, str]
    ) -> Iterator[Resource]:
        for element in parent:
            if element.tag == "primitive":
                yield self._resource(element, parameters, meta)
            elif element.tag in ("group", "clone", "master"):
                yield from self._resources(
                    element,
                    {**parameters, **self._pairs(element.findall("instance_attributes"))},
                    {**meta, **self._pairs(element.findall("meta_attributes"))},
                )

    def _resource(self, element: ET.Element, parameters: Mapping[str, str], meta: Mapping[str, str]) -> Resource:
        sources = [element]
        template = self.by_id.get(element.get("template") or "")
        if template is not None:
            sources.append(template)
        described = template if template is not None and not element.get("type") else element
        agent = ":".join(filter(None, (described.get("class"), described.get("provider"), described.get("type"))))
        own_parameters, own_meta = dict(parameters), {**self.resource_defaults, **meta}
        operations: list[Operation] = []
        for source in reversed(sources):
            own_parameters |= self._pairs(source.findall("instance_attributes"))
            own_meta |= self._pairs(source.findall("meta_attributes"))
            own = list(self._operations(source))
            said = {(item.name, item.interval) for item in own}
            operations = own + [item for item in operations if (item.name, item.interval) not in said]
        return Resource(str(element.get("id")), agent, own_parameters, own_meta, tuple(operations))

    def _operations(self, source: ET.Element) -> Iterator[Operation]:
        for block in source.findall("operations"):
            referred = self.by_id.get(block.get("id-ref") or "")
            for op in block if referred is None else referred:
                if op.tag != "op":
                    continue
                own = {
                    **op.attrib,
                    **self._pairs(op.findall("instance_attributes")),
                    **self._pairs(op.findall("meta_attributes")),
                }
                values = {**self.operation_defaults, **own, **op.attrib}
                timeout = seconds(values.get("timeout", ""))
                yield Operation(
                    name=values.get("name", ""),
                    interval=seconds(values.get("interval", "0")) or 0.0,
                    timeout=DEFAULT_OPERATION_SECONDS if timeout is None else timeout,
                    explicit=timeout is not None,
                    level=values.get("OCF_CHECK_LEVEL", ""),
                    on_fail=values.get("on-fail", ""),
                    enabled=is_true(values.get("enabled", "true")),
                    id=values.get("id", ""),
                    attributes={name: value for name, value in own.items() if name not in ("id", "name")},
                )

    def _defaults(self, name: str) -> dict[str, str]:
        return self._pairs(self.root.findall(f"configuration/{name}/meta_attributes"))

    def _pairs(self, sets: Iterable[ET.Element]) -> dict[str, str]:
        """Return the attributes of all *sets*, the most important last, so that it wins."""
        resolved = [self.by_id.get(item.get("id-ref") or "", item) for item in sets]
        values: dict[str, str] = {}
        for item in sorted(resolved, key=_importance):
            if item.find("rule") is None:
                for pair in item.findall("nvpair"):
                    known = self.by_id.get(pair.get("id-ref") or "", pair)
                    name, value = pair.get("name") or known.get("name"), known.get("value")
                    if name and value is not None:
                        values[name] = value
        return values


def _importance(item: ET.Element) -> tuple[bool, float]:
    text = (item.get("score") or "0").upper()
    sign = -1.0 if text.startswith("-") else 1.0
    plain = text.lstrip("+-")
    score = INFINITY if plain == "INFINITY" else float(plain) if plain.isdecimal() else 0.0
    return item.get("id") == BOOTSTRAP, sign * score


def _online(state: ET.Element | None) -> bool | None:
    """Read a node's state: words in older clusters, since 2.1.7 the time since when (0: it is not)."""
    if state is None or state.get("crmd") is None:
        return None
    member, process = state.get("in_ccm", ""), state.get("crmd", "")
    return member not in ("", "0", "false") and process not in ("", "0", "offline")
