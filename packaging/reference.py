"""The parameter references of the documentation, from the agents' own metadata."""

from __future__ import annotations

from collections.abc import Iterable

from metadata import Agent, Parameter, fence_cloud, floating_ip
from tree import PROJECTS, TREE

__all__ = ["references"]

HEAD = "<!-- Written by scripts/reference from the agent's own metadata; do not edit. -->\n"
OURS = tuple(project.name for project in PROJECTS if project != TREE)


def references() -> dict[str, str]:
    """Return page -> Markdown. Every plugin of this tree must be installed; others do not count."""
    fence, floating = fence_cloud(), floating_ip()
    return {
        "reference-fence_cloud.md": _page(
            fence,
            "Parameters of fence_cloud",
            "What each action answers is on [the agents' page](agents.md#fence_cloud). Beside these, Pacemaker itself "
            "has parameters for every fence device (`pcmk_host_map`, `pcmk_delay_max`, ...): see "
            "`man pacemaker-fenced`.",
        ),
        "reference-floating-ip.md": _page(
            floating,
            "Parameters of ocf:cloudha:floating-ip",
            "What each action answers is on [the agents' page](agents.md#ocfcloudhafloating-ip).",
        ),
    }


def _page(agent: Agent, title: str, text: str) -> str:
    lines = [HEAD, f"# {title}", "", agent.text, "", text, "", "## With every provider", ""]
    lines += _table(agent.common, getopt=any(parameter.getopt for parameter in agent.common))
    lines += ["", "## By provider", "", "The same name means the same in all of them.", ""]
    for provider in (name for name in agent.providers if name in OURS):
        lines += [f"### provider={provider}", "", *_table(agent.special(provider)), ""]
    lines += ["## Actions", "", *_actions(agent), ""]
    return "\n".join(lines)


def _table(parameters: Iterable[Parameter], *, getopt: bool = False) -> list[str]:
    option = ["option"] if getopt else []
    rows = [["parameter", *option, "type", "default", "meaning"]]
    rows.append(["---"] * len(rows[0]))
    for parameter in parameters:
        kind = ", ".join(f"`{choice}`" for choice in parameter.choices) or parameter.kind
        text = _cell(parameter.text) + (". **Required.**" if parameter.required else "")
        shown = [f"`{_cell(parameter.getopt)}`"] if getopt else []
        rows.append([f"`{parameter.name}`", *shown, kind, f"`{parameter.default}`" if parameter.default else "", text])
    return [_row(row) for row in rows]


def _actions(agent: Agent) -> list[str]:
    names = list(dict.fromkeys(name for action in agent.actions for name in action.attributes))
    if not any(name in ("timeout", "interval") for name in names):
        return [", ".join(f"`{action.name}`" for action in agent.actions)]
    rows = [["action", *names], ["---"] * (len(names) + 1)]
    rows += [[f"`{action.name}`", *(action.attributes.get(name, "") for name in names)] for action in agent.actions]
    return [*(_row(row) for row in rows), "", "Timeouts and intervals are what `pcs resource create` proposes."]


def _row(cells: Iterable[str]) -> str:
    return "".join(f"| {cell} " if cell else "| " for cell in cells) + "|"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
