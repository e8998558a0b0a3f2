"""Which nodes a fence device is for, and by which name the cloud is told of each, as Pacemaker's fencer reads it.

``pcmk_host_map`` holds ``node:plug`` pairs between semicolons, blanks or tabs; ``=`` means the same as ``:``, and a
backslash takes the meaning from the next sign (2.1.2 and later). Of a pair with two colons, the middle part becomes
the node's name. ``pcmk_host_list`` has blanks, commas or semicolons between names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from cloudha.cli.checks.cib import Resource
from cloudha.record import Record

__all__ = ["Coverage", "coverage", "parse_host_list", "parse_host_map"]

STATIC = "static-list"
DYNAMIC = "dynamic-list"


class Coverage(Record):
    """What a device is for: ``names`` when the configuration lists them, else None, and the agent's list decides.

    ``check`` is the effective ``pcmk_host_check``; ``aliases`` the map, by lower-case node name; ``plug`` the one
    machine that the device always means, "" when it depends on the node.
    """

    check: str
    names: tuple[str, ...] | None
    aliases: Mapping[str, str]
    plug: str = ""

    def covers(self, node: str) -> bool | None:
        """Whether the configuration says that the device is for *node*; None when it leaves that to the agent."""
        if self.check == "none":
            return True
        if self.names is None:
            return None
        return node.casefold() in {name.casefold() for name in self.names}

    def plug_of(self, node: str) -> str:
        """Return what the agent gets as ``plug`` for *node*."""
        return self.plug or self.aliases.get(node.casefold(), node)


def coverage(resource: Resource) -> Coverage:
    """Return what the parameters of the fence device *resource* say."""
    hosts = resource.parameters.get("pcmk_host_list", "")
    text = resource.parameters.get("pcmk_host_map", "")
    mapped = parse_host_map(text)
    check = resource.parameters.get("pcmk_host_check", "") or (STATIC if hosts.strip() or mapped else DYNAMIC)
    names = (*parse_host_list(hosts), *mapped) if check == STATIC else None
    plug = resource.parameters.get("plug", "") or resource.parameters.get("port", "")
    return Coverage(
        check,
        names,
        {name.casefold(): value for name, value in mapped.items()},
        "" if plug.casefold() == "dynamic" else plug,
    )


def parse_host_list(text: str) -> tuple[str, ...]:
    """Return the names in ``pcmk_host_list``."""
    return tuple(name for name in re.split(r"[\s,;]+", text) if name)


def parse_host_map(text: str) -> dict[str, str]:
    """Return node and plug of each pair in ``pcmk_host_map``."""
    pairs: dict[str, str] = {}
    name, part, index = "", "", 0
    text += ";"
    while index < len(text):
        sign = text[index]
        if sign == "\\" and index + 1 < len(text) - 1:
            index += 1
            part += text[index]
        elif sign in "=:":
            name, part = part or name, ""
        elif sign in "; \t\n":
            if name and part:
                pairs[name] = part
            name, part = "", ""
        else:
            part += sign
        index += 1
    return pairs
