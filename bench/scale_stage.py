"""The emulated AWS of ``stage`` behind a meter: which of EC2's token buckets each request falls into, and refusals."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from cloudha.testing.emulator import Application, Effect, Fault, FaultServer, Reply, Request
from cloudha_plugin_aws.emulator import Behaviour
from scale_limits import METADATA, Buckets, bucket_of
from stage import LATENCY_SECONDS, Agents, Stage

__all__ = ["Asked", "Meter", "MeteredStage"]


@dataclass(frozen=True)
class Asked:
    """One request to EC2: the bucket that it falls into, when (monotonic), and whether the bucket refused it."""

    bucket: str
    at: float
    refused: bool = False


class Meter(Application):
    """Hands every request on, and notes those to EC2. With ``buckets`` it refuses what they do not bear."""

    def __init__(self, behind: Application) -> None:
        self.behind = behind
        self.buckets: Buckets | None = None
        self.began = time.monotonic()
        self._lock = threading.Lock()
        self._asked: list[Asked] = []

    def limit(self, buckets: Buckets | None) -> None:
        """Refuse by these buckets from now on, full ones."""
        with self._lock:
            self.buckets = buckets
            self.began = time.monotonic()

    def taken(self) -> list[Asked]:
        """Return what was asked since the last call."""
        with self._lock:
            asked, self._asked = self._asked, []
        return asked

    def operation(self, request: Request) -> str:
        """Name the operation; the server asks once for each request."""
        name = self.behind.operation(request)
        if self.buckets is None and not name.startswith(METADATA):
            self._note(name, request, refused=False)
        return name

    def answer(self, request: Request) -> Reply:
        """Answer, or refuse for want of a token."""
        name = self.behind.operation(request)
        if self.buckets is not None and not name.startswith(METADATA):
            with self._lock:
                passed = self.buckets.take(_bucket(name, request), time.monotonic() - self.began)
            self._note(name, request, refused=not passed)
            if not passed:
                return self.refusal(request, 503, "throttle")
        return self.behind.answer(request)

    def refusal(self, request: Request, status: int, code: str) -> Reply:
        """Return the cloud's own refusal."""
        return self.behind.refusal(request, status, code)

    def _note(self, name: str, request: Request, *, refused: bool) -> None:
        asked = Asked(_bucket(name, request), time.monotonic(), refused)
        with self._lock:
            self._asked.append(asked)


class MeteredStage(Stage):
    """As ``Stage``, with the meter in front of the API.

    :param stop_seconds: how long the emulated AWS takes to stop a machine.
    """

    def __init__(self, ours: Agents, machines: int = 2, *, stop_seconds: float = 2.0) -> None:
        super().__init__(ours, machines)
        self.behaviour: Behaviour = self.aws.account.behaviour
        self.behaviour.stop = stop_seconds
        self.aws.server.close()
        self.meter = Meter(self.aws.service)
        self.aws.server = FaultServer(self.meter, "127.0.0.1", 0).start()
        self.faultless()

    def faultless(self) -> None:
        """End all faults but the way to the API."""
        self.aws.server.faults.clear()
        self.aws.fault(Fault("ec2.*,sts.*", Effect.DELAY, delay=LATENCY_SECONDS))

    def throttle(self, operations: str = "ec2.*") -> None:
        """Refuse every request of these operations."""
        self.aws.server.faults.clear()
        self.aws.fault(Fault(operations, Effect.THROTTLE))

    def counted(self, run: Callable[[], int]) -> tuple[int, float, list[Asked]]:
        """Run something and return its exit code, its seconds, and what EC2 was asked meanwhile."""
        self.meter.taken()
        began = time.monotonic()
        code = run()
        return code, time.monotonic() - began, self.meter.taken()


def _bucket(operation: str, request: Request) -> str:
    return bucket_of(operation.partition(".")[2], dict(parse_qsl(request.body.decode(), keep_blank_values=True)))
