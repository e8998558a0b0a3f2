"""Put the two agents where Pacemaker looks for them; no wheel can do that.

Each is written as a small file with the absolute interpreter of the environment that holds cloudha, so that it runs
with an empty environment. A file that we did not write is never replaced or removed.
"""

from __future__ import annotations

import enum
import os
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cloudha.errors import LocalConfigurationError

__all__ = ["AGENTS", "Change", "Done", "check", "install", "out_of_reach", "uninstall"]

#: file in the distribution -> place below the root
AGENTS = {
    "fence_cloud": Path("usr/sbin/fence_cloud"),
    "floating-ip": Path("usr/lib/ocf/resource.d/cloudha/floating-ip"),
}
# The mark by which we know our own file again.
MARK = "# Written by `cloudha install`; remove it with `cloudha install --uninstall`."
TEMPLATE_FIRST_LINE = "#!python -I"
# The kernel cuts a longer first line off, and the agent would not start (binfmt_script, BINPRM_BUF_SIZE 256).
LONGEST_FIRST_LINE = 250
# Everybody may run the agents, whatever the umask: ocf-tester asks for the metadata as nobody.
MODE = 0o755


class Done(enum.Enum):
    """What was done with one file."""

    WRITTEN = "written"
    UPDATED = "updated"
    UNCHANGED = "already in place"
    REMOVED = "removed"
    ABSENT = "was not there"


@dataclass(frozen=True, slots=True)
class Change:
    """One file and what was done with it."""

    path: Path
    done: Done


def install(root: Path = Path("/")) -> list[Change]:
    """Write both agents below *root* (mode 0755, whole or not at all) and return what was done.

    :raises LocalConfigurationError: a file there is not ours (nothing is written then), the place cannot be written,
        or the interpreter's path cannot be a first line.
    """
    wanted = [(root / place, _content(name)) for name, place in AGENTS.items()]
    for path, _ in wanted:
        _refuse_foreign(path)
    return [_write(path, content) for path, content in wanted]


def out_of_reach(path: Path) -> Path | None:
    """Return the first folder on the way to *path* that only its owner may pass, None when everybody may.

    Pacemaker runs the agents as root; pcsd's and ocf-tester's metadata calls come from other users.
    """
    # An environment's interpreter may be a link to a place that others cannot reach.
    for folder in (*reversed(path.parents), *reversed(path.resolve().parents)):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def uninstall(root: Path = Path("/")) -> list[Change]:
    """Remove both agents below *root*, and the folder that is then empty.

    :raises LocalConfigurationError: a file there is not ours (nothing is removed then).
    """
    paths = [root / place for place in AGENTS.values()]
    for path in paths:
        _refuse_foreign(path)
    changes = []
    for path in paths:
        there = os.path.lexists(path)
        if there:
            path.unlink()
        changes.append(Change(path, Done.REMOVED if there else Done.ABSENT))
    provider_folder = root / AGENTS["floating-ip"].parent
    if provider_folder.is_dir() and not any(provider_folder.iterdir()):
        provider_folder.rmdir()
    return changes


def check(root: Path = Path("/")) -> list[Change]:
    """Say of both agents whether they are in place and of this environment; change nothing."""
    found = []
    for name, place in AGENTS.items():
        path = root / place
        current = path.is_file() and path.read_text(errors="replace") == _content(name)
        found.append(Change(path, Done.UNCHANGED if current else Done.ABSENT))
    return found


def _content(name: str) -> str:
    first, _, rest = _template(name).partition("\n")
    if first != TEMPLATE_FIRST_LINE:
        raise LocalConfigurationError(f"the installed file {name} is damaged", advice="reinstall cloudha with pip")
    interpreter = sys.executable
    line = f"#!{interpreter} -I"
    if not interpreter.startswith("/") or any(c.isspace() for c in interpreter) or len(line) > LONGEST_FIRST_LINE:
        raise LocalConfigurationError(
            f"the interpreter's path {interpreter!r} cannot stand in the first line of a script",
            advice="install cloudha into an environment with a short path without blanks, as in /opt/cloudha",
        )
    return f"{line}\n{MARK}\n{rest}"


def _template(name: str) -> str:
    here = Path(__file__).parent
    # In a wheel the executables lie inside the package, in a checkout beside it.
    for folder in (here / "executables", here.parent / "fence"):
        if (folder / name).is_file():
            return (folder / name).read_text()
    raise LocalConfigurationError(f"the file {name} is missing beside {here}", advice="reinstall cloudha with pip")


def _refuse_foreign(path: Path) -> None:
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_file() or MARK not in path.read_text(errors="replace"):
        raise LocalConfigurationError(
            f"{path} is there and was not written by cloudha", advice="move it away first; nothing was changed"
        )


def _make_folders(folder: Path) -> None:
    for part in reversed([folder, *folder.parents]):
        if not part.exists():
            part.mkdir()
            part.chmod(MODE)


def _write(path: Path, content: str) -> Change:
    existed = path.exists()
    if existed and path.read_text() == content and stat.S_IMODE(path.stat().st_mode) == MODE:
        return Change(path, Done.UNCHANGED)
    try:
        _make_folders(path.parent)
        # Complete and executable before it gets its name: Pacemaker may run it at any moment.
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(content)
            os.chmod(temporary, MODE)
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise LocalConfigurationError(
            f"{path} cannot be written: {error.strerror}", advice="run it as root, or give --root"
        ) from None
    return Change(path, Done.UPDATED if existed else Done.WRITTEN)
