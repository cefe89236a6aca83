"""Starts processes in one group and does not want to know of their ends: `careless.py COUNT COMMAND…`. Tells their pids."""

import os
import signal
import sys

signal.signal(signal.SIGCHLD, signal.SIG_IGN)
pids = []
for _ in range(int(sys.argv[1])):
    group = pids[0] if pids else 0
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, group)
        os.execvp(sys.argv[2], sys.argv[2:])
    try:
        os.setpgid(pid, group)
    except PermissionError:
        pass  # It has executed its command by now, and has done this itself.
    pids.append(pid)
print("ready", *pids, flush=True)
sys.stdin.readline()
