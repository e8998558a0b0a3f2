"""The agents where little works: no environment, no folder, closed streams, a read-only file system, strange umasks."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from agent_process import Agents, Ran, lines, started
from cloudha_plugin_sim.emulator import SimEmulator
from private_node import PrivateNode

SH = "/bin/sh"


def through_shell(agents: Agents, script: str, standard_input: str = "", env: dict[str, str] | None = None) -> Ran:
    """Run a shell script that gets the fence agent as $0 and floating-ip as $1."""
    command = [*agents.prefix, SH, "-c", script, agents.fence_path, agents.address_path]
    with started(command, env or {}) as process:
        out, err = process.communicate(standard_input.encode(), timeout=60)
    return Ran(process.returncode, out.decode(), err.decode())


def fence_input(agents: Agents, action: str, **parameters: str) -> str:
    common = {name: value for name, value in agents.common.items() if name != "ip"}
    return lines(action, **{**common, "plug": "n2", **parameters})


def test_fence_without_standard_input_is_a_clear_error(agents: Agents) -> None:
    done = through_shell(agents, 'exec "$0" <&-')
    assert (done.code, done.out) == (1, "")
    done.one_line()
    assert through_shell(agents, 'exec "$0" -o metadata <&-').code == 0


def test_fence_from_dev_null(agents: Agents) -> None:
    done = through_shell(agents, 'exec "$0" </dev/null')
    assert (done.code, done.out) == (1, "")
    done.one_line()


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_fence_with_closed_outputs(agents: Agents, cloud: SimEmulator, closed: str) -> None:
    assert through_shell(agents, f'exec "$0" {closed}', fence_input(agents, "off")).code == 0
    assert not cloud.cloud.world.powered("n2")
    assert through_shell(agents, f'exec "$0" {closed}', fence_input(agents, "off", plug="n9")).code == 1
    assert through_shell(agents, f'exec "$0" {closed}', fence_input(agents, "off", verbose="1")).code == 0
    assert through_shell(agents, f'exec "$0" {closed}', fence_input(agents, "monitor")).code == 0


def test_a_list_that_nobody_can_read_did_not_succeed(agents: Agents) -> None:
    assert through_shell(agents, 'exec "$0" >/dev/full', fence_input(agents, "list")).code == 1
    assert through_shell(agents, 'exec "$0" -o metadata >/dev/full').code == 1


def test_all_streams_closed(agents: Agents, cloud: SimEmulator) -> None:
    endpoint = agents.common["endpoint"]
    words = f"-o off -n n2 --provider=sim --endpoint={endpoint}"
    assert through_shell(agents, f'exec "$0" {words} <&- >&- 2>&-').code == 0
    assert not cloud.cloud.world.powered("n2")


@pytest.mark.parametrize("verbose", ["0", "1"])
def test_a_log_that_is_full_does_not_stop_fencing(agents: Agents, cloud: SimEmulator, verbose: str) -> None:
    done = through_shell(agents, 'exec "$0" 2>/dev/full', fence_input(agents, "off", verbose=verbose))
    assert done.code == 0
    assert not cloud.cloud.world.powered("n2")


@pytest.mark.parametrize("verbose", ["0", "1"])
def test_a_log_that_nobody_reads_any_more_does_not_stop_fencing(
    agents: Agents, cloud: SimEmulator, verbose: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [agents.fence_path],
        input=fence_input(agents, "off", verbose=verbose).encode(),
        stderr=writing,
        env={},
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert done.returncode == 0
    assert not cloud.cloud.world.powered("n2")


def test_a_reboot_whose_remark_nobody_reads_is_done(agents: Agents, cloud: SimEmulator) -> None:
    from cloudha.testing.emulator import Effect, Fault

    cloud.fault(Fault("power_on", Effect.FORBIDDEN))
    assert through_shell(agents, 'exec "$0" 2>/dev/full', fence_input(agents, "reboot")).code == 0


@pytest.mark.parametrize(
    "env", [{"PATH": ""}, {"HOME": ""}, {"HOME": "/nowhere"}, {"LC_ALL": "tr_TR.UTF-8"}, {"LANG": "xx"}]
)
def test_odd_environments(agents: Agents, env: dict[str, str]) -> None:
    assert agents.fence("monitor", env=env).code == 0
    assert agents.fence_raw("", "-o", "metadata", env=env).code == 0


@pytest.mark.parametrize(
    "name", ["PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONWARNINGS"]
)
def test_the_caller_cannot_change_the_interpreter(agents: Agents, name: str, scripts: Path) -> None:
    (scripts / "os.py").write_text("raise SystemExit(0)\n")
    (scripts / "cloudha.py").write_text("raise SystemExit(0)\n")
    assert agents.fence("off", plug="n9", env={name: str(scripts)}).code == 1
    done = agents.fence("off", plug="n2", env={name: str(scripts)})
    assert (done.code, done.err) == (0, "")


def test_a_proxy_in_the_environment_is_not_used(agents: Agents) -> None:
    env = dict.fromkeys(("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:1")
    assert agents.fence("monitor", env=env).code == 0


def test_the_folder_with_other_modules_does_not_count(agents: Agents, scripts: Path) -> None:
    (scripts / "json.py").write_text("raise SystemExit(0)\n")
    (scripts / "cloudha.py").write_text("raise SystemExit(0)\n")
    done = agents.fence_raw(fence_input(agents, "off", plug="n9"), cwd=str(scripts))
    assert done.code == 1


def test_a_working_folder_that_is_gone(agents: Agents, cloud: SimEmulator, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = through_shell(agents, f'cd {gone} && /bin/rmdir {gone} && exec "$0"', fence_input(agents, "off"))
    assert (done.code, done.err) == (0, "")
    assert not cloud.cloud.world.powered("n2")
    gone.mkdir()
    done = through_shell(agents, f'cd {gone} && /bin/rmdir {gone} && exec "$1" meta-data')
    assert (done.code, done.err) == (0, "")


def test_umask(agents: Agents, scripts: Path) -> None:
    log = scripts / "debug.log"
    done = through_shell(agents, 'umask 0777; exec "$0"', fence_input(agents, "off"))
    assert (done.code, done.err) == (0, "")
    done = through_shell(agents, 'umask 0; exec "$0"', fence_input(agents, "off", debug_file=str(log)))
    assert (done.code, done.err) == (0, "")
    assert log.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("limit", ["-n 16", "-f 0", "-c 0", "-s 1024"])
def test_narrow_limits(agents: Agents, limit: str) -> None:
    done = through_shell(agents, f'ulimit {limit}; exec "$0"', fence_input(agents, "off"))
    assert (done.code, done.err) == (0, "")


def test_signals_that_the_caller_ignores(agents: Agents) -> None:
    done = through_shell(agents, 'trap "" PIPE CHLD HUP INT TERM; exec "$0"', fence_input(agents, "off"))
    assert (done.code, done.err) == (0, "")


def test_a_read_only_file_system(node: Agents, node_cloud: SimEmulator, place: PrivateNode) -> None:
    read_only = "for m in / /tmp /var /run /work; do mount -o remount,bind,ro $m 2>/dev/null || true; done"
    script = f'{read_only}; touch /run/probe /tmp/probe 2>/dev/null && exit 99; exec "$0"'
    inner = "/usr/bin/unshare --mount /bin/sh -c"
    shell = replace(node, prefix=(*place.prefix, *inner.split()[:2]))
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    done = through_shell(shell, script, fence_input(node, "off"), env)
    assert (done.code, done.err) == (0, "")
    assert not node_cloud.cloud.world.powered("n2")
    assert through_shell(shell, script + " -o metadata", "", env).code == 0
    script = script.replace('exec "$0"', 'exec "$1" "$action"')
    variables = {**env, **node.variables()}
    for action, code in (
        ("meta-data", 0),
        ("validate-all", 0),
        ("start", 0),
        ("monitor", 0),
        ("stop", 0),
        ("monitor", 7),
    ):
        done = through_shell(shell, script, "", {**variables, "action": action})
        assert (action, done.code, done.out if action != "meta-data" else "") == (action, code, "")


def test_floating_ip_in_an_empty_environment(installed: Agents) -> None:
    done = installed.address_raw(["meta-data"], {})
    assert (done.code, done.err) == (0, "")
    done = installed.address_raw(["monitor"], {})
    assert done.code == 6
    assert "provider" in done.one_line()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full"])
def test_floating_ip_with_closed_streams(node: Agents, closed: str) -> None:
    variables = node.variables()
    for action, code in (("start", 0), ("monitor", 0), ("stop", 0), ("monitor", 7), ("explode", 3)):
        done = through_shell(node, f'exec "$1" {action} {closed}', "", variables)
        assert (action, done.code) == (action, code)
    bad = through_shell(node, f'exec "$1" start {closed}', "", {**variables, "OCF_RESKEY_ip": "ten"})
    assert bad.code == 6
