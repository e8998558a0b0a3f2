"""The metadata of fence_cloud: what pcs, crmsh and Pacemaker know of it. Needs no network and no SDK."""

from __future__ import annotations

from collections.abc import Callable

from cloudha.agents.fence_options import OWN_NAMES, STANDARD, FenceOption, with_command_line
from cloudha.agents.provider_options import installed_options
from cloudha.agents.xml_text import attribute, content
from cloudha.options import OptionType

__all__ = ["metadata", "options", "usage"]

SHORT = "Fence agent for machines in any cloud"
LONG = """fence_cloud is a STONITH agent for machines in any cloud. The parameter provider says which one; each \
provider is a Python package of its own (cloudha-plugin-aws, cloudha-plugin-sim, ...), installed beside cloudha. \
"off" is said only when the cloud has confirmed it; whatever is not known ends with an error."""
VENDOR_URL = "https://github.com/cloudha/cloudha"
# (name, further attributes)
ACTIONS = (
    ("on", 'automatic="0"'),
    ("off", ""),
    ("reboot", ""),
    ("status", ""),
    ("monitor", ""),
    ("list", ""),
    ("list-status", ""),
    ("metadata", ""),
    ("manpage", ""),
    ("validate-all", ""),
    ("start", ""),
    ("stop", ""),
)
TYPES = {OptionType.INTEGER: "integer", OptionType.SECONDS: "second", OptionType.BOOLEAN: "boolean"}


def options(warn: Callable[[str], None]) -> tuple[FenceOption, ...]:
    """Return every parameter, standard ones first; *warn* is told of a broken provider, which is left out."""
    found, warnings = installed_options(OWN_NAMES)
    for warning in warnings:
        warn(warning)
    return (*STANDARD, *with_command_line(found))


def metadata(warn: Callable[[str], None]) -> str:
    """Return the XML that ``metadata.rng`` of the fence agents describes."""
    return "\n".join(
        (
            '<?xml version="1.0" ?>',
            f'<resource-agent name="fence_cloud" shortdesc={attribute(SHORT)}>',
            f"<longdesc>{content(LONG)}</longdesc>",
            f"<vendor-url>{VENDOR_URL}</vendor-url>",
            "<parameters>",
            *(_parameter(known) for known in options(warn)),
            "</parameters>",
            "<actions>",
            *(f'\t<action name="{name}"{" " + more if more else ""} />' for name, more in ACTIONS),
            "</actions>",
            "</resource-agent>",
        )
    )


def _parameter(known: FenceOption) -> str:
    option = known.option
    extra = ' deprecated="1"' if known.deprecated else ""
    extra += f" obsoletes={attribute(known.obsoletes)}" if known.obsoletes else ""
    default = f" default={attribute(option.default)}" if option.default is not None else ""
    if option.type is OptionType.CHOICE:
        choices = "".join(f"<option value={attribute(choice)} />" for choice in option.choices)
        kind = f'<content type="select"{default}>{choices}</content>'
    else:
        kind = f'<content type="{TYPES.get(option.type, "string")}"{default} />'
    return (
        f'\t<parameter name="{option.name}" unique="0" required="{int(known.required)}"{extra}>\n'
        f"\t\t<getopt mixed={attribute(known.getopt)} />\n"
        f"\t\t{kind}\n"
        f'\t\t<shortdesc lang="en">{content(option.help)}</shortdesc>\n'
        "\t</parameter>"
    )


def usage(warn: Callable[[str], None]) -> str:
    """Return the help text for people."""
    lines = ["Usage:", "\tfence_cloud [options]", "Without options, name=value lines are read from standard input.", ""]
    for known in options(warn):
        if not known.deprecated:
            default = f" (default: {known.option.default})" if known.option.default is not None else ""
            lines.append(f"   {known.getopt:<34} {known.option.help}{default}")
    return "\n".join(lines)
