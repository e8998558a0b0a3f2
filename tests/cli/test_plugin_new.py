"""``cloudha plugin new``: what it writes is a provider that installs, passes its own tests and both linters at once."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cloudha.cli.main import main
from cloudha.cli.plugin import FILES, write_plugin
from cloudha.testing.conformance.failing_flows import FailingFlowChecks

ROOT = Path(__file__).parents[2]
TEMPLATES = ROOT / "cloudha" / "templates" / "plugin"
# Ends a run that would hang; nothing is measured with it.
PATIENCE = 400
# The longest that there may be, the shortest, and one with a hyphen.
LONGEST = "a234567890-234567890-234567890-234567890"
SHORTEST = "q"
HYPHEN = "my-cloud"
# Two run a half of the kit each, side by side: much of this one is waiting. More of them at once would make each other
# late, and the kit judges that.
FAILING = " or ".join(name for name in vars(FailingFlowChecks) if name.startswith("test_"))
PARTS = {LONGEST: FAILING, HYPHEN: f"not ({FAILING})"}
BUILDS = all(importlib.util.find_spec(name) for name in ("hatchling", "editables", "pip"))


def new(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["plugin", "new", *map(str, arguments)])


def run(*command: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={"PATH": os.environ.get("PATH", os.defpath), **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has all of this one and, from now on, the generated providers."""
    home = tmp_path_factory.mktemp("home") / "env"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(home)
    (_site(home) / "here.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return home


@pytest.fixture(scope="module")
def projects(home: Path) -> Mapping[str, Path]:
    made = {name: write_plugin(name, home.parent)[0] for name in PARTS}
    for name, folder in made.items():
        if BUILDS and name == HYPHEN:  # one is enough, it takes seconds
            options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
            done = run(home / "bin" / "python", "-m", "pip", "install", *options, "-e", folder, cwd=folder)
            assert done.returncode == 0, done.stderr
        else:
            _announce(_site(home), name, folder)
    return made


@pytest.fixture(scope="module")
def kits(home: Path, projects: Mapping[str, Path]) -> Iterator[Mapping[str, Future[Any]]]:
    """The providers' own tests, which together are all of one's."""
    command = (home / "bin" / "python", "-I", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "-k")
    with ThreadPoolExecutor() as pool:
        yield {name: pool.submit(run, *command, part, cwd=projects[name]) for name, part in PARTS.items()}


def _site(home: Path) -> Path:
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))


def _announce(site: Path, name: str, folder: Path) -> None:
    """Write what pip would have written, where nothing is there that builds."""
    package = f"cloudha_plugin_{name.replace('-', '_')}"
    information = site / f"{package}-0.1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: cloudha-plugin-{name}\nVersion: 0.1.0\n")
    (information / "entry_points.txt").write_text(f"[cloudha.providers]\n{name} = {package}.provider\n")
    (site / f"{package}.pth").write_text(f"{folder / 'src'}\n")


@pytest.mark.parametrize("name", PARTS)
def test_its_own_tests_pass_at_once(name: str, kits: Mapping[str, Future[Any]]) -> None:
    done = kits[name].result()
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_the_agents_and_the_lab_find_it(home: Path, projects: Mapping[str, Path]) -> None:
    done = run(home / "bin" / "python", "-I", ROOT / "fence" / "fence_cloud", "-o", "metadata", cwd=home)
    assert done.returncode == 0, done.stderr
    assert 'name="project"' in done.stdout
    listed = run(home / "bin" / "python", "-I", "-m", "cloudha.cli.main", cwd=home)
    assert listed.returncode == 0, listed.stderr
    code = "import sys; from cloudha.cli.main import main; main(sys.argv[1:])"
    shown = run(home / "bin" / "python", "-I", "-c", code, "providers", cwd=home)
    assert shown.returncode == 0, shown.stderr
    for name in projects:
        assert f"{name}: {name.replace('-', ' ').title()} (fencing; private)" in shown.stdout
    again = run(home / "bin" / "python", "-I", "-c", code, "plugin", "new", HYPHEN, cwd=home)
    assert again.returncode == 1
    assert "cloudha-plugin-my-cloud 0.1.0" in again.stderr
    if BUILDS:
        code = "from cloudha.lab.control import load_factory, sys; load_factory(sys.argv[1])"
        found = run(home / "bin" / "python", "-I", "-c", code, HYPHEN, cwd=home)
        assert found.returncode == 0, found.stderr


