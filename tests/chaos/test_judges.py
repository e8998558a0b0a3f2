"""What the campaign's judges make of what agents told Pacemaker, beside what was so."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from chaos_judge import false_fencings, false_results
from cloudha.lab import verbs
from cloudha.lab.plan import make_plan
from cloudha.lab.state import LabState

VIP = str(verbs.ADDRESS)
NOW = time.monotonic()


class Story:
    """A lab that never ran, and what was written down in it. All times are seconds from the beginning."""

    def __init__(self, folder: Path) -> None:
        self.state = LabState(folder / "story")
        self.state.create(make_plan("story", "sim", 2))
        self.begin = NOW - 200

    def happened(self, at: float, what: str, node: str, detail: str = "") -> None:
        line = {"at": self.begin + at, "time": 0, "what": what, "node": node, "detail": detail}
        self._add(self.state.directory / "events.jsonl", json.dumps(line))

    def nic(self, at: float, node: str, *, held: bool) -> None:
        line = {"at": self.begin + at, "node": node, "address": VIP, "held": held}
        self._add(self.state.node(node).held, json.dumps(line))

    def pacemaker(self, at: float, node: str, text: str) -> None:
        wall = self.begin + at + time.time() - time.monotonic()
        stamp = f"{time.strftime('%b %d %H:%M:%S', time.localtime(wall))}.{int(wall % 1 * 1000):03d}"
        self._add(self.state.node(node).disk / "var/log/pacemaker/pacemaker.log", f"{stamp} {node} daemon [1] {text}")

    @staticmethod
    def _add(file: Path, line: str) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a") as log:
            log.write(f"{line}\n")


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(tmp_path)


def fenced(story: Story, asked: float, done: float) -> list[str]:
    story.pacemaker(asked, "node2", "notice: Requesting peer fencing (reboot) targeting node1 | id=ab state=querying")
    said = "notice: Operation 'reboot' targeting node1 by node2 for pacemaker-controld.3@node2: OK (complete) | id=ab"
    story.pacemaker(done, "node2", said)
    return false_fencings(story.state, story.begin)


def test_off_that_was_off_is_right(story: Story) -> None:
    story.happened(12, "power cut", "node1", "by the cloud")
    story.happened(14, "power on", "node1", "by the cloud")
    assert fenced(story, 10, 13) == []


def test_off_of_a_node_that_was_off_before_is_right(story: Story) -> None:
    story.happened(5, "power cut", "node1", "by hand")
    assert fenced(story, 10, 13) == []


def test_off_of_a_node_that_kept_its_power_is_wrong(story: Story) -> None:
    story.happened(12, "power cut", "node2", "by the cloud")
    assert len(fenced(story, 10, 13)) == 1


def test_an_earlier_loss_of_power_does_not_count(story: Story) -> None:
    story.happened(5, "power cut", "node1", "by hand")
    story.happened(6, "power on", "node1", "by hand")
    story.happened(14, "power cut", "node1", "by hand")
    assert len(fenced(story, 10, 13)) == 1


@pytest.mark.parametrize(
    ("result", "nic_until", "cloud_until", "wrong"),
    [
        ("stop operation for vip on node1: ok | CIB update 1; rc=0", 20, 20, 0),
        ("stop operation for vip on node1: ok | CIB update 1; rc=0", 60, 20, 1),
        ("stop operation for vip on node1: ok | CIB update 1; rc=0", 20, 60, 1),
        ("stop operation for vip on node1: error | CIB update 1; rc=1", 60, 60, 0),
        ("monitor operation for vip on node1: not running | CIB update 1; rc=7", 20, 60, 0),
        ("monitor operation for vip on node1: not running | CIB update 1; rc=7", 60, 60, 1),
        ("probe operation for vip on node1: not running | CIB update 1; rc=7", 60, 60, 1),
        ("monitor operation for vip on node1: ok | CIB update 1; rc=0", 60, 60, 0),
    ],
)
def test_what_the_agent_says_of_the_address(
    story: Story, result: str, nic_until: float, cloud_until: float, wrong: int
) -> None:
    story.happened(5, "route", "node1", VIP)
    story.nic(5, "node1", held=True)
    story.nic(nic_until, "node1", held=False)
    story.happened(cloud_until, "route", "", VIP)
    story.pacemaker(30, "node1", f"notice: Result of {result}")
    assert len(false_results(story.state, story.begin)) == wrong
