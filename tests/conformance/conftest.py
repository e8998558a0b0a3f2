"""Run the kit on a provider that is written for one test, really installed in an environment of its own."""

from __future__ import annotations

import subprocess
import sysconfig
import venv
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast
from xml.etree import ElementTree as ET

import pytest

from broken_provider import HEAD, HOOKS_ONLY, REFERENCE, TESTS, Broken, RunKit, Verdict, Verdicts

RUN_SECONDS = 120
ROOT = Path(__file__).parents[2]
# Much of a run is waiting; more at a time would slow each other down on a small machine.
AT_ONCE = 4


@pytest.fixture(scope="session")
def run_kit(tmp_path_factory: pytest.TempPathFactory) -> RunKit:
    """Install a provider, run the kit on it, and say what failed. May be called from several threads."""

    def run(
        *,
        hooks: Mapping[str, str] = REFERENCE,
        head: str = "",
        tests: str = "",
        select: str = HOOKS_ONLY,
        name: str = "broken",
        entry: str = "broken",
        distribution: str = "cloudha-plugin-broken",
        modules: Mapping[str, str] | None = None,
    ) -> Verdict:
        folder = tmp_path_factory.mktemp("kit")
        site = _environment(folder)
        source = "".join(f"\n@hookimpl\n{text.strip()}\n" for text in {**REFERENCE, **hooks}.values())
        for module, text in {"broken_provider": HEAD + head + source, **(modules or {})}.items():
            (site / f"{module}.py").write_text(text)
        information = site / f"{distribution.replace('-', '_')}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
        (information / "entry_points.txt").write_text(f"[cloudha.providers]\n{entry} = broken_provider\n")
        sim = ROOT / "plugins" / "sim" / "tests" / "test_conformance.py"
        (site / "sim_conformance.py").write_text(sim.read_text())
        (folder / "test_broken.py").write_text(TESTS.format(name=name) + tests)
        return _run(folder, select)

    return run


@pytest.fixture(scope="module")
def verdicts(request: pytest.FixtureRequest, run_kit: RunKit) -> Iterator[Verdicts]:
    """Run the kit on every broken provider of the module that this session asks about, a few at a time."""
    cases = [
        cast("Broken", item.callspec.params["case"])
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {case.mistake: pool.submit(run_kit, hooks=case.hooks, **case.more) for case in cases}


def _environment(folder: Path) -> Path:
    """Make an environment in which the agents' ``-I`` finds what is here, and the new provider; return its site."""
    home = folder / "env"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(home)
    site = Path(sysconfig.get_path("purelib", "venv", {"base": str(home), "platbase": str(home)}))
    # An editable install is a .pth file itself, which only addsitedir follows.
    (site / "here.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
    return site


def _run(folder: Path, select: str) -> Verdict:
    report = folder / "report.xml"
    report.write_text("<none />")
    command = [
        str(folder / "env" / "bin" / "python"),
        "-I",
        "-m",
        "pytest",
        "-q",
        "--tb=short",
        "-p",
        "no:cacheprovider",
    ]
    command += ["--rootdir", str(folder), f"--junitxml={report}", "-k", select, str(folder / "test_broken.py")]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    failed, passed = set(), set()
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - pytest has written it
        name = str(case.get("name")).partition("[")[0]
        if case.find("failure") is not None or case.find("error") is not None:
            failed.add(name)
        elif case.find("skipped") is None:
            passed.add(name)
    return Verdict(frozenset(failed), frozenset(passed - failed), done.stdout + done.stderr)
