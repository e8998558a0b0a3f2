"""The simulated cloud on its own: ``cloudha sim``, or ``python -m cloudha_plugin_sim``."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from cloudha.errors import CloudhaError, ConfigurationError
from cloudha.options import read_secret_file
from cloudha.testing.emulator.memory_world import MemoryWorld
from cloudha_plugin_sim.emulator import make
from cloudha_plugin_sim.records import Behaviour

__all__ = ["main", "run"]

LISTEN = re.compile(r"\[?(?P<host>[^\s\[\]]+?)\]?:(?P<port>\d{1,5})")


def run(
    listen: str,
    nodes: str,
    *,
    addresses: str = "",
    token_file: str = "",
    transition: float = 0.2,
    say: Callable[[str], object] | None = None,
) -> int:
    """Serve a simulated cloud until SIGINT or SIGTERM; return the exit code 0.

    :param listen: ``HOST:PORT``, an IPv6 host in brackets; port 0 for any free one.
    :param nodes: names of machines with commas, each ``name`` or ``name=address``.
    :param addresses: public addresses with commas.
    :param token_file: a file with the bearer token that the API shall want, readable by its owner only.
    :param transition: seconds that a stop and a start take.
    :param say: takes the one line that tells where it listens; default: standard output.
    :raises ConfigurationError: a parameter makes no sense, or the address cannot be used.
    """
    found = LISTEN.fullmatch(listen.strip())
    names = _items(nodes)
    if not found or not names:
        raise ConfigurationError("listen is HOST:PORT, and nodes at least one name")
    token = read_secret_file("token_file", os.path.abspath(token_file)).reveal() if token_file else ""
    try:
        world = MemoryWorld(names)
        public = [ipaddress.ip_address(text) for text in _items(addresses)]
        behaviour = Behaviour(stop=transition, start=transition)
        emulator = make(world, found["host"], int(found["port"]), token=token, public=public, behaviour=behaviour)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    except (OSError, OverflowError) as error:
        raise ConfigurationError(f"cannot listen on {listen}: {error}") from None
    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    emulator.start()
    try:
        (say or _print)(f"simulated cloud with {', '.join(names)} on {emulator.url}")
        ended.wait()
    finally:
        emulator.close()
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="cloudha sim", description="Run a simulated cloud.")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--nodes", required=True, metavar="NAME[=ADDRESS],...")
    parser.add_argument("--addresses", default="", metavar="IP,...", help="public addresses")
    parser.add_argument("--token-file", default="", metavar="FILE", help="bearer token that the API shall want")
    parser.add_argument("--transition", type=float, default=0.2, metavar="SECONDS", help="of a stop or a start")
    given = parser.parse_args(arguments)
    try:
        return run(
            given.listen,
            given.nodes,
            addresses=given.addresses,
            token_file=given.token_file,
            transition=given.transition,
        )
    except CloudhaError as error:
        parser.error(str(error))


def _items(text: str) -> list[str]:
    return [item for item in re.split(r"[\s,]+", text) if item]


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
