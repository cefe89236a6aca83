"""Ends that take the whole machine: only for one that is thrown away afterwards. See stage.py."""

import ctypes
import fcntl
import mmap
import os
import subprocess
import sys
import time

from stage import *

MIB = 1 << 20
MADV_HWPOISON = 100


# Held open until this program ends.
_turn = None


def only_in_a_machine_of_its_own():
    """And one at a time: what one lacks, another could be killed for."""
    global _turn
    if os.environ.get("FORENSICS_TESTS_EXPENDABLE_MACHINE") != "1":
        cannot("needs a machine of its own, as `cargo xtask vm` boots")
    _turn = open("/run/forensics-tests-whole", "w", encoding="utf-8")
    fcntl.flock(_turn, fcntl.LOCK_EX)


def populated(size):
    """Memory that is there, not only promised."""
    return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x8000)


def memory(field):
    """A line of /proc/meminfo, bytes."""
    lines = read("/proc/meminfo").decode().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(f"{field}:"))


def on_demand(body, before=lambda: None):
    """A child that the kernel prefers when memory runs out, and that runs `body` when it is told; and what tells it."""
    reader, writer = os.pipe()

    pid = os.fork()
    if pid == 0:
        write("/proc/self/oom_score_adj", 1000)
        before()
        os.read(reader, 1)
        body()
        pause()
    started(pid)
    return pid, lambda: os.write(writer, b"x")


def oom_of_all():
    only_in_a_machine_of_its_own()

    held = []
    is_left = lambda part: memory("MemAvailable") > memory("MemTotal") * part

    def fill():
        while is_left(0.2):
            held.append(populated(32 * MIB))

    def grow():
        while True:
            held.append(populated(32 * MIB))

    # To take all of it takes its time where each instruction is executed by a program.
    victim, tell = on_demand(grow, before=fill)
    while is_left(0.2):
        time.sleep(0.1)
    truth(0, 0)
    ready(victim)
    go()
    tell()
    wait(victim)


def sysrq_oom():
    """The kernel kills whom it would kill if memory ran out; a worker does it, whoever asked."""
    only_in_a_machine_of_its_own()
    held = []
    victim, tell = on_demand(lambda: held.append(populated(64 * MIB)))
    truth(0, 0)
    ready(victim)
    go()
    tell()
    while resident(victim) < 64 * MIB:
        time.sleep(0.01)
    by(lambda: write("/proc/sysrq-trigger", "f"))
    wait(victim)


def resident(pid):
    return int(read(f"/proc/{pid}/statm").split()[1]) * mmap.PAGESIZE


def earlyoom():
    """It kills at half of the memory, which nothing but the victim takes."""
    only_in_a_machine_of_its_own()
    held = []

    def grow():
        while memory("MemAvailable") > memory("MemTotal") * 0.4:
            held.append(populated(16 * MIB))

    victim, tell = on_demand(grow)
    daemon = start("earlyoom", "-m", "50,10", "-r", "0", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    truth(daemon.pid, daemon.pid)
    ready(victim)
    go()
    tell()
    wait(victim)


def systemd_oomd():
    """The unit of the victim reclaims without end."""
    only_in_a_machine_of_its_own()
    os.makedirs("/run/systemd/oomd.conf.d", exist_ok=True)
    write("/run/systemd/oomd.conf.d/quick.conf", "[OOM]\nDefaultMemoryPressureDurationSec=2s\n")
    run("systemctl", "restart", "systemd-oomd.service")
    gate = f"/run/{os.getpid()}.gate"
    os.mkfifo(gate)
    unit = f"oomd-{os.getpid()}.service"
    settings = ["ManagedOOMMemoryPressure=kill", "ManagedOOMMemoryPressureLimit=1%", "MemoryHigh=24M"]
    settings = [word for setting in settings for word in ("--property", setting)]
    run("systemd-run", "--quiet", "--unit", unit, *settings, sys.executable, os.path.abspath(__file__), "reclaims", gate)
    show = lambda name, of: int(subprocess.check_output(["systemctl", "show", "--value", "-p", name, of]))
    victim, daemon = show("MainPID", unit), show("MainPID", "systemd-oomd.service")
    truth(daemon, daemon)
    ready(victim)
    go()
    write(gate, "go\n")
    while os.path.exists(f"/proc/{victim}"):
        time.sleep(0.1)


def reclaims():
    """Holds more than its unit may for long, so that the kernel slows it down, and reads over and over what it reclaims."""
    read(sys.argv[2])
    path = f"/var/tmp/{os.getpid()}.reclaims"
    with open(path, "wb") as file:
        os.unlink(path)
        for _ in range(96):
            file.write(b"x" * MIB)
        file.flush()
        os.fsync(file.fileno())
        held = populated(32 * MIB)
        with open(f"/proc/self/fd/{file.fileno()}", "rb") as again:
            while True:
                again.seek(0)
                while again.read(MIB):
                    held[0] = 1


def memory_failure():
    """A page of the victim is declared bad, and it goes on to use it."""
    only_in_a_machine_of_its_own()
    reader, writer = os.pipe()

    def fail():
        os.read(reader, 1)
        page = populated(mmap.PAGESIZE)
        page[0] = 1
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        check(libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), MADV_HWPOISON))
        page[0] = 2

    # Kernels without it do not know the advice, whatever it is given for.
    if libc.madvise(ctypes.c_void_p(0), ctypes.c_size_t(0), MADV_HWPOISON) and ctypes.get_errno() == 22:
        cannot("this kernel has no CONFIG_MEMORY_FAILURE")
    victim = os.fork()
    if victim == 0:
        fail()
        pause()
    started(victim)
    truth(0, 0)
    ready(victim)
    go()
    os.write(writer, b"x")
    wait(victim)


main()
