"""The software that only the nodes see: both agents at their real paths, and a small ``systemctl``."""

from __future__ import annotations

import sys
from pathlib import Path

from cloudha.install import install
from cloudha.lab.problems import LabError

__all__ = ["AGENT_PATHS", "build_layer"]

AGENT_PATHS = ("usr/sbin/fence_cloud", "usr/lib/ocf/resource.d/cloudha/floating-ip")


def build_layer(layer: Path) -> None:
    """Fill the directory *layer*, laid out as below /; nodes see it on top of the machine's own software.

    The agents come from what ``cloudha install --root`` runs on real nodes.

    :raises LabError: it did not write both agents.
    """
    install(layer)
    missing = [path for path in AGENT_PATHS if not (layer / path).exists()]
    if missing:
        raise LabError(f"cloudha install --root {layer} did not write {', '.join(missing)}")
    _script(layer / "usr/bin/systemctl", "cloudha.lab.node_services")


def _script(path: Path, module: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = str(Path(__file__).parents[2])
    path.write_text(
        f"#!{sys.executable}\n"
        f'"""systemctl, for corosync and pacemaker in a lab\'s node."""\n'
        f"import sys\n"
        f"sys.path.append({source!r})\n"
        f"from {module} import main\n"
        f"main()\n"
    )
    path.chmod(0o755)
