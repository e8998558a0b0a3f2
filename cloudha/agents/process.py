"""What both agents do as a process: keep standard output clean, end at once, and never show a traceback."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from cloudha.errors import LONGEST_LINE, one_line

# For mypy, which knows the name. The real one is in typing, which metadata can do without.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

__all__ = ["Output", "finish", "quiet_stdout"]


class Output:
    """Where an agent's words go: results to the real standard output, remarks to standard error (Pacemaker's log).

    Both are written by file descriptor: with a closed one, Python's own streams are missing, and what a file opened
    later gets as number 1 or 2 would be written into.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.quiet = False
        for handle in (0, 1, 2):
            try:
                os.fstat(handle)
            except OSError:
                # The lowest free number is this one, since those below it are open by now.
                os.open(os.devnull, os.O_RDWR)
        self._result = os.dup(1)

    def result(self, text: str) -> None:
        """Write one line of the answer."""
        _write(self._result, text)

    def say(self, text: str) -> None:
        """Write one line for the log, unless the operator wants quiet."""
        if not self.quiet:
            self.remark(f"{self.name}: {one_line(text, LONGEST_LINE)}")

    def remark(self, text: str) -> None:
        """Write one line to standard error as it is; one that nobody can read is no reason to fail."""
        with contextlib.suppress(OSError):
            _write(2, text)


def _write(handle: int, text: str) -> None:
    data = (text + "\n").encode("utf-8", "replace")
    while data:
        data = data[os.write(handle, data) :]


def quiet_stdout() -> None:
    """Send whatever a library prints to standard error: on standard output it would be read as our answer."""
    os.dup2(2, 1)


def finish(run: Callable[[], int], output: Output) -> NoReturn:
    """End the process with what *run* returns; with 1, "unknown" in both protocols, for anything unforeseen.

    ``os._exit``, because a hook that hangs in its thread must not be waited for.
    """
    try:
        code = run()
    except BrokenPipeError:
        # Nobody reads our answer, so there is none.
        code = 1
    # Whatever it is, nothing was confirmed; a traceback may hold secrets and does not tell an operator anything.
    # SystemExit is no exception to that: a library that ends with 2 or 7 would say "off" or "not running".
    except BaseException as error:  # noqa: BLE001 - the last resort, see above
        output.say(f"internal error, nothing confirmed: {type(error).__name__}; report it with what you did")
        code = 1
    os._exit(code)
