"""Starts processes; ends one for each line that it reads, and sends it more signals while it ends: `relentless.py COUNT`. Tells
their pids. It does so from deep within a family, since the records of its signals take longest then."""

import os
import signal
import sys
import time

DEPTH = 20
FOR_NS = 400_000

cpus = sorted(os.sched_getaffinity(0))
pids = []
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        os.sched_setaffinity(0, cpus[-1:])
        signal.alarm(300)
        signal.pause()
    pids.append(pid)
os.sched_setaffinity(0, cpus[:1])
for _ in range(DEPTH):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os._exit(0)
print("ready", *pids, flush=True)
for pid, _ in zip(pids, sys.stdin):
    os.kill(pid, signal.SIGTERM)
    until = time.monotonic_ns() + FOR_NS
    for more in range(signal.SIGRTMIN, signal.SIGRTMAX):
        if time.monotonic_ns() < until:
            os.kill(pid, more)
