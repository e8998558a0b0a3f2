"""``cloudha sim``: the simulated cloud as a command of cloudha."""

from __future__ import annotations

import click

from cloudha_plugin_sim.serve import run

__all__ = ["sim"]


@click.command()
@click.option("--listen", required=True, metavar="HOST:PORT", help="Where to listen.")
@click.option("--nodes", required=True, metavar="NAME[=ADDRESS],...", help="The machines.")
@click.option("--addresses", default="", metavar="IP,...", help="Public addresses.")
@click.option("--token-file", default="", metavar="FILE", help="Bearer token that the API shall want (mode 0600).")
@click.option("--transition", default=0.2, show_default=True, help="Seconds that a stop or a start takes.")
def sim(listen: str, nodes: str, addresses: str, token_file: str, transition: float) -> None:
    """Run a simulated cloud until interrupted."""
    run(listen, nodes, addresses=addresses, token_file=token_file, transition=transition, say=click.echo)
