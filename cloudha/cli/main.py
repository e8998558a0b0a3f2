"""``cloudha``: install the agents, run the simulated cloud and the lab."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import click

from cloudha import __version__
from cloudha.errors import CloudhaError

__all__ = ["main"]


class _Friendly(click.Group):
    """A group whose commands end with one line for every error of ours, and whose heavy parts load when asked for."""

    # name -> module:attribute, and the distribution that has it when it is not this one
    later: dict[str, tuple[str, str]] = {  # noqa: RUF012 - a constant of the class
        "sim": ("cloudha_plugin_sim.command:sim", "cloudha-plugin-sim"),
        "lab": ("cloudha.lab.cli:lab", ""),
        "describe": ("cloudha.cli.describe:describe", ""),
        "nodes": ("cloudha.cli.machines:nodes", ""),
        "status": ("cloudha.cli.machines:status", ""),
        "off": ("cloudha.cli.power:off", ""),
        "on": ("cloudha.cli.power:on", ""),
        "reboot": ("cloudha.cli.power:reboot", ""),
        "ips": ("cloudha.cli.ips:ips", ""),
        "bind": ("cloudha.cli.ips:bind", ""),
        "unbind": ("cloudha.cli.ips:unbind", ""),
        "policy": ("cloudha.cli.policy:policy", ""),
        "doctor": ("cloudha.cli.doctor:doctor", ""),
        "plan": ("cloudha.cli.plan:plan", ""),
        "plugin": ("cloudha.cli.plugin:plugin", ""),
        "completion": ("cloudha.cli.completion:completion", ""),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self.later])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.later:
            return super().get_command(ctx, cmd_name)
        target, distribution = self.later[cmd_name]
        module, _, attribute = target.partition(":")
        try:
            found = getattr(import_module(module), attribute)
        except ModuleNotFoundError as error:
            if distribution and error.name and module.startswith(error.name):
                return _missing(cmd_name, distribution)
            raise
        return found if isinstance(found, click.Command) else None

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except CloudhaError as error:
            raise click.ClickException(str(error)) from None


def _missing(name: str, distribution: str) -> click.Command:
    """Return a command that says what to install: the list of commands must not end because one of them is not here."""

    @click.command(name, help=f"(comes with {distribution})", context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def stub(words: tuple[str, ...]) -> None:  # noqa: ARG001 - whatever was typed
        pip = f"{sys.prefix}/bin/pip"
        raise click.ClickException(f"{name} comes with {distribution}; run: {pip} install {distribution}")

    return stub


# As wide as the terminal, so that the list of commands shows whole sentences where there is room for them.
WIDEST = 120
BEGIN = """\b
To begin with:
  cloudha lab demo   a failover of a real cluster on this machine
  cloudha doctor     on a node of yours: will the next failover work?
"""


@click.group(
    cls=_Friendly,
    epilog=BEGIN,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDEST},
)
@click.version_option(__version__, "-V", "--version", prog_name="cloudha")
def main() -> None:
    """Fencing and floating IP addresses for Pacemaker on any cloud."""


@main.command()
@click.option("--root", type=click.Path(path_type=Path, file_okay=False), default=Path("/"), help="Write below this.")
@click.option("--uninstall", "remove", is_flag=True, help="Remove what was written.")
def install(root: Path, *, remove: bool) -> None:
    """Put fence_cloud and ocf:cloudha:floating-ip where Pacemaker finds them."""
    from cloudha import install as place  # the command has the same name

    for change in place.uninstall(root) if remove else place.install(root):
        click.echo(f"{change.done.value}: {change.path}")
    hidden = place.out_of_reach(Path(sys.executable))
    if hidden and not remove:
        click.echo(
            f"warning: only root can reach {sys.executable} (see {hidden}): metadata calls of other users (hacluster, "
            "ocf-tester) will fail; better install cloudha into an environment such as /opt/cloudha",
            err=True,
        )


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def providers(*, as_json: bool) -> None:
    """Show the installed providers."""
    import json  # as below

    from cloudha import installed, plugins  # the other commands do not need it

    found: list[dict[str, object]] = []
    for name in installed.installed_names():
        try:
            provider = plugins.load(name)
        except CloudhaError as error:
            found.append({"provider": name, "broken": str(error)})
            if not as_json:
                click.echo(f"{name}: BROKEN: {error}", err=True)
            continue
        kinds = [kind.value for kind in provider.info.kinds]
        fences = provider.implements("power_off")
        about = {"title": provider.info.title, "fencing": fences, "kinds": kinds, "from": provider.entry.origin}
        found.append({"provider": name, **about})
        if not as_json:
            can = f"{'fencing' if fences else 'no fencing'}; {', '.join(kinds) or 'no addresses'}"
            click.echo(f"{name}: {provider.info.title} ({can}) - {provider.entry.origin}")
    if as_json:
        click.echo(json.dumps({"providers": found}, indent=2))
