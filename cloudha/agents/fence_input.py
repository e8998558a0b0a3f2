"""Read a fence agent's input: ``name=value`` lines from Pacemaker, or options from people."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cloudha.agents.fence_options import ALIASES, FenceOption
from cloudha.errors import ConfigurationError
from cloudha.options import canonical

__all__ = ["from_arguments", "from_lines", "read_input"]

# A certificate or key fits well into a line; what is longer is no parameter. The whole input is bounded likewise.
LONGEST_LINE = 65_536
# On the command line only.
FOR_PEOPLE = frozenset({"help", "version"})
MOST_INPUT = 8 * 1024 * 1024


def read_input(handle: int = 0) -> bytes:
    """Read all of standard input, up to a bound beyond which nothing sensible comes."""
    chunks: list[bytes] = []
    size = 0
    while size <= MOST_INPUT:
        try:
            chunk = os.read(handle, 65_536)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
    return b"".join(chunks)


def from_lines(data: bytes) -> dict[str, str]:
    """Return the parameters in *data*. Blank lines and comments are skipped, the last value of a name wins.

    A line without ``=``, and one that is too long, is passed over: what it holds may be a secret, so it is not shown.
    """
    values: dict[str, str] = {}
    for line in data.split(b"\n"):
        if len(line) > LONGEST_LINE:
            continue
        text = line.decode("utf-8", "replace").strip()
        if text and not text.startswith("#"):
            name, found, value = text.partition("=")
            # Of these, a cluster would take the exit code for that of its action.
            if found and canonical(name) not in FOR_PEOPLE:
                _put(values, name, value.strip())
    return _settled(values)


def from_arguments(arguments: Sequence[str], options: Sequence[FenceOption]) -> dict[str, str]:
    """Return the parameters on the command line.

    :raises ConfigurationError: an unknown option, one without its value, or a secret, which every user could read in
        the process list.
    """
    import getopt  # only people give options; Pacemaker never does

    shorts: dict[str, FenceOption] = {}
    longs: dict[str, FenceOption] = {}
    for known in options:
        longs[known.option.name.replace("_", "-")] = known
        if known.short and not known.deprecated:
            shorts[known.short] = known
    letters = "".join(letter + (":" if known.metavar else "") for letter, known in shorts.items())
    words = [name + ("=" if known.metavar else "") for name, known in longs.items()]
    try:
        pairs, rest = getopt.gnu_getopt([_hyphens(argument) for argument in arguments], letters, words)
    except getopt.GetoptError as error:
        known_name = error.opt in longs or error.opt in shorts
        what = f"option {error.opt} needs a value" if known_name else "there is an unknown or incomplete option"
        raise ConfigurationError(what, advice="see: fence_cloud --help") from None
    if rest:
        raise ConfigurationError("there are words that belong to no option", advice="see: fence_cloud --help")
    values: dict[str, str] = {}
    for name, value in pairs:
        known = longs[name[2:]] if name.startswith("--") else shorts[name[1:]]
        if known.option.secret:
            raise ConfigurationError(
                f"option --{known.option.name.replace('_', '-')} would show a secret in the process list",
                advice=f"give it on standard input ({known.option.name}=...), in a file, or in the environment as "
                f"CLOUDHA_{known.option.name.upper()}",
            )
        level = int(values.get("verbose_level", "0")) + 1 if known.option.name == "verbose" else 0
        if level:
            values["verbose_level"] = str(level)
        _put(values, known.option.name, value if known.metavar else "1")
    return _settled(values)


def _hyphens(argument: str) -> str:
    """Let ``--access_key=x`` mean ``--access-key=x``."""
    if argument.startswith("--"):
        name, found, value = argument.partition("=")
        return name.replace("_", "-") + found + value
    return argument


def _put(values: dict[str, str], name: str, value: str) -> None:
    key = canonical(name)
    values[ALIASES.get(key, key) if value or key not in ALIASES else key] = value


def _settled(values: dict[str, str]) -> dict[str, str]:
    # The cluster's own name of the target serves where no plug is given (validate-all sends both, empty).
    if not values.get("plug") and values.get("nodename"):
        values["plug"] = values["nodename"]
    return values
