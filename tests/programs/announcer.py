"""Writes a marker for a gateway as its tools do, and stops the gateway.

announcer.py takeover|planned-stop HOME TARGET [quiet] [gone] [for=PID] [age=SECONDS]

quiet: send no signal. gone: remove the marker before the signal. for: name another process in it.
"""

import datetime
import json
import os
import signal
import sys


def start_time(pid):
    """Field 22 of /proc/PID/stat."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
        return int(stat.read().rpartition(")")[2].split()[19])


kind, home, target, *options = sys.argv[1:]
values = dict(option.split("=") for option in options if "=" in option)
named = int(values.get("for", target))
age = datetime.timedelta(seconds=float(values.get("age", 0)))
marker = {
    "target_pid": named,
    "target_start_time": start_time(named),
    {"takeover": "replacer_pid", "planned-stop": "stopper_pid"}[kind]: os.getpid(),
    "written_at": (datetime.datetime.now(datetime.timezone.utc) - age).isoformat(),
}
path = os.path.join(home, f".gateway-{kind}.json")
temporary = f"{path}.{os.getpid()}.tmp"
with open(temporary, "w", encoding="utf-8") as file:
    json.dump(marker, file)
os.replace(temporary, path)
if "gone" in options:
    os.unlink(path)
if "quiet" not in options:
    os.kill(int(target), signal.SIGTERM)
