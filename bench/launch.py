"""Run the command in the arguments, and write what it cost to the descriptor in the first one, as JSON.

A program of its own, and a small one: a process's peak memory begins with that of whoever started it.
"""

import os
import sys
import time

report, argv = int(sys.argv[1]), sys.argv[2:]
null = os.open(os.devnull, os.O_RDWR)
began = time.perf_counter()
pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
_, status, used = os.wait4(pid, 0)
wall = time.perf_counter() - began
code = os.waitstatus_to_exitcode(status)
os.write(report, f"[{code}, {wall}, {used.ru_utime + used.ru_stime}, {used.ru_maxrss}]".encode())
