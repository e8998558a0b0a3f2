"""Is this machine's clock right, by the dates that the cloud's API puts on its answers?"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from cloudha.cli.checks.case import Case
from cloudha.cli.checks.finding import Finding, bad, good, unknown, warn

__all__ = ["find"]

# Signed requests and tokens are refused when the clock is off by five minutes or more (AWS Signature Version 4, OCI's
# request signatures, JSON Web Tokens of Microsoft Entra ID).
REFUSED_SECONDS = 240.0
# More than any network's delay, and far more than a clock that is kept right.
WRONG_SECONDS = 10.0


def find(case: Case) -> Iterator[Finding]:
    """Compare it with the answers that :mod:`.latency` got."""
    mend = "let chrony or another time service keep it: chronyc tracking"
    # A provider that knows no machines has no cloud behind it that could refuse anything.
    clouds = [target for target in case.targets() if target.usable and target.provider.implements("list_nodes")]
    for name in dict.fromkeys(target.provider_name for target in clouds):
        offsets = case.clock_offsets.get(name, [])
        if not offsets:
            what = f"the clock could not be compared: no answer of {name} had a date"
            yield unknown("clock." + name, what, "a wrong clock makes the cloud refuse every request", mend)
            continue
        offset = statistics.median(offsets)
        text = f"this machine's clock is {abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} that of {name}"
        if abs(offset) >= REFUSED_SECONDS:
            yield bad("clock." + name, text, "the cloud refuses requests from so wrong a clock", mend)
        elif abs(offset) >= WRONG_SECONDS:
            yield warn("clock." + name, text, "beyond five minutes the cloud refuses every request", mend)
        else:
            yield good("clock." + name, f"this machine's clock agrees with that of {name}")
