"""Marks on real file systems: read-only, full and unsafe ones among them."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cloudha import local_mark
from cloudha.local_mark import MarkKey, clear_mark, read_mark, set_mark
from cloudha.types import Kind, Verdict

ROOT = Path(__file__).resolve().parents[1]
SECONDS = 30


def key(provider: str = "sim", kind: Kind = Kind.PRIVATE, ip: str = "10.0.0.1") -> MarkKey:
    return MarkKey(provider, kind, ipaddress.ip_address(ip))


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path / "cloudha")


def reboot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, boot_id: str) -> None:
    fake = tmp_path / "boot_id"
    fake.write_text(boot_id)
    monkeypatch.setattr(local_mark, "BOOT_ID", str(fake))


def test_set_read_clear(place: str) -> None:
    assert read_mark(key(), directory=place) is Verdict.NO
    assert set_mark(key(), directory=place)
    assert set_mark(key(), directory=place)
    assert read_mark(key(), directory=place) is Verdict.YES
    assert stat.S_IMODE(os.stat(place).st_mode) == 0o700
    (name,) = os.listdir(place)
    assert name == "sim.private.10.0.0.1"
    mark = Path(place, name)
    assert stat.S_IMODE(mark.stat().st_mode) == 0o600
    content = json.loads(mark.read_text())
    assert content["boot_id"] == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert isinstance(content["time"], int)
    clear_mark(key(), directory=place)
    clear_mark(key(), directory=place)
    assert read_mark(key(), directory=place) is Verdict.NO
    assert os.listdir(place) == []


def test_every_key_has_its_own_mark(place: str) -> None:
    keys = [
        key(),
        key(ip="10.0.0.10"),
        key(ip="fd00::1"),
        key(kind=Kind.PUBLIC),
        key(kind=Kind.ROUTE),
        *[
            key(provider)
            for provider in ("sim.private", "SIM", "s/im", "../sim", "s_2f_im", ".", "", "s\0m", "s\u00fcm")
        ],
    ]
    assert len({k.file_name for k in keys}) == len(keys)
    for marked in keys:
        assert set_mark(marked, directory=place)
        assert [k for k in keys if read_mark(k, directory=place) is Verdict.YES] == [marked]
        clear_mark(marked, directory=place)
    assert os.listdir(place) == []


def test_mark_of_an_earlier_boot_does_not_count(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reboot(monkeypatch, tmp_path, "first\n")
    assert set_mark(key(), directory=place)
    reboot(monkeypatch, tmp_path, "second\n")
    assert read_mark(key(), directory=place) is Verdict.NO
    assert set_mark(key(), directory=place)
    assert read_mark(key(), directory=place) is Verdict.YES
    os.chmod(place, 0o700 | local_mark.LOST)
    reboot(monkeypatch, tmp_path, "third\n")
    assert read_mark(key(), directory=place) is Verdict.CANNOT_TELL


@pytest.mark.parametrize("boot_id", ["", None])
def test_without_a_boot_id(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boot_id: str | None) -> None:
    if boot_id is None:
        monkeypatch.setattr(local_mark, "BOOT_ID", str(tmp_path / "missing"))
    else:
        reboot(monkeypatch, tmp_path, boot_id)
    assert not set_mark(key(), directory=place)
    assert read_mark(key(), directory=place) is Verdict.CANNOT_TELL
    monkeypatch.undo()
    # What was set without knowing the boot is no proof of anything, now or later.
    assert read_mark(key(), directory=place) is Verdict.CANNOT_TELL
    clear_mark(key(), directory=place)


@pytest.mark.parametrize("content", ["", "{", "null", "[]", "3", '{"boot_id": 3}', '{"boot_id": ""}', "\udcff"])
def test_damaged_mark_is_no_answer_and_is_replaced(place: str, content: str) -> None:
    assert set_mark(key(), directory=place)
    Path(place, key().file_name).write_bytes(content.encode("utf-8", "surrogateescape"))
    assert read_mark(key(), directory=place) is Verdict.CANNOT_TELL
    assert set_mark(key(), directory=place)
    assert read_mark(key(), directory=place) is Verdict.YES


@pytest.mark.parametrize("thing", ["directory", "symlink", "pipe"])
def test_something_else_in_the_place_of_the_mark(place: str, tmp_path: Path, thing: str) -> None:
    assert read_mark(key(), directory=place) is Verdict.NO
    there = Path(place, key().file_name)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    if thing == "directory":
        there.mkdir()
    elif thing == "symlink":
        there.symlink_to(victim)
    else:
        os.mkfifo(there)
    assert read_mark(key(), directory=place) is Verdict.CANNOT_TELL
    marked = set_mark(key(), directory=place)
    assert marked is (thing != "directory")
    assert read_mark(key(), directory=place) is (Verdict.YES if marked else Verdict.CANNOT_TELL)
    clear_mark(key(), directory=place)
    assert victim.read_text() == "untouched"
    assert [name for name in os.listdir(place) if name.startswith(".")] == []


@pytest.mark.parametrize("how", ["symlink", "group", "others", "file", "no parent", "owner", "no path"])
def test_directory_that_cannot_be_trusted(place: str, tmp_path: Path, how: str) -> None:
    real = tmp_path / "real"
    assert set_mark(key(), directory=str(real))
    match how:
        case "symlink":
            os.symlink(real, place)
        case "group" | "others":
            place = str(real)
            real.chmod(0o720 if how == "group" else 0o702)
        case "file":
            Path(place).write_text("")
        case "no parent":
            place += "/deeper"
        case "owner":
            if os.geteuid() != 0:
                pytest.skip("giving a directory away needs root")
            place = str(real)
            os.chown(real, 65534, 65534)
        case "no path":
            place = "a\0b"
    assert read_mark(key(), directory=place) is Verdict.CANNOT_TELL
    assert not set_mark(key(), directory=place)
    clear_mark(key(), directory=place)
    if how in ("group", "others", "owner"):
        assert os.listdir(real) == [key().file_name]


STEPS = """
import ipaddress, subprocess, sys
from cloudha.local_mark import MarkKey, clear_mark, read_mark, set_mark
from cloudha.types import Kind
one, two = (MarkKey("sim", Kind.PRIVATE, ipaddress.ip_address(ip)) for ip in ("10.0.0.1", "10.0.0.2"))
mount, place = sys.argv[1], sys.argv[1] + "/cloudha"
def remount(options): subprocess.run(["/bin/mount", "-o", "remount," + options, mount], check=True, timeout=20)
def fill():
    with open(mount + "/fill", "wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)): pass
        except OSError: pass
def read(mark): print(read_mark(mark, directory=place).name)
def put(mark): print(set_mark(mark, directory=place))
"""


def on_tmpfs(tmp_path: Path, body: str) -> list[str]:
    """Run *body* where ``mount`` is a small file system of its own, in a mount namespace that ends with it."""
    unshare = shutil.which("unshare", path="/usr/bin:/bin")
    if os.geteuid() != 0 or not unshare:
        pytest.skip("mounting needs root and unshare")
    script = 'mount -t tmpfs -o size=64k none "$1" && exec "$2" -c "$3" "$1"'
    done = subprocess.run(
        [unshare, "--mount", "sh", "-c", script, "sh", str(tmp_path), sys.executable, STEPS + body],
        check=False,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_read_only_file_system(tmp_path: Path) -> None:
    """A mark from before stays good; nothing else can be told, since nothing else could have been written."""
    told = on_tmpfs(
        tmp_path,
        """
put(one); remount("ro"); read(one); put(one); read(two); put(two); clear_mark(one, directory=place); read(one)""",
    )
    assert told == ["True", "YES", "True", "CANNOT_TELL", "False", "YES"]


def test_read_only_from_the_beginning(tmp_path: Path) -> None:
    assert on_tmpfs(tmp_path, 'remount("ro"); read(one); put(one); read(one)') == [
        "CANNOT_TELL",
        "False",
        "CANNOT_TELL",
    ]


def test_mark_lost_on_a_full_file_system_is_remembered(tmp_path: Path) -> None:
    """Once space is back, the missing mark must not read as "was never bound here"."""
    told = on_tmpfs(
        tmp_path,
        """
read(one); fill(); put(one); read(one)
import os; os.unlink(mount + "/fill"); print(os.listdir(place)); read(one); put(two); read(two); read(one)""",
    )
    assert told == ["NO", "False", "CANNOT_TELL", "[]", "CANNOT_TELL", "True", "YES", "CANNOT_TELL"]


def test_many_processes_at_once(place: str) -> None:
    """Nobody ever sees half a mark: readers say YES or NO while writers set and clear it."""
    code = f"""
import sys
from cloudha.local_mark import *
from cloudha.types import Kind
import ipaddress
mark = MarkKey("sim", Kind.PRIVATE, ipaddress.ip_address("10.0.0.1"))
for _ in range(200):
    if sys.argv[1] == "write":
        assert set_mark(mark, directory={place!r})
        clear_mark(mark, directory={place!r})
    else:
        print(read_mark(mark, directory={place!r}).name)
"""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code, role], env={"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
        )
        for role in ("write", "write", "read")
    ]
    told = [worker.communicate(timeout=SECONDS)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert set(told[2].split()) <= {"YES", "NO"}
    assert os.listdir(place) == []
