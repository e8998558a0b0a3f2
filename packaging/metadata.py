"""What the agents and the command say of themselves, in their own metadata and help: pages are made of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

__all__ = ["Action", "Agent", "Parameter", "command_tree", "fence_cloud", "floating_ip"]

FENCE = ("cloudha.agents.fence", "-o", "metadata")
FLOATING = ("cloudha.agents.floating_ip", "meta-data")
SECONDS = 60
# At the end of a provider's parameter: the providers that have it.
PROVIDERS = re.compile(r" \(([a-z][a-z0-9-]*(?:, [a-z][a-z0-9-]*)*)\)\.?\Z")


@dataclass(frozen=True)
class Parameter:
    """One parameter; *providers* is empty for what every provider takes."""

    name: str
    text: str
    kind: str
    default: str
    required: bool
    getopt: str
    choices: tuple[str, ...]
    providers: tuple[str, ...]


@dataclass(frozen=True)
class Action:
    """One action, with the attributes that the metadata gives it."""

    name: str
    attributes: dict[str, str]


@dataclass(frozen=True)
class Agent:
    """An agent's metadata."""

    name: str
    short: str
    text: str
    parameters: tuple[Parameter, ...]
    actions: tuple[Action, ...]
    # provider -> parameter -> "text" and "default"
    declared: dict[str, dict[str, dict[str, str]]]

    @property
    def common(self) -> tuple[Parameter, ...]:
        """What the agent takes for every provider."""
        return tuple(parameter for parameter in self.parameters if not parameter.providers)

    @property
    def providers(self) -> list[str]:
        """The providers that have parameters of their own."""
        return sorted({name for parameter in self.parameters for name in parameter.providers})

    def special(self, provider: str) -> list[Parameter]:
        """Return what *provider* takes beside that, in its own words."""
        return [
            replace(parameter, text=own["text"], default=own["default"])
            for parameter in self.parameters
            # The standard password is the agent's own, in its words.
            if (own := self.declared.get(provider, {}).get(parameter.name)) and provider in parameter.providers
        ]


def fence_cloud(python: Path = Path(sys.executable)) -> Agent:
    """Return what fence_cloud says in the environment of *python*."""
    return _agent(python, FENCE, short="")


def floating_ip(python: Path = Path(sys.executable)) -> Agent:
    """Return what ocf:cloudha:floating-ip says in the environment of *python*."""
    return _agent(python, FLOATING, short="shortdesc")


def command_tree(python: Path = Path(sys.executable)) -> dict[str, Any]:
    """Return the command's help as a tree, see packaging/command_tree.py."""
    tree: dict[str, Any] = _told(python, "command_tree.py")
    return tree


def _told(python: Path, script: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(_said([python, "-I", Path(__file__).with_name(script)]))


def _metadata(python: Path, words: Sequence[str]) -> ET.Element:
    program = "import importlib, sys; importlib.import_module(sys.argv[1]).main(sys.argv[2:])"
    # What is parsed comes from our own program.
    return ET.fromstring(_said([python, "-I", "-c", program, *words]))  # noqa: S314 - see above


def _said(command: Sequence[str | Path]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode or done.stderr:
        sys.exit(f"{command[0]} failed: {done.stderr or done.returncode}")
    return done.stdout


def _agent(python: Path, words: Sequence[str], *, short: str) -> Agent:
    root = _metadata(python, words)
    return Agent(
        name=root.get("name", ""),
        short=(root.findtext(short) if short else root.get("shortdesc")) or "",
        text=(root.findtext("longdesc") or "").strip(),
        parameters=tuple(_parameter(node) for node in root.iter("parameter") if not node.get("deprecated")),
        actions=tuple(
            Action(node.get("name", ""), {k: v for k, v in node.attrib.items() if k != "name"})
            for node in root.iter("action")
        ),
        declared=_told(python, "declared.py"),
    )


def _parameter(node: ET.Element) -> Parameter:
    text = (node.findtext("shortdesc") or "").strip()
    of = PROVIDERS.search(text)
    content = node.find("content")
    getopt = node.find("getopt")
    attributes = {} if content is None else content.attrib
    return Parameter(
        name=node.get("name", ""),
        text=PROVIDERS.sub("", text),
        kind=attributes.get("type", "string"),
        default=attributes.get("default", ""),
        required=node.get("required") == "1",
        getopt="" if getopt is None else getopt.get("mixed", ""),
        choices=() if content is None else tuple(option.get("value", "") for option in content.iter("option")),
        providers=tuple(of[1].split(", ")) if of else (),
    )
