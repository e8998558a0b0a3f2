"""How an agent's process ends when what it ran did not return."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "raised", ["SystemExit(0)", "SystemExit(2)", "SystemExit(7)", "KeyboardInterrupt()", "KeyError()"]
)
def test_whatever_is_raised_is_unknown(raised: str) -> None:
    """2 would be "off" and 7 "not running", by a library that knows neither protocol."""
    script = (
        "from cloudha.agents.process import Output, finish\n"
        f"def run():\n    raise {raised}\n"
        "finish(run, Output('agent'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "nothing confirmed" in done.stderr
    assert len(done.stderr.splitlines()) == 1
