"""fence_cloud: the ClusterLabs fence agent API in front of the host."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence

from cloudha.agents.exits import FenceExit
from cloudha.agents.fence_input import from_arguments, from_lines, read_input
from cloudha.agents.fence_options import OWN_NAMES
from cloudha.agents.process import Output, finish, quiet_stdout
from cloudha.errors import CloudhaError, ConfigurationError, shown

# For mypy, which knows the name. The real one is in typing, which metadata can do without.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["main"]

# Metadata and help answer before any of the rest of the host is imported.
PAPERS = ("metadata", "meta-data", "manpage")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the agent as the process that it is: input on standard input or *arguments*, answer by exit code."""
    # A twentieth of an action's CPU is spent looking for cycles; the process ends before they matter.
    gc.disable()
    output = Output("fence_cloud")
    words = list(sys.argv[1:] if arguments is None else arguments)
    finish(lambda: _run(words, output), output)


def _run(words: list[str], output: Output) -> int:
    quiet_stdout()
    try:
        raw = _input(words, output)
        action = (raw.get("action") or "reboot").lower()
        if raw.get("help"):
            return _print_usage(output)
        if raw.get("version"):
            from cloudha import __version__

            output.result(__version__)
            return FenceExit.OK
        if action in PAPERS:
            return _print_paper(action, output)
        return _act(action, raw, output)
    except CloudhaError as error:
        output.say(str(error))
        return FenceExit.FAILED


def _input(words: list[str], output: Output) -> dict[str, str]:
    if not words:
        if os.isatty(0):
            raise ConfigurationError("no options, and standard input is a terminal", advice="see: fence_cloud --help")
        raw = from_lines(read_input())
    elif words in (["-o", "metadata"], ["-o", "meta-data"], ["--action=metadata"]):
        # The one call that is made over and over: no need to load every provider to know its options.
        raw = {"action": "metadata"}
    else:
        from cloudha.agents.fence_metadata import options  # loads every provider; people can wait for that

        raw = from_arguments(words, options(output.say))
    return raw


def _print_usage(output: Output) -> int:
    from cloudha.agents.fence_metadata import usage  # for people only

    output.result(usage(output.say))
    return FenceExit.OK


def _print_paper(action: str, output: Output) -> int:
    from cloudha.agents.fence_metadata import metadata, usage  # not needed by any other action

    output.result((usage if action == "manpage" else metadata)(output.say))
    return FenceExit.OK


def _act(action: str, raw: Mapping[str, str], output: Output) -> int:
    # Here and not above: metadata must not pay for it.
    from cloudha.agents.fence_actions import ACTIONS, prepare

    if action not in ACTIONS:
        raise ConfigurationError(
            f"parameter action={shown(action)} is not valid",
            advice=f"write one of: {', '.join((*ACTIONS, 'metadata', 'manpage'))}",
        )
    if action == "stop":
        return FenceExit.OK
    call = prepare(action, raw, output, OWN_NAMES)
    return ACTIONS[action](call)
