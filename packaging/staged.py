"""The files of a package, staged below a folder: the environment under /opt/cloudha, agents, command, pages.

The environment is made at the very path that it will have, since scripts in it name it. For that, a mount namespace of
its own shows the stage there: nothing of this machine's /opt is changed or seen, and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudha.install import AGENTS
from tree import EVERYWHERE, LOCKS, TREE, source_date, version

__all__ = ["HOMEPAGE", "Staged", "filled", "need", "run", "scratch", "stage"]

HOMEPAGE = "https://github.com/cloudha/cloudha"
OPT = Path("/opt")
# What was built with one minor version of Python runs with that one only.
MINOR = "import sys; print(*sys.version_info[:2], sep='.')"
# Of the programs that libraries bring along, people get none: they would be root's, and nobody's job.
PROGRAMS = ("python", "python3", "cloudha")


@dataclass(frozen=True)
class Staged:
    """A package's files below *root*, and what its description says of them."""

    root: Path
    provider: str
    revision: str
    interpreter: Path
    python: str

    @property
    def package(self) -> str:
        """The package's name."""
        return f"cloudha-{self.provider}"

    @property
    def tree(self) -> Path:
        """The environment's path once installed. Each build has its own: two of them never mix in one process."""
        return OPT / "cloudha" / f"{self.provider}-{version()}-{self.revision}"

    @property
    def agents(self) -> list[str]:
        """Where the two agents lie once installed."""
        return sorted(f"/{place}" for place in AGENTS.values())

    @property
    def native(self) -> bool:
        """Whether a library was compiled for this kind of processor."""
        return any(self.root.rglob("*.so")) or any(self.root.rglob("*.so.*"))

    def words(self) -> dict[str, str]:
        """Return what templates are filled with."""
        major, minor = self.python.split(".")
        words = {
            "PACKAGE": self.package,
            "PROVIDER": self.provider,
            "VERSION": version(),
            "REVISION": self.revision,
            "HOMEPAGE": HOMEPAGE,
            "SUMMARY": f"fencing and floating IP addresses for Pacemaker ({self.provider})",
            "TREE": str(self.tree),
            "AGENTS": " ".join(self.agents),
            "PYTHON": self.python,
            "PYTHON_NEXT": f"{major}.{int(minor) + 1}",
            "INTERPRETER": str(self.interpreter),
        }
        wait = (TREE / "packaging/wait.in").read_text().rstrip()
        return {**words, "WAIT": _replaced(wait, words)}


def filled(template: str, words: dict[str, str]) -> str:
    """Return packaging/*template* with every ``@WORD@`` replaced."""
    return _replaced((TREE / "packaging" / template).read_text(), words)


def _replaced(text: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        text = text.replace(f"@{name}@", value)
    return text


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yield a folder that is gone afterwards; on a disk, since an SDK can be larger than memory allows."""
    with tempfile.TemporaryDirectory(prefix="cloudha-package-", dir="/var/tmp") as folder:
        yield Path(folder)


def stage(provider: str, wheels: Path, root: Path, *, revision: str, python: Path) -> Staged:
    """Stage the package of *provider* below *root*. Needs a mount namespace that is ours alone.

    :param wheels: folder with our own wheels.
    :param python: the distribution's interpreter; the package will need the same.
    """
    minor = _output([python, "-I", "-c", MINOR]).strip()
    interpreter = python.resolve()
    staged = Staged(root, provider, revision, interpreter, minor)
    root.chmod(0o755)
    with _shown(root / "opt/cloudha", root.parent):
        _make_environment(staged, wheels)
        run([staged.tree / "bin/cloudha", "install", "--root", root])
        pages: list[str | Path] = [sys.executable, TREE / "scripts/manpages", "--python", staged.tree / "bin/python3"]
        run([*pages, "--output", root / "usr/share/man"])
    link = root / "usr/bin/cloudha"
    link.parent.mkdir(parents=True)
    link.symlink_to(staged.tree / "bin/cloudha")
    papers = root / "usr/share/doc" / staged.package
    papers.mkdir(parents=True)
    (papers / "copyright").write_text(filled("copyright.in", staged.words()))
    shutil.copyfile(TREE / "CHANGELOG.md", papers / "CHANGELOG.md")
    _settle(root)
    return staged


@contextlib.contextmanager
def _shown(place: Path, folder: Path) -> Iterator[None]:
    """Show the folder *place* at /opt/cloudha in this mount namespace."""
    over = folder / "over"
    for path in (place, over):
        path.mkdir(parents=True)
    run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", over])
    for name in ("upper", "work"):
        (over / name).mkdir()
    run(["mount", "-t", "overlay", "-o", f"lowerdir=/opt,upperdir={over}/upper,workdir={over}/work", "overlay", OPT])
    try:
        (OPT / "cloudha").mkdir(exist_ok=True)
        run(["mount", "--bind", place, OPT / "cloudha"])
        try:
            yield
        finally:
            run(["umount", OPT / "cloudha"])
    finally:
        run(["umount", OPT])
        run(["umount", over])


def _make_environment(staged: Staged, wheels: Path) -> None:
    tree = staged.tree
    run([staged.interpreter, "-I", "-m", "venv", "--without-pip", "--symlinks", tree])
    # As the package's dependency says it, whatever else is called python3 here.
    for name, target in (("python3", str(staged.interpreter)), ("python", "python3")):
        (tree / "bin" / name).unlink()
        (tree / "bin" / name).symlink_to(target)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        tree / "bin/python3",
        "--quiet",
        "--disable-pip-version-check",
    ]
    options = ["install", "--no-compile", "--no-warn-script-location", "--root-user-action", "ignore"]
    lock = LOCKS / f"package-{staged.provider}.txt"
    run([*pip, *options, "--only-binary", ":all:", "--require-hashes", "-r", lock])
    ours = ["cloudha", *(f"cloudha-plugin-{name}" for name in (staged.provider, *EVERYWHERE))]
    exact = [f"{name}=={version()}" for name in ours]
    run([*pip, *options, "--no-deps", "--no-index", "--find-links", wheels, *exact])
    for path in (tree / "bin").iterdir():
        if path.name not in PROGRAMS:
            path.unlink()
    _settle(tree)
    # By time, not by hash: whoever must mend a file at night sees the effect. The times are the package's own.
    compile_all: list[str | Path] = [
        tree / "bin/python3",
        "-I",
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "timestamp",
    ]
    # A file that is for another Python does not compile; it is never imported either.
    subprocess.run([*compile_all, tree / "lib"], stdout=subprocess.DEVNULL, check=False)


def _settle(root: Path) -> None:
    """Give everything one owner's modes, and the one time."""
    date = source_date()
    for path in (root, *sorted(root.rglob("*"))):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & stat.S_IXUSR else 0o644)
        os.utime(path, (date, date), follow_symlinks=False)


def run(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> None:
    """Run a program; end with what it said when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        shown = " ".join(map(str, command))
        sys.exit(f"{shown}: exit code {done.returncode}\n{done.stdout}{done.stderr}".rstrip())


def _output(command: Sequence[str | Path]) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def need(program: str, package: str) -> str:
    """Return the path of *program*; end with advice when it is not here."""
    found = shutil.which(program)
    if not found:
        sys.exit(f"{program} is missing; install the package {package}")
    return found
