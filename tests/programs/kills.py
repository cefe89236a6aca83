"""Kills by a process that makes a system call for it, and what looks like one. See stage.py."""

import os
import signal
import struct
import threading
import time

from stage import *

SYS_TKILL, SYS_TGKILL, SYS_SIGQUEUE, SYS_TGSIGQUEUE = {
    "x86_64": (200, 234, 129, 297),
    "aarch64": (130, 131, 138, 240),
}[MACHINE]
SI_QUEUE = -1


def call(number, *arguments):
    check(libc.syscall(number, *arguments))


def kill():
    victim = child()
    ready(victim)
    go()
    sent_by(lambda: os.kill(victim, signal.SIGKILL))


def kill_program():
    victim = child()
    ready(victim)
    go()
    sender = run("kill", "-TERM", str(victim))
    truth(sender, sender)


def kill_of_a_shell():
    victim = child()
    ready(victim)
    go()
    sender = run("sh", "-c", f"kill -9 {victim}; exit 0")
    truth(sender, sender)


def with_a_thread():
    """A child and the id of a thread of it that is not the leader."""

    def body():
        thread = threading.Thread(target=time.sleep, args=(LIFE,), daemon=True)
        thread.start()
        return thread.native_id

    return telling(body)


def tkill():
    victim, thread = with_a_thread()
    ready(victim)
    go()
    sent_by(lambda: call(SYS_TKILL, thread, signal.SIGKILL))


def tgkill():
    victim, thread = with_a_thread()
    ready(victim)
    go()
    sent_by(lambda: call(SYS_TGKILL, victim, thread, signal.SIGKILL))


def queued(number, pid):
    """`siginfo_t` of a queued signal that claims to come from process `pid`."""
    return struct.pack("@iiiiiI", number, 0, SI_QUEUE, 0, pid, 0).ljust(128, b"\0")


def sigqueue_forged():
    """It claims to come from init."""
    victim = child()
    ready(victim)
    go()
    sent_by(lambda: call(SYS_SIGQUEUE, victim, signal.SIGTERM, queued(signal.SIGTERM, 1)))


def tgsigqueue():
    victim, thread = with_a_thread()
    ready(victim)
    go()
    info = queued(signal.SIGKILL, os.getpid())
    sent_by(lambda: call(SYS_TGSIGQUEUE, victim, thread, signal.SIGKILL, info))


def pidfd():
    victim = child()
    ready(victim)
    go()
    sent_by(lambda: signal.pidfd_send_signal(os.pidfd_open(victim), signal.SIGTERM))


def group():
    victim = child(lambda: os.setpgid(0, 0))
    ready(victim)
    go()
    sent_by(lambda: os.killpg(victim, signal.SIGKILL))


def own_group():
    """Somebody of the victim's own process group signals all of it."""
    victim = child(lambda: os.setpgid(0, 0))
    ready(victim)
    go()

    def end_all():
        os.setpgid(0, victim)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.kill(0, signal.SIGTERM)

    sent_by(end_all)


def in_a_pid_namespace(act):
    """The victim has another pid in there; `act` is given that one."""
    check(libc.unshare(CLONE_NEWPID))
    outer, inner = os.pipe(), os.pipe()
    init = os.fork()
    if init == 0:
        victim, pid = telling(own_pid_on_host)
        # Nothing but what is in here may ever be reached.
        assert os.getpid() == 1 and victim < 10, "not in a pid namespace of its own"
        ready(pid)
        os.read(inner[0], 1)
        killer, pid = telling_process(lambda: act(victim))
        truth(pid, pid)
        os.waitpid(killer, 0)
        os.close(inner[1])
        os.read(inner[0], 1)
        os._exit(0)
    os.close(inner[0])
    go()
    os.write(inner[1], b"x")
    leave()
    os.close(inner[1])
    os.waitpid(init, 0)


