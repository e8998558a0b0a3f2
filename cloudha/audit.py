"""One line of JSON in the system's log for every change: who changed what, on what evidence, and how it ended.

The line goes to ``/dev/log`` (journald, rsyslog, syslog-ng) and never makes an action wait or fail: a fence must not
hang because the logging daemon does. Where nobody listens, the line is lost.
"""

from __future__ import annotations

import enum
import os

from cloudha import __version__
from cloudha.errors import one_line
from cloudha.record import Record

__all__ = ["SOCKET", "AuditEvent", "Outcome", "record"]

SOCKET = "/dev/log"
TAG = "cloudha"
# RFC 5424, 6.1: what every receiver should take.
MOST_BYTES = 2048
# Facility "daemon" (RFC 3164, 4.1.1), shifted to its place above the severity.
FACILITY = 3 << 3
# A text that had to be shortened ends with this.
CUT = "..."


class Outcome(enum.Enum):
    """How a change ended."""

    CONFIRMED = "confirmed"
    #: certainly not done: refused, or never sent.
    FAILED = "failed"
    #: asked for, and not known to have happened or not. It may still happen.
    UNKNOWN = "unknown"


# Severities of syslog: notice, error, warning.
SEVERITY = {Outcome.CONFIRMED: 5, Outcome.FAILED: 3, Outcome.UNKNOWN: 4}


class AuditEvent(Record):
    """One change, in the words of the log line; a text that does not apply is "" and left out of it.

    ``agent``: fence_cloud or floating-ip; ``action``: what the cluster asked of it (off, start); ``instance``: the
    resource's name in the cluster; ``what``: the hook or change (power_off, bind_ip, nic_add); ``node_id`` and
    ``node_name``: the machine that is changed; ``target``: as the cluster named it (a plug, an address); ``before``
    and ``after``: the evidence; ``seconds``: from the first request until ``outcome``; ``error``: the class of the
    error, ``detail`` its text. No text holds a secret.
    """

    agent: str
    action: str
    provider: str
    what: str
    outcome: Outcome
    instance: str = ""
    node_id: str = ""
    node_name: str = ""
    target: str = ""
    before: str = ""
    after: str = ""
    request_ids: tuple[str, ...] = ()
    seconds: float = 0.0
    error: str = ""
    detail: str = ""


# Words of a few letters, never shortened further than this many characters.
SHORT_TEXTS = ("agent", "action", "provider", "what", "error")
MOST_SHORT = 48
# What may be long, in the order in which it is shortened when a line does not fit, and down to how many characters.
LONG_TEXTS = ("detail", "before", "after", "request_ids", "target", "instance", "node_name", "node_id")
SHORTEST = 16


def record(event: AuditEvent, *, secrets: tuple[str, ...] = (), path: str = SOCKET) -> None:
    """Send *event* to the logging daemon at *path* as one datagram. Never raises, never waits.

    :param secrets: texts that must not appear in the line; the caller has taken them out, this is the last resort.
    """
    import socket  # here: only an action that changed something gets this far

    data = encode(event, secrets)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            # A daemon that hangs fills its queue; sending would then block for ever.
            sending.settimeout(0)
            sending.sendto(data, path)
    except (OSError, ValueError):
        # No daemon, a full queue, a path that is none: nobody can be told, and the change has happened anyway.
        return


def encode(event: AuditEvent, secrets: tuple[str, ...] = ()) -> bytes:
    """Return the datagram for *event*: ``<priority>cloudha[pid]: {json}``, at most :data:`MOST_BYTES` long.

    The evidence is shortened where it does not fit, rather than the line lost.
    """
    line = _line(event, secrets)
    head = f"<{FACILITY | SEVERITY[event.outcome]}>{TAG}[{os.getpid()}]: "
    data = _bytes(head, line)
    for name in LONG_TEXTS:
        value = line.get(name)
        # Each turn halves it, so this ends; what is left of all of them fits together with the short fields.
        while isinstance(value, str) and len(value) > SHORTEST and len(data) > MOST_BYTES:
            value = value[: len(value) // 2]
            line[name] = value + CUT
            data = _bytes(head, line)
    return data


def _bytes(head: str, line: dict[str, object]) -> bytes:
    import json  # here: see record

    return (head + json.dumps(line, ensure_ascii=False, separators=(",", ":"))).encode("utf-8", "replace")


def _line(event: AuditEvent, secrets: tuple[str, ...]) -> dict[str, object]:
    # Longest first: a secret may be part of another. A text that was folded to one line holds secrets folded.
    hidden = sorted({form for s in secrets for form in (s, " ".join(s.split())) if form}, key=len, reverse=True)

    def clean(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, "***")
        return one_line(text)

    line: dict[str, object] = {}
    for name in SHORT_TEXTS:
        line[name] = clean(getattr(event, name))[:MOST_SHORT]
    line |= {"pid": os.getpid(), "outcome": event.outcome.value, "seconds": round(event.seconds, 3)}
    for name in reversed(LONG_TEXTS):
        value = getattr(event, name)
        line[name] = clean(value if isinstance(value, str) else " ".join(value))
    line["version"] = __version__
    return {name: value for name, value in line.items() if value != ""}
