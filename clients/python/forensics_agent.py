"""What a service calls in its own signal handler: who is ending me, and in which state am I?

    import asyncio, logging, signal
    import forensics_agent as forensics

    def stop(number):
        context = forensics.snapshot_shutdown_context(number)
        logging.warning("asked to end: %s", forensics.format_context_for_log(context))

    loop.add_signal_handler(signal.SIGTERM, stop, signal.SIGTERM)

The running agent is asked over its socket. When it is not there, or does not answer in time, the context comes from /proc,
and ``killer`` is None. Nothing here raises, and ``snapshot_shutdown_context`` takes some 10 ms at most.

Only the standard library is needed, Python 3.8 or newer, on Linux.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import time
from typing import Any, Dict, Optional

__all__ = [
    "check_systemd_timing_alignment",
    "context_as_json",
    "format_context_for_log",
    "snapshot_shutdown_context",
    "spawn_async_diagnostic",
]

SOCKET = "/run/forensics-agent/agent.sock"
"""Where the agent listens (``forensics-agent watch --socket``)."""

DEADLINE_S = 0.01
"""How long the agent may take to answer, seconds."""

PROGRAM = "forensics-agent"
"""The agent's program, for what is not asked in a signal handler."""

_METHOD = "io.forensics-agent.Agent.GetShutdownContext"
_REPLY_CAP = 1 << 20
_MARKER_CAP = 64 << 10
_MARKER_SHOWN = 300
_CMDLINE_SHOWN = 300
_NAMES = {
    int(number): number.name
    for number in (
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGHUP,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGUSR2,
    )
}


def snapshot_shutdown_context(received_signal: Any = None) -> Dict[str, Any]:
    """The shutdown context of this process, with ``killer``: what the agent knows of the signal that was just received.

    ``killer`` has ``signal``, ``signal_num``, ``ts``, ``age_s``, ``mechanism``, ``repeated`` and ``cause``; of the process that
    sent it ``pid``, ``name``, ``uid`` and ``unit``, and when that is of the same user also ``exe``, ``cmdline`` and
    ``ancestors``; and ``culprit`` and ``instigator`` when they are known to be somebody else, as whoever ran
    ``systemctl stop``. It is None when the agent is not there, does not watch this process, or knows of no such signal.
    """
    deadline = time.monotonic() + DEADLINE_S
    number = _number(received_signal)
    call = _call({"signal": number} if number is not None and 1 <= number <= 64 else {}, deadline)
    # Read while the agent is at work, so that there is something to log when its time is up.
    context = _own_context(received_signal, number)
    answer = _answer(call, deadline)
    seen = answer.get("context")
    # In a pid namespace of its own, this process knows itself by another number than the agent does.
    if isinstance(seen, dict) and seen.get("pid") == context["pid"]:
        context = seen
    killer = answer.get("killer")
    context["killer"] = killer if isinstance(killer, dict) else None
    return context


def format_context_for_log(ctx: Dict[str, Any]) -> str:
    """The context as one line for a log, without control characters."""
    parent = ctx.get("parent") or {}
    killer = ctx.get("killer") or {}
    load = ctx.get("loadavg_1m")
    words = [
        f"signal={_plain(ctx.get('signal', '?'))}",
        f"under_systemd={'yes' if ctx.get('under_systemd') else 'no'}",
        f"parent_pid={_plain(parent.get('pid') or '?')}",
        f"parent_name={_plain(parent.get('name') or '?')}",
        f"loadavg_1m={load:.2f}" if isinstance(load, (int, float)) else "loadavg_1m=?",
    ]
    if ctx.get("takeover_marker") is not None:
        words.append(f"takeover_marker_present={'self' if ctx.get('takeover_marker_for_self') else 'other'}")
    if ctx.get("planned_stop_marker") is not None:
        words.append("planned_stop_marker_present=yes")
    if ctx.get("tracer_pid"):
        words.append(f"tracer_pid={_plain(ctx['tracer_pid'])}")
    for key in ("pid", "name", "uid", "unit", "mechanism", "cause"):
        if killer.get(key) is not None:
            words.append(f"killer_{key}={_plain(killer[key])}")
    asker = killer.get("instigator") or {}
    if asker.get("pid"):
        words.append(f"asked_by_pid={_plain(asker['pid'])} asked_by_name={_plain(asker.get('name') or '?')}")
    if killer.get("cmdline"):
        words.append(f"killer_cmdline={killer['cmdline']!r}")
    words.append(f"parent_cmdline={parent.get('cmdline', '(unknown)')!r}")
    return " ".join(words)


def context_as_json(ctx: Dict[str, Any]) -> str:
    """The context as JSON with sorted keys."""
    try:
        return json.dumps(ctx, default=str, sort_keys=True)
    except (TypeError, ValueError, RecursionError):
        return "{}"


