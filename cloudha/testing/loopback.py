"""Keep tests on this machine: a provider's mistake must not send a request to a real cloud."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

__all__ = ["only_loopback"]


@contextlib.contextmanager
def only_loopback() -> Iterator[None]:
    """Let this process connect to loopback addresses and Unix sockets only, for the block.

    Not for processes that it starts: give agents under test an ``endpoint`` of the emulator.

    :raises AssertionError: in the connecting thread, for any other address.
    """
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:  # noqa: ANN401 - of any family
        if isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"a connection to {address}")
        real(self, address)

    socket.socket.connect = connect  # type: ignore[method-assign,assignment]  # the guard itself
    try:
        yield
    finally:
        socket.socket.connect = real  # type: ignore[method-assign]  # as above
