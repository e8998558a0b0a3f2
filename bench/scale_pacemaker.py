"""What Pacemaker makes of exit codes, asked of itself: ``crm_simulate`` on a cluster of two nodes with a service."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["QUESTIONS", "ask_pacemaker"]

CLUSTER = """<cib validate-with="pacemaker-3.0" epoch="1" num_updates="0" admin_epoch="0" have-quorum="1" dc-uuid="1">
<configuration>
<crm_config><cluster_property_set id="o">
<nvpair id="o1" name="stonith-enabled" value="true"/><nvpair id="o2" name="no-quorum-policy" value="ignore"/>
</cluster_property_set></crm_config>
<nodes><node id="1" uname="n1"/><node id="2" uname="n2"/></nodes>
<resources>
<primitive id="fence" class="stonith" type="fence_aws"><operations>
<op id="f" name="monitor" interval="60s"/></operations></primitive>
<group id="g">
<primitive id="vip" class="ocf" provider="heartbeat" type="awsvip"><operations>
<op id="v" name="monitor" interval="20s" timeout="30s"/></operations></primitive>
<primitive id="app" class="ocf" provider="heartbeat" type="Dummy"/>
</group>
</resources><constraints/></configuration>
<status>
<node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/>
<node_state id="2" uname="n2" in_ccm="true" crmd="online" join="member" expected="member"/>
</status></cib>"""
# The service runs on n2, the fence device on n1. What happened, and an operation of the recovery that fails, or "".
QUESTIONS = {
    "monitor of the address: 190": ("vip_monitor_20000@n2=190", ""),
    "monitor of the address: 7": ("vip_monitor_20000@n2=7", ""),
    "then its stop: 7": ("vip_monitor_20000@n2=7", "vip_stop_0@n2=7"),
    "monitor of the fence device: 1": ("fence_monitor_60000@n1=1", ""),
}
SECONDS = 60


def ask_pacemaker() -> dict[str, list[str]]:
    """Return Pacemaker's plan (its summary's lines) for each question; {} where it is not installed."""
    if shutil.which("crm_simulate") is None:
        return {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first, running, failed = (folder / f"{n}.xml" for n in ("first", "running", "failed"))
        first.write_text(CLUSTER)
        _simulate(first, running)
        answers = {}
        for question, (happened, fails) in QUESTIONS.items():
            words = ["--op-inject", happened, *(("--op-fail", fails) if fails else ())]
            said = _simulate(running, failed, *words)
            # What follows a failed operation is the next plan.
            answers[question] = _plan(_simulate(failed, folder / "end.xml") if fails else said)
        return answers


def _simulate(source: Path, result: Path, *words: str) -> str:
    command = ["crm_simulate", "--xml-file", str(source), "--save-output", str(result), "--simulate", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    return done.stdout


def _plan(said: str) -> list[str]:
    _, _, rest = said.partition("Transition Summary:")
    summary = rest.partition("Executing Cluster Transition:")[0]
    return [" ".join(line.replace("*", "").split()) for line in summary.splitlines() if line.strip()]
