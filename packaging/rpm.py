"""An RPM package of what is staged."""

from __future__ import annotations

import os
from pathlib import Path

from staged import Staged, filled, need, run
from tree import source_date, version

__all__ = ["make_rpm", "write_spec"]


def write_spec(staged: Staged, target: Path) -> Path:
    """Write the spec file into *target* and return it."""
    tree = staged.root / "opt/cloudha"
    listed = sorted(path for path in staged.root.rglob("*") if not path.is_dir() and not path.is_relative_to(tree))
    places = [f"/{path.relative_to(staged.root)}" for path in listed]
    # rpm compresses manual pages itself, by another name if it likes.
    words = {
        **staged.words(),
        "STAGE": str(staged.root),
        "BUILD_ARCH": "" if staged.native else "BuildArch: noarch",
        "FILES": "\n".join(["%dir /usr/lib/ocf/resource.d/cloudha", *places]),
    }
    spec = target / f"{staged.package}.spec"
    spec.write_text(filled("rpm/cloudha.spec.in", words))
    return spec


def make_rpm(staged: Staged, target: Path, folder: Path) -> Path:
    """Write the .rpm into *target* and return it; *folder* is for rpmbuild's own work."""
    builder = need("rpmbuild", "rpm (Debian) or rpm-build (Fedora, RHEL, SUSE)")
    spec = write_spec(staged, folder)
    architecture = os.uname().machine if staged.native else "noarch"
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(source_date())}
    top = ["--define", f"_topdir {folder}/rpmbuild", "--define", f"_rpmdir {folder}/out"]
    # Named after what was asked for, not after this machine.
    run([builder, "-bb", "--quiet", *top, "--define", "_buildhost cloudha", spec], environment)
    name = f"{staged.package}-{version()}-{staged.revision}.{architecture}.rpm"
    made = folder / "out" / architecture / name
    return Path(made.rename(target / name)) if made.stat().st_dev == target.stat().st_dev else _copied(made, target)


def _copied(made: Path, target: Path) -> Path:
    copy = target / made.name
    copy.write_bytes(made.read_bytes())
    return copy
