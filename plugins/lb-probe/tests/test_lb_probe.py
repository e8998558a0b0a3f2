"""The answerer and its provider: real processes, real connections, the real agents; all on loopback."""

from __future__ import annotations

import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudha import install
from cloudha.deadline import Deadline
from cloudha.local_mark import MarkKey, clear_mark
from cloudha.options import COMMON_OPTIONS, parse
from cloudha.provider import (
    AddressChange,
    AddressQuery,
    ConfigurationError,
    Context,
    Kind,
    LocalConfigurationError,
    Purpose,
    Unavailable,
    Verdict,
)
from cloudha_plugin_lb_probe import answerer, process, provider
from cloudha_plugin_lb_probe.answerer import BANNER

IP = ipaddress.ip_address("10.0.1.50")
OTHER = ipaddress.ip_address("10.0.1.5")
ME = os.uname().nodename
PATIENCE = 20.0
# Small for an interpreter that runs for months.
MOST_KILOBYTES = 16_384
PROBES = 3000
# Probes a second, on a busy machine too; load balancers send one every few seconds from each of their front ends.
LEAST_RATE = 100


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    yield number
    process.end(number)


@pytest.fixture
def context(port: int) -> Context:
    options = provider.provider_info().options
    return Context(parse((*COMMON_OPTIONS, *options), {"probe_port": str(port)}), Deadline(PATIENCE))


def change(ip: object = IP, node: str = ME) -> AddressChange:
    return AddressChange(Kind.PRIVATE, ipaddress.ip_address(str(ip)), node)


def evidence(context: Context, ip: object = IP) -> Verdict:
    query = AddressQuery(Kind.PRIVATE, ipaddress.ip_address(str(ip)))
    return provider.local_evidence(context, query).verdict


def held(context: Context) -> list[tuple[object, str | None]]:
    return [(b.ip, b.node_id) for b in provider.list_ips(context, AddressQuery(Kind.PRIVATE)).bindings]


def status(pid: int, name: str) -> list[str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line for line in lines if line.startswith(f"{name}:")).split()[1:]


def until(true: object) -> None:
    deadline = Deadline(PATIENCE)
    while not true():  # type: ignore[operator]  # a function without arguments
        assert not deadline.passed
        deadline.sleep(0.02)


def test_it_answers_from_start_to_stop(context: Context) -> None:
    assert evidence(context) is Verdict.NO
    provider.bind_ip(context, change())
    assert evidence(context) is Verdict.YES
    assert evidence(context, OTHER) is Verdict.NO
    assert held(context) == [(IP, ME)]
    provider.unbind_ip(context, change())
    assert evidence(context) is Verdict.NO
    assert held(context) == []


def test_it_starts_again_at_once(context: Context) -> None:
    for _ in range(3):
        provider.bind_ip(context, change())
        assert evidence(context) is Verdict.YES
        provider.unbind_ip(context, change())
        provider.unbind_ip(context, change())


