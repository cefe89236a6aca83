"""Comes to an end in one of many ways that make no signal system call.

ending.py MODE: prints `ready VICTIM CULPRIT`, waits for a line on standard input, and lets it happen. VICTIM is the pid
of the process that dies, CULPRIT that of the one to blame: the same one, another one, or 0 for nobody.
"""

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import struct
import sys
import tempfile
import threading
import time

libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 38, 22
PTRACE_CONT, PTRACE_ATTACH, PTRACE_SEIZE = 7, 16, 0x4206
PTRACE_O_EXITKILL = 0x100000


def ready(victim=None, culprit=0):
    victim = os.getpid() if victim is None else victim
    print("ready", victim, victim if culprit == "itself" else culprit, flush=True)


def go():
    sys.stdin.readline()


def check(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "a libc call failed")
    return result


def child(body):
    """A child that runs `body` and then sleeps for ever; returns once it says that it is ready."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        body()
        os.write(writer, b"x")
        os.close(writer)
        while True:
            signal.pause()
    os.close(writer)
    os.read(reader, 1)
    return pid


def burn():
    while True:
        pass


def cpu_soft():
    ready()
    go()
    resource.setrlimit(resource.RLIMIT_CPU, (1, 60))
    burn()


def cpu_hard():
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    ready()
    go()
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    burn()


def real_time():
    ready()
    go()
    resource.setrlimit(resource.RLIMIT_RTTIME, (200_000, 10_000_000))
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    burn()


def file_size():
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    ready()
    go()
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    with tempfile.TemporaryFile() as file:
        os.write(file.fileno(), b"x" * 8192)
        os.write(file.fileno(), b"x")


def interval_timer():
    ready(culprit="itself")
    go()
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(60)


def virtual_timer():
    ready(culprit="itself")
    go()
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.05)
    burn()


def posix_timer():
    ready(culprit="itself")
    go()
    event = struct.pack("@Qii", 0, signal.SIGTERM, 0) + bytes(48)
    timer = ctypes.c_void_p()
    check(libc.timer_create(1, event, ctypes.byref(timer)))
    check(libc.timer_settime(timer, 0, struct.pack("@qqqq", 0, 0, 0, 50_000_000), None))
    time.sleep(60)


def broken_pipe():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    ready(culprit="itself")
    go()
    reader, writer = os.pipe()
    os.close(reader)
    os.write(writer, b"x")


def broken_socket():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    ready(culprit="itself")
    go()
    one, other = socket.socketpair()
    other.close()
    os.write(one.fileno(), b"x")


def async_io():
    ready(culprit="itself")
    go()
    one, other = socket.socketpair()
    fcntl.fcntl(one, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    other.send(b"x")
    time.sleep(60)


def segmentation():
    ready(culprit="itself")
    go()
    ctypes.string_at(8)


def bus():
    ready(culprit="itself")
    go()
    with tempfile.TemporaryFile() as file:
        file.truncate(4096)
        memory = mmap.mmap(file.fileno(), 4096)
        file.truncate(0)
        memory[0]


def abort():
    ready(culprit="itself")
    go()
    os.abort()


def exec_too_large():
    """Beyond the point of no return: the old program is gone and the new one does not fit."""
    ready(culprit="itself")
    go()
    resource.setrlimit(resource.RLIMIT_AS, (200 << 10, 200 << 10))
    os.execv("/bin/ls", ["ls"])


def seccomp_filter():
    """getppid(2), which on x86_64 is number 110, kills the process."""
    ready(culprit="itself")
    go()
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, 110), (0x06, 0, 0, 0x80000000), (0x06, 0, 0, 0x7FFF0000)]
    code = b"".join(struct.pack("@HBBI", *instruction) for instruction in code)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HxxxxxxQ", 4, ctypes.addressof(buffer))
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    check(libc.prctl(PR_SET_SECCOMP, 2, program, 0, 0))
    os.getppid()


def parent_process():
    victim = child(lambda: check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)))
    ready(victim, os.getpid())
    go()
    os._exit(0)


def parent_thread():
    """The thread that made the child ends; the process lives on."""
    made = []

    def make():
        made.append(child(lambda: check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0))))
        ready(made[0], os.getpid())
        go()

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    os.waitpid(made[0], 0)


def tracer_that_ends():
    victim = child(lambda: None)
    tracer = child(lambda: check(libc.ptrace(PTRACE_SEIZE, victim, None, ctypes.c_void_p(PTRACE_O_EXITKILL))))
    ready(victim, tracer)
    go()
    os.kill(tracer, signal.SIGKILL)
    os.waitpid(victim, 0)


def tracer_that_injects():
    """Only at a stop for a signal, as the one for the SIGSTOP of an attach is, another one can be put in its place."""
    victim = child(lambda: None)
    ready(victim, os.getpid())
    go()
    check(libc.ptrace(PTRACE_ATTACH, victim, None, None))
    os.waitpid(victim, 0)
    check(libc.ptrace(PTRACE_CONT, victim, None, ctypes.c_void_p(signal.SIGTERM)))
    os.waitpid(victim, 0)


def namespace_init():
    """The first process of a pid namespace ends, and takes the others with it."""
    check(libc.unshare(0x20000000))
    reader, writer = os.pipe()
    init = os.fork()
    if init == 0:
        # Its child's pid as the host has it, which is not the one that fork returns in here.
        child(lambda: os.write(writer, os.readlink("/proc/self").encode()))
        go()
        os._exit(0)
    victim = int(os.read(reader, 16))
    ready(victim, init)
    os.waitpid(init, 0)


globals()[sys.argv[1]]()
