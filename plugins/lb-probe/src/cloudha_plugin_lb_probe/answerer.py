"""The answerer of the health probe: a program of its own, which outlives the agent that has started it.

Run as ``python -I -S answerer.py ADDRESS PORT``. It writes one line to standard output, ``ready`` or what is wrong, and
goes on in the background. It says the address to whoever connects, and closes. It keeps no file, no privilege, and
nothing of its surroundings; imports are few, since it runs for months.
"""

from __future__ import annotations

import os
import select
import socket
import sys

__all__ = ["BANNER", "control_name", "main"]

BANNER = "cloudha lb-probe "
NOBODY = 65534
BACKLOG = 128
# After standard input, output and error.
FIRST_FREE = 3


def control_name(port: int) -> str:
    """Return the abstract socket whose owner is the answerer: the kernel tells its process id, to nobody's liking."""
    return f"\0cloudha-lb-probe-{port}"


def main(address: str, port: int) -> None:
    """Listen, let go of everything, and answer until killed."""
    try:
        listener = _listener(port)
        control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if os.fork():
            os._exit(0)
        os.setsid()
        # After the fork: the socket's owner, as the kernel tells it, is who listens.
        control.bind(control_name(port))
        control.listen(BACKLOG)
        _let_go(listener, control)
    except OSError as error:
        sys.stdout.write(f"{error.strerror}\n")
        sys.stdout.flush()
        os._exit(1)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    quiet = os.open(os.devnull, os.O_RDWR)
    os.dup2(quiet, sys.stdin.fileno())
    os.dup2(quiet, sys.stderr.fileno())
    os.close(quiet)
    # Last: who has started us waits for the end of this one.
    os.dup2(sys.stdin.fileno(), sys.stdout.fileno())
    _answer(listener, control, f"{BANNER}{address}\n".encode())


def _listener(port: int) -> socket.socket:
    try:
        listener = socket.socket(socket.AF_INET6)
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        where: tuple[str, int] = ("::", port)
    except OSError:
        # IPv6 is switched off.
        listener = socket.socket(socket.AF_INET)
        where = ("0.0.0.0", port)  # noqa: S104 - the probe comes to the node's own address, whichever that is
    # Connections of the one before may still be closing; two listeners are refused nevertheless.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(where)
    listener.listen(BACKLOG)
    return listener


def _let_go(*kept: socket.socket) -> None:
    """Keep no directory, no file but the sockets, and no privilege."""
    os.chdir("/")
    os.umask(0o077)
    keep = {item.fileno() for item in kept}
    for number in map(int, os.listdir("/proc/self/fd")):
        if number >= FIRST_FREE and number not in keep:
            try:
                os.close(number)
            except OSError:
                # The directory's own, which is closed by now.
                continue
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _answer(listener: socket.socket, control: socket.socket, banner: bytes) -> None:
    asked = select.poll()
    servers = {server.fileno(): server for server in (listener, control)}
    for number, server in servers.items():
        # The client may be gone before it is accepted: that must not block the next one.
        server.setblocking(False)  # noqa: FBT003 - socket names it so
        asked.register(number, select.POLLIN)
    while True:
        for number, _ in asked.poll():
            _serve(servers[number], banner)


def _serve(server: socket.socket, banner: bytes) -> None:
    try:
        client, _ = server.accept()
    except OSError:
        return
    try:
        client.setblocking(False)  # noqa: FBT003 - socket names it so
        client.send(banner)
    except OSError:
        # A client that does not take one short line is left alone.
        return
    finally:
        client.close()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
