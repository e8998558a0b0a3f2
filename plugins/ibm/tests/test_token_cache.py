"""The cached token: whole, its owner's alone, and never trusted when somebody else could have touched it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudha import kept_secrets
from cloudha_plugin_ibm.token_cache import Cached, drop, name_of, read, write

NAME = name_of("profile", "", "")
WRITER = """
import sys
from cloudha import kept_secrets
from cloudha_plugin_ibm import token_cache
from cloudha_plugin_ibm.token_cache import Cached
kept_secrets.DIRECTORY = kept_secrets.USER_DIRECTORY = sys.argv[1]
name, letter = sys.argv[2], sys.argv[3]
for _ in range(200):
    token_cache.write(name, Cached(letter * 3000, 0.0, 1e12))
    found = token_cache.read(name)
    assert found is not None and len(set(found.token)) == 1 and len(found.token) == 3000, found
"""


def fresh(text: str = "canary-token") -> Cached:
    now = time.time()
    return Cached(text, now, now + 3600)


def kept(token: object, **fields: object) -> str:
    """Return a file's content."""
    return json.dumps({"document": {"token": token}, "since": 0, "until": time.time() + 3600, **fields})


def test_that_is_what_a_file_holds(cache_directory: Path) -> None:
    write(NAME, fresh())
    (cache_directory / NAME).write_text(kept("another"))
    found = read(NAME)
    assert found is not None
    assert found.token == "another"


def test_a_token_is_kept_for_its_owner_alone(cache_directory: Path) -> None:
    before = os.umask(0)
    try:
        write(NAME, fresh())
    finally:
        os.umask(before)
    assert read(NAME) is not None
    assert stat.S_IMODE(cache_directory.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in cache_directory.iterdir()] == [0o600]
    assert "canary" not in NAME


def test_names_differ_by_identity_and_place() -> None:
    found = {name_of("key", "https://a", "k"), name_of("key", "https://a", "l"), name_of("key", "https://b", "k")}
    assert len(found | {name_of("keyh", "ttps://a", "k")}) == 4


def link_file(directory: Path) -> None:
    os.rename(directory / NAME, directory / "elsewhere")
    (directory / NAME).symlink_to(directory / "elsewhere")


def link_directory(directory: Path) -> None:
    os.rename(directory, directory.parent / "elsewhere")
    directory.symlink_to(directory.parent / "elsewhere")


def link_twice(directory: Path) -> None:
    os.link(directory / NAME, directory.parent / "second-name")


def pipe(directory: Path) -> None:
    (directory / NAME).unlink()
    os.mkfifo(directory / NAME, 0o600)


def folder(directory: Path) -> None:
    (directory / NAME).unlink()
    (directory / NAME).mkdir()


SPOILT: dict[str, Callable[[Path], object]] = {
    "file is readable by the group": lambda d: (d / NAME).chmod(0o640),
    "file is writable by all": lambda d: (d / NAME).chmod(0o602),
    "file belongs to another user": lambda d: os.chown(d / NAME, 65534, -1),
    "file is a symbolic link": link_file,
    "file has a second name": link_twice,
    "file is a pipe": pipe,
    "file is a folder": folder,
    "directory is writable by the group": lambda d: d.chmod(0o720),
    "directory is writable by all, sticky": lambda d: d.chmod(0o1777),
    "directory belongs to another user": lambda d: os.chown(d, 65534, -1),
    "directory is a symbolic link": link_directory,
    "directory above is writable by all": lambda d: d.parent.chmod(0o777),
    "content is no JSON": lambda d: (d / NAME).write_text("garbage"),
    "content is a list": lambda d: (d / NAME).write_text("[]"),
    "content is another document": lambda d: (d / NAME).write_text('{"token": "t"}'),
    "content is too large": lambda d: (d / NAME).write_text(kept("t" * 40_000)),
    "document is a list": lambda d: (d / NAME).write_text(kept("t", document=["token"])),
    "token is empty": lambda d: (d / NAME).write_text(kept("")),
    "token is a number": lambda d: (d / NAME).write_text(kept(1)),
    "end is a word": lambda d: (d / NAME).write_text(kept("t", until="never")),
    "content is empty": lambda d: (d / NAME).write_text(""),
}


@pytest.mark.parametrize("how", SPOILT)
def test_what_others_could_have_touched_is_not_trusted(cache_directory: Path, how: str) -> None:
    if "another user" in how and os.geteuid() != 0:
        pytest.skip("only root gives files away")
    write(NAME, fresh())
    SPOILT[how](cache_directory)
    assert read(NAME) is None
    # And a token is never written where others could read or replace it.
    write(NAME, fresh("new-canary"))
    if how.startswith("directory"):
        texts = [path.read_text() for path in cache_directory.parent.rglob("*") if path.is_file()]
        assert not any("new-canary" in text for text in texts)
    elif how != "file is a folder":
        found = read(NAME)
        assert found is not None
        assert found.token == "new-canary"


def test_a_link_is_replaced_and_what_it_leads_to_stays(cache_directory: Path, tmp_path: Path) -> None:
    cache_directory.mkdir(mode=0o700)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (cache_directory / NAME).symlink_to(victim)
    write(NAME, fresh())
    assert victim.read_text() == "untouched"
    assert not (cache_directory / NAME).is_symlink()
    assert read(NAME) is not None


@pytest.mark.parametrize("since", [-7200, 60])
def test_a_token_from_the_past_or_the_future_is_none(since: float) -> None:
    now = time.time()
    write(NAME, Cached("token", now + since, now + since + 3600))
    assert read(NAME) is None


def test_without_a_place_there_is_no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DIRECTORY", "USER_DIRECTORY"):
        monkeypatch.setattr(kept_secrets, name, str(tmp_path / "not" / "there"))
    write(NAME, fresh())
    assert read(NAME) is None
    drop(NAME, "token")


def test_only_the_very_token_is_dropped() -> None:
    write(NAME, fresh("new"))
    drop(NAME, "old")
    assert read(NAME) is not None
    drop(NAME, "new")
    assert read(NAME) is None


def test_litter_is_removed_and_what_is_not_ours_stays(cache_directory: Path) -> None:
    write(NAME, fresh())
    old = time.time() - 3 * 3600
    for name in ("token.ibm.old", "token.ibm.123-abc~", "ibm.private.10.0.0.1"):
        (cache_directory / name).write_text("")
        os.utime(cache_directory / name, (old, old))
    (cache_directory / "token.ibm.young").write_text("")
    write(NAME, fresh())
    assert {path.name for path in cache_directory.iterdir()} == {NAME, "token.ibm.young", "ibm.private.10.0.0.1"}


def test_several_agents_at_once_always_read_a_whole_token(cache_directory: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(cache_directory), NAME]
    writers = [subprocess.Popen([*command, letter], stderr=subprocess.PIPE) for letter in "abc"]
    ends = [(writer.communicate(timeout=60)[1], writer.returncode) for writer in writers]
    assert ends == [(b"", 0)] * 3
    assert [path.name for path in cache_directory.iterdir()] == [NAME]


def test_every_user_has_a_place_of_their_own_below_run() -> None:
    # As the module has it; the fixture has changed its own names only.
    source = Path(kept_secrets.__file__).read_text()
    assert '\nDIRECTORY = "/run/cloudha"' in source
    assert 'USER_DIRECTORY = "/run/user/{uid}/cloudha"' in source
