"""The interface's side of a floating address, on real interfaces in network namespaces made here."""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudha import nic
from cloudha.deadline import Deadline
from cloudha.errors import CloudhaError, ConfigurationError, LocalConfigurationError, Unavailable

ROOT = Path(__file__).resolve().parents[1]
IP = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin") or ""
SECONDS = 30
numbers = itertools.count()

PRELUDE = """
import json, sys, ipaddress
from cloudha import nic
from cloudha.deadline import Deadline
from cloudha.errors import CloudhaError
ip, soon = ipaddress.ip_address, Deadline(20)
answers = []
def tell(call, *arguments):
    try:
        answer = call(*arguments)
        answers.append(getattr(answer, "name", answer))
    except CloudhaError as error:
        answers.append(f"{type(error).__name__}: {error}")
def has(address, name="v0"): tell(nic.has_address, name, ip(address), soon)
def state(address, name="v0"): tell(nic.address_state, name, ip(address), soon)
def add(address, prefix, name="v0"): tell(nic.add_address, name, ip(address), prefix, soon)
def remove(address, name="v0"): tell(nic.remove_address, name, ip(address), soon)
"""


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=SECONDS).stdout


class Namespace:
    """A network namespace with the pair of interfaces v0 and v1, both up."""

    def __init__(self, name: str) -> None:
        self.name = name
        run(IP, "netns", "add", name)
        self.ip("link", "add", "v0", "type", "veth", "peer", "name", "v1")
        for link in ("lo", "v0", "v1"):
            self.ip("link", "set", link, "up")

    def ip(self, *words: str) -> str:
        return run(IP, "-n", self.name, *words)

    def sysctl(self, path: str, value: str) -> None:
        run(IP, "netns", "exec", self.name, "sh", "-c", f"echo {value} > /proc/sys/net/{path}")

    def addresses(self, link: str = "v0") -> list[str]:
        entries = json.loads(self.ip("-j", "address", "show", "dev", link))[0]["addr_info"]
        return sorted(f"{e['local']}/{e['prefixlen']}" for e in entries if e["scope"] == "global")

    def python(self, body: str, *before: str) -> list[Any]:
        """Run *body* in the namespace, with an empty environment, and return the answers that it told."""
        code = f"{PRELUDE}\n{body}\nprint(json.dumps(answers))"
        done = subprocess.run(
            [
                *(IP, "netns", "exec", self.name, *before),
                *("/usr/bin/env", "-i", f"PYTHONPATH={ROOT}", sys.executable, "-c", code),
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        answers: list[Any] = json.loads(done.stdout)
        return answers


@pytest.fixture
def net() -> Iterator[Namespace]:
    if os.geteuid() != 0 or not IP:
        pytest.skip("making a network namespace needs root and iproute2")
    name = f"cloudha-nic-{os.getpid()}-{next(numbers)}"
    try:
        yield Namespace(name)
    finally:
        subprocess.run([IP, "netns", "del", name], check=False, timeout=SECONDS)
        assert name not in run(IP, "netns", "list")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a shell script in the place of the ip program; return the function that writes it."""

    def write(script: str) -> Path:
        program = tmp_path / "ip"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setattr(nic, "PROGRAMS", ("/nonexistent/ip", str(program)))
        return program

    return write


@pytest.mark.parametrize(
    ("ip", "text", "length"),
    [
        ("10.0.0.1", "", 32),
        ("10.0.0.1", " 24 ", 24),
        ("10.0.0.1", "255.255.255.0", 24),
        ("10.0.0.1", "255.255.255.255", 32),
        ("10.0.0.1", "128.0.0.0", 1),
        ("fd00::1", "", 128),
        ("fd00::1", "64", 64),
    ],
)
def test_netmask(ip: str, text: str, length: int) -> None:
    assert nic.prefix_length(ipaddress.ip_address(ip), text) == length


@pytest.mark.parametrize(
    ("ip", "text"),
    [
        *[("10.0.0.1", text) for text in ("33", "64", "0", "-1", "24x", "/24", "\u0662\u0664", "99999999999999")],
        # a wildcard mask, masks with holes, and none at all
        *[("10.0.0.1", text) for text in ("0.0.0.255", "255.0.255.0", "255.255.255.253", "0.0.0.0", "ffff::")],
        *[("fd00::1", text) for text in ("129", "0", "255.255.255.0", "ffff:ffff::")],
    ],
)
def test_wrong_netmask_names_parameter_value_and_remedy(ip: str, text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        nic.prefix_length(ipaddress.ip_address(ip), text)
    assert f"parameter cidr_netmask={text!r}" in str(caught.value)
    assert "write a prefix length from 1 to" in str(caught.value)
    assert not isinstance(caught.value, LocalConfigurationError)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../lo", "a b", "a\tb", "a:1", "a\0b", "x" * 16, "\u00e4" * 8])
def test_impossible_interface_is_wrong_everywhere(name: str) -> None:
    with pytest.raises(ConfigurationError, match="parameter nic=") as caught:
        nic.check_interface(name)
    assert not isinstance(caught.value, LocalConfigurationError)
    # Where nothing may be read of this node, the name alone is refused just the same.
    with pytest.raises(ConfigurationError):
        nic.check_name(name)


@pytest.mark.parametrize("name", ["nosuch0", "bonding_masters", "eth0@if5"])
def test_missing_interface_is_wrong_here_only(name: str) -> None:
    with pytest.raises(LocalConfigurationError, match=r"parameter nic='.*write one of: .*\blo\b"):
        nic.check_interface(name)
    with pytest.raises(LocalConfigurationError):
        nic.mac_of(name)


def test_hardware_address(net: Namespace) -> None:
    net.ip("link", "set", "v0", "address", "02:00:00:AB:CD:EF")
    answers = net.python("""
tell(nic.mac_of, "v0"); tell(nic.mac_of, "lo"); tell(nic.check_interface, "v0")""")
    assert answers == ["02:00:00:ab:cd:ef", "", None]


@pytest.mark.parametrize(
    ("ip", "longer", "prefix"),
    [("10.1.0.1", "10.1.0.10", 32), ("10.1.0.1", "10.1.0.10", 24), ("fd00::1", "fd00::10", 64)],
)
def test_add_see_remove(net: Namespace, ip: str, longer: str, prefix: int) -> None:
    """An address whose text begins like ours neither counts as ours nor is touched."""
    net.ip("address", "add", f"{longer}/{prefix}", "dev", "v0", *(["nodad"] if ":" in ip else []))
    answers = net.python(f"""
has("{ip}"); has("{longer}"); add("{ip}", {prefix}); has("{ip}"); has("{ip}", "v1"); add("{ip}", {prefix})""")
    assert answers == [False, True, True, True, False, False]
    assert net.addresses() == sorted([f"{ip}/{prefix}", f"{longer}/{prefix}"])
    assert net.python(f'remove("{ip}"); has("{ip}"); remove("{ip}"); state("{ip}")') == [True, False, False, "ABSENT"]
    assert net.addresses() == [f"{longer}/{prefix}"]


@pytest.mark.parametrize("ip", ["10.1.0.5", "fd00::5"])
def test_other_prefix_length_is_replaced(net: Namespace, ip: str) -> None:
    longest = ipaddress.ip_address(ip).max_prefixlen
    net.ip("address", "add", f"{ip}/24", "dev", "v0", *(["nodad"] if ":" in ip else []))
    assert net.python(f'add("{ip}", {longest}); add("{ip}", {longest})') == [True, False]
    assert net.addresses() == [f"{ip}/{longest}"]


def test_replacing_ipv4_leaves_no_gap(net: Namespace) -> None:
    """The new entry is there before the old one goes: ``ip monitor`` sees the kernel's own order."""
    net.ip("address", "add", "10.1.0.5/24", "dev", "v0")
    watch = subprocess.Popen(
        [IP, "-n", net.name, "monitor", "address"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        # The monitor has subscribed as soon as it reports a change; this one is made until it does.
        os.set_blocking(watch.stdout.fileno(), False)  # type: ignore[union-attr]  # it is a pipe
        for _ in range(50):
            net.ip("address", "replace", "10.9.9.9/32", "dev", "v1")
            if watch.stdout.readline():  # type: ignore[union-attr]  # as above
                break
            Deadline(1).sleep(0.05)
        assert net.python('add("10.1.0.5", 32)') == [True]
    finally:
        watch.terminate()
    os.set_blocking(watch.stdout.fileno(), True)  # type: ignore[union-attr]  # as above
    seen, _ = watch.communicate(timeout=SECONDS)
    lines = [line for line in seen.splitlines() if "10.1.0.5/" in line]
    assert ["Deleted" in line for line in lines] == [False, True], seen
    assert "10.1.0.5/32" in lines[0]


def test_remove_takes_every_entry_of_the_address(net: Namespace) -> None:
    net.ip("address", "add", "10.1.0.1/24", "dev", "v0")
    for words in (["10.1.0.5/24"], ["10.1.0.5/16"], ["10.1.0.5/32"], ["10.1.0.5", "peer", "10.6.0.2/24"]):
        net.ip("address", "add", *words, "dev", "v0")
    net.ip("address", "add", "10.1.0.50/24", "dev", "v0", "label", "v0:alias")
    assert net.python('remove("10.1.0.5"); state("10.1.0.5")') == [True, "ABSENT"]
    assert net.addresses() == ["10.1.0.1/24", "10.1.0.50/24"]


@pytest.mark.parametrize("everywhere", ["0", "1"])
def test_addresses_that_depend_on_ours_survive_its_removal(net: Namespace, everywhere: str) -> None:
    """Ours was first in its subnet: the kernel would delete the others, and the default route, along with it."""
    net.sysctl("ipv4/conf/all/promote_secondaries", everywhere)
    net.sysctl("ipv4/conf/v0/promote_secondaries", "0")
    for ip in ("10.1.0.5", "10.1.0.1", "10.1.0.7"):
        net.ip("address", "add", f"{ip}/24", "dev", "v0")
    net.ip("route", "add", "default", "via", "10.1.0.254")
    assert net.python('remove("10.1.0.5")') == [True]
    assert net.addresses() == ["10.1.0.1/24", "10.1.0.7/24"]
    assert "default via 10.1.0.254" in net.ip("route")


READ_ONLY = ("unshare", "--mount", "sh", "-c", 'mount --bind -r /proc/sys /proc/sys && exec "$@"', "sh")


def test_removal_that_would_take_others_along_is_refused(net: Namespace) -> None:
    net.ip("address", "add", "10.1.0.5/24", "dev", "v0")
    net.ip("address", "add", "10.1.0.1/24", "dev", "v0")
    (answer,) = net.python('remove("10.1.0.5")', *READ_ONLY)
    assert answer.startswith("LocalConfigurationError: removing 10.1.0.5 from interface v0 would remove 10.1.0.1 too")
    assert "sysctl -w net.ipv4.conf.v0.promote_secondaries=1" in answer
    assert net.addresses() == ["10.1.0.1/24", "10.1.0.5/24"]
    # Nothing depends on this one, so the read-only setting does not matter.
    assert net.python('add("10.7.0.5", 24); remove("10.7.0.5")', *READ_ONLY) == [True, True]


def test_interface_that_is_down(net: Namespace) -> None:
    net.ip("address", "add", "10.1.0.5/32", "dev", "v0")
    net.ip("link", "set", "v0", "down")
    answers = net.python('has("10.1.0.5"); state("10.1.0.5"); add("10.1.0.6", 32); remove("10.1.0.5")')
    assert answers[:2] == [False, "UNUSABLE"]
    assert answers[2].startswith("LocalConfigurationError: interface v0 is down; bring it up")
    assert answers[3] is True
    assert net.addresses() == []
    assert "UP" not in json.loads(net.ip("-j", "link", "show", "dev", "v0"))[0]["flags"]


def test_interface_that_does_not_exist(net: Namespace) -> None:
    for name in ("nosuch0", "a/b", "x" * 30):
        has, removed, added = net.python(f"""
has("10.1.0.5", "{name}"); remove("10.1.0.5", "{name}"); add("10.1.0.5", 32, "{name}")""")
        assert (has, removed) == (False, False)
        assert added.startswith("LocalConfigurationError: parameter nic=")


def test_address_under_detection_is_not_usable_yet_and_is_repaired(net: Namespace) -> None:
    net.sysctl("ipv6/conf/v0/dad_transmits", "100")
    net.ip("address", "add", "fd00::5/64", "dev", "v0")
    assert net.python('state("fd00::5"); has("fd00::5")') == ["UNUSABLE", False]
    assert net.python('add("fd00::5", 64); has("fd00::5")') == [True, True]
    assert net.addresses() == ["fd00::5/64"]


def test_duplicate_address_is_not_usable_and_is_removed_all_the_same(net: Namespace) -> None:
    net.ip("address", "add", "fd00::5/64", "dev", "v1", "nodad")
    net.ip("address", "add", "fd00::5/64", "dev", "v0")
    wait = Deadline(10)
    while "dadfailed" not in net.ip("-6", "address", "show", "dev", "v0") and not wait.passed:
        wait.sleep(0.1)
    assert net.python('state("fd00::5"); has("fd00::5")') == ["UNUSABLE", False]
    assert net.python('add("fd00::5", 128); state("fd00::5"); remove("fd00::5"); state("fd00::5")') == [
        True,
        "USABLE",
        True,
        "ABSENT",
    ]


def test_ipv6_switched_off(net: Namespace) -> None:
    net.sysctl("ipv6/conf/v0/disable_ipv6", "1")
    (answer,) = net.python('add("fd00::5", 64)')
    assert answer.startswith("LocalConfigurationError: interface v0: ")
    assert "net.ipv6.conf.v0.disable_ipv6=0" in answer


def test_without_the_capability(net: Namespace) -> None:
    if not shutil.which("setpriv"):
        pytest.skip("dropping a capability needs setpriv")
    net.ip("address", "add", "10.1.0.5/32", "dev", "v0")
    answers = net.python(
        'add("10.1.0.6", 32); remove("10.1.0.5"); has("10.1.0.5")', "setpriv", "--bounding-set", "-net_admin"
    )
    for answer in answers[:2]:
        assert answer.startswith("AccessDenied: this process may not change addresses")
        assert "as root" in answer
    assert answers[2] is True
    assert net.addresses() == ["10.1.0.5/32"]


def test_change_that_does_not_stay_is_unconfirmed(net: Namespace, fake: Any) -> None:
    """An ip program that reads truly and changes nothing stands for whatever undoes a change at once."""
    net.ip("address", "add", "10.1.0.5/32", "dev", "v0")
    program = fake(f'[ "$1" = -j ] || exit 0\nexec {IP} "$@"')
    added, removed = net.python(f'nic.PROGRAMS = ({str(program)!r},); add("10.1.0.6", 32); remove("10.1.0.5")')
    assert added.startswith("Unconfirmed: 10.1.0.6/32 does not stay usable on interface v0;")
    assert removed.startswith("Unconfirmed: 10.1.0.5 was removed from interface v0 and is still there;")


LINK = '{"ifname":"lo","flags":["UP"],"addr_info":[%s]}'
GARBLED = LINK % '{"local":"10.1.0","prefixlen":32}'
OURS = LINK % '{"local":"10.1.0.5","prefixlen":32}'


@pytest.mark.parametrize(
    "script",
    [
        "exit 1",
        "echo boom >&2; exit 255",
        "echo '['; exit 0",
        "echo; exit 0",
        "echo '[]'; exit 0",
        "echo '[{}]'; exit 0",
        "echo '{}'; exit 0",
        "echo '[1]'; exit 0",
        'echo \'[{"ifname":"lo"}]\'',
        'echo \'[{"ifname":"lo","flags":["UP"],"addr_info":[3]}]\'',
        f"echo '[{GARBLED}]'",
        f"echo '[{OURS}]'; echo 'Dump was interrupted and may be inconsistent.' >&2",
        "kill -9 $$",
        'printf "\\000\\377"',
        # "No such device" from the one question, and a list that names it, or cannot be had.
        f"[ $2 = link ] && echo '[{OURS}]' || exit 1",
        "[ $2 = link ] && exit 1; echo 'Device \"lo\" does not exist.' >&2; exit 1",
        "[ $2 = link ] && echo '[]'; exit 1",
    ],
)
def test_every_doubt_is_unavailable(fake: Any, script: str) -> None:
    fake(script)
    ip = ipaddress.ip_address("10.1.0.9")
    for call in (nic.has_address, nic.remove_address, nic.address_state):
        with pytest.raises(Unavailable):
            call("lo", ip, Deadline(10))
    with pytest.raises(Unavailable):
        nic.add_address("lo", ip, 32, Deadline(10))


def test_interrupted_listing_is_repeated(fake: Any, tmp_path: Path) -> None:
    fake(f"""
if [ -e {tmp_path}/once ]; then echo '[{OURS}]'; else
    touch {tmp_path}/once; echo 'Dump was interrupted and may be inconsistent.' >&2; echo '[]'; fi""")
    assert nic.has_address("lo", ipaddress.ip_address("10.1.0.5"), Deadline(10))


def test_hanging_program_ends_with_the_deadline(fake: Any, tmp_path: Path) -> None:
    fake(f"echo $$ > {tmp_path}/pid; exec sleep 600")
    with pytest.raises(Unavailable, match="ip -j address show dev lo: no answer within the time"):
        nic.has_address("lo", ipaddress.ip_address("10.1.0.5"), Deadline(0.5))
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_nothing_is_run_when_no_time_is_left(fake: Any, tmp_path: Path) -> None:
    fake(f"touch {tmp_path}/ran")
    with pytest.raises(Unavailable, match="no time left"):
        nic.remove_address("lo", ipaddress.ip_address("10.1.0.5"), Deadline(0))
    assert not (tmp_path / "ran").exists()


def test_missing_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nic, "PROGRAMS", ("/nonexistent/ip",))
    with pytest.raises(LocalConfigurationError, match=r"no ip program here .*install the package iproute2"):
        nic.has_address("lo", ipaddress.ip_address("10.1.0.5"), Deadline(10))


def test_program_that_cannot_be_executed(fake: Any) -> None:
    fake("").write_bytes(b"\x7fELF rubbish")
    with pytest.raises(CloudhaError, match="cannot be run"):
        nic.has_address("lo", ipaddress.ip_address("10.1.0.5"), Deadline(10))


@pytest.mark.parametrize("module", ["nic", "announce", "audit", "local_mark"])
def test_importing_is_light(module: str) -> None:
    code = f"import sys; before = set(sys.modules); import cloudha.{module}; print(*(set(sys.modules) - before))"
    loaded = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={"PYTHONPATH": str(ROOT)},
    ).stdout.split()
    heavy = {"subprocess", "json", "socket", "logging", "argparse", "email", "urllib", "http", "hashlib", "pathlib"}
    assert not heavy & set(loaded)
