"""The demonstration: a lab comes up, loses the node that has the address, and a client measures what it notices."""

from __future__ import annotations

import time
from collections.abc import Callable

from cloudha.lab import cleaning, cluster, verbs
from cloudha.lab.failover import Cause, Failover, failover
from cloudha.lab.nodes import run_in
from cloudha.lab.problems import LabError

__all__ = ["demonstrate"]

REJOIN_SECONDS = 90.0


def demonstrate(
    say: Callable[[str], None], tell: Callable[[Failover], None], *, name: str, provider: str, nodes: int
) -> Failover:
    """Play the demonstration from an empty machine to an empty machine, and return how the failover went.

    :param say: is given what happens, line by line. :param tell: is given the failover as soon as it is over.
    :raises LabError: something did not work; the lab is removed all the same.
    """

    def report(step: verbs.Step) -> None:
        say(f"{step.seconds:5.1f} s  {step.text}")
        for command in step.commands:
            say(f"         node1# {command}")

    state = verbs.up(name, provider=provider, nodes=nodes, report=report)
    with verbs.removed_at_the_end(state):
        say("")
        for line in run_in(state, "node1", "pcs", "status", "resources").out.splitlines():
            say(f"         {line}")
        say(f"\nNow the power of {cluster.holder(state)} is cut. A client asks {verbs.ADDRESS} 20 times a second.\n")
        story = failover(state, Cause.POWER)
        tell(story)
        begin = time.monotonic()
        cluster.wait_online(state, REJOIN_SECONDS, [node.name for node in state.plan.nodes])
        say(
            f"{story.victim} was started by the cloud and has rejoined the cluster "
            f"{time.monotonic() - begin:.0f} s later"
        )
    left = cleaning.leftovers(state)
    if left:
        raise LabError(f"lab {name} is removed, and this is still there: {', '.join(left)}")
    say(f"lab {name} is removed, nothing is left behind")
    return story
