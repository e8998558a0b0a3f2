"""Are both agents where Pacemaker looks for them, of this version, and can everybody run them?"""

from __future__ import annotations

import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from cloudha import __version__
from cloudha import install as place
from cloudha.cli.checks.case import Case
from cloudha.cli.checks.finding import Finding, bad, good, unknown, warn
from cloudha.cli.checks.programs import Ran, run
from cloudha.errors import CloudhaError

__all__ = ["find"]

# Pacemaker allows as much for metadata.
RUN_SECONDS = 10.0
MISSING = "without it the cluster can neither fence nor move the address"
EVERYBODY = "Pacemaker runs it as root; pcs and ocf-tester ask for its metadata as other users"
VERSION = {"fence_cloud": ("--version",), "floating-ip": ("meta-data",)}
IN_METADATA = re.compile(r'<resource-agent name="floating-ip" version="([^"]*)"')


def find(case: Case) -> Iterator[Finding]:
    """Look at each agent's file, and run it."""
    current = {change.path: change.done is place.Done.UNCHANGED for change in place.check(case.root)}
    for name, below in place.AGENTS.items():
        path = case.root / below
        yield from _agent(case, name, path, current=current[path])
    hidden = place.out_of_reach(Path(sys.executable))
    if hidden is not None:
        yield warn(
            "agents.reach",
            f"only root can reach the agents' interpreter {sys.executable}, see {hidden}",
            EVERYBODY,
            f"chmod o+x {hidden}, or install cloudha into an environment such as /opt/cloudha",
        )


def _agent(case: Case, name: str, path: Path, *, current: bool) -> Iterator[Finding]:
    check = f"agents.{name}"
    command = f"{sys.prefix}/bin/cloudha install" + ("" if case.root == Path("/") else f" --root {case.root}")
    if not path.is_file():
        if case.from_file:
            here = f"{path} is not here, and this machine need not be a node of the cluster"
            yield unknown(check, here, "each node needs it", "run cloudha doctor on each node, or --skip agents")
        else:
            yield bad(check, f"{path} is missing", MISSING, command)
        return
    if place.MARK not in path.read_text(errors="replace"):
        # Nor is it run: nobody knows what it does.
        what, mend = f"{path} was not written by cloudha install", f"move it away, then: {command}"
        yield warn(check, what, "what is judged here is not what the cluster runs", mend)
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & stat.S_IXUSR:
        yield bad(check, f"{path} is not executable", MISSING, f"chmod 755 {path}")
        return
    if mode & 0o005 != 0o005:
        yield warn(f"{check}.mode", f"{path} has mode {mode:04o}", EVERYBODY, f"chmod 755 {path}")
    try:
        version = _version(name, run([str(path), *VERSION[name]], min(RUN_SECONDS, case.deadline.remaining)))
    except CloudhaError as error:
        yield bad(check, f"{path} does not run: {error.cause}", MISSING, command)
        return
    if version != __version__:
        yield warn(
            check,
            f"{path} is version {version}, and this is {__version__}",
            "what is judged here is not what the cluster runs",
            command,
        )
    elif not current:
        yield warn(
            check,
            f"{path} is of another environment, or was changed",
            "the plugins and libraries looked at here are not those that the cluster uses",
            f"{command}, or run the cloudha command of that environment",
        )
    else:
        yield good(check, f"{path} is in place, version {version}")


def _version(name: str, ran: Ran) -> str:
    """Return what the agent says of itself.

    :raises CloudhaError: it did not say.
    """
    found = IN_METADATA.search(ran.out) if name == "floating-ip" else re.match(r"\S+", ran.out)
    if ran.code or not found:
        raise CloudhaError(ran.said)
    return found[found.re.groups]