def test_it_never_runs_twice(context: Context, port: int) -> None:
    threads = [threading.Thread(target=provider.bind_ip, args=(context, change())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pid = process._owner(port)
    provider.bind_ip(context, change())
    assert process._owner(port) == pid
    own = [p for p in os.listdir("/proc") if p.isdigit() and f"\0{port}\0".encode() in _command(p)]
    assert own == [str(pid)]


def test_a_second_one_by_hand_does_not_start(context: Context, port: int) -> None:
    provider.bind_ip(context, change())
    pid = process._owner(port)
    command = [sys.executable, "-I", "-S", answerer.__file__, str(OTHER), str(port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stdout) == (1, "Address already in use\n")
    assert process._owner(port) == pid
    assert held(context) == [(IP, ME)]


def test_each_port_has_one_of_its_own(context: Context, port: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    second = Context(parse(provider.provider_info().options, {"probe_port": str(number)}), Deadline(PATIENCE))
    try:
        provider.bind_ip(context, change())
        provider.bind_ip(second, change(OTHER))
        assert (held(context), held(second)) == ([(IP, ME)], [(OTHER, ME)])
        provider.unbind_ip(context, change())
        assert (held(context), held(second)) == ([], [(OTHER, ME)])
    finally:
        process.end(number)
    assert process._owner(port) is None


def test_it_ends_with_the_stop(context: Context, port: int) -> None:
    provider.bind_ip(context, change())
    pid = process._owner(port)
    assert pid
    provider.unbind_ip(context, change())
    assert f"\0{port}\0".encode() not in _command(str(pid))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), PATIENCE)


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_late_stop_for_another_address_ends_nothing(context: Context) -> None:
    provider.bind_ip(context, change())
    provider.unbind_ip(context, change(OTHER))
    provider.unbind_ip(context, change(node="somebody-else"))
    assert evidence(context) is Verdict.YES


def test_another_address_on_the_port_is_refused(context: Context) -> None:
    provider.bind_ip(context, change(OTHER))
    with pytest.raises(LocalConfigurationError, match="port"):
        provider.bind_ip(context, change())
    assert held(context) == [(OTHER, ME)]


def test_another_program_on_the_port_is_not_us(context: Context, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as other:

        def refuse() -> None:
            for _ in range(3):
                other.accept()[0].close()

        stop = threading.Thread(target=refuse)
        stop.start()
        assert evidence(context) is Verdict.NO
        with pytest.raises(LocalConfigurationError, match="another program"):
            provider.bind_ip(context, change())
        provider.unbind_ip(context, change())
        stop.join()
        assert other.fileno() >= 0


def test_one_that_hangs_is_unknown_and_can_be_stopped(context: Context, port: int) -> None:
    provider.bind_ip(context, change())
    pid = process._owner(port)
    assert pid
    # The kernel goes on accepting for it: a load balancer would be content.
    os.kill(pid, signal.SIGSTOP)
    assert evidence(context) is Verdict.CANNOT_TELL
    with pytest.raises(Unavailable):
        held(context)
    provider.unbind_ip(context, change())
    until(lambda: evidence(context) is Verdict.NO)


def test_it_keeps_no_privilege_and_no_file(context: Context, port: int) -> None:
    with open(__file__) as inherited:
        os.set_inheritable(inherited.fileno(), True)  # noqa: FBT003 - os names it so
        provider.bind_ip(context, change())
    pid = process._owner(port)
    assert pid
    if os.geteuid() == 0:
        assert set(status(pid, "Uid") + status(pid, "Gid")) == {"65534"}
        assert status(pid, "Groups") == []
        assert {status(pid, f"Cap{name}")[0] for name in ("Inh", "Prm", "Eff", "Amb")} == {"0" * 16}
    open_files = [os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")]
    assert sorted(f.partition(":")[0] for f in open_files) == ["/dev/null"] * 3 + ["socket"] * 2
    assert os.readlink(f"/proc/{pid}/cwd") == "/"


def test_it_outlives_the_group_of_who_started_it(context: Context, port: int) -> None:
    code = (
        "import ipaddress, os, signal, sys\n"
        "from cloudha_plugin_lb_probe import process\n"
        "process.start(ipaddress.ip_address(sys.argv[1]), int(sys.argv[2]))\n"
        "os.killpg(0, signal.SIGKILL)\n"
    )
    started = subprocess.run(
        [sys.executable, "-c", code, str(IP), str(port)], start_new_session=True, timeout=PATIENCE, check=False
    )
    assert started.returncode == -signal.SIGKILL
    assert evidence(context) is Verdict.YES


def test_many_probes_a_second_and_rude_ones_cost_little(context: Context, port: int) -> None:
    provider.bind_ip(context, change())
    pid = process._owner(port)
    assert pid
    began = time.monotonic()
    for number in range(PROBES):
        with socket.create_connection(("127.0.0.1", port), PATIENCE) as probe:
            if number % 3:
                probe.sendall(b"GET / HTTP/1.0\r\n\r\n")
            else:
                assert probe.recv(64).startswith(BANNER.encode())
    assert PROBES / (time.monotonic() - began) > LEAST_RATE
    idle = [socket.create_connection(("127.0.0.1", port), PATIENCE) for _ in range(300)]
    assert evidence(context) is Verdict.YES
    for probe in idle:
        probe.close()
    assert int(status(pid, "VmRSS")[0]) < MOST_KILOBYTES
    assert len(os.listdir(f"/proc/{pid}/fd")) == 5


def test_only_this_machine_can_answer(context: Context) -> None:
    with pytest.raises(LocalConfigurationError):
        provider.bind_ip(context, change(node="somebody-else"))
    options = provider.provider_info().options
    wrong = Context(parse(options, {"probe_port": "70000"}), Deadline(PATIENCE))
    with pytest.raises(ConfigurationError):
        provider.bind_ip(wrong, change())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("agents")
    install.install(path)
    return path


def _floating_ip(root: Path, action: str, port: int) -> subprocess.CompletedProcess[str]:
    given = {
        "OCF_RESKEY_provider": "lb-probe",
        "OCF_RESKEY_ip": str(IP),
        "OCF_RESKEY_probe_port": str(port),
        "OCF_RESKEY_CRM_meta_timeout": "20000",
        "OCF_ROOT": "/usr/lib/ocf",
    }
    command = [str(root / install.AGENTS["floating-ip"]), action]
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_the_agent_starts_monitors_and_stops(root: Path, port: int, context: Context) -> None:
    try:
        codes = [_floating_ip(root, a, port).returncode for a in ("monitor", "start", "start", "monitor")]
        assert codes == [7, 0, 0, 0]
        assert evidence(context) is Verdict.YES
        pid = process._owner(port)
        assert pid
        os.kill(pid, signal.SIGKILL)
        until(lambda: evidence(context) is Verdict.NO)
        assert _floating_ip(root, "monitor", port).returncode == 7
        assert [_floating_ip(root, a, port).returncode for a in ("start", "stop", "stop", "monitor")] == [0, 0, 0, 7]
    finally:
        clear_mark(MarkKey("lb-probe", Kind.PRIVATE, IP))


# A machine with a network and processes of its own, and no way to anywhere: all that it says is how each action ended.
NODE = """set -e
mount -t tmpfs -o mode=755 tmpfs /run
ip link set lo up
ip link add eth0 type veth peer name wire
ip link set wire up
ip link set eth0 up
set +e
act() { "$AGENT" "$@" >/dev/null; echo "$1=$?"; }
has() { ip -o address show dev eth0 | grep -c -F " $OCF_RESKEY_ip/"; }
act monitor; act start; act monitor; has
act start; act monitor; has
ip address delete "$OCF_RESKEY_ip/$OCF_RESKEY_cidr_netmask" dev eth0; act monitor; act start; act monitor
act stop; has; act monitor; act stop
"""


@pytest.mark.parametrize(("ip", "prefix"), [("10.0.1.50", "32"), ("fd00::50", "128")], ids=["IPv4", "IPv6"])
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for namespaces")
def test_nic_puts_the_address_on_the_node_and_nobody_is_asked(root: Path, ip: str, prefix: str) -> None:
    given = {"provider": "lb-probe", "ip": ip, "nic": "eth0", "cidr_netmask": prefix, "CRM_meta_timeout": "20000"}
    environment = {f"OCF_RESKEY_{name}": value for name, value in given.items()}
    environment |= {"OCF_ROOT": "/usr/lib/ocf", "AGENT": str(root / install.AGENTS["floating-ip"])}
    done = subprocess.run(
        ["/usr/bin/unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-c", NODE],
        env={**environment, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        capture_output=True,
        text=True,
        timeout=6 * PATIENCE,
        check=False,
    )
    said = done.stdout.split()
    assert said[:4] == ["monitor=7", "start=0", "monitor=0", "1"], done
    assert said[4:7] == ["start=0", "monitor=0", "1"], done
    assert said[7] == "monitor=7", done
    assert said[8:] == ["start=0", "monitor=0", "stop=0", "0", "monitor=7", "stop=0"], done


def test_it_needs_no_credentials(context: Context) -> None:
    assert not [option.name for option in provider.provider_info().options if option.secret]
    report = provider.check_access(context, Purpose.ADDRESSES, Kind.PRIVATE)
    assert report.identity == "this machine"
    assert not {hook for hook in ("list_nodes", "power_state", "power_off", "power_on") if hasattr(provider, hook)}


@pytest.mark.parametrize("action", ["off", "on", "reboot", "status", "monitor", "list", "validate-all"])
def test_fence_cloud_says_that_it_cannot_fence(root: Path, action: str) -> None:
    done = subprocess.run(
        [str(root / install.AGENTS["fence_cloud"])],
        input=f"action={action}\nprovider=lb-probe\nplug={ME}\n",
        env={},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert re.search("'lb-probe' cannot do that: it has no (power_off|list_nodes|power_on)", done.stderr), done.stderr