def telling_process(act):
    """A process that tells the pid that it has on the host and does `act`."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, str(own_pid_on_host()).encode())
        act()
        os._exit(0)
    return pid, int(os.read(reader, 16))


def inside_a_pid_namespace():
    in_a_pid_namespace(lambda victim: os.kill(victim, signal.SIGKILL))


def broadcast():
    """`kill -1`, which reaches only what is in the namespace, its init excepted."""
    in_a_pid_namespace(lambda _: os.kill(-1, signal.SIGKILL))


def renamed_thread():
    """A daemon kills by a thread that calls itself something else."""
    victim = child()

    def act():
        def by_thread():
            write("/proc/thread-self/comm", "innocent")
            os.kill(victim, signal.SIGKILL)

        thread = threading.Thread(target=by_thread)
        thread.start()
        thread.join()

    ready(victim)
    go()
    sent_by(act)


def abort_by_another():
    """What a watchdog sends."""
    victim = child()
    ready(victim)
    go()
    sent_by(lambda: os.kill(victim, signal.SIGABRT))


def escalation():
    """Politely, which is ignored, and then for good."""
    victim = child(lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))

    def act():
        os.kill(victim, signal.SIGTERM)
        time.sleep(0.2)
        os.kill(victim, signal.SIGKILL)

    ready(victim)
    go()
    sent_by(act)


def politely_by_another():
    """One asks in vain, another one kills."""
    victim = child(lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN))
    ready(victim)
    go()
    by(lambda: os.kill(victim, signal.SIGTERM))
    sent_by(lambda: os.kill(victim, signal.SIGKILL))


def told_to(body):
    """A child that runs `body` when it is told, and what tells it to."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        body(lambda: os.read(reader, 1))
        pause()
    started(pid)
    return pid, lambda: os.write(writer, b"x")


def already_pending():
    """The signal is blocked when it comes, and is pending when another process sends it once more."""

    def body(wait_for_it):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        ready(os.getpid())
        wait_for_it()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])

    victim, tell = told_to(body)
    go()
    sent_by(lambda: os.kill(victim, signal.SIGTERM))
    by(lambda: os.kill(victim, signal.SIGTERM))
    tell()


def stopped():
    """A stopped process dies of SIGTERM when it is continued."""
    victim = child()
    os.kill(victim, signal.SIGSTOP)
    os.waitpid(victim, os.WUNTRACED)
    ready(victim)
    go()
    sent_by(lambda: os.kill(victim, signal.SIGTERM))
    time.sleep(0.2)
    os.kill(victim, signal.SIGCONT)


def frozen():
    """The freezer of cgroup v1 holds a process even when SIGKILL has come: it dies when it is thawed."""
    group = cgroup_v1("freezer")
    if not group:
        cannot("needs the freezer of cgroup v1")
    victim = child()
    enter(group, victim)
    write(f"{group}/freezer.state", "FROZEN")
    while read(f"{group}/freezer.state") != b"FROZEN\n":
        time.sleep(0.001)
    ready(victim)
    go()
    sent_by(lambda: os.kill(victim, signal.SIGKILL))
    time.sleep(0.2)
    write(f"{group}/freezer.state", "THAWED")
    wait(victim)


def frozen_v2():
    """That of cgroup v2 lets go of what SIGKILL hits; SIGTERM waits."""
    group = cgroup_v2()
    if not group or not os.path.exists(f"{group}/cgroup.freeze"):
        cannot("needs the freezer of cgroup v2")
    victim = child()
    enter(group, victim)
    write(f"{group}/cgroup.freeze", 1)
    while b"frozen 1" not in read(f"{group}/cgroup.events"):
        time.sleep(0.001)
    ready(victim)
    go()
    sent_by(lambda: os.kill(victim, signal.SIGTERM))
    time.sleep(0.2)
    write(f"{group}/cgroup.freeze", 0)
    wait(victim)


def drained():
    """It finishes its work when it is asked to end, and exits with 0."""
    victim = child(lambda: signal.signal(signal.SIGTERM, lambda *_: os._exit(0)))
    ready(victim)
    go()
    sent_by(lambda: os.kill(victim, signal.SIGTERM))


def innocent():
    """It ignores a request and exits for reasons of its own: whoever asked has nothing to do with it."""

    def body(wait_for_it):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        ready(os.getpid())
        wait_for_it()
        os._exit(3)

    victim, tell = told_to(body)
    truth(0, victim)
    go()
    by(lambda: os.kill(victim, signal.SIGTERM))
    tell()


main()
