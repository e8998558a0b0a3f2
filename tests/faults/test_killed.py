"""Killed anywhere, the same action done again ends where it should: no address is lost, nothing half-written remains.

CLOUDHA_FAULTS_KILLS is the number of points of each action (0: all of them), CLOUDHA_FAULTS_RANDOM_KILLS that of kills
at any time, CLOUDHA_FAULTS_SEED chooses others.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from campaign.cells import Cell
from campaign.clouds import behaviour
from campaign.kills import half_written, killed_after, killed_at, points, settled
from campaign.player import Player, execute
from cloudha.local_mark import MarkKey, set_mark

# Of each action: the simulated cloud's agents are quick, and its points are few.
POINTS = {"sim": 0}
OTHER_POINTS = 2
RANDOM_KILLS = 6
INTERFACE = "eth0"
# How far the cloud is behind, longer than the two looks of a stop are apart, and a timeout that leaves time for more.
STALE_SECONDS = 5.0
PATIENT_SECONDS = 28.0

POWER = [("off", "on"), ("on", "off")]
ADDRESS = [("start", "there"), ("stop", "here")]


def _cell(player: Player, action: str, situation: str, kind: str = "") -> Cell:
    return Cell(player.stage.provider, "ours", kind, action, situation, "500", "once")


def _kill_all(player: Player, cell: Cell, count: int, seed: int) -> None:
    found, _ = points(player, cell)
    assert len(found) >= 2 * 3, "an action of so few requests confirms nothing"
    chosen = random.Random(seed).sample(found, min(count, len(found))) if count else found  # noqa: S311 - repeatable
    wrong = {}
    for point in chosen:
        # An action may need one request less than before (a poll that comes later sees more): then it has ended.
        killed_at(player, cell, point)
        trouble = settled(player, cell) or _lost(player, cell)
        if trouble:
            wrong[point] = trouble
    assert not wrong, (cell.key, wrong)


def _lost(player: Player, cell: Cell) -> str:
    """After a stop, the address must still be there to be started."""
    if cell.action != "stop":
        return ""
    again = _cell(player, "start", "free", cell.kind)
    seen = execute(player.command(again), player.place.prefix)
    here = player.holder(again) == player.cloud.machines[0].id
    return "" if seen.code == 0 and here else f"it cannot be started any more: {seen.code} {seen.err}"


def _count(player: Player, number: Callable[[str, int], int]) -> int:
    return number("KILLS", POINTS.get(player.stage.provider, OTHER_POINTS))


@pytest.mark.parametrize(("action", "situation"), POWER, ids=str)
def test_power_converges(player: Player, action: str, situation: str, number: Callable[[str, int], int]) -> None:
    _kill_all(player, _cell(player, action, situation), _count(player, number), number("SEED", 1))


@pytest.mark.parametrize(("action", "situation"), ADDRESS, ids=str)
def test_an_address_converges(player: Player, action: str, situation: str, number: Callable[[str, int], int]) -> None:
    count, seed = _count(player, number), number("SEED", 1)
    for kind in player.stage.kinds if number("ALL_KINDS", 0) else player.stage.kinds[:1]:
        _kill_all(player, _cell(player, action, situation, kind.value), count, seed)


@pytest.mark.parametrize(("action", "situation"), ADDRESS, ids=str)
def test_killed_at_any_time(sim_player: Player, action: str, situation: str, number: Callable[[str, int], int]) -> None:
    """With an interface to configure, too: there are points at which the cloud is not asked."""
    player, cell = sim_player, _cell(sim_player, action, situation, "private")
    _, seconds = points(player, cell, nic=INTERFACE)
    chance = random.Random(number("SEED", 1))  # noqa: S311 - to be repeated, not to be secret
    wrong = {}
    for _ in range(number("RANDOM_KILLS", RANDOM_KILLS)):
        _clean(player)
        if action == "stop":
            player.place.run("/usr/sbin/ip", "address", "add", f"{player.addresses(cell)[0]}/32", "dev", INTERFACE)
        delay = chance.uniform(0, seconds)
        killed_after(player, cell, delay, nic=INTERFACE)
        trouble = settled(player, cell, nic=INTERFACE)
        configured = (
            str(player.addresses(cell)[0])
            in player.place.run("/usr/sbin/ip", "address").stdout.replace("/", " ").split()
        )
        if trouble or configured is (action == "stop"):
            wrong[delay] = trouble or f"configured: {configured}"
    _clean(player)
    assert not wrong, wrong


@pytest.mark.parametrize(("action", "situation"), POWER, ids=str)
def test_power_killed_at_any_time(
    sim_player: Player, action: str, situation: str, number: Callable[[str, int], int]
) -> None:
    player, cell = sim_player, _cell(sim_player, action, situation)
    _, seconds = points(player, cell)
    chance = random.Random(number("SEED", 1))  # noqa: S311 - to be repeated, not to be secret
    for _ in range(number("RANDOM_KILLS", RANDOM_KILLS)):
        delay = chance.uniform(0, seconds)
        killed_after(player, cell, delay)
        assert not settled(player, cell), delay


def test_a_stop_right_after_a_killed_start(player: Player) -> None:
    """The start was killed when the cloud had bound the address, and what the cloud tells is behind: the stop that
    the cluster sends next must not believe that nothing was bound.
    """
    known = behaviour(player.cloud)
    if not hasattr(known, "stale"):
        pytest.skip("this cloud's reads are never behind, by the vendor's word")
    player.operation_seconds = PATIENT_SECONDS
    wrong = {}
    for kind in player.stage.kinds:
        cell = _cell(player, "stop", "there", kind.value)
        player.set_scene(cell)
        ip = player.addresses(cell)[0]
        # Somebody looks, so that the emulator has a past to tell of.
        execute(player.command(replace(cell, action="monitor-deep")), player.place.prefix)
        time.sleep(STALE_SECONDS)
        marks = str(player.place.path("/run/cloudha"))
        assert set_mark(MarkKey(cell.provider, kind, ip), directory=marks)
        setattr(behaviour(player.cloud), "stale", STALE_SECONDS)  # noqa: B010 - of whatever class the emulator's is
        player.cloud.give(kind, ip, player.cloud.machines[0].id)
        seen = execute(player.command(cell), player.place.prefix)
        if seen.code == 0 and player.holder(cell) == player.cloud.machines[0].id:
            wrong[kind.value] = f"stopped, it says after {seen.seconds:.1f} s, and it is bound here"
    assert not wrong, wrong


def test_nothing_is_left_behind_by_a_kill(sim_player: Player) -> None:
    """Before the second run, too: what a reader finds is whole, or a name that nobody reads."""
    cell = _cell(sim_player, "start", "free", "private")
    found, _ = points(sim_player, cell)
    for point in found:
        killed_at(sim_player, cell, point)
        assert half_written(sim_player, cell) in ("", "left in /run/cloudha: []", "the mark is not whole: []"), point


def _clean(player: Player) -> None:
    player.place.run("/usr/sbin/ip", "address", "flush", "dev", INTERFACE, "scope", "global", check=False)
    player.place.run("/usr/sbin/ip", "address", "add", "10.9.9.1/24", "dev", INTERFACE, check=False)
