"""A Debian that nobody has used: the system's own packages from the mirror that this machine uses, and nothing else.

What lets this machine reach its mirror and its package index (apt's and pip's configuration) is read when it is needed,
and lent to the fresh one. None of it is a part of this tree.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from staged import run

__all__ = ["CODENAME", "Index", "hosts", "make_root", "package_index"]

CODENAME = "bookworm"
FOR_SOURCES = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
# How apt gets what it gets; not what the machine does with it.
TRANSPORT = re.compile(r'Acquire::(?:https?|Retries|Check)[\w:-]* ".*";')
# Of pip's settings, those that say where packages come from, and the one file that it trusts for that.
PLACES = ("index-url", "extra-index-url", "find-links", "trusted-host", "proxy")
CERTIFICATES = "cert"
LENT_CERTIFICATES = "/etc/ssl/lent.pem"


@dataclass(frozen=True)
class Index:
    """Where pip finds packages: settings for its environment, folders and files (source, place) to show it."""

    environment: Mapping[str, str]
    folders: tuple[str, ...]
    files: tuple[tuple[str, str], ...]


def sources() -> list[str]:
    """Return the lines of apt that this machine has for Debian itself.

    :raises SystemExit: there are none, or they are of another release.
    """
    wanted = ["Created-By: Packages", "Origin: Debian"]
    found = _output(["apt-get", "indextargets", "--format", FOR_SOURCES, *wanted]).splitlines()
    lines = sorted({line for line in found if line.split()[1].startswith(CODENAME)})
    if not lines:
        sys.exit(f"apt knows no mirror of Debian {CODENAME} here; on such a machine, run: apt-get update")
    return [f"deb {line}" for line in lines]


def hosts() -> set[str]:
    """Return the names of the hosts that apt and pip ask here, which no page is to show."""
    urls = [line.split()[1] for line in sources()]
    urls += [word for value in _pip().values() for word in value.split()]
    return {host for url in urls if (host := urlsplit(url).hostname)}


def make_root(root: Path, scratch: Path) -> None:
    """Fill *root* with a minimal Debian: what the distribution's own container image holds.

    :param scratch: a folder for the means.
    """
    settings = scratch / "apt.conf"
    known = _output(["apt-config", "dump"]).splitlines()
    settings.write_text("".join(f"{line}\n" for line in known if TRANSPORT.fullmatch(line)))
    mirror = scratch / "sources.list"
    mirror.write_text("".join(f"{line}\n" for line in sources()))
    # As root, and not in a namespace of users: dpkg gives files to many of them.
    how = ["--mode=root", "--variant=minbase", "--quiet", "--format=directory", f"--aptopt={settings}"]
    run([*_builder(scratch), *how, CODENAME, root, mirror])
    (root / "etc/apt/apt.conf.d/99mmdebstrap").unlink(missing_ok=True)
    quiet = 'Dpkg::Progress-Fancy "false";\n'
    (root / "etc/apt/apt.conf.d/10lent").write_text(settings.read_text() + quiet)
    # The machine does not live long enough to lose what is not on its disk yet.
    (root / "etc/dpkg/dpkg.cfg.d/lent").write_text("force-unsafe-io\n")
    for name in ("auth.conf", "auth.conf.d"):
        given = Path("/etc/apt") / name
        if given.is_dir():
            shutil.copytree(given, root / "etc/apt" / name, dirs_exist_ok=True)
        elif given.exists():
            shutil.copy2(given, root / "etc/apt" / name)
    shutil.copyfile("/etc/resolv.conf", root / "etc/resolv.conf")
    (root / "etc/hostname").write_text("fresh\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost fresh\n")
    # No init runs there: what a package would start could not be ended by anybody.
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)


def package_index() -> Index:
    """Return where this machine's pip finds packages."""
    settings = _pip()
    environment = {f"PIP_{name.upper().replace('-', '_')}": settings[name] for name in PLACES if name in settings}
    words = [word for name in PLACES for word in settings.get(name, "").split()]
    local = {word.removeprefix("file://") for word in words if word.startswith(("file:///", "/"))}
    folders = sorted(path for path in local if os.path.isdir(path))
    # An index's pages may point to files beside it.
    folders = sorted({os.path.dirname(path) if os.path.basename(path) == "simple" else path for path in folders})
    files = []
    if settings.get(CERTIFICATES):
        environment["PIP_CERT"] = LENT_CERTIFICATES
        files.append((settings[CERTIFICATES], LENT_CERTIFICATES))
    return Index(environment, tuple(folders), tuple(files))


def _pip() -> dict[str, str]:
    """Return pip's settings by their plain names; the environment's are the last word, as for pip itself."""
    said = _output([sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"])
    found = {}
    for line in said.splitlines():
        name, _, value = line.partition("=")
        # Written as Python writes a string, with single quotes or double ones.
        text = value.strip()
        plain = json.loads(text) if text.startswith('"') else text.strip("'").replace("\\n", " ")
        found[name.rpartition(".")[2]] = plain
    return found


def _builder(scratch: Path) -> list[str | Path]:
    """Return the beginning of the command line of mmdebstrap; where it is not installed, it is only unpacked."""
    if shutil.which("mmdebstrap"):
        return ["mmdebstrap"]
    fetched = subprocess.run(
        ["apt-get", "download", "-qq", "mmdebstrap"], cwd=scratch, capture_output=True, text=True, check=False
    )
    packages = list(scratch.glob("mmdebstrap_*.deb"))
    if fetched.returncode or not packages:
        sys.exit(f"mmdebstrap is not installed, and cannot be had: {fetched.stderr.strip()}")
    run(["dpkg-deb", "-x", packages[0], scratch / "mmdebstrap"])
    return ["perl", scratch / "mmdebstrap/usr/bin/mmdebstrap"]


def _output(command: list[str]) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
