"""Running commands in nodes, in the client and in the cloud."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cloudha.lab.namespaces import enter_network
from cloudha.lab.power import booted, node_pid
from cloudha.lab.problems import LabError, NotReady
from cloudha.lab.programs import Finished, clean_environment, find, poll, run
from cloudha.lab.state import LabState

__all__ = ["command_in", "exec_in", "run_in"]

BOOT_SECONDS = 15.0
CLIENT, CLOUD = "client", "cloud"


def command_in(state: LabState, place: str) -> list[str]:
    """Return the beginning of a command line that runs the rest in *place*: a node, ``client`` or ``cloud``.

    :raises LabError: there is no such place, or the node has no power.
    :raises NotReady: the node has power and does not come up.
    """
    if place == CLIENT:
        return enter_network(state.client_namespace)
    if place == CLOUD:
        return enter_network(state.cloud_namespace)
    state.plan.node(place)
    files = state.node(place)
    if node_pid(files) is None:
        raise LabError(f"{place} has no power; switch it on with: cloudha lab on {place}")
    # Not before it has its own mounts: until then it sees the machine's.
    if not poll(lambda: booted(files), BOOT_SECONDS):
        raise NotReady(f"{place} does not come up; see {files.console}")
    pid = node_pid(files)
    return ["nsenter", "-t", str(pid), "--net", "--mount", "--uts", "--ipc", "--pid", "--wd=/", "--"]


def run_in(state: LabState, place: str, *argv: str, seconds: float = 30.0, check: bool = True) -> Finished:
    """Run a command there and return what it said.

    :raises LabError: with *check*, when it fails; always when it takes too long or the place is not there.
    """
    try:
        return run([*command_in(state, place), *argv], seconds=seconds, check=check)
    except LabError as error:
        # The path into the node helps nobody who reads the message.
        said = str(error)
        raise LabError(f"{place}: {said[said.index(argv[0]) :] if argv[0] in said else said}") from None


def exec_in(state: LabState, place: str, argv: Sequence[str]) -> None:
    """Become that command there, on this terminal. Does not return."""
    command = [*command_in(state, place), *(argv or ["bash"])]
    environment = clean_environment({"TERM": os.environ.get("TERM", "dumb")})
    os.execve(find(command[0]), command, environment)  # noqa: S606  # a shell is what we avoid
