"""Start the answerer, ask it, end it."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from typing import NamedTuple

from cloudha.deadline import Deadline
from cloudha.provider import Conflict, Context, IPAddress, LocalConfigurationError, Unavailable
from cloudha_plugin_lb_probe.answerer import BANNER, control_name

__all__ = ["Answer", "ask", "end", "start"]

# It is on this machine and has nothing else to do; longer means that something is wrong with it.
ANSWER_SECONDS = 2.0
START_SECONDS = 5.0
MOST_BYTES = 128
CREDENTIALS = struct.Struct("3i")


class Answer(NamedTuple):
    """``address``: for which it answers, None when what listens there is not ours. ``listening``: anything at all."""

    listening: bool
    address: IPAddress | None


def ask(context: Context, port: int) -> Answer:
    """Connect as a probe does.

    :raises Unavailable: something is there and says nothing in time: neither yes nor no.
    """
    limit = context.deadline.within(ANSWER_SECONDS)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_left(limit)) as connection:
            if connection.getsockname() == connection.getpeername():
                # Nobody listens, and the kernel happened to give our end the same port: TCP connects it to itself.
                return Answer(False, None)  # noqa: FBT003 - a field of two
            return Answer(True, _address(_line(connection, limit)))  # noqa: FBT003 - a field of two
    except ConnectionRefusedError:
        return Answer(False, None)  # noqa: FBT003 - as above
    except OSError as error:
        raise Unavailable(
            f"port {port} of this machine does not answer: {error.strerror or error}", advice="look with: ss -ltnp"
        ) from None


def start(address: IPAddress, port: int) -> None:
    """Start the answerer; it is ready, and on its own, when this returns.

    :raises LocalConfigurationError: it cannot listen there.
    """
    import subprocess  # only a start needs it
    import sys

    from cloudha_plugin_lb_probe import answerer

    # -I and -S: nothing of the environment or of installed packages is loaded, which is half of its memory.
    command = [sys.executable, "-I", "-S", answerer.__file__, str(address), str(port)]
    try:
        started = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        # Ends when the answerer lets go of its output: it is ready then, or dead.
        said, _ = started.communicate(timeout=START_SECONDS)
    except subprocess.TimeoutExpired:
        started.kill()
        raise Unavailable("the answerer does not start", advice="look for processes named answerer.py") from None
    except OSError as error:
        raise LocalConfigurationError(f"the answerer cannot be started: {error.strerror}") from None
    if said.strip() != b"ready":
        raise Conflict(f"the answerer cannot listen on port {port}: {said.decode(errors='replace').strip()}")


def end(port: int) -> None:
    """Kill the answerer; nobody listens when this returns. None there is success."""
    import select  # only a stop needs these
    import signal

    process = _owner(port)
    if process is None:
        return
    try:
        handle = os.pidfd_open(process)
    except ProcessLookupError:
        return
    try:
        # Asked again: between the first answer and our handle, the number could have become another process's.
        if _owner(port) == process:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            # Readable once it has ended, and with it its sockets: moments, unless the machine is overloaded.
            ended = select.poll()
            ended.register(handle, select.POLLIN)
            if not ended.poll(ANSWER_SECONDS * 1000):
                raise Unavailable("the answerer was killed and has not ended yet")
    except ProcessLookupError:
        return
    finally:
        os.close(handle)


def _owner(port: int) -> int | None:
    """Return the process that holds the answerer's socket, from the kernel; None when nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(control_name(port))
        except ConnectionRefusedError:
            return None
        except OSError as error:
            # Its queue is full: it lives, and was asked too often to be asked again.
            raise Unavailable(f"the answerer cannot be found: {error.strerror or error}") from None
        found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    process: int = CREDENTIALS.unpack(found)[0]
    return process


def _line(connection: socket.socket, limit: Deadline) -> str:
    text = b""
    while not text.endswith(b"\n") and len(text) < MOST_BYTES:
        connection.settimeout(_left(limit))
        part = connection.recv(MOST_BYTES)
        if not part:
            break
        text += part
    return text.decode("ascii", "replace")


def _address(line: str) -> IPAddress | None:
    if not line.startswith(BANNER):
        return None
    try:
        return ipaddress.ip_address(line.removeprefix(BANNER).strip())
    except ValueError:
        return None


def _left(limit: Deadline) -> float:
    # A timeout of zero would mean "do not wait at all".
    return max(limit.remaining, 0.01)
