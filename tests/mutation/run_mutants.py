"""``make mutants``: break every safety check in turn, in a copy of the tree, and see a test fail.

Ends with 1 if a mutant survives. The copy has an environment of its own, in front of the one that runs this, so that
the installed agents are the mutated ones, too.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutants import MUTANTS, Mutant

TREE = Path(__file__).resolve().parents[2]
# A mutant that makes the tests hang is found as well.
RUN_SECONDS = 300
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", "results")


def main() -> int:
    """Run the campaign and print one line for each mutant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", dest="words", default="", help="only mutants whose description or file has these words")
    parser.add_argument("--minutes", type=float, default=40, help="start no further mutant after so many minutes")
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.words in f"{mutant.breaks} {mutant.file}"]
    with tempfile.TemporaryDirectory(prefix="cloudha-mutants-") as folder:
        return run(chosen, Path(folder), options.minutes * 60)


def run(chosen: list[Mutant], folder: Path, seconds: float) -> int:
    """Try the mutants in a copy below *folder* and return the exit code."""
    tree = folder / "tree"
    shutil.copytree(TREE, tree, ignore=LEFT_OUT, symlinks=True)
    python = environment(folder / "venv", tree)
    sound: dict[str, bool] = {}
    survivors = 0
    left = 0
    began = time.monotonic()
    for mutant in chosen:
        if time.monotonic() - began > seconds:
            left += 1
            continue
        if mutant.tests not in sound:
            sound[mutant.tests] = tests_pass(python, tree, mutant.tests)
        if not sound[mutant.tests]:
            print(
                f"ERROR     {mutant.breaks}: its tests fail, or there are none, without it: {mutant.tests}", flush=True
            )
            survivors += 1
            continue
        file = tree / mutant.file
        text = file.read_text()
        file.write_text(text.replace(mutant.old, mutant.new))
        try:
            survived = tests_pass(python, tree, mutant.tests)
        finally:
            file.write_text(text)
        survivors += survived
        print(f"{'SURVIVED ' if survived else 'found    '} {mutant.breaks} ({mutant.file})", flush=True)
    print(f"{len(chosen) - left} mutants tried, {survivors} survived or in error, {left} left for want of time")
    return 1 if survivors else 0


def environment(folder: Path, tree: Path) -> Path:
    """Return the interpreter of a new environment that takes cloudha and the providers from *tree*."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    sources = [tree, *sorted(tree.glob("plugins/*/src")), Path(sysconfig.get_path("purelib"))]
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "tree.pth").write_text("".join(f"{source}\n" for source in sources))
    python = folder / "bin" / "python"
    where = subprocess.run(
        [python, "-I", "-c", "import cloudha; print(cloudha.__file__)"], check=True, capture_output=True, text=True
    )
    if not Path(where.stdout.strip()).is_relative_to(tree):
        raise SystemExit(f"the copy is not what the tests would import: {where.stdout}")
    return python


def tests_pass(python: Path, tree: Path, tests: str) -> bool:
    """Whether the tests pass; False too when they take too long, or when there are none."""
    words = tests.split()
    files = [word for word in words if "/" in word]
    chosen = " ".join(word for word in words if "/" not in word)
    command = [str(python), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files]
    if chosen:
        command += ["-k", chosen]
    try:
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=RUN_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
