"""What a node tells the witness: who it is, when asked at any of its addresses, and what its NIC holds.

Both run as threads of the node's PID 1: they live exactly as long as the node has power.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import TextIO

from cloudha.types import IPAddress

__all__ = ["ANSWER_PORT", "QUESTION", "answer_forever", "watch_nic_forever"]

ANSWER_PORT = 7461
QUESTION = b"who"
NIC_SECONDS = 0.05
# Linux's number; Python's socket module has it from 3.12 on only.
IP_PKTINFO = 8


def answer_forever(name: str, family: socket.AddressFamily) -> None:
    """Answer every ``who SEQ`` with ``SEQ NAME``, from the very address that was asked."""
    v4 = family is socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        if v4:
            server.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        else:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        server.bind(("0.0.0.0" if v4 else "::", ANSWER_PORT))  # noqa: S104  # inside the node's own network
        while True:
            question, extras, _flags, peer = server.recvmsg(256, 256)
            word, _, sequence = question.partition(b" ")
            if word != QUESTION:
                continue
            reply = sequence[:32] + b" " + name.encode()
            try:
                server.sendmsg([reply], [_reply_from(extra, v4=v4) for extra in extras], 0, peer)
            except OSError:
                continue  # the address left the NIC between question and answer: then nobody answers


def _reply_from(extra: tuple[int, int, bytes], *, v4: bool) -> tuple[int, int, bytes]:
    level, kind, data = extra
    if v4:
        # struct in_pktinfo: interface, address to send from, destination as received.
        _interface, local, _destination = struct.unpack("i4s4s", data[:12])
        return level, kind, struct.pack("i4s4s", 0, local, b"\0\0\0\0")
    return level, socket.IPV6_PKTINFO, data[:16] + struct.pack("i", 0)


def has_address(ip: IPAddress) -> bool:
    """Whether *ip* is configured on this machine: only then the kernel lets a socket have it."""
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(ip), 0))
    except OSError:
        return False
    return True


def watch_nic_forever(name: str, addresses: Sequence[IPAddress], log: TextIO) -> None:
    """Write a line to *log* whenever one of *addresses* comes to or leaves this node."""
    held = dict.fromkeys(addresses, False)
    never = threading.Event()
    while True:
        for ip, before in held.items():
            now = has_address(ip)
            if now != before:
                held[ip] = now
                line = {"at": time.monotonic(), "time": time.time(), "node": name, "address": str(ip), "held": now}
                log.write(json.dumps(line) + "\n")
                log.flush()
        never.wait(NIC_SECONDS)
