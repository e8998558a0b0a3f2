from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest


# Of each module: labs that are tested in the same process have other addresses.
@pytest.fixture(autouse=True, scope="module")
def _only_loopback() -> Iterator[None]:
    """No test reaches anything but this machine, whatever is under test."""
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not ipaddress.ip_address(address[0]).is_loopback:
            raise AssertionError(f"a connection to {address}")
        real(self, address)

    socket.socket.connect = connect  # type: ignore[method-assign,assignment]  # the guard itself
    yield
    socket.socket.connect = real  # type: ignore[method-assign]  # as above
