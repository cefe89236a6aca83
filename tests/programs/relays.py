"""Kills by programs that pass on what they receive, or do as they are told. See stage.py."""

import os
import signal
import subprocess
import time

from stage import *

PAYLOAD = ("sh", "-c", f"echo $$; exec sleep {LIFE}")


def passed_on_by(*command):
    """Whoever signals the wrapper did it, not the wrapper."""
    wrapper = start(*command, stdout=subprocess.PIPE)
    ready(int(wrapper.stdout.readline()))
    go()
    killer = by(lambda: os.kill(wrapper.pid, signal.SIGTERM))
    truth(wrapper.pid, killer)


def shell_trap():
    passed_on_by("bash", "-c", f"trap 'kill $child' TERM; sleep {LIFE} & child=$!; echo $child; while :; do wait; done")


def shell_trap_kills_harder():
    passed_on_by("bash", "-c", f"trap 'kill -9 $child' TERM; sleep {LIFE} & child=$!; echo $child; while :; do wait; done")


def two_relays():
    inner = f"trap 'kill $child' TERM; sleep {LIFE} & child=$!; echo $$ $child; while :; do wait; done"
    outer = "trap 'kill $inner' TERM; bash -c \"$0\" & inner=$!; while :; do wait; done"
    shell = start("bash", "-c", outer, inner, stdout=subprocess.PIPE)
    relay, victim = map(int, shell.stdout.readline().split())
    ready(victim)
    go()
    killer = by(lambda: os.kill(shell.pid, signal.SIGTERM))
    truth(relay, killer)
    leave()
    # It outlives what it passes on, and is no child of ours.
    os.kill(relay, signal.SIGKILL)


def tini():
    # Without -s it complains that it is not process 1.
    passed_on_by("tini", "-s", "--", *PAYLOAD)


def dumb_init():
    passed_on_by("dumb-init", *PAYLOAD)


def sudo():
    passed_on_by("sudo", "--non-interactive", *PAYLOAD)


def timeout_told_to_end():
    passed_on_by("timeout", "1000", *PAYLOAD)


def runsv(scratch):
    """A service under runit: its supervisor and its pid."""
    service = f"{scratch}/service"
    os.mkdir(service)
    write(f"{service}/run", f"#!/bin/sh\nexec sleep {LIFE}\n")
    os.chmod(f"{service}/run", 0o755)
    supervisor = start("runsv", service).pid
    while True:
        try:
            return supervisor, service, int(read(f"{service}/supervise/pid"))
        except (FileNotFoundError, ValueError):
            time.sleep(0.01)


def runit_stops():
    with directory() as scratch:
        supervisor, service, victim = runsv(scratch)
        ready(victim)
        go()
        control = run("sv", "down", service, stdout=2)
        truth(supervisor, 0, control)
        leave()


def runit_told_to_end():
    with directory() as scratch:
        supervisor, _, victim = runsv(scratch)
        ready(victim)
        go()
        killer = by(lambda: os.kill(supervisor, signal.SIGTERM))
        truth(supervisor, killer)
        leave()


def supervisord_stops():
    with directory() as scratch:
        conf = f"{scratch}/conf"
        write(
            conf,
            f"""
[supervisord]
nodaemon=true
user=root
logfile=/dev/null
logfile_maxbytes=0
pidfile={scratch}/pid
[unix_http_server]
file={scratch}/socket
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl=unix://{scratch}/socket
[program:service]
command=/bin/sh -c "echo $$ > {scratch}/service; exec sleep {LIFE}"
autorestart=false
startsecs=0
""",
        )
        supervisor = start("supervisord", "--configuration", conf, stdout=2).pid
        ready(read_number(f"{scratch}/service"))
        go()
        control = run("supervisorctl", "--configuration", conf, "stop", "service", stdout=2)
        truth(supervisor, 0, control)
        leave()


main()
