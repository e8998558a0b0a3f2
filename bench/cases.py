"""What is compared with what."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudha.testing.emulator import FaultServer
from clouds import Simulated, monitors
from crowd import crowd
from measure import Command
from stage import AWSVIP, FENCE_AWS, FENCE_AZURE, FENCE_IBM, Agents, Stage, interpreter, paper

__all__ = ["Case", "growing", "others", "papers", "working"]

FLEETS = (10, 1000, 10_000)
CROWD = "AWS; a listing has moto's own element for one instance as often as there are machines"
SIMULATED_FLEETS = (10, 1000, 10_000)


def _nothing() -> None:
    pass


@dataclass
class Case:
    """Contestants by name, ours first; ``before`` each run, ``after`` all; ``share`` of the runs that it gets."""

    name: str
    contestants: Mapping[str, Command]
    note: str = ""
    before: Callable[[], object] = _nothing
    after: Callable[[], object] = _nothing
    servers: Sequence[FaultServer] = ()
    share: float = 1.0


def papers(root: Path) -> Iterator[Case]:
    """What pcs and Pacemaker ask of every agent: its metadata."""
    ours = Agents(root)
    yield Case(
        "fence agent: metadata",
        {
            "cloudha": paper(ours.fence, "-o", "metadata"),
            "fence_aws": paper(*FENCE_AWS, "-o", "metadata"),
            "fence_azure_arm": paper(*FENCE_AZURE, "-o", "metadata"),
            "fence_ibm_vpc": paper(*FENCE_IBM, "-o", "metadata"),
            "bare interpreter": interpreter(),
        },
        "every provider of this tree is installed",
    )
    yield Case(
        "address agent: meta-data",
        {
            "cloudha": paper(ours.address, "meta-data"),
            "awsvip": paper(AWSVIP, "meta-data"),
            "bare interpreter": interpreter(),
        },
        "awsvip is a shell script that prints a text",
    )


def working(root: Path, command_line: str | None) -> Iterator[Case]:
    """The actions on AWS; those of awsvip only with the AWS command line."""
    stage = Stage(Agents(root))
    for action, share in (("status", 1.0), ("monitor", 1.0), ("off", 0.4)):
        ours, theirs = stage.fence(action)
        yield Case(
            f"fence: {action}",
            {"cloudha": ours, "fence_aws": theirs},
            "",
            stage.running,
            _nothing,
            stage.servers,
            share,
        )
    if command_line:
        stage.bound()
        ours, theirs = stage.address("monitor", command_line)
        yield Case(
            "address: monitor",
            {"cloudha": ours, "awsvip": theirs, "floor": stage.floor_of_monitor()},
            "bound here, depth 0; the floor is a script that sends the same requests and looks at nothing",
            servers=stage.servers,
        )
        for action, before in (("start", stage.free), ("stop", stage.bound)):
            ours, theirs = stage.address(action, command_line)
            yield Case(
                f"address: {action}", {"cloudha": ours, "awsvip": theirs}, "", before, _nothing, stage.servers, 0.6
            )
    stage.close()


def others(root: Path) -> Iterator[Case]:
    """The address's monitor in the other clouds."""
    for name, contestants, server in monitors(root):
        note = (
            f"{name}: the floor is a script of the standard library that sends what the action needs, logged in before"
        )
        yield Case(f"address: monitor, {name}", contestants, note, servers=[server])


def growing(root: Path) -> Iterator[Case]:
    """The same question in ever larger accounts."""
    for machines in FLEETS:
        stage = Stage(Agents(root))
        crowd(stage, machines)
        for action in ("status", "list"):
            ours, theirs = stage.fence(action)
            both = {"cloudha": ours, "fence_aws": theirs}
            title = f"fence: {action}, {machines:,} machines"
            yield Case(title, both, CROWD if action == "list" else "", servers=stage.servers, share=0.2)
        stage.close()
    for machines in SIMULATED_FLEETS:
        cloud = Simulated(Agents(root), machines)
        actions = {"fence: status": cloud.fence("status"), "address: monitor": cloud.monitor(deep=True)}
        for name, ours in (*actions.items(), ("fence: list", cloud.fence("list"))):
            title = f"{name}, {machines:,} machines, simulated cloud"
            yield Case(title, {"cloudha": ours}, servers=[cloud.server], share=0.3)
        cloud.close()
