"""Where the cloud has the address, by what its emulator keeps; looked at all the time while a round is played."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from cloudha.lab import faults, verbs
from cloudha.lab.problems import LabError
from cloudha.lab.state import LabState

__all__ = ["CloudWitness", "cloud_witness"]

EVERY_SECONDS = 1.0
VIP = str(verbs.ADDRESS)

Truth = Mapping[str, object]


def _sim(truth: Truth) -> list[str]:
    addresses = cast("list[dict[str, str]]", truth["addresses"])
    return [address["machine"] for address in addresses if address["ip"] == VIP and address["machine"]]


def _aws(truth: Truth) -> list[str]:
    answer = cast("dict[str, list[dict[str, object]]]", truth["DescribeNetworkInterfaces"])
    return [
        str(interface["NetworkInterfaceId"])
        for interface in answer["NetworkInterfaces"]
        for address in cast("list[dict[str, object]]", interface["PrivateIpAddresses"])
        if address["PrivateIpAddress"] == VIP
    ]


def _oci(truth: Truth) -> list[str]:
    addresses = cast("list[dict[str, str]]", truth["privateip"])
    return [address["vnicId"] for address in addresses if address["ipAddress"] == VIP and address.get("vnicId")]


def _ibm(truth: Truth) -> list[str]:
    return [
        str(interface["id"])
        for interface in cast("list[dict[str, object]]", truth["virtual_network_interfaces"])
        for address in cast("list[dict[str, str]]", interface["ips"])
        if address["address"] == VIP
    ]


# Of the others only the router is asked, which sends packets for an address to one machine: see evidence.
HOLDERS: Mapping[str, Callable[[Truth], list[str]]] = {"sim": _sim, "aws": _aws, "oci": _oci, "ibm": _ibm}


@dataclass
class CloudWitness:
    """What was seen: ``wrong`` says when two had the address; ``looks``: how often there was an answer."""

    wrong: list[str] = field(default_factory=list)
    looks: int = 0


@contextlib.contextmanager
def cloud_witness(state: LabState) -> Iterator[CloudWitness]:
    """Keep looking while the block runs. Where the emulator does not show its records, nothing is seen."""
    seen, over = CloudWitness(), threading.Event()
    thread = threading.Thread(target=_look, args=(state, seen, over), name="cloud witness")
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _look(state: LabState, seen: CloudWitness, over: threading.Event) -> None:
    holders = HOLDERS.get(state.plan.provider)
    while holders is not None and not over.wait(EVERY_SECONDS):
        try:
            found = holders(faults.admin(state, "GET", "truth"))
        except LabError:
            continue  # too slow for once
        seen.looks += 1
        if len(found) > 1:
            seen.wrong.append(f"at {time.monotonic():.3f} the cloud has the address at {', '.join(found)}")
