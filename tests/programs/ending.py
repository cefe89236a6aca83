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
import termios
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


def machine_code(code):
    """Runs a few bytes of x86_64."""
    memory = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    ctypes.CFUNCTYPE(None)(address)()


def illegal():
    ready(culprit="itself")
    go()
    machine_code(b"\x0f\x0b")  # ud2


def division():
    ready(culprit="itself")
    go()
    machine_code(b"\x31\xc9\x31\xd2\xf7\xf1")  # xor ecx, ecx; xor edx, edx; div ecx


def on_terminal(slave):
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


def terminal_closed():
    master, slave = os.openpty()
    victim = child(lambda: (os.close(master), on_terminal(slave)))
    os.close(slave)
    ready(victim, os.getpid())
    go()
    os.close(master)
    os.waitpid(victim, 0)


def leader_that_ends():
    """The leader of a session ends; the foreground group of its terminal is hung up."""
    _master, slave = os.openpty()
    reader, writer = os.pipe()

    def lead():
        on_terminal(slave)
        os.write(writer, str(child(lambda: None)).encode())

    leader = child(lead)
    ready(int(os.read(reader, 16)), leader)
    go()
    os.kill(leader, signal.SIGKILL)
    os.waitpid(leader, 0)
    time.sleep(1)


def orphaned_group():
    """A stopped process group loses the last process that could continue it."""
    victim = child(lambda: os.setpgid(0, 0))
    os.kill(victim, signal.SIGSTOP)
    os.waitpid(victim, os.WUNTRACED)
    ready(victim)
    go()
    os._exit(0)


def cgroup_kill():
    root = "/sys/fs/cgroup/unified" if os.path.isdir("/sys/fs/cgroup/unified") else "/sys/fs/cgroup"
    group = f"{root}/ending-{os.getpid()}"
    os.mkdir(group)
    try:
        if not os.path.exists(f"{group}/cgroup.kill"):
            ready(0)
            return
        victim = child(lambda: None)
        with open(f"{group}/cgroup.procs", "w", encoding="ascii") as procs:
            procs.write(str(victim))
        ready(victim, os.getpid())
        go()
        with open(f"{group}/cgroup.kill", "w", encoding="ascii") as kill:
            kill.write("1")
        os.waitpid(victim, 0)
    finally:
        os.rmdir(group)


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


# Whoever started this may ignore some: nohup(1) does.
for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGALRM, signal.SIGVTALRM, signal.SIGIO):
    signal.signal(number, signal.SIG_DFL)
globals()[sys.argv[1]]()
