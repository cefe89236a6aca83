"""libbpf-tools' sigsnoop as a tool of the conformance suite: `python3 sigsnoop.py --pid N`. See docs/CONFORMANCE.md.

It tells what sigsnoop tells, and nothing that a person would only guess from it: for each signal at the victim, which one
it was and which process sigsnoop calls its sender. sigsnoop sees no deaths; that the victim is gone is seen here.
"""

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time

# After the death, what sigsnoop has not printed yet, seconds: it polls every 100 ms.
REST = 0.5
# It attaches to a classic tracepoint, for which the tracing file system must be mounted. Nobody else is to see that.
MOUNTED = """
mount --make-rprivate / &&
{ test -d /sys/kernel/tracing/events || mount -t tracefs none /sys/kernel/tracing; } &&
exec "$@"
"""


def say(schema, **record):
    print(json.dumps({"schema": f"sigsnoop/{schema}/1", **record}), flush=True)


def sent(line, victim):
    """`TIME PID COMM SIG TPID RESULT`, where a COMM may have spaces in it."""
    words = line.split()
    if len(words) < 6 or words[-2] != str(victim):
        return None
    # RESULT is not told: it is si_errno, not whether the signal arrived.
    return {"signal_num": int(words[-3]), "sender": {"pid": int(words[1])}}


def main():
    sys.tracebacklimit = 0
    victim = int(sys.argv[sys.argv.index("--pid") + 1])
    sigsnoop = shutil.which("sigsnoop", path=os.environ["PATH"] + ":/usr/sbin") or sys.exit("there is no sigsnoop")
    death = os.pidfd_open(victim)
    # Its lines are not to wait in a buffer.
    command = ["unshare", "--mount", "sh", "-c", MOUNTED, "sh", "stdbuf", "-oL", sigsnoop]
    tool = subprocess.Popen(command, stdout=subprocess.PIPE)
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    try:
        watch(victim, death, tool.stdout)
    finally:
        tool.terminate()
        tool.wait()


def watch(victim, death, output):
    signals, rest, until = [], b"", None
    while until is None or time.monotonic() < until:
        ready, _, _ = select.select([output] if until else [output, death], [], [], REST if until else None)
        if death in ready:
            until = time.monotonic() + REST
        if output not in ready:
            continue
        read = os.read(output.fileno(), 1 << 16)
        if not read:
            sys.exit("sigsnoop has ended")
        *lines, rest = (rest + read).split(b"\n")
        for line in lines:
            line = line.decode(errors="replace")
            # It prints its head when it is attached.
            if line.startswith("TIME"):
                say("ready")
            elif found := sent(line, victim):
                signals.append(found)
    say("incident", target={"pid": victim}, signals=signals)
    while True:
        signal.pause()


main()
