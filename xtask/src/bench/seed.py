"""The shutdown snapshot that the agent grew from, written anew to be timed: the same files, read as often.

Each line of standard input, `snapshot COUNT`, is answered by the nanoseconds of that many snapshots.
"""

import os
import sys
import time
from pathlib import Path

SIGNALS = {1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 10: "SIGUSR1", 12: "SIGUSR2", 15: "SIGTERM"}


def signal_name(signal):
    if signal is None:
        return "UNKNOWN"
    try:
        number = int(signal)
    except (TypeError, ValueError):
        return str(signal)
    return SIGNALS.get(number, f"signal#{number}")


def status_field(pid, key):
    """One field of /proc/PID/status; each one reads the file anew."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith(key + ":"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return None


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            data = file.read()
    except OSError:
        return None
    if not data:
        return None
    return data.replace(b"\x00", b" ").decode("utf-8", errors="replace").strip()


def summary(pid):
    found = {"pid": pid}
    if pid <= 0:
        return found
    name = status_field(pid, "Name")
    if name is not None:
        found["name"] = name
    state = status_field(pid, "State")
    if state is not None:
        found["state"] = state
    ppid = status_field(pid, "PPid")
    if ppid is not None:
        try:
            found["ppid"] = int(ppid)
        except ValueError:
            pass
    uid = status_field(pid, "Uid")
    if uid is not None:
        found["uid"] = uid.split()[0] if uid else uid
    cmdline = command_line(pid)
    if cmdline:
        found["cmdline"] = cmdline[:300]
    return found


def add_markers(context, home, pid):
    takeover = Path(home) / ".gateway-takeover.json"
    if takeover.exists():
        try:
            raw = takeover.read_text(encoding="utf-8")
            context["takeover_marker"] = raw[:300]
            context["takeover_marker_for_self"] = f'"target_pid": {pid}' in raw or f"'target_pid': {pid}" in raw
        except OSError:
            pass
    planned_stop = Path(home) / ".gateway-planned-stop.json"
    if planned_stop.exists():
        try:
            raw = planned_stop.read_text(encoding="utf-8")
            context["planned_stop_marker"] = raw[:300]
        except OSError:
            pass


def snapshot_shutdown_context(signal=None):
    now = time.time()
    monotonic = time.monotonic()
    pid = os.getpid()
    ppid = os.getppid()
    context = {
        "ts": now,
        "ts_monotonic": monotonic,
        "signal": signal_name(signal),
        "signal_num": int(signal) if signal is not None else None,
        "pid": pid,
        "ppid": ppid,
        "parent": summary(ppid),
        "self": summary(pid),
    }
    invocation_id = os.environ.get("INVOCATION_ID")
    if invocation_id:
        context["systemd_invocation_id"] = invocation_id
    journal_stream = os.environ.get("JOURNAL_STREAM")
    if journal_stream:
        context["systemd_journal_stream"] = journal_stream
    context["under_systemd"] = bool(invocation_id) or ppid == 1
    try:
        context["loadavg_1m"] = os.getloadavg()[0]
    except (OSError, AttributeError):
        pass
    try:
        tracer = status_field(pid, "TracerPid")
        if tracer is not None and tracer != "0":
            context["tracer_pid"] = int(tracer) if tracer.isdigit() else tracer
            context["tracer"] = summary(int(tracer)) if tracer.isdigit() else None
    except (TypeError, ValueError):
        pass
    try:
        home = os.environ.get("HERMES_HOME")
        if home:
            add_markers(context, home, pid)
    except Exception:
        pass
    return context


def main():
    for line in sys.stdin:
        _, count = line.split()
        times = []
        for _ in range(int(count)):
            started = time.perf_counter_ns()
            snapshot_shutdown_context(15)
            times.append(time.perf_counter_ns() - started)
        print(*times, flush=True)


if __name__ == "__main__":
    main()
