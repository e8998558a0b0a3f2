"""Announcements as the neighbour at the other end of a real link receives them."""

from __future__ import annotations

import ipaddress
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudha.announce import announce
from cloudha.deadline import Deadline

ROOT = Path(__file__).resolve().parents[1]
IP = shutil.which("ip", path="/usr/sbin:/sbin:/usr/bin:/bin") or ""
SECONDS = 30
numbers = itertools.count()

HERE_MAC = "02:00:00:00:00:0a"
STALE_MAC = "02:00:00:00:00:99"

# Prints "ready", then every frame of the given protocol that arrives on v1, as hex, until there are enough.
CAPTURE = """
import socket, sys
protocol, wanted = int(sys.argv[1], 16), int(sys.argv[2])
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol)) as wire:
    wire.bind(("v1", protocol))
    wire.settimeout(10)
    print("ready", flush=True)
    frames = []
    while len(frames) < wanted:
        frame, address = wire.recvfrom(2048)
        # of IPv6 only neighbour advertisements: the kernels themselves send other things
        if address[2] != socket.PACKET_OUTGOING and (protocol != 0x86DD or (frame[20] == 58 and frame[54] == 136)):
            frames.append(frame.hex())
print(*frames)
"""


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=SECONDS).stdout


class Link:
    """Two network namespaces, "here" with the interface v0, "there" with the other end of it, v1."""

    def __init__(self, here: str, there: str) -> None:
        self.here, self.there = here, there
        for name in (here, there):
            run(IP, "netns", "add", name)
        run(IP, "-n", here, "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", there)
        run(IP, "-n", here, "link", "set", "v0", "address", HERE_MAC)
        run(IP, "-n", here, "link", "set", "v0", "up")
        run(IP, "-n", there, "link", "set", "v1", "up")
        for name, link, host in ((here, "v0", 1), (there, "v1", 2)):
            run(IP, "-n", name, "address", "add", f"10.2.0.{host}/24", "dev", link)
            run(IP, "-n", name, "address", "add", f"fd02::{host}/64", "dev", link, "nodad")

    def announce(self, ip: str, name: str = "v0", *before: str) -> tuple[int, str]:
        code = f"""
import ipaddress
from cloudha.announce import announce
done = announce({name!r}, ipaddress.ip_address({ip!r}))
assert done.sent == (done.packets > 0) and bool(done.reason) != done.sent
print(done.packets, done.reason)"""
        words = ("/usr/bin/env", "-i", f"PYTHONPATH={ROOT}", sys.executable, "-c", code)
        packets, _, reason = run(IP, "netns", "exec", self.here, *before, *words).strip().partition(" ")
        return int(packets), reason

    def capture(self, protocol: str, wanted: int, ip: str) -> list[bytes]:
        """Announce *ip* and return the frames that arrived at the other end."""
        words = (IP, "netns", "exec", self.there, sys.executable, "-c", CAPTURE, protocol, str(wanted))
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as capturing:
            assert capturing.stdout is not None
            assert capturing.stdout.readline() == "ready\n"
            assert self.announce(ip) == (wanted, "")
            frames, _ = capturing.communicate(timeout=SECONDS)
        return [bytes.fromhex(frame) for frame in frames.split()]

    def neighbour(self, ip: str) -> str:
        """Return the MAC under which the other end knows *ip*."""
        found = json.loads(run(IP, "-n", self.there, "-j", "neighbour", "show", "to", ip, "dev", "v1"))
        return str(found[0].get("lladdr", "")) if found else ""


@pytest.fixture
def link() -> Iterator[Link]:
    if os.geteuid() != 0 or not IP:
        pytest.skip("making a network namespace needs root and iproute2")
    names = [f"cloudha-announce-{os.getpid()}-{next(numbers)}" for _ in range(2)]
    try:
        yield Link(*names)
    finally:
        for name in names:
            subprocess.run([IP, "netns", "del", name], check=False, timeout=SECONDS)
        assert not set(names) & set(run(IP, "netns", "list").split())


def test_every_field_of_gratuitous_arp(link: Link) -> None:
    run(IP, "-n", link.here, "address", "add", "10.2.0.10/32", "dev", "v0")
    request, reply = link.capture("0806", 2, "10.2.0.10")
    mac, ip = bytes.fromhex(HERE_MAC.replace(":", "")), bytes([10, 2, 0, 10])
    ethernet = b"\xff" * 6 + mac + b"\x08\x06"
    arp = b"\x00\x01" + b"\x08\x00" + b"\x06\x04"
    assert request == ethernet + arp + b"\x00\x01" + mac + ip + b"\x00" * 6 + ip
    assert reply == ethernet + arp + b"\x00\x02" + mac + ip + mac + ip


