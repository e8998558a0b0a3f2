"""The simulation of many clusters with one account: its buckets, its clock, its agents, and what comes of them."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

sys.path.append(str(Path(__file__).parents[2] / "bench"))

from scale_clock import Account, Clock, Steps, within
from scale_limits import BY_ID, UNFILTERED, Buckets, Limit, bucket_of, ec2_limit
from scale_model import Agent, Cloudha, Machine, Upstream, differences
from scale_picture import Axis, Line, Panel, picture
from scale_report import first_with
from scale_simulation import Rules, an_hour, node_loss

AGENTS: dict[str, type[Agent]] = {"cloudha": Cloudha, "fence_aws + awsvip": Upstream}
# A fiftieth of the published buckets, and a few clusters that are too many for them.
SMALL = 1 / 50
MANY = 6
SHORT = 1200.0


# --- buckets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "parameters", "bucket"),
    [
        ("DescribeInstances", {"Action": "DescribeInstances"}, "DescribeInstances" + UNFILTERED),
        ("DescribeInstances", {"InstanceId.1": "i-1"}, "DescribeInstances" + BY_ID),
        ("DescribeInstances", {"Filter.1.Name": "instance-id", "Filter.1.Value.1": "i-1"}, "DescribeInstances"),
        ("DescribeInstances", {"MaxResults": "5"}, "DescribeInstances"),
        ("DescribeRouteTables", {}, "DescribeRouteTables"),
        ("StopInstances", {"InstanceId.1": "i-1", "DryRun": "true"}, "StopInstances"),
    ],
)
def test_a_request_falls_into_the_bucket_that_its_parameters_say(
    operation: str, parameters: dict[str, str], bucket: str
) -> None:
    assert bucket_of(operation, parameters) == bucket


@pytest.mark.parametrize(
    ("bucket", "limit"),
    [
        ("DescribeInstances", Limit(100, 20)),
        ("DescribeInstances" + UNFILTERED, Limit(50, 10)),
        ("StopInstances", Limit(50, 5)),
        ("StartInstances", Limit(5, 2)),
        ("AssignPrivateIpAddresses", Limit(100, 5)),
    ],
)
def test_the_limits_are_the_published_ones(bucket: str, limit: Limit) -> None:
    assert ec2_limit(bucket) == limit


def test_a_bucket_is_full_at_first_and_fills_up_again_by_the_second() -> None:
    buckets = Buckets(ids_are_filters=False)

    assert [buckets.take("StartInstances", 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert [buckets.take("StartInstances", 1.0) for _ in range(3)] == [True, True, False]
    assert [buckets.take("StartInstances", 1000.0) for _ in range(6)] == [True] * 5 + [False]


def test_operations_do_not_share_a_bucket() -> None:
    buckets = Buckets(ids_are_filters=False)
    while buckets.take("StartInstances", 0.0):
        pass

    assert buckets.take("StopInstances", 0.0)


@pytest.mark.parametrize(("ids_are_filters", "drained_as_well"), [(True, False), (False, True)])
def test_a_request_by_id_is_an_unfiltered_one_in_the_strict_reading(
    *, ids_are_filters: bool, drained_as_well: bool
) -> None:
    buckets = Buckets(ids_are_filters=ids_are_filters)
    while buckets.take("DescribeInstances" + UNFILTERED, 0.0):
        pass

    assert buckets.take("DescribeInstances" + BY_ID, 0.0) is not drained_as_well


# --- the clock --------------------------------------------------------------------------------------------------------


def test_processes_run_in_the_order_of_time() -> None:
    clock = Clock(1)
    seen: list[tuple[str, float]] = []

    def process(name: str, seconds: float) -> Steps[None]:
        for _ in range(2):
            yield seconds
            seen.append((name, clock.now))

    clock.add(process("slow", 3.0))
    clock.add(process("quick", 1.0), 0.5)
    clock.run(10.0)

    assert seen == [("quick", 1.5), ("quick", 2.5), ("slow", 3.0), ("slow", 6.0)]
    assert clock.now == 10.0


def test_what_takes_too_long_is_killed_at_its_timeout() -> None:
    clock = Clock(1)
    ended: list[tuple[str | None, float]] = []

    def action(seconds: float) -> Steps[str]:
        yield seconds
        return "done"

    def process() -> Steps[None]:
        for seconds in (4.0, 6.0):
            result = yield from within(clock, action(seconds), 5.0)
            ended.append((result, clock.now))

    clock.add(process())
    clock.run(60.0)

    assert ended == [("done", 4.0), (None, 9.0)]


def test_the_same_seed_tells_the_same_story_and_another_one_another() -> None:
    rules = Rules(Upstream, share=SMALL)

    assert an_hour(rules, MANY, 1, SHORT) == an_hour(rules, MANY, 1, SHORT)
    assert an_hour(rules, MANY, 1, SHORT) != an_hour(rules, MANY, 2, SHORT)


# --- the agents -------------------------------------------------------------------------------------------------------


def run(who: str, action: str, asked: list[str], code: int, throttled: str = "", level: str = "0") -> dict[str, object]:
    """What the real agents did when they were run; see docs/scale.md."""
    found = {"who": who, "action": action, "asked": asked, "exit": code, "throttled": throttled, "level": level}
    return {**found, "retries": "legacy"}


def test_the_agents_ask_and_end_as_the_real_ones_did() -> None:
    ids, everything = "DescribeInstances" + BY_ID, "DescribeInstances" + UNFILTERED
    ours, theirs = AGENTS
    runs = [
        run(theirs, "monitor", [ids], 0),
        run(theirs, "monitor", [], 7, "ec2.*"),
        run(theirs, "stop", [ids, "UnassignPrivateIpAddresses"], 0),
        run(theirs, "stop", [], 0, "ec2.*"),
        run(theirs, "stop", [], 7, "ec2.UnassignPrivateIpAddresses"),
        run(theirs, "start", [], 7, "ec2.AssignPrivateIpAddresses"),
        run(theirs, "fence monitor", [everything], 0),
        run(theirs, "fence monitor", [], 1, "ec2.*"),
        run(theirs, "reboot", [], -9, "ec2.StopInstances"),
        run(theirs, "reboot", [], -9, "ec2.StartInstances"),
        run(ours, "monitor", [], 0),
        run(ours, "monitor", [], 0, "ec2.*"),
        run(ours, "monitor", [], 190, "ec2.*", level="10"),
        run(ours, "stop", [], 1, "ec2.*"),
        run(ours, "fence monitor", [], 1, "ec2.*"),
        run(ours, "fence monitor", ["DescribeInstances", "StopInstances"], 0),
        run(ours, "fence monitor", [], 0, "ec2.StopInstances"),
        run(ours, "reboot", [], 1, "ec2.StopInstances"),
        run(ours, "reboot", [], 0, "ec2.StartInstances"),
    ]

    assert differences(runs, AGENTS) == []


def test_an_agent_that_asks_otherwise_is_noticed() -> None:
    assert differences([run("cloudha", "monitor", ["DescribeNetworkInterfaces"], 0)], AGENTS)


def test_a_machine_is_off_only_when_its_time_has_passed() -> None:
    clock = Clock(1)
    machine = Machine(clock, 20.0, 15.0)
    machine.stop()
    clock.run(19.0)
    assert machine.state == "stopping"
    clock.run(20.0)
    assert machine.state == "stopped"
    machine.start()
    assert machine.state == "pending"


@pytest.mark.parametrize(("attempts", "asked"), [(5, 5), (3, 3)])
def test_the_sdk_of_the_others_tries_as_often_as_it_does(attempts: int, asked: int) -> None:
    clock = Clock(1)
    account = Account(clock, None)
    account.refuses = ("",)

    def process() -> Steps[None]:
        yield from Upstream(account, attempts).monitor()

    clock.add(process())
    clock.run(60.0)

    assert account.asked == account.refused == asked


# --- what comes of it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [Upstream, Cloudha])
def test_a_few_clusters_never_notice_the_limits(make: type[Upstream | Cloudha]) -> None:
    hour = an_hour(Rules(make), 5, 1, SHORT)

    assert hour.recovered == hour.device_failed == hour.refused == 0
    assert hour.monitors > 250


def test_with_too_many_clusters_the_others_restart_healthy_services() -> None:
    hour = an_hour(Rules(Upstream, share=SMALL), MANY, 1, SHORT)

    assert hour.recovered > 0
    assert hour.clusters_hit == MANY


def test_ours_restarts_none_and_its_monitor_at_level_0_does_not_ask_at_all() -> None:
    hour = an_hour(Rules(lambda account: Cloudha(account, dry_runs=()), share=SMALL), MANY, 1, SHORT)

    assert hour.recovered == hour.degraded == 0
    assert hour.asked - hour.refused <= hour.device_monitors


def test_ours_at_level_10_says_degraded_instead() -> None:
    hour = an_hour(Rules(lambda account: Cloudha(account, level=10), share=SMALL / 10), MANY, 1, SHORT)

    assert hour.degraded > 0
    assert hour.recovered == 0


@pytest.mark.parametrize("make", [Upstream, Cloudha])
def test_one_cluster_that_loses_a_node_is_back_within_the_fencing_timeout(make: type[Upstream | Cloudha]) -> None:
    loss = node_loss(Rules(make), 1, 1)

    assert (len(loss.back), loss.slow, loss.down) == (1, 0, 0)
    assert 20.0 < loss.back[0] < 60.0


@pytest.mark.parametrize("make", [Upstream, Cloudha])
def test_every_cluster_is_either_back_or_not(make: type[Upstream | Cloudha]) -> None:
    loss = node_loss(Rules(make, share=SMALL), MANY, 1, SHORT)

    assert len(loss.back) + loss.down == MANY
    assert loss.slow > 0


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_first_number_of_clusters_that_suffers_is_found() -> None:
    runs = [[{"clusters": n, "recovered": hit} for hit in (0, n >= 100)] for n in (10, 100, 1000)]

    assert first_with(runs, "recovered") == 100
    assert first_with(runs[:1], "recovered") is None


def test_the_picture_is_svg_with_every_line_inside_it() -> None:
    across, up = Axis(1, 100, [(1, "1"), (100, "100")]), Axis(0, 1, [(0, "0")], logarithmic=False)
    drawn = picture([Panel("title", across, up, [Line("one", "ours", [(1, 0), (10, 0.5), (1000, 2)])])])

    root = ET.fromstring(drawn)  # noqa: S314 - our own picture
    assert root.tag.endswith("svg")
    assert "prefers-color-scheme: dark" in drawn
    assert "one" in [element.text for element in root.iter()]
    assert "nan" not in drawn
