"""Starts a process that ends at once, tells its pid, and kills whoever has that pid later, when told."""

import os
import signal
import subprocess
import sys

first = subprocess.Popen(["true"])
first.wait()
print("ready", first.pid, flush=True)
sys.stdin.readline()
os.kill(first.pid, signal.SIGKILL)
print("done", flush=True)
