"""The metadata of ocf:cloudha:floating-ip, valid for the 1.0 DTD (ocf-tester) and OCF 1.1 (Pacemaker, pcs)."""

from __future__ import annotations

from collections.abc import Callable

from cloudha.agents.floating_ip_options import NOT_RELOADABLE, OWN, OWN_NAMES
from cloudha.agents.provider_options import installed_options
from cloudha.agents.xml_text import attribute, content
from cloudha.options import COMMON_OPTIONS, Audience, Option, OptionType

__all__ = ["metadata"]

SHORT = "Floating IP address in any cloud"
LONG = """Binds an IP address to this node in the cloud, whoever had it before, and on request puts it on a network \
interface. The parameter provider says which cloud; each provider is a Python package of its own (cloudha-plugin-aws, \
cloudha-plugin-sim, ...), installed beside cloudha. An error of the cloud is never reported as "not running" or \
"stopped"."""
TYPES = {OptionType.INTEGER: "integer", OptionType.BOOLEAN: "boolean", OptionType.SECONDS: "time"}
# Both DTDs in one document: the subset adds what OCF 1.1 has and the 1.0 DTD lacks.
DOCTYPE = """<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd" [
<!ATTLIST parameter unique-group CDATA #IMPLIED reloadable (0|1) #IMPLIED>
<!ATTLIST action name CDATA #REQUIRED> ]>"""
# Address moves take seconds in most clouds and minutes in some; pcs copies these into new resources.
ACTIONS = """<action name="start" timeout="180s" />
<action name="stop" timeout="180s" />
<action name="monitor" timeout="30s" interval="10s" depth="0" />
<action name="monitor" timeout="30s" interval="60s" depth="10" />
<action name="reload-agent" timeout="20s" />
<action name="validate-all" timeout="20s" />
<action name="meta-data" timeout="10s" />"""


def metadata(warn: Callable[[str], None]) -> str:
    """Return the XML; *warn* is told of a broken provider, whose parameters are left out."""
    from cloudha import __version__

    merged, warnings = installed_options(OWN_NAMES)
    for warning in warnings:
        warn(warning)
    shown = [option for option in merged if option.audience is not Audience.FENCE]
    return "\n".join(
        (
            '<?xml version="1.0"?>',
            DOCTYPE,
            f'<resource-agent name="floating-ip" version="{__version__}">',
            "<version>1.1</version>",
            f'<longdesc lang="en">{content(LONG)}</longdesc>',
            f'<shortdesc lang="en">{content(SHORT)}</shortdesc>',
            "<parameters>",
            *(_parameter(option) for option in (*OWN, *shown)),
            "</parameters>",
            "<actions>",
            ACTIONS,
            "</actions>",
            "</resource-agent>",
        )
    )


def _parameter(option: Option) -> str:
    attributes = f'name="{option.name}" required="{int(option.required)}"'
    attributes += ' unique="1" unique-group="address"' if option.name == "ip" else ' unique="0"'
    if option.name not in NOT_RELOADABLE and (option in (*COMMON_OPTIONS, *OWN) or option.secret):
        attributes += ' reloadable="1"'
    default = f" default={attribute(option.default)}" if option.default is not None else ""
    return (
        f"<parameter {attributes}>\n"
        f'<longdesc lang="en">{content(option.help)}.</longdesc>\n'
        f'<shortdesc lang="en">{content(option.help)}</shortdesc>\n'
        f'<content type="{TYPES.get(option.type, "string")}"{default} />\n'
        "</parameter>"
    )
