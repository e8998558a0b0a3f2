"""``cloudha describe``: all that a provider says of itself, without asking its cloud."""

from __future__ import annotations

import click
from rich.console import RenderableType

from cloudha import plugins
from cloudha.cli.output import Output, cell, json_option, table
from cloudha.cli.permissions import PermissionsText, permissions_text
from cloudha.cli.settings import complete_provider
from cloudha.options import COMMON_OPTIONS, Option

__all__ = ["describe"]

# What an operator wants to know: which of these works with the provider.
ABILITIES = {
    "fencing": ("list_nodes", "power_state", "power_off", "power_on"),
    "floating addresses": ("local_node", "local_evidence", "list_ips", "bind_ip", "unbind_ip"),
    "check of permissions": ("check_access",),
}


@click.command()
@click.argument("provider", shell_complete=complete_provider)
@json_option
def describe(output: Output, provider: str) -> None:
    """Show what PROVIDER can do, its parameters, and the permissions that it needs."""
    found = plugins.load(provider)
    hooks = {hook: found.implements(hook) for hook in plugins.HOOKS}
    abilities = {ability: all(hooks[hook] for hook in needed) for ability, needed in ABILITIES.items()}
    permissions = permissions_text(found)
    document = {
        "provider": found.name,
        "title": found.info.title,
        "distribution": found.entry.distribution,
        "version": found.entry.version,
        "kinds": found.info.kinds,
        "poll_seconds": found.info.poll_seconds,
        "abilities": abilities,
        "hooks": hooks,
        "options": [
            *({**_option(option), "common": True} for option in COMMON_OPTIONS),
            *({**_option(option), "common": False} for option in found.info.options),
        ],
        "permissions": permissions,
    }
    if output.as_json:
        output.show(document)
        return
    missing = [hook for hook, there in hooks.items() if not there]
    facts = {
        "can": ", ".join(ability for ability, able in abilities.items() if able) or "nothing",
        "kinds": ", ".join(kind.value for kind in found.info.kinds) or "no addresses",
        "lacks": ", ".join(missing),
        "polled": f"every {found.info.poll_seconds:g} s at most",
        "from": found.entry.origin,
    }
    output.show(
        document,
        cell(f"{found.name}: {found.info.title}", "bold"),
        table("", "", rows=[(cell(name, "dim"), text) for name, text in facts.items() if text]),
        "",
        table(
            "parameter",
            "type",
            "for",
            "default",
            "what",
            rows=[_row(o) for o in (*found.info.options, *COMMON_OPTIONS)],
        ),
        "",
        *_permissions(permissions),
    )


def _option(option: Option) -> dict[str, object]:
    names = ("name", "type", "default", "required", "secret", "choices", "audience", "help")
    return {name: getattr(option, name) for name in names}


def _row(option: Option) -> tuple[object, ...]:
    kind = " | ".join(option.choices) or option.type.value
    marks = [mark for mark, there in (("required", option.required), ("secret", option.secret)) if there]
    return (
        cell(option.name, "bold"),
        ", ".join([kind, *marks]),
        {"fence": "fencing", "address": "addresses"}.get(option.audience.value, "both"),
        option.default or "",
        option.help,
    )


def _permissions(found: PermissionsText | None) -> list[RenderableType]:
    if found is None:
        return [cell("It comes with no list of permissions.", "dim")]
    return [cell(f"permissions ({found.name}):", "bold"), found.text]
