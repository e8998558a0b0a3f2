"""A cluster that troubles are made in: the writer runs beside the address, and everything can be made whole again."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from chaos_plan import Setting
from chaos_processes import daemons
from chaos_troubles import lossless
from chaos_writer import WRITER, Reader, install_writer
from cloudha.lab import cluster, evidence, faults, verbs
from cloudha.lab.cluster import ClusterView
from cloudha.lab.nodes import run_in
from cloudha.lab.power import booted, powered
from cloudha.lab.problems import LabError, NotReady
from cloudha.lab.state import LabState, open_lab

__all__ = ["HEAL_SECONDS", "ChaosLab", "started"]

HEAL_SECONDS = 300.0
# Before an operator comes: fencing gives power back by itself, and a dead daemon is a reason for fencing.
GRACE_SECONDS = 20.0
CLEANUP_SECONDS = 20.0
LOOK_SECONDS = 0.5
# The cluster may not have noticed the last trouble yet.
NOTICE_SECONDS = 2.0
DAEMONS = ("corosync", "pacemakerd")


class ChaosLab:
    """A lab that is up, with address and writer running."""

    def __init__(self, state: LabState, setting: Setting) -> None:
        self.state = state
        self.setting = setting
        self.nodes = [node.name for node in state.plan.nodes]
        self.log: Reader = install_writer(state)
        #: up to when rounds have been judged (monotonic seconds)
        self.judged = time.monotonic()

    def holder(self) -> str:
        """Wait for the whole picture, which a cleanup may disturb for a moment, and return where the address runs.

        :raises NotReady: the picture is not whole within :data:`HEAL_SECONDS`.
        """
        end = time.monotonic() + HEAL_SECONDS
        while True:
            missing = self.missing()
            found = None if missing else cluster.holder(self.state)
            if found is not None:
                return found
            if time.monotonic() > end:
                raise NotReady(f"not whole before the round: {missing}")
            time.sleep(LOOK_SECONDS)

    def missing(self) -> str:
        """Return what the picture lacks to be whole, "" for nothing."""
        down = [node for node in self.nodes if not self._runs(node)]
        if down:
            return f"{' and '.join(down)} has no power, or not all its daemons"
        try:
            views = [cluster.view(self.state, node) for node in self.nodes]
        except LabError as error:
            return str(error)
        for seen in views:
            if not seen.quorate or set(seen.online) != set(self.nodes):
                return f"{seen.seen_from} sees {', '.join(seen.online) or 'nobody'}, quorate: {seen.quorate}"
        for resource in ("fence", "vip", WRITER):
            if len(views[0].running.get(resource, ())) != 1:
                return f"{resource} runs on {', '.join(views[0].running.get(resource, ())) or 'no node'}"
        if views[0].failed:
            return f"failed: {'; '.join(views[0].failed)}"
        return self._unserved(views[0])

    def _runs(self, node: str) -> bool:
        return booted(self.state.node(node)) and {*DAEMONS} <= daemons(self.state, node).keys()

    def _unserved(self, seen: ClusterView) -> str:
        (holder,) = seen.running["vip"]
        if seen.running[WRITER] != (holder,):
            return f"the writer runs on {seen.running[WRITER][0]}, the address on {holder}"
        now = time.monotonic()
        recent = evidence.answers(self.state, now - 2.0, verbs.ADDRESS)
        if not recent or recent[-1].node != holder:
            return f"{recent[-1].node if recent else 'nobody'} answers, and not {holder}"
        routed = self.state.routes / str(verbs.ADDRESS)
        if not routed.exists() or routed.read_text().strip() != holder:
            return f"the cloud does not send to {holder}"
        return ""

    def heal(self) -> tuple[float, list[str]]:
        """Take all troubles away, wait for the whole picture, and return how long it took and what had to be done.

        The cluster helps itself for a while; then an operator comes, who gives power, starts daemons, cleans up.

        :raises NotReady: it is not whole within :data:`HEAL_SECONDS`.
        """
        begin = time.monotonic()
        faults.clear_faults(self.state)
        verbs.heal(self.state)
        lossless(self.state, self.nodes)
        time.sleep(NOTICE_SECONDS)
        done: list[str] = []
        cleaned = begin + GRACE_SECONDS / 2 - CLEANUP_SECONDS
        down: dict[str, float] = {}
        while missing := self.missing():
            now = time.monotonic()
            if now - begin > HEAL_SECONDS:
                raise NotReady(f"not whole {HEAL_SECONDS:g} s after the round: {missing}")
            down = {node: down.get(node, now) for node in self.nodes if not self._runs(node)}
            for node, since in down.copy().items():
                if helped := self._help(node, now - since):
                    done.append(helped)
                    # Not again at once: what the cluster makes of it takes its time, and it may be fenced once more.
                    del down[node]
            if time.monotonic() - cleaned > CLEANUP_SECONDS:
                cleaned = time.monotonic()
                done += self._clean_up()
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - begin, done

    def _help(self, node: str, waited: float) -> str:
        """Help a node that has been down for *waited* seconds and does not come by itself, and tell what was done."""
        if not powered(self.state, node) and waited > GRACE_SECONDS:
            verbs.on(self.state, node)
            return f"power for {node}"
        if powered(self.state, node) and booted(self.state.node(node)) and waited > GRACE_SECONDS / 2:
            with contextlib.suppress(LabError):
                run_in(self.state, node, "systemctl", "start", "pacemaker", seconds=60, check=False)
            return f"daemons of {node} started"
        return ""

    def _clean_up(self) -> list[str]:
        """Let the cluster forget failures, as an operator does when the cause is gone."""
        seen = cluster.any_view(self.state)
        if seen is None or not seen.quorate:
            return []
        with contextlib.suppress(LabError):
            run_in(self.state, seen.seen_from, "pcs", "resource", "cleanup", seconds=90, check=False)
            run_in(self.state, seen.seen_from, "pcs", "stonith", "cleanup", seconds=90, check=False)
        return ["cleanup"]

    def keep(self, folder: Path) -> None:
        """Copy everything that was written down, but for how the control plane is reached."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in self.state.directory.iterdir():
            if file.suffix in (".log", ".jsonl"):
                shutil.copy(file, folder)
        for node in self.state.nodes:
            with contextlib.suppress(OSError, shutil.Error):
                shutil.copytree(node.disk / "var/log", folder / node.name, dirs_exist_ok=True)
            for file in (node.held, node.console):
                if file.exists():
                    shutil.copy(file, folder / node.name)


@contextlib.contextmanager
def started(name: str, setting: Setting) -> Iterator[ChaosLab]:
    """Have a lab for the block. One of that name that an interrupted campaign left behind is removed first."""
    verbs.down(name)
    state = open_lab(name)
    with verbs.removed_at_the_end(state):
        for tries in (2, 1, 0):
            try:
                verbs.up(name, provider=setting.provider, nodes=setting.nodes)
                break
            except NotReady:
                # The machine is busy; nothing has been tried yet.
                if not tries:
                    raise
        lab = ChaosLab(state, setting)
        lab.holder()
        yield lab
