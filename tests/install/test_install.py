"""`cloudha install`: both executables in place, whole, ours alone, and gone again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent_process import Agents, run
from cloudha.errors import LocalConfigurationError
from cloudha.install import AGENTS, Done, check, install, uninstall

CLOUDHA = Path(sys.executable).parent / "cloudha"
PLACES = tuple(AGENTS.values())


def tree(root: Path) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([CLOUDHA, "install", *words], env={}, capture_output=True, text=True, timeout=60, check=False)


def test_install_and_uninstall(tmp_path: Path) -> None:
    assert {change.done for change in install(tmp_path)} == {Done.WRITTEN}
    assert sorted(tree(tmp_path)) == [
        "usr",
        "usr/lib",
        "usr/lib/ocf",
        "usr/lib/ocf/resource.d",
        "usr/lib/ocf/resource.d/cloudha",
        "usr/lib/ocf/resource.d/cloudha/floating-ip",
        "usr/sbin",
        "usr/sbin/fence_cloud",
    ]
    for place in PLACES:
        assert (tmp_path / place).stat().st_mode & 0o7777 == 0o755
        assert (tmp_path / place).read_text().startswith(f"#!{sys.executable} -I\n")
    assert {change.done for change in install(tmp_path)} == {Done.UNCHANGED}
    assert {change.done for change in check(tmp_path)} == {Done.UNCHANGED}
    assert {change.done for change in uninstall(tmp_path)} == {Done.REMOVED}
    assert not any(path.is_file() for path in tmp_path.rglob("*"))
    assert not (tmp_path / "usr/lib/ocf/resource.d/cloudha").exists()
    assert {change.done for change in uninstall(tmp_path)} == {Done.ABSENT}
    assert {change.done for change in check(tmp_path)} == {Done.ABSENT}


def test_what_is_installed_runs_with_nothing(tmp_path: Path) -> None:
    install(tmp_path)
    agents = Agents(tmp_path)
    for path, words in ((agents.fence_path, ["-o", "metadata"]), (agents.address_path, ["meta-data"])):
        done = run(["/usr/bin/env", "-i", path, *words], "", {})
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("<?xml")


def test_it_runs_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        install(tmp_path)
    finally:
        os.umask(before)
    for place in PLACES:
        assert (tmp_path / place).stat().st_mode & 0o777 == 0o755
        for folder in list((tmp_path / place).parents)[: len(place.parts) - 1]:
            assert folder.stat().st_mode & 0o755 == 0o755, f"{folder}: ocf-tester asks as nobody"


def test_update(tmp_path: Path) -> None:
    install(tmp_path)
    old = tmp_path / AGENTS["fence_cloud"]
    old.write_text(old.read_text().replace(sys.executable, "/opt/old/bin/python") + "# older\n")
    old.chmod(0o644)
    done = {change.path: change.done for change in install(tmp_path)}
    assert done[old] is Done.UPDATED
    assert old.read_text().startswith(f"#!{sys.executable} -I\n")
    assert old.stat().st_mode & 0o777 == 0o755


def test_a_mode_that_was_changed_is_mended(tmp_path: Path) -> None:
    install(tmp_path)
    agent = tmp_path / AGENTS["floating-ip"]
    agent.chmod(0o700)
    install(tmp_path)
    assert agent.stat().st_mode & 0o777 == 0o755


def foreign_file(path: Path) -> None:
    path.write_text("#!/bin/sh\n")


def foreign_link(path: Path) -> None:
    path.symlink_to("/bin/true")


def dangling_link(path: Path) -> None:
    path.symlink_to("/nowhere/at/all")


def folder(path: Path) -> None:
    path.mkdir()


def binary_file(path: Path) -> None:
    path.write_bytes(bytes(range(256)))


@pytest.mark.parametrize("make", [foreign_file, foreign_link, dangling_link, folder, binary_file])
@pytest.mark.parametrize("name", list(AGENTS))
def test_what_is_not_ours_is_left_alone(tmp_path: Path, name: str, make: object) -> None:
    path = tmp_path / AGENTS[name]
    path.parent.mkdir(parents=True)
    make(path)  # type: ignore[operator]  # one of the five above
    before = tree(tmp_path)
    for act in (install, uninstall):
        with pytest.raises(LocalConfigurationError, match="not written by cloudha"):
            act(tmp_path)
        assert tree(tmp_path) == before
    done = command("--root", tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(path) in done.stderr
    assert tree(tmp_path) == before


def test_a_link_to_our_own_file_is_not_ours(tmp_path: Path) -> None:
    install(tmp_path / "elsewhere")
    path = tmp_path / AGENTS["fence_cloud"]
    path.parent.mkdir(parents=True)
    path.symlink_to(tmp_path / "elsewhere" / AGENTS["fence_cloud"])
    with pytest.raises(LocalConfigurationError):
        install(tmp_path)
    assert path.is_symlink()


def test_other_agents_in_our_folder_stay(tmp_path: Path) -> None:
    install(tmp_path)
    other = tmp_path / AGENTS["floating-ip"].parent / "other"
    other.write_text("#!/bin/sh\n")
    uninstall(tmp_path)
    assert other.exists()


@pytest.mark.parametrize("path", ["/opt/" + "x" * 250 + "/bin/python", "/opt/with blank/python", "python", ""])
def test_an_interpreter_that_cannot_be_a_first_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.setattr(sys, "executable", path)
    with pytest.raises(LocalConfigurationError, match="first line"):
        install(tmp_path)
    assert tree(tmp_path) == []


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "usr").write_text("")
    done = command("--root", tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
    done = command("--root", tmp_path, "--uninstall")
    assert "Traceback" not in done.stderr


def test_the_command(tmp_path: Path) -> None:
    done = command("--root", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"written: {tmp_path / place}" for place in PLACES]
    assert command("--root", tmp_path).stdout.splitlines()[0].startswith("already in place: ")
    done = command("--root", tmp_path, "--uninstall")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"removed: {tmp_path / place}" for place in PLACES]


def test_a_relative_root(tmp_path: Path) -> None:
    done = subprocess.run(
        [CLOUDHA, "install", "--root", "root"], env={}, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert (tmp_path / "root" / AGENTS["fence_cloud"]).exists()
