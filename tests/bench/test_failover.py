"""Where the time of a recorded failover went, and the picture of it. No lab, no cluster."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

BENCH = Path(__file__).parents[2] / "bench"
sys.path.append(str(BENCH))

from failover_picture import picture  # noqa: E402  # a script's module, found by the line above
from failover_processes import FenceProcesses  # noqa: E402
from failover_story import STAGES, Request, Story, busy, interesting, split, told  # noqa: E402

# From a run in the lab, the times rounded: node1 dies, node2 fences it after a head start of 2 s.
OURS = Story(
    victim="node1",
    lines=(
        (2.4, "pacemaker-controld [31] (c) notice: Requesting fencing (reboot) of node node1 | action=1 timeout=60000"),
        (
            2.5,
            "pacemaker-fenced [27] (r) notice: Requesting that node2 perform 'reboot' action targeting node1 | for x",
        ),
        (
            2.5,
            "pacemaker-fenced [27] (s) notice: Delaying 'reboot' action targeting node1 using fence for 2s | timeout=6",
        ),
        (3.0, "pacemaker-execd [28] (log_execute) info: executing - rsc:fence action:start call_id:10"),
        (
            7.9,
            "pacemaker-fenced [27] (l) notice: Operation 'reboot' [51] targeting node1 using fence returned 0 | call 9",
        ),
        (
            8.0,
            "pacemaker-fenced [27] (f) notice: Operation 'reboot' targeting node1 by node2 for x@node2: OK (complete)",
        ),
        (8.0, "pacemaker-controld [31] (d) info: Retrieving metadata for vip (ocf:cloudha:floating-ip) asynchronously"),
        (8.1, "pacemaker-controld [31] (d) notice: Requesting local execution of start operation for vip on node2 | t"),
        (8.1, "pacemaker-execd [28] (log_execute) info: executing - rsc:vip action:start call_id:12"),
        (8.7, "pacemaker-execd [28] (log_finished) info: vip start (call 12, PID 61) exited with status 0 (execution)"),
    ),
    requests=(
        Request(4.7, 4.8, "machines.list"),
        Request(4.9, 5.0, "power_off"),
        Request(6.0, 6.1, "machines.get"),
        Request(7.2, 7.3, "machines.get"),
        Request(7.7, 7.8, "machines.get"),
        Request(7.8, 7.9, "power_on"),
        Request(8.3, 8.5, "addresses.bind"),
        Request(9.5, 9.6, "addresses.list"),
    ),
    stopped=6.9,
    held=8.6,
    answered=8.6,
)


def record(story: Story) -> dict[str, Any]:
    parted = split(story)
    return {
        "total": parted.total,
        "stages": parted.stages,
        "spans": [{**dataclasses.asdict(span), "own": span.own} for span in parted.spans],
        "story": json.loads(json.dumps(dataclasses.asdict(story))),
    }


def test_stages_follow_each_other_and_are_the_whole() -> None:
    parted = split(OURS)
    assert list(parted.stages) == list(STAGES)
    assert parted.stages == pytest.approx(
        {"detection": 2.4, "head start": 2.1, "fencing": 3.5, "address": 0.6, "network": 0.0}
    )
    assert sum(parted.stages.values()) == pytest.approx(parted.total) == 8.6


def test_own_time_is_what_the_cloud_had_nothing_to_do_in() -> None:
    fence, metadata, start = split(OURS).spans
    # 4.5 to 7.9, less 2.0 of stopping (a look in the middle of it counts once) and four answers of 0.1.
    assert [span.what for span in (fence, metadata, start)] == ["fence", "vip meta-data", "vip start"]
    assert (fence.cloud, fence.own, metadata.own) == pytest.approx((2.4, 1.0, 0.1))
    # The start goes on after the client's first answer: nobody waits for that part.
    assert (start.end, start.own) == pytest.approx((8.6, 0.3))
    assert split(OURS).own == pytest.approx(1.4)


def test_fence_agent_asks_looks_and_starts() -> None:
    assert split(OURS).fence == pytest.approx({"asking": 0.3, "looking": 0.7, "starting": 0.0}, abs=1e-9)


def test_cloud_is_busy_once_at_a_time() -> None:
    spans = busy(OURS)
    assert (4.9, 6.9) in spans
    assert all(end < begin for (_, end), (begin, _) in pairwise(spans))


def test_without_a_head_start_the_agent_begins_when_it_is_asked_for() -> None:
    lines = tuple(line for line in OURS.lines if "Delaying" not in line[1])
    assert split(dataclasses.replace(OURS, lines=lines)).stages["head start"] == pytest.approx(0.1)


def test_the_agent_begins_when_its_process_was_seen() -> None:
    parted = split(dataclasses.replace(OURS, agent=4.6))
    assert parted.stages["head start"] == pytest.approx(2.2)
    assert parted.fence["asking"] == pytest.approx(0.2)


def test_a_process_is_known_by_its_program_and_by_when_it_was_there(tmp_path: Path) -> None:
    # Labs of other tests have fence agents of their own meanwhile.
    agent = tmp_path / "fence_of_this_test"
    agent.write_text("import time; time.sleep(60)")
    before = time.monotonic()
    with subprocess.Popen([sys.executable, str(agent)]) as process:
        try:
            looks = FenceProcesses((str(agent).encode(),))
            for _ in range(2):
                looks.look()
            after = time.monotonic()
            looks.look()
            begun = looks.at_work(after)
            assert begun is not None
            # Counted in ticks of the kernel's clock.
            assert before - 0.05 <= begun <= after
            assert looks.at_work(before - 1) is None
        finally:
            process.kill()


def test_a_failed_try_is_part_of_the_fencing() -> None:
    failed = (5.5, "Operation 'reboot' [50] targeting node1 using fence returned 1 | call 9")
    parted = split(dataclasses.replace(OURS, lines=tuple(sorted((*OURS.lines, failed)))))
    assert parted.stages["fencing"] == pytest.approx(3.5)
    assert parted.spans[0].end == 7.9


def test_two_resources_are_two_starts() -> None:
    more = (
        (8.0, "Retrieving metadata for vip-cloud (ocf:heartbeat:awsvip) asynchronously"),
        (8.05, "Requesting local execution of start operation for vip-cloud on node2 | transition_key=4"),
        (8.05, "executing - rsc:vip-cloud action:start call_id:16"),
        (8.08, "vip-cloud start (call 16, PID 111) exited with status 0 (execution time 30ms)"),
    )
    names = [span.what for span in split(dataclasses.replace(OURS, lines=tuple(sorted((*OURS.lines, *more))))).spans]
    assert names.count("vip-cloud start") == names.count("vip start") == names.count("vip-cloud meta-data") == 1


def test_a_hole_in_the_story_is_an_error() -> None:
    lines = tuple(line for line in OURS.lines if "OK (complete)" not in line[1])
    with pytest.raises(ValueError, match="no line for node1"):
        split(dataclasses.replace(OURS, lines=lines))


def test_only_lines_that_matter_are_kept() -> None:
    assert all(interesting(line) for _, line in OURS.lines)
    assert not interesting("pacemaker-based [27] (cib_perform_op) info: ++ /cib/status/node_state[@id='1']")


def test_raw_numbers_hold_the_whole_story() -> None:
    assert told(record(OURS)["story"]) == OURS


def test_picture_shows_every_contestant_to_scale() -> None:
    drawn = picture([("ours & others", [record(OURS)]), ("slow", [record(dataclasses.replace(OURS, answered=20.0))])])
    root = ET.fromstring(drawn)  # noqa: S314  # made here
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"ours & others", "slow", "8.6 s", "20.0 s", "fencing"} <= set(texts)
    width = float(root.attrib["width"])
    right = [
        float(box.attrib["x"]) + float(box.attrib["width"]) for box in root.iter("{http://www.w3.org/2000/svg}rect")
    ]
    assert max(right) < width
    assert "prefers-color-scheme:dark" in drawn


def test_page_has_the_marks_for_its_tables() -> None:
    page = (BENCH.parent / "docs" / "tuning.md").read_text()
    marks = re.findall(r"<!-- (\w+): written by bench/failover\.py -->.*?<!-- \1: end -->", page, re.DOTALL)
    assert marks == ["comparison", "agents", "settings"]
