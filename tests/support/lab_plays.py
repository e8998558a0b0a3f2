"""Scenarios that are played on more than one cloud; the tests name the cloud and its operations."""

from __future__ import annotations

from cloudha.lab import cluster, faults, verbs
from cloudha.lab.failover import Cause, Failover, failover
from cloudha.lab.programs import poll
from lab_stage import Record, Stage

__all__ = ["RECOVERY_SECONDS", "VIP", "api_outage", "loses_power", "taken_away", "throttled_fence", "told"]

VIP = str(verbs.ADDRESS)
# All of the API, and nothing of the machines' metadata service.
API = "*,!metadata.*"
API_OUTAGE_SECONDS = 60
RECOVERY_SECONDS = 60


def told(story: Failover, record_property: Record) -> Failover:
    """Keep the story in the report, and on the terminal of whoever runs with -s."""
    record_property("outage_seconds", round(story.outage, 2))
    print(f"\n{story.cause.value} of {story.victim}: outage {story.outage:.2f} s, fenced {', '.join(story.fenced)}")
    for moment in story.timeline:
        print(f"{moment.seconds:+8.2f} s  {moment.text}")
    return story


def loses_power(stage: Stage, cause: Cause, record_property: Record) -> None:
    """The holder is cut off from power or from everything: it is fenced, and the other one takes over."""
    story = told(failover(stage.state, cause), record_property)
    assert story.holder == stage.other(story.victim)
    assert story.fenced == (story.victim,)
    assert stage.holder == story.holder


def taken_away(stage: Stage, path: str) -> None:
    """The cloud takes the address away: a monitor that asks the API sees it, and it is bound again in place."""
    holder = stage.holder
    faults.admin(stage.state, "DELETE", path)
    assert poll(lambda: stage.answering() is None, 5)
    assert poll(lambda: stage.answering() == holder, RECOVERY_SECONDS), "bound again"
    cluster.wait_idle(stage.state)
    assert stage.holder == holder
    assert stage.fenced() == []


def api_outage(stage: Stage) -> None:
    """The API is away for a minute: nothing moves, nobody is fenced, and the status shows it."""
    holder = stage.holder
    faults.add_fault(stage.state, API, "error", seconds=API_OUTAGE_SECONDS)

    def shown() -> bool:
        return "degraded" in stage.run(holder, "pcs", "status").lower()

    def over() -> bool:
        return all(fault["spent"] for fault in faults.list_faults(stage.state))

    assert poll(shown, API_OUTAGE_SECONDS, every=1.0)
    assert not over(), "seen while the API was away"
    assert poll(over, API_OUTAGE_SECONDS, every=1.0)
    assert stage.holder == holder
    assert stage.fenced() == []
    assert stage.outages() == []
    # Pacemaker keeps showing the last bad result until somebody cleans up; then the next checks are good.
    stage.run(holder, "pcs", "resource", "cleanup", "vip")
    cluster.wait_idle(stage.state)
    assert not poll(shown, 10, every=1.0)


def throttled_fence(stage: Stage, operations: str, count: int, record_property: Record) -> None:
    """The API throttles what a fence needs: it takes longer, and ends right."""
    number = faults.add_fault(stage.state, operations, "throttle", count=count, retry_after=1)
    story = told(failover(stage.state, Cause.POWER), record_property)
    assert story.fenced == (story.victim,)
    assert story.holder == stage.other(story.victim)
    (hit,) = [fault for fault in faults.list_faults(stage.state) if fault["number"] == number]
    assert hit["hits"] == count
