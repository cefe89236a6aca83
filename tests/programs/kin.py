"""Ends that come from a parent, a tracer, a namespace, or a BPF program. See stage.py."""

import ctypes
import os
import signal
import threading
import time

from stage import *

PR_SET_PDEATHSIG = 1
PTRACE_CONT, PTRACE_ATTACH, PTRACE_SEIZE = 7, 16, 0x4206
PTRACE_O_EXITKILL = 0x100000


def from_another(make):
    """A child that makes the victim; both pids."""
    reader, writer = os.pipe()
    pid = child(lambda: os.write(writer, str(make()).encode()))
    return pid, int(os.read(reader, 16))


def parent_process():
    parent, victim = from_another(lambda: child(lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)))
    truth(0, parent)
    ready(victim)
    go()
    os.kill(parent, signal.SIGKILL)
    wait(parent)


def parent_thread():
    """The thread that made the child ends; the process lives on."""

    def make():
        victim = child(lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM))
        truth(0, os.getpid())
        ready(victim)
        go()

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()


def in_a_namespace(init_does):
    """The init of a new pid namespace, and a child of it, by the pids that the host has for them."""
    check(libc.unshare(CLONE_NEWPID))
    reader, writer = os.pipe()
    init = os.fork()
    if init == 0:
        child(lambda: os.write(writer, str(own_pid_on_host()).encode()))
        init_does()
        os._exit(0)
    started(init)
    return init, int(os.read(reader, 16))


def namespace_init():
    """The first process of a pid namespace ends, and takes the others with it."""
    init, victim = in_a_namespace(go)
    truth(0, init)
    ready(victim)
    wait(init)


def namespace_init_killed():
    init, victim = in_a_namespace(pause)
    truth(0, init, os.getpid())
    ready(victim)
    go()
    os.kill(init, signal.SIGKILL)
    wait(init)


def tracer_that_ends():
    victim = child()
    tracer = child(lambda: check(libc.ptrace(PTRACE_SEIZE, victim, None, ctypes.c_void_p(PTRACE_O_EXITKILL))))
    truth(0, tracer)
    ready(victim)
    go()
    os.kill(tracer, signal.SIGKILL)
    wait(tracer)


def tracer_that_injects():
    """Only at a stop for a signal, as the one for the SIGSTOP of an attach is, another one can be put in its place."""
    victim = child()
    truth(0, os.getpid())
    ready(victim)
    go()
    check(libc.ptrace(PTRACE_ATTACH, victim, None, None))
    os.waitpid(victim, 0)
    check(libc.ptrace(PTRACE_CONT, victim, None, ctypes.c_void_p(signal.SIGTERM)))


def debugger(*commands):
    arguments = [word for command in commands for word in ("-ex", command)]
    victim = child()
    ready(victim)
    go()
    return start("gdb", "-q", "-nx", "-batch", "-p", str(victim), *arguments, stdout=2).pid


def debugger_kill():
    gdb = debugger("kill")
    truth(gdb, gdb)


def debugger_signal():
    gdb = debugger("signal SIGTERM")
    truth(0, gdb)


def asking():
    """A child that makes a rare system call all the time."""
    pid = os.fork()
    if pid == 0:
        signal.alarm(LIFE)
        while True:
            os.getpriority(os.PRIO_PROCESS, 0)
            time.sleep(0.01)
    started(pid)
    return pid


def strace_injects():
    victim = asking()
    ready(victim)
    go()
    inject = "inject=getpriority:signal=SIGTERM"
    strace = start("strace", "-qq", "-o", "/dev/null", "-p", str(victim), "-e", inject).pid
    truth(0, strace)


def bpf_program():
    """bpftrace sends it, at the next of the victim's rare system calls, and leaves."""
    victim = asking()
    program = f'tracepoint:syscalls:sys_enter_getpriority /pid == {victim}/ {{ signal("KILL"); exit(); }}'
    # Where the tracing file system is not mounted, nobody else is to see it.
    script = (
        "mount --make-rprivate / && "
        "{ test -d /sys/kernel/debug/tracing/events || mount -t debugfs none /sys/kernel/debug; } && "
        "exec timeout 170 \"$@\""
    )
    bpftrace = ["unshare", "--mount", "sh", "-c", script, "sh", "bpftrace", "--unsafe"]
    # For some kernels it needs their headers.
    if subprocess.run(bpftrace + ["-d", "-e", program], stdout=subprocess.DEVNULL).returncode:
        cannot("bpftrace cannot compile a program for this kernel")
    ready(victim)
    go()
    tracer = start(*bpftrace, "-e", program, stdout=2)
    # Nobody can tell from the signal; whoever holds the only program that can send one may be blamed for it.
    sender = child_called("bpftrace", tracer.pid)
    if not sender:
        raise ChildProcessError("bpftrace did not start")
    truth(0, 0, sender)
    wait(tracer.pid)


def child_called(name, parent):
    """The pid of a child, as soon as it is there; 0 when the parent ends before."""
    while not os.waitid(os.P_PID, parent, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        with open(f"/proc/{parent}/task/{parent}/children") as children:
            for pid in children.read().split():
                try:
                    with open(f"/proc/{pid}/comm") as comm:
                        if comm.read().strip() == name:
                            return int(pid)
                except OSError:
                    pass
        time.sleep(0.01)
    return 0


main()
