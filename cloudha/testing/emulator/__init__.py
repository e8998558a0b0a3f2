"""A fault-injecting HTTP server: what every emulated cloud stands on. For tests and labs only.

An emulator writes an :class:`Application` (names, answers, error shapes) and hands it to a :class:`FaultServer`, which
brings the transport, the faults, the request log and the admin API below ``/_emulator/``.
"""

from __future__ import annotations

from cloudha.testing.emulator.application import Application, Reply, Request
from cloudha.testing.emulator.faults import Effect, Fault, FaultBook, Standing
from cloudha.testing.emulator.journal import Entry, Journal
from cloudha.testing.emulator.server import FaultServer

__all__ = [
    "Application",
    "Effect",
    "Entry",
    "Fault",
    "FaultBook",
    "FaultServer",
    "Journal",
    "Reply",
    "Request",
    "Standing",
]
