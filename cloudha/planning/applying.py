"""Run a plan on the cluster that this node is in: on a draft first, then as one push."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from pathlib import Path

from cloudha.errors import CloudhaError, ConfigurationError, LocalConfigurationError
from cloudha.planning.cib import Configuration
from cloudha.planning.description import Description
from cloudha.planning.pacemaker_tools import Draft, agents_missing, draft, live_cib, need, run
from cloudha.planning.steps import Step

__all__ = ["apply"]


def apply(description: Description, steps: Sequence[Step], agree: Callable[[bool | None], None]) -> list[str]:
    """Make *steps* one change of the cluster, after *agree* was asked; return the commands that take it back.

    :param agree: is told what crm_verify said, and raises when the answer is no.
    :raises CloudhaError: something failed before the push, and the cluster is as it was; or the push itself did.
    """
    need("pcs", "cibadmin")
    missing = agents_missing()
    if missing:
        raise LocalConfigurationError(
            f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not there",
            advice="run on every node: cloudha install",
        )
    content = live_cib()
    before = Configuration.parse(content, "the cluster's configuration")
    _refuse_another(description, before)
    with draft(content) as made:
        original = made.folder / "before.xml"
        original.touch(mode=0o600)
        original.write_text(content, encoding="utf-8")
        for step in steps:
            made.step(step, force=False)
        verified = made.verify()
        undo = _undo(description, before)
        agree(verified)
        _push(made, original)
    return undo


def _push(made: Draft, original: Path) -> None:
    done = run(["pcs", "cluster", "cib-push", str(made.path), f"diff-against={original}"])
    if done.code:
        raise CloudhaError(
            f"pcs cluster cib-push failed: {done.said}",
            advice="a push is taken whole or not at all: see 'pcs config', and run the plan again if nothing is there",
        )


def _refuse_another(description: Description, before: Configuration) -> None:
    """Refuse a cluster that is not the described one.

    :raises ConfigurationError: its name or nodes differ.
    """
    name = before.properties.get("cluster-name", "")
    if name and name != description.cluster:
        raise ConfigurationError(
            f"{description.file}: cluster = {description.cluster!r}, and this node is in the cluster {name!r}",
            advice="run it on a node of the described cluster, or correct the name",
        )
    strangers = sorted(set(before.nodes) ^ set(description.nodes))
    if before.nodes and strangers:
        raise ConfigurationError(
            f"{description.file}: nodes are {', '.join(description.nodes)}, the cluster has {', '.join(before.nodes)}",
            advice="every node needs its plug, or it could not be fenced: correct [nodes]",
        )


def _undo(description: Description, before: Configuration) -> list[str]:
    """Return the commands that take the push back, services first: nothing may run without fencing."""
    groups = dict.fromkeys(address.group or address.name for address in description.addresses)
    commands = [f"pcs resource delete {name}" for name in reversed(groups)]
    changed = {"stonith-enabled", "no-quorum-policy"}
    if len(description.nodes) == 2 and description.addresses and not description.prefer:
        changed.add("priority-fencing-delay")
    kept = [f"{name}={before.properties[name]}" for name in sorted(changed) if name in before.properties]
    new = [name for name in sorted(changed) if name not in before.properties]
    commands += [f"pcs property set {' '.join(kept)}"] if kept else []
    commands += [f"pcs property unset {' '.join(new)}"] if new else []
    if description.stickiness:
        old = before.defaults.get("resource-stickiness", "")
        commands.append(f"pcs resource defaults update resource-stickiness={old}")
    return [*commands, f"pcs stonith delete {description.fence_name}"]


def indented(content: str) -> str:
    """Return a CIB for people."""
    root = ET.fromstring(content)  # noqa: S314 - pcs has just written it
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")
