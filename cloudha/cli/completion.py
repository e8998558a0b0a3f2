"""``cloudha completion``: the shell's completion for the command itself, from click."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]

NAME = "cloudha"
# click looks for it under this name.
VARIABLE = "_CLOUDHA_COMPLETE"
WHERE = {
    "bash": '~/.bashrc: eval "$(cloudha completion bash)"',
    "zsh": '~/.zshrc: eval "$(cloudha completion zsh)"',
    "fish": "~/.config/fish/completions/cloudha.fish: cloudha completion fish | source",
}


@click.command(
    epilog="\b\n" + "\n".join(f"In {where}" for where in WHERE.values()), short_help="Print the completion for a shell."
)
@click.argument("shell", type=click.Choice(list(WHERE)))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete the verbs and options of cloudha."""
    found = get_completion_class(shell)
    if found is None:
        raise click.ClickException(f"this version of click has no completion for {shell}")
    click.echo(found(context.find_root().command, {}, NAME, VARIABLE).source())
