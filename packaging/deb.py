"""A Debian package of what is staged."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from staged import Staged, filled, need, run
from tree import source_date, version

__all__ = ["make_deb"]

KIBI = 1024
SCRIPTS = ("preinst", "postrm")


def make_deb(staged: Staged, target: Path, *, compression: str = "xz") -> Path:
    """Write the .deb into *target* and return it. The same tree, time and interpreter give the same bytes."""
    builder = need("dpkg-deb", "dpkg")
    root = staged.root
    architecture = _output(["dpkg", "--print-architecture"]) if staged.native else "all"
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    words = {
        **staged.words(),
        "ARCHITECTURE": architecture,
        "KILOBYTES": str(sum(path.stat().st_size // KIBI + 1 for path in files)),
        "MORE_DEPENDS": ", libc6" if staged.native else "",
    }
    control = root / "DEBIAN"
    control.mkdir(mode=0o755)
    (control / "control").write_text(filled("debian/control.in", words))
    sums = (f"{_md5(path)}  {path.relative_to(root)}\n" for path in files)
    (control / "md5sums").write_text("".join(sums))
    for name in SCRIPTS:
        (control / name).write_text(filled(f"debian/{name}.in", words))
        (control / name).chmod(0o755)
    package = target / f"{staged.package}_{version()}-{staged.revision}_{architecture}.deb"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source_date())}
    run([builder, "--root-owner-group", f"-Z{compression}", "--build", root, package], environment)
    shutil.rmtree(control)
    return package


def _md5(path: Path) -> str:
    # What dpkg --verify compares; a sign of a broken disk, not a protection.
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _output(command: list[str]) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
