"""What the programs of the conformance suite share. How they talk to the suite is told in docs/CONFORMANCE.md.

A program sets its scene and prints `ready VICTIM`, waits for a line on standard input, and lets it happen. What is true is
told by `truth SENDER CULPRIT`, before or after: who sent the signal and who is to blame, 0 for nobody. It leaves when its
standard input is closed, and takes everything that it started with it.
"""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time

libc = ctypes.CDLL(None, use_errno=True)
MACHINE = os.uname().machine
CLONE_NEWPID = 0x20000000
# Nobody waits longer for a process that should have been killed, seconds.
LIFE = 300

# Whoever started the suite may ignore some: nohup(1) does.
for _number in range(1, signal.NSIG):
    if _number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
        signal.signal(_number, signal.SIG_DFL)
# Nothing here is worth a core.
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

# Processes of ours that are not waited for yet: no other process can have their pids.
_started = {}


def main():
    """Runs the function that the command line names, to its end and that of what it started."""
    act = vars(sys.modules["__main__"])[sys.argv[1]]
    mine = os.getpid()
    try:
        act()
        leave()
    finally:
        if os.getpid() == mine:
            clean_up()


def say(*words):
    """In one piece: children of a program speak for it too."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def ready(victim):
    say("ready", victim)


def truth(sender, culprit, *others):
    """`others` may be blamed as well: the truth has more than one end."""
    say("truth", sender, culprit, *others)


def cannot(why):
    """This machine does not have what it takes."""
    say("cannot", why)
    clean_up()
    os._exit(0)


def go():
    if not sys.stdin.readline():
        clean_up()
        os._exit(1)


def leave():
    while sys.stdin.readline():
        pass


def check(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def prctl(option, *arguments):
    check(libc.prctl(option, *(ctypes.c_ulong(argument) for argument in arguments)))


def pause():
    """For ever, as long as nobody leaves a process behind."""
    signal.alarm(LIFE)
    while True:
        signal.pause()


def child(body=lambda: None):
    """A child that runs `body` and then sleeps; returns once it has."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        body()
        os.write(writer, b"x")
        os.close(writer)
        pause()
    os.close(writer)
    started(pid)
    if not os.read(reader, 1):
        raise ChildProcessError(f"child {pid} did not get ready")
    os.close(reader)
    return pid


def telling(body):
    """A child that runs `body` and then sleeps, and the number that `body` returned."""
    reader, writer = os.pipe()
    pid = child(lambda: os.write(writer, str(body()).encode()))
    os.close(writer)
    told = os.read(reader, 16)
    os.close(reader)
    return pid, int(told)


def by(act):
    """The pid of a process of its own that did `act` and has ended."""
    pid = os.fork()
    if pid == 0:
        # Some programs pass on only what comes from outside of their process group.
        os.setpgid(0, 0)
        act()
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if status:
        raise ChildProcessError(f"process {pid} failed: {status}")
    return pid


def sent_by(act):
    """Who does `act` is both the sender and to blame."""
    pid = by(act)
    truth(pid, pid)
    return pid


def start(*arguments, **options):
    """A program of ours; it is waited for at the end."""
    options.setdefault("stdin", subprocess.DEVNULL)
    process = subprocess.Popen(arguments, **options)
    _started[process.pid] = process
    return process


def run(*arguments, **options):
    """The pid of a program that did its work and ended."""
    process = start(*arguments, **options)
    process.wait()
    del _started[process.pid]
    return process.pid


def started(pid):
    """A child of ours that ends with us."""
    _started[pid] = None


def wait(pid):
    """Waits for a child of ours."""
    process = _started.pop(pid, None)
    if process is None:
        os.waitpid(pid, 0)
    else:
        process.wait()


def titled(title, *arguments):
    """A sleeping process of another program, with a command line of its own."""
    pid = os.fork()
    if pid == 0:
        os.execv("/bin/sleep", [title, *arguments, str(LIFE)])
    started(pid)
    while title.encode() not in read(f"/proc/{pid}/cmdline"):
        time.sleep(0.001)
    return pid


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(str(text))


def read_number(path):
    """What a process is about to write into a file."""
    while True:
        try:
            text = read(path)
        except FileNotFoundError:
            text = b""
        if text.endswith(b"\n"):
            return int(text)
        time.sleep(0.001)


def directory():
    return tempfile.TemporaryDirectory(prefix="conformance-")


def own_pid_on_host():
    """The pid of this process in the namespace of `/proc`, which a new pid namespace does not change."""
    return int(os.readlink("/proc/self"))


def cgroup_v1(controller):
    """A new cgroup of this controller, where it is one of version 1; otherwise none."""
    return _cgroup(f"/sys/fs/cgroup/{controller}")


def cgroup_v2():
    """A new cgroup of version 2, where there are any; otherwise none."""
    return _cgroup("/sys/fs/cgroup/unified") or _cgroup("/sys/fs/cgroup", "cgroup.controllers")


def _cgroup(root, sign="cgroup.procs"):
    if not os.path.exists(f"{root}/{sign}"):
        return None
    path = f"{root}/conformance-{os.getpid()}"
    os.mkdir(path)
    _cgroups.append(path)
    return path


_cgroups = []


def enter(group, pid):
    write(f"{group}/cgroup.procs", pid)


def clean_up():
    for pid in list(_started):
        try:
            os.kill(pid, signal.SIGKILL)
            wait(pid)
        except (ProcessLookupError, ChildProcessError):
            pass
    for path in reversed(_cgroups):
        try:
            os.rmdir(path)
        except OSError:
            pass
