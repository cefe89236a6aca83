"""Ends that a process brings about itself: limits, timers, faults, calls that are forbidden, and exits. See stage.py."""

import ctypes
import fcntl
import mmap
import os
import resource
import signal
import socket
import struct
import tempfile
import time

from stage import *

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 38, 22
SYS_GETPPID = {"x86_64": 110, "aarch64": 173}[MACHINE]
SECCOMP_MODE_STRICT, SECCOMP_MODE_FILTER = 1, 2


def alone(sender=0, culprit=None):
    """The program itself is the victim, and as a rule to blame."""
    truth(sender, os.getpid() if culprit is None else culprit)
    ready(os.getpid())
    go()


def burn():
    while True:
        pass


def cpu_soft():
    alone(culprit=0)
    resource.setrlimit(resource.RLIMIT_CPU, (1, 60))
    burn()


def cpu_hard():
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)
    alone(culprit=0)
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    burn()


def real_time():
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    except PermissionError:
        cannot("this machine gives out no real-time priority")
    alone(culprit=0)
    resource.setrlimit(resource.RLIMIT_RTTIME, (200_000, 10_000_000))
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    burn()


def file_size():
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    alone(culprit=0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    with tempfile.TemporaryFile() as file:
        os.write(file.fileno(), b"x" * 8192)
        os.write(file.fileno(), b"x")


def stay_on_one_processor():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def rest_beside_an_innocent():
    """Somebody else is what runs when the timer of the victim expires, on the one processor of both."""
    if os.fork() == 0:
        try:
            os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            pass
        end = time.monotonic() + 0.2
        while time.monotonic() < end:
            pass
        os._exit(0)
    time.sleep(60)


def interval_timer():
    alone()
    stay_on_one_processor()
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    rest_beside_an_innocent()


def virtual_timer():
    alone()
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.05)
    burn()


def posix_timer():
    alone()
    event = struct.pack("@Qii", 0, signal.SIGTERM, 0) + bytes(48)
    timer = ctypes.c_void_p()
    stay_on_one_processor()
    check(libc.timer_create(1, event, ctypes.byref(timer)))
    check(libc.timer_settime(timer, 0, struct.pack("@qqqq", 0, 0, 0, 50_000_000), None))
    rest_beside_an_innocent()


def broken_pipe():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    alone()
    reader, writer = os.pipe()
    os.close(reader)
    os.write(writer, b"x")


def broken_socket():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    alone()
    one, other = socket.socketpair()
    other.close()
    os.write(one.fileno(), b"x")


def broken_connection():
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    alone()
    listener = socket.create_server(("127.0.0.1", 0))
    one = socket.create_connection(listener.getsockname())
    other, _ = listener.accept()
    # What is closed with data unread is reset.
    one.send(b"x")
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
    other.close()
    for _ in range(100):
        try:
            os.write(one.fileno(), b"x")
        except ConnectionResetError:
            pass
        time.sleep(0.01)


def async_io():
    alone()
    one, other = socket.socketpair()
    fcntl.fcntl(one, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    other.send(b"x")
    time.sleep(60)


def segmentation():
    alone()
    ctypes.string_at(8)


def bus():
    alone()
    with tempfile.TemporaryFile() as file:
        file.truncate(4096)
        memory = mmap.mmap(file.fileno(), 4096)
        file.truncate(0)
        memory[0]


def abort():
    alone(sender=os.getpid())
    os.abort()


def exec_too_large():
    """Beyond the point of no return: the old program is gone and the new one does not fit."""
    alone()
    resource.setrlimit(resource.RLIMIT_AS, (200 << 10, 200 << 10))
    os.execv("/bin/ls", ["ls"])


def seccomp_filter():
    """getppid(2) kills the process."""
    alone()
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, SYS_GETPPID), (0x06, 0, 0, 0x80000000), (0x06, 0, 0, 0x7FFF0000)]
    code = b"".join(struct.pack("@HBBI", *instruction) for instruction in code)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("@HxxxxxxQ", 4, ctypes.addressof(buffer))
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0))
    os.getppid()


def machine_code(code):
    """Runs a few bytes of x86_64."""
    if MACHINE != "x86_64":
        cannot("the instructions are those of x86_64")
    alone()
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    ctypes.CFUNCTYPE(None)(address)()


def illegal():
    machine_code(b"\x0f\x0b")  # ud2


def division():
    machine_code(b"\x31\xc9\x31\xd2\xf7\xf1")  # xor ecx, ecx; xor edx, edx; div ecx


def seccomp_strict():
    """The kernel ends it without any signal."""
    alone()
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT)
    os.getppid()


def its_own_hand():
    """What raise(3) does, with a signal that nobody can handle."""
    alone(sender=os.getpid())
    signal.raise_signal(signal.SIGKILL)


def shell_kills_itself():
    alone(sender=os.getpid())
    os.execvp("sh", ["sh", "-c", "kill -9 $$; exit 1"])


def exit_with(code):
    alone()
    os._exit(code)


def exit_0():
    exit_with(0)


def exit_137():
    """What a shell says of a SIGKILL; here it is only a number."""
    exit_with(137)


def exit_143():
    exit_with(143)


main()
