"""The manual pages fence_cloud(8), ocf_cloudha_floating-ip(7) and cloudha(1), from what the programs say themselves."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from metadata import Agent, Parameter, command_tree, fence_cloud, floating_ip
from roff import Page
from tree import source_date, version

__all__ = ["pages"]

FENCE_EXITS = {
    "0": "The action was carried out, and for off that was confirmed by the cloud; for status: the machine is not off.",
    "1": "Anything else. Nothing is known then: never taken for off.",
    "2": "For status only: the machine is off.",
}
OCF_EXITS = {
    "0": "Success; for monitor: the address is here.",
    "1": "Unknown, or failed for a reason that may pass. After a stop, the cluster fences this node.",
    "2": "Something on this node does not fit: an interface, a file.",
    "3": "There is no such action.",
    "4": "The cloud refused this node.",
    "5": "The provider, or the vendor's library, is not installed here.",
    "6": "A parameter is wrong.",
    "7": "The address is definitely not here.",
    "190": "The address is here, and the cloud could not be asked.",
}


def pages(python: Path) -> dict[str, str]:
    """Return file name -> roff, for what is installed in the environment of *python*."""
    return {
        "fence_cloud.8": _fence(fence_cloud(python)),
        "ocf_cloudha_floating-ip.7": _floating(floating_ip(python)),
        "cloudha.1": _command(command_tree(python)),
    }


def _page(name: str, section: int) -> Page:
    day = dt.datetime.fromtimestamp(source_date(), dt.timezone.utc)
    return Page(name, section, day.strftime("%Y-%m-%d"), f"cloudha {version()}")


def _fence(agent: Agent) -> str:
    page = _page("fence_cloud", 8)
    page.section("NAME")
    page.line(f"fence_cloud - {agent.short[0].lower()}{agent.short[1:]}")
    page.section("SYNOPSIS")
    page.line("fence_cloud -o ACTION --provider NAME [-n MACHINE] [OPTION]...")
    page.section("DESCRIPTION")
    page.line(agent.text)
    page.paragraph(
        "Pacemaker gives the parameters as name=value lines on standard input. People give them as options. Secrets "
        "are refused on the command line: give them in the environment as CLOUDHA_NAME, as in CLOUDHA_PASSWORD."
    )
    page.section("PARAMETERS")
    page.line("Of the agent, whatever the provider:")
    for parameter in agent.common:
        page.term(parameter.getopt or parameter.name, _meaning(parameter, name=True))
    _special(page, agent)
    page.section("ACTIONS")
    page.line(", ".join(action.name for action in agent.actions) + ".")
    _exits(page, FENCE_EXITS)
    page.section("EXAMPLES")
    page.line("See the machines, and create the fence device:")
    page.example(
        [
            "fence_cloud -o list --provider aws",
            "pcs stonith create fence fence_cloud provider=aws pcmk_host_map='n1:i-0aaa;n2:i-0bbb'",
        ]
    )
    _see_also(page, "cloudha(1), ocf_cloudha_floating-ip(7), stonith_admin(8), pcs(8)")
    return page.text()


def _floating(agent: Agent) -> str:
    page = _page("ocf_cloudha_floating-ip", 7)
    page.section("NAME")
    page.line(f"ocf_cloudha_floating-ip - {agent.short[0].lower()}{agent.short[1:]}")
    page.section("SYNOPSIS")
    page.line("pcs resource create NAME ocf:cloudha:floating-ip provider=PROVIDER ip=ADDRESS [PARAMETER=VALUE]...")
    page.section("DESCRIPTION")
    page.line(agent.text)
    page.section("PARAMETERS")
    page.line("Of the agent, whatever the provider:")
    for parameter in agent.common:
        page.term(parameter.name, _meaning(parameter))
    _special(page, agent)
    page.section("ACTIONS")
    page.line("With the timeouts and intervals that are proposed for them.")
    for action in agent.actions:
        page.term(action.name, ", ".join(f"{name} {value}" for name, value in action.attributes.items()) + ".")
    _exits(page, OCF_EXITS)
    page.section("EXAMPLES")
    page.line("An address on the interface eth0:")
    page.example(
        [
            "pcs resource create vip ocf:cloudha:floating-ip provider=aws ip=10.0.1.100 nic=eth0 \\",
            "    op monitor interval=10s op monitor interval=60s OCF_CHECK_LEVEL=10",
        ]
    )
    _see_also(page, "cloudha(1), fence_cloud(8), pcs(8)")
    return page.text()


def _special(page: Page, agent: Agent) -> None:
    for provider in agent.providers:
        page.subsection(f"With provider={provider}")
        for parameter in agent.special(provider):
            page.term(parameter.name, _meaning(parameter))


def _meaning(parameter: Parameter, *, name: bool = False) -> str:
    parts = [f"{parameter.text}."]
    if parameter.required:
        parts.append("Required.")
    if parameter.choices:
        parts.append(f"One of: {', '.join(parameter.choices)}.")
    if parameter.default:
        parts.append(f"Default: {parameter.default}.")
    if name and parameter.getopt:
        parts.append(f"In the cluster: {parameter.name}.")
    return " ".join(parts)


def _exits(page: Page, codes: dict[str, str]) -> None:
    page.section("EXIT STATUS")
    for code, meaning in codes.items():
        page.term(code, meaning)


def _see_also(page: Page, text: str) -> None:
    page.section("SEE ALSO")
    page.line(text)


def _command(tree: dict[str, Any]) -> str:
    page = _page("cloudha", 1)
    page.section("NAME")
    page.line("cloudha - look at and change machines and addresses of any cloud, install the cluster's agents")
    page.section("SYNOPSIS")
    page.line(str(tree["usage"]))
    page.section("DESCRIPTION")
    page.line(str(tree["help"]))
    for option in tree["options"]:
        page.term(option["names"], option["help"])
    page.section("COMMANDS")
    for command in tree["commands"].values():
        _describe(page, command)
    _see_also(page, "fence_cloud(8), ocf_cloudha_floating-ip(7)")
    return page.text()


def _describe(page: Page, command: dict[str, Any]) -> None:
    page.subsection(str(command["usage"]))
    # As click does it: a form feed ends what is for people, \b keeps lines as they are.
    paragraphs = str(command["help"]).split("\f")[0].split("\n\n")
    page.line(paragraphs[0])
    for paragraph in paragraphs[1:]:
        if paragraph.lstrip().startswith("\b"):
            page.example(line for line in paragraph.splitlines() if line.strip("\b "))
        else:
            page.paragraph(paragraph)
    for option in command["options"]:
        if option["help"] and "--help" not in option["names"]:
            page.term(option["names"], option["help"])
    for child in command["commands"].values():
        _describe(page, child)
