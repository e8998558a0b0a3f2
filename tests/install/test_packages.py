"""The Debian package: made here, then installed, upgraded and removed by dpkg in a private copy of this machine's root.

The copy is an overlay in a mount namespace: dpkg, its database and all that the package needs are this machine's own;
what is written is gone with the namespace. The package is the one of the simulated cloud, the smallest.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path

import pytest

from cloudha.install import AGENTS
from private_node import PrivateNode, private_node

TREE = Path(__file__).parents[2]
ROOT = "/run/root"
# Libraries come from the package index, and dpkg waits for the disk: on a machine that is busy, this takes its time.
SECONDS = 400
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
PACKAGE = "cloudha-sim"
DPKG_DEB = "/usr/bin/dpkg-deb"
# No waiting for the disk, and no new index of all manual pages: neither is what is tested here.
DPKG = ("dpkg", "--force-unsafe-io", "--no-triggers")
FENCE, FLOATING = (f"/{AGENTS[name]}" for name in ("fence_cloud", "floating-ip"))
OLD, NEW = "1", "2"
QUICK = ("--uncompressed",)
PATIENT = ("--query-timeout", "300", "--shell-timeout", "300")
OVERLAY = f"""
mkdir -m 755 {ROOT} /run/over
mount -t tmpfs tmpfs /run/over
mkdir /run/over/upper /run/over/work
mount -t overlay -o lowerdir=/,upperdir=/run/over/upper,workdir=/run/over/work overlay {ROOT}
mount --rbind /dev {ROOT}/dev
mount --rbind /proc {ROOT}/proc
mount -t tmpfs tmpfs {ROOT}/run
rm -rf {ROOT}/opt/cloudha {ROOT}{FENCE} {ROOT}{FLOATING}
"""
# What dpkg writes for itself, and what other packages' triggers renew.
BOOKS = ("var/lib/dpkg", "var/log", "var/cache", "run", "tmp")


class Machine:
    """The private copy of this machine."""

    def __init__(self, node: PrivateNode) -> None:
        self.node = node
        self.prefix = [*node.prefix, "/usr/sbin/chroot", ROOT]

    def run(self, *command: str, good: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.prefix, *command],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert not good or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def path(self, inside: str) -> Path:
        return self.node.path(ROOT + inside)

    def put(self, package: Path) -> str:
        """Copy a package to where the machine sees it."""
        shutil.copy(package, self.path("/run"))
        return f"/run/{package.name}"

    def written(self) -> set[str]:
        """All files that are there and were not in this machine's root."""
        upper = self.node.path("/run/over/upper")
        found = set()
        for folder, _, names in os.walk(upper):
            place = Path(folder).relative_to(upper)
            if not str(place).startswith(BOOKS):
                # A character device is the overlay's mark of something that was removed.
                found |= {str(place / name) for name in names if not (Path(folder) / name).is_char_device()}
        return found


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The package in two revisions, built as `make deb` does."""
    for program in (DPKG_DEB, "unshare", "mount"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    if os.geteuid() != 0:
        pytest.skip("needs root, for namespaces")
    folder = tmp_path_factory.mktemp("packages")
    script(["dist", "--output", folder])
    made = {}
    for revision in (OLD, NEW):
        script(
            [
                "package",
                "deb",
                "--provider",
                "sim",
                "--wheels",
                folder,
                "--output",
                folder,
                "--revision",
                revision,
                *QUICK,
            ]
        )
        (made[revision],) = folder.glob(f"{PACKAGE}_*-{revision}_*.deb")
    return made


def script(words: list[str | Path]) -> None:
    name, *rest = words
    done = subprocess.run(
        [sys.executable, TREE / "scripts" / name, *rest],
        cwd=TREE,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_plugin_is_an_extra_of_the_core() -> None:
    extras = set(metadata("cloudha").get_all("Provides-Extra") or ())
    assert {file.parent.name for file in TREE.glob("plugins/*/pyproject.toml")} <= extras


@pytest.fixture
def machine(packages: dict[str, Path]) -> Iterator[Machine]:
    assert packages
    with private_node(OVERLAY) as node:
        yield Machine(node)


def test_install_and_remove(machine: Machine, packages: dict[str, Path]) -> None:
    before = machine.written()
    machine.run(*DPKG, "--install", machine.put(packages[OLD]))
    assert machine.run("dpkg", "--verify", PACKAGE).stdout == ""

    # As Pacemaker asks, with nothing in the environment; and as pcsd and ocf-tester do, which are not root.
    for who in (["/usr/bin/env", "-i"], ["/usr/bin/setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]):
        for agent, words in ((FENCE, ("-o", "metadata")), (FLOATING, ("meta-data",))):
            done = machine.run(*who, agent, *words)
            assert done.stderr == ""
            assert done.stdout.startswith("<?xml")
            assert 'name="endpoint"' in done.stdout
    assert machine.run("cloudha", "providers").stdout.split()[0] == "lb-probe:"
    assert machine.run("cloudha", "--version").stdout.split()[0] == "cloudha,"
    assert "already in place" in machine.run("cloudha", "install").stdout
    for page in ("man8/fence_cloud.8.gz", "man7/ocf_cloudha_floating-ip.7.gz", "man1/cloudha.1.gz"):
        assert machine.path(f"/usr/share/man/{page}").is_file()

    # Root has run it: what Python would write beside the files is in the package already.
    listed = set(machine.run("dpkg", "--listfiles", PACKAGE).stdout.splitlines())
    assert {f"/{path}" for path in machine.written() - before} <= listed
    assert not [path for path in listed if path.endswith(("/pip", "direct_url.json"))]

    machine.run(*DPKG, "--remove", PACKAGE)
    assert machine.written() <= before
    for place in ("/opt/cloudha", FENCE, FLOATING, str(Path(FLOATING).parent), "/usr/bin/cloudha"):
        assert not os.path.lexists(machine.path(place)), place


def test_nothing_names_this_machine(packages: dict[str, Path], tmp_path: Path) -> None:
    subprocess.run([DPKG_DEB, "--raw-extract", packages[OLD], tmp_path], check=True)
    strange = (str(TREE).encode(), str(packages[OLD].parent).encode(), b"/var/tmp/cloudha-package")
    for path in tmp_path.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert not any(text in content for text in strange), path


def test_an_upgrade_while_agents_run(machine: Machine, packages: dict[str, Path]) -> None:
    machine.run(*DPKG, "--install", machine.put(packages[OLD]))
    new = machine.put(packages[NEW])

    # A cluster goes on asking all the while: every answer is a whole one.
    wrong: list[str] = []
    asked = 0
    over = threading.Event()

    def ask() -> None:
        nonlocal asked
        while not over.is_set():
            done = machine.run(FENCE, "-o", "metadata", good=False)
            asked += 1
            if done.returncode or done.stderr or not done.stdout.endswith("</resource-agent>\n"):
                wrong.append(f"{done.returncode} {done.stderr}")

    # And one action of the old version is at work, in a cloud that does not answer: the files that it may still need
    # stay until it has ended.
    cloud = machine.node.call(lambda: socket.create_server(("127.0.0.1", 0)))
    endpoint = f"http://127.0.0.1:{cloud.getsockname()[1]}"
    at_work = subprocess.Popen(
        [*machine.prefix, FENCE, "-o", "list", "--provider", "sim", "--endpoint", endpoint, *PATIENT],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    connection, _ = cloud.accept()
    asking = threading.Thread(target=ask)
    asking.start()
    upgrade = subprocess.Popen(
        [*machine.prefix, *DPKG, "--install", new],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert upgrade.stdout
        said = ""
        for line in upgrade.stdout:
            said += line
            if "waiting for an agent" in line:
                break
        else:
            pytest.fail(f"the upgrade did not wait: {said}")
        old_tree = machine.path(tree(OLD, packages))
        assert (old_tree / "bin/python3").is_symlink()
        # A refusal: the action ends at once, and says so in its own words.
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.close()
        _, errors = at_work.communicate(timeout=SECONDS)
        assert at_work.returncode == 1
        assert "internal error" not in errors
        assert "sim: list" in errors
        said += upgrade.stdout.read()
        assert upgrade.wait(SECONDS) == 0, said
    finally:
        over.set()
        asking.join()
        for process in (at_work, upgrade):
            process.kill()
            process.wait()
        cloud.close()
    assert not wrong
    assert asked
    assert not old_tree.exists()
    assert machine.run(FENCE, "-o", "metadata").stdout.startswith("<?xml")
    assert tree(NEW, packages) in machine.path(FENCE).read_text().splitlines()[0]


def tree(revision: str, packages: dict[str, Path]) -> str:
    version = packages[revision].name.split("_")[1]
    return f"/opt/cloudha/sim-{version}"


def test_a_file_of_somebody_else_stays(machine: Machine, packages: dict[str, Path]) -> None:
    machine.path(FENCE).write_text("#!/bin/sh\n")
    done = machine.run(*DPKG, "--install", machine.put(packages[OLD]), good=False)
    assert done.returncode != 0
    assert f"{FENCE} is there and was not written by cloudha" in done.stderr
    assert machine.path(FENCE).read_text() == "#!/bin/sh\n"
    assert not machine.path("/opt/cloudha").exists()


def test_agents_that_pip_put_there_are_taken_over(machine: Machine, packages: dict[str, Path]) -> None:
    mark = (
        "#!/opt/cloudha/bin/python -I\n# Written by `cloudha install`; remove it with `cloudha install --uninstall`.\n"
    )
    machine.path(FENCE).write_text(mark)
    environment = machine.path("/opt/cloudha/pyvenv.cfg")
    environment.parent.mkdir(parents=True)
    environment.write_text("home = /usr/bin\n")
    machine.run(*DPKG, "--install", machine.put(packages[OLD]))
    assert tree(OLD, packages) in machine.path(FENCE).read_text()
    machine.run(*DPKG, "--remove", PACKAGE)
    assert environment.exists()
