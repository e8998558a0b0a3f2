"""Print the ``cloudha`` command's help as one JSON tree. Run by the interpreter of the environment that has it."""

from __future__ import annotations

import json
import sys

import click

from cloudha.cli.main import main


def described(name: str, command: click.Command, parent: click.Context | None) -> dict[str, object]:
    """Return the name, help, usage, options and commands of *command*."""
    context = click.Context(command, info_name=name, parent=parent)
    options = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            options.append({"names": record[0], "help": record[1]})
    children = {}
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            try:
                found = command.get_command(context, child)
            except click.ClickException:
                # It comes with a distribution that is not in this environment.
                continue
            if found is not None and not found.hidden:
                children[child] = described(child, found, context)
    return {
        "name": context.command_path,
        "help": command.help or command.get_short_help_str(),
        "usage": command.get_usage(context).removeprefix("Usage: "),
        "options": options,
        "commands": children,
    }


if __name__ == "__main__":
    json.dump(described("cloudha", main, None), sys.stdout)