@pytest.mark.parametrize("name", [SHORTEST, HYPHEN, LONGEST])
def test_its_code_is_clean(name: str, tmp_path: Path) -> None:
    folder, _ = write_plugin(name, tmp_path)
    for arguments in (("check",), ("format", "--check")):
        done = run(sys.executable, "-m", "ruff", *arguments, "--no-cache", ".", cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr


def test_its_types_are_right(projects: Mapping[str, Path], tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "mypy", f"--cache-dir={tmp_path}", cwd=projects[HYPHEN])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "in 6 source files" in done.stdout


def test_nothing_of_a_template_is_left_over(tmp_path: Path) -> None:
    folder, files = write_plugin(HYPHEN, tmp_path)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == files
    assert sorted(FILES) == sorted(path.name for path in TEMPLATES.iterdir())
    for file in files:
        text = (folder / file).read_text()
        assert "{{" not in text, file
        assert not text or (text.endswith("\n") and not text.endswith("\n\n")), file


def test_it_says_what_to_do_next(tmp_path: Path) -> None:
    done = new(HYPHEN, "--directory", tmp_path)
    assert done.exit_code == 0, done.output
    assert f"cd {tmp_path}/cloudha-plugin-{HYPHEN}" in done.output
    assert "pip install -e '.[dev]'" in done.output


def test_json(tmp_path: Path) -> None:
    done = new(HYPHEN, "--directory", tmp_path, "--json")
    document = json.loads(done.stdout)
    assert done.exit_code == 0
    assert document["name"] == HYPHEN
    assert Path(document["directory"]) == tmp_path / "cloudha-plugin-my-cloud"
    assert all((tmp_path / "cloudha-plugin-my-cloud" / file).is_file() for file in document["files"])


@pytest.mark.parametrize(
    "name", ["", "A", "1a", "a_b", "a b", "a-", "-a", "a--b", "a/b", "..", "a.b", "ä", "a\n", "x" * 41, "{{name}}"]
)
def test_a_name_that_nobody_could_use(name: str, tmp_path: Path) -> None:
    done = new("--directory", tmp_path, "--", name)
    assert done.exit_code == 2, done.output
    assert "write lower case letters" in done.output
    assert not list(tmp_path.iterdir())


def test_a_name_that_is_taken(tmp_path: Path) -> None:
    done = new("sim", "--directory", tmp_path)
    assert done.exit_code == 1
    assert "cloudha-plugin-sim" in done.output
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["folder", "file", "broken link"])
def test_what_is_there_stays_as_it_is(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "cloudha-plugin-my-cloud"
    match kind:
        case "folder":
            target.mkdir()
        case "file":
            target.write_text("mine")
        case _:
            target.symlink_to(tmp_path / "nowhere")
    before = target.lstat()
    done = new(HYPHEN, "--directory", tmp_path)
    assert done.exit_code == 1
    assert "is there already" in done.output
    assert target.lstat() == before
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_nothing_half_written_stays(error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, written = Path.write_text, []

    def write_text(self: Path, text: str) -> int:
        written.append(self)
        if len(written) == 5:
            raise error
        return real(self, text)

    monkeypatch.setattr(Path, "write_text", write_text)
    done = new(HYPHEN, "--directory", tmp_path)
    assert done.exit_code == 1, done.output
    assert len(written) == 5
    assert not list(tmp_path.iterdir())
    if isinstance(error, OSError):
        assert "No space left on device; choose another --directory" in done.output


def test_a_place_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = new(HYPHEN, "--directory", tmp_path / "file" / "below")
    assert done.exit_code == 1, done.output
    assert "cannot be written" in done.output


def test_folders_that_are_missing_are_made_and_the_umask_counts(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        assert new(HYPHEN, "--directory", tmp_path / "a" / "b").exit_code == 0
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "b" / "cloudha-plugin-my-cloud").stat().st_mode & 0o777 == 0o750


@pytest.mark.skipif(not BUILDS, reason="hatchling is not installed here, and builds the wheel")
def test_the_wheel_has_the_templates(tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    templates = {str(path.relative_to(ROOT)) for path in TEMPLATES.parent.rglob("*") if path.is_file()}
    assert len(templates) > len(FILES)
    assert templates <= names