def test_every_field_of_neighbour_advertisement(link: Link) -> None:
    run(IP, "-n", link.here, "address", "add", "fd02::10/128", "dev", "v0", "nodad")
    frames = link.capture("86dd", 2, "fd02::10")
    assert frames[0] == frames[1]
    ethernet, header, icmp = frames[0][:14], frames[0][14:54], frames[0][54:]
    mac, ip = bytes.fromhex(HERE_MAC.replace(":", "")), socket.inet_pton(socket.AF_INET6, "fd02::10")
    everybody = socket.inet_pton(socket.AF_INET6, "ff02::1")
    assert ethernet == bytes.fromhex("333300000001") + mac + b"\x86\xdd"
    assert header[0] >> 4 == 6
    assert header[4:8] == len(icmp).to_bytes(2, "big") + b"\x3a\xff"  # ICMPv6, hop limit 255
    assert header[8:] == ip + everybody
    # type, code, checksum, override and nothing else, target, then the option with our MAC
    assert icmp[:2] + icmp[4:] == b"\x88\x00" + b"\x20\x00\x00\x00" + ip + b"\x02\x01" + mac
    summed = header[8:] + len(icmp).to_bytes(4, "big") + b"\x00\x00\x00\x3a" + icmp
    total = sum(int.from_bytes(summed[i : i + 2], "big") for i in range(0, len(summed), 2))
    assert (total & 0xFFFF) + (total >> 16) == 0xFFFF


@pytest.mark.parametrize("ip", ["10.2.0.10", "fd02::10"])
def test_neighbour_learns_the_new_place(link: Link, ip: str) -> None:
    run(IP, "-n", link.there, "neighbour", "replace", ip, "lladdr", STALE_MAC, "dev", "v1", "nud", "stale")
    assert link.neighbour(ip) == STALE_MAC
    longest = ipaddress.ip_address(ip).max_prefixlen
    run(IP, "-n", link.here, "address", "add", f"{ip}/{longest}", "dev", "v0", *(["nodad"] if ":" in ip else []))
    packets, reason = link.announce(ip)
    assert (packets, reason) == (2, "")
    wait = Deadline(5)
    while link.neighbour(ip) != HERE_MAC and not wait.passed:
        wait.sleep(0.05)
    assert link.neighbour(ip) == HERE_MAC


@pytest.mark.parametrize("ip", ["10.2.0.10", "fd02::10"])
def test_skipped_where_there_is_no_segment(link: Link, ip: str) -> None:
    run(IP, "-n", link.here, "link", "set", "lo", "up")
    assert link.announce(ip, "lo") == (0, "interface lo is a loopback")
    run(IP, "-n", link.here, "link", "set", "v0", "arp", "off")
    assert link.announce(ip) == (0, "interface v0 has no ARP")
    run(IP, "-n", link.here, "link", "set", "v0", "down")
    assert link.announce(ip) == (0, "interface v0 is down")


def test_skipped_on_point_to_point(link: Link) -> None:
    made = subprocess.run(
        [IP, "-n", link.here, "tuntap", "add", "t0", "mode", "tun"], check=False, capture_output=True, timeout=SECONDS
    )
    if made.returncode:
        pytest.skip("this kernel makes no tun devices")
    run(IP, "-n", link.here, "link", "set", "t0", "up")
    assert link.announce("10.2.0.10", "t0") == (0, "interface t0 is point-to-point")


def test_address_that_is_not_here_is_no_exception(link: Link) -> None:
    packets, reason = link.announce("fd02::77")
    assert packets == 0
    assert reason == "interface v0: Cannot assign requested address"


def test_without_the_capability(link: Link) -> None:
    if not shutil.which("setpriv"):
        pytest.skip("dropping a capability needs setpriv")
    for ip in ("10.2.0.10", "fd02::10"):
        packets, reason = link.announce(ip, "v0", "setpriv", "--bounding-set", "-net_raw")
        assert (packets, reason) == (0, "interface v0: Operation not permitted")


@pytest.mark.parametrize("name", ["nosuch0", "", "x" * 40, "a\0b", "\udc80"])
@pytest.mark.parametrize("ip", ["10.2.0.10", "fd02::10"])
def test_impossible_interface_is_no_exception(name: str, ip: str) -> None:
    done = announce(name, ipaddress.ip_address(ip))
    assert not done.sent
    assert done.reason.startswith("interface ")