def spawn_async_diagnostic(
    log_path: "str | os.PathLike[str]", signal_name: str, *, timeout_seconds: float = 5.0
) -> Optional[int]:
    """Has ``forensics-agent diagnose`` write what the host looks like to a log, detached from this process.

    Returns the pid of the program that was started, or None when it could not be.
    """
    try:
        os.makedirs(os.path.dirname(os.path.abspath(log_path)), exist_ok=True)
        arguments = ["-p", str(os.getpid()), "--signal", signal_name, "--log", os.fspath(log_path)]
        worker = subprocess.Popen(
            [PROGRAM, "diagnose", *arguments, "--timeout", str(timeout_seconds)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, ValueError, TypeError):
        return None
    return worker.pid


def check_systemd_timing_alignment(drain_timeout: float) -> Optional[Dict[str, Any]]:
    """Whether ``TimeoutStopSec`` of this service leaves the time that it needs to drain. To be called at the start.

    Returns the keys ``unit``, ``timeout_stop_sec``, ``drain_timeout``, ``expected_min`` and ``mismatch`` at least, or None when
    it cannot be told.
    """
    if not os.environ.get("INVOCATION_ID"):
        return None
    arguments = ["-p", str(os.getpid()), "--drain-timeout", str(drain_timeout)]
    try:
        done = subprocess.run(
            [PROGRAM, "-o", "json", "check-timing", *arguments],
            capture_output=True,
            check=False,
            timeout=5.0,
        )
        timing = json.loads(done.stdout)
    except (OSError, ValueError, TypeError, subprocess.SubprocessError):
        return None
    return timing if done.returncode in (0, 1) and isinstance(timing, dict) and "mismatch" in timing else None


def _call(parameters: Dict[str, Any], deadline: float) -> Optional[socket.socket]:
    """Calls the agent. None when it is not there."""
    call = json.dumps({"method": _METHOD, "parameters": parameters}).encode() + b"\0"
    agent = None
    try:
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        agent.settimeout(_left(deadline))
        agent.connect(SOCKET)
        agent.sendall(call)
    except OSError:
        if agent is not None:
            agent.close()
        return None
    return agent


def _answer(agent: Optional[socket.socket], deadline: float) -> Dict[str, Any]:
    """What the agent answers. Empty when it does not, or not in time."""
    if agent is None:
        return {}
    reply = bytearray()
    try:
        with agent:
            while not reply.endswith(b"\0"):
                agent.settimeout(_left(deadline))
                part = agent.recv(65536)
                if not part or len(reply) > _REPLY_CAP:
                    return {}
                reply += part
        answer = json.loads(reply[:-1])
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(answer, dict) or answer.get("error"):
        return {}
    result = answer.get("parameters")
    return result if isinstance(result, dict) else {}


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise socket.timeout("the agent did not answer in time")
    return left


def _number(received_signal: Any) -> Optional[int]:
    try:
        return None if received_signal is None else int(received_signal)
    except (TypeError, ValueError, OverflowError):
        return None


def _signal_name(received_signal: Any, number: Optional[int]) -> str:
    if received_signal is None:
        return "UNKNOWN"
    if number is None:
        return str(received_signal)
    return _NAMES.get(number, f"signal#{number}")


def _own_context(received_signal: Any, number: Optional[int]) -> Dict[str, Any]:
    """What /proc and the environment tell of this process."""
    pid, ppid = os.getpid(), os.getppid()
    context: Dict[str, Any] = {
        "ts": time.time(),
        "ts_monotonic": time.monotonic(),
        "signal": _signal_name(received_signal, number),
        "signal_num": number,
        "pid": pid,
        "ppid": ppid,
        "parent": _summary(ppid),
        "self": _summary(pid),
    }
    for key, name in (("systemd_invocation_id", "INVOCATION_ID"), ("systemd_journal_stream", "JOURNAL_STREAM")):
        if os.environ.get(name):
            context[key] = os.environ[name]
    context["under_systemd"] = "systemd_invocation_id" in context or ppid == 1
    try:
        context["loadavg_1m"] = os.getloadavg()[0]
    except OSError:
        pass
    tracer = _number(_status(pid).get("TracerPid"))
    if tracer:
        context["tracer_pid"] = tracer
        context["tracer"] = _summary(tracer)
    home = os.environ.get("HERMES_HOME")
    if home:
        takeover = _marker(os.path.join(home, ".gateway-takeover.json"))
        if takeover is not None:
            context["takeover_marker"] = takeover[:_MARKER_SHOWN]
            context["takeover_marker_for_self"] = _target_of(takeover) == pid
        planned = _marker(os.path.join(home, ".gateway-planned-stop.json"))
        if planned is not None:
            context["planned_stop_marker"] = planned[:_MARKER_SHOWN]
    return context


def _status(pid: int) -> Dict[str, str]:
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            return {key: value.strip() for key, _, value in (line.partition(":") for line in file)}
    except OSError:
        return {}


def _summary(pid: int) -> Dict[str, Any]:
    summary: Dict[str, Any] = {"pid": pid}
    if pid <= 0:
        return summary
    status = _status(pid)
    for key, field in (("name", "Name"), ("state", "State")):
        if field in status:
            summary[key] = status[field]
    ppid = _number(status.get("PPid"))
    if ppid is not None:
        summary["ppid"] = ppid
    uids = status.get("Uid", "").split()
    if uids:
        summary["uid"] = uids[0]
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            cmdline = file.read().replace(b"\0", b" ").decode("utf-8", errors="replace").strip()
    except OSError:
        cmdline = ""
    if cmdline:
        summary["cmdline"] = cmdline[:_CMDLINE_SHOWN]
    return summary


def _marker(path: str) -> Optional[str]:
    """The text of a marker. What is no plain file is none: it might block."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return os.read(fd, _MARKER_CAP).decode("utf-8", errors="replace")
    except OSError:
        return None
    finally:
        os.close(fd)


def _target_of(marker: str) -> Any:
    try:
        content = json.loads(marker)
    except (ValueError, RecursionError):
        return None
    target = content.get("target_pid") if isinstance(content, dict) else None
    return None if isinstance(target, bool) else target


def _plain(value: Any) -> str:
    """Foreign text without blanks and control characters."""
    return "".join(c if c.isprintable() and not c.isspace() else repr(c)[1:-1] for c in str(value))
