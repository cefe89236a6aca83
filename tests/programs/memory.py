"""Ends for want of memory, and by a cgroup. See stage.py."""

import ctypes
import os
import signal

from stage import *

CLONE_VM = 0x100
MIB = 1 << 20


def memory_cgroup(limit):
    """A cgroup whose processes may use `limit` bytes together, of either version."""
    if path := cgroup_v1("memory"):
        write(f"{path}/memory.limit_in_bytes", limit)
        write(f"{path}/memory.swappiness", 0)
        return path
    return memory_cgroup_v2(limit)


def memory_cgroup_v2(limit):
    path = cgroup_v2()
    if not path or not os.path.exists(f"{path}/memory.max"):
        cannot("needs the memory controller of cgroup v2")
    write(f"{path}/memory.max", limit)
    # Absent where swap is not accounted.
    if os.path.exists(f"{path}/memory.swap.max"):
        write(f"{path}/memory.swap.max", 0)
    return path


def on_demand(body):
    """A child that runs `body` when it is told, and what tells it to."""
    reader, writer = os.pipe()

    def waiting():
        os.read(reader, 1)
        body()
        pause()

    pid = os.fork()
    if pid == 0:
        waiting()
    started(pid)
    return pid, lambda: os.write(writer, b"x")


def grow():
    held = []
    while True:
        held.append(b"x" * MIB)


def out_of_memory():
    group = memory_cgroup(32 * MIB)
    victim, tell = on_demand(grow)
    enter(group, victim)
    truth(0, 0)
    ready(victim)
    go()
    tell()
    wait(victim)


def shared_memory():
    """Whoever shares the memory of the process that the kernel chose dies with it: in no limited cgroup, and unmarked."""
    group = memory_cgroup(32 * MIB)
    reader, writer = os.pipe()
    again, tell = os.pipe()
    owner = os.fork()
    if owner == 0:
        stack = ctypes.create_string_buffer(1 << 16)
        top = ctypes.c_void_p((ctypes.addressof(stack) + (1 << 16)) & ~15)
        sharing = check(libc.clone(libc.pause, top, CLONE_VM | signal.SIGCHLD, None))
        os.write(writer, str(sharing).encode())
        os.read(again, 1)
        grow()
    started(owner)
    victim = int(os.read(reader, 16))
    enter(group, owner)
    truth(0, 0)
    ready(victim)
    go()
    os.write(tell, b"x")
    wait(owner)


def whole_group():
    """With memory.oom.group, one takes the others with it."""
    group = memory_cgroup_v2(48 * MIB)
    write(f"{group}/memory.oom.group", 1)
    victim = child()
    growing, tell = on_demand(grow)
    for pid in (victim, growing):
        enter(group, pid)
    truth(0, 0)
    ready(victim)
    go()
    tell()
    wait(growing)
    wait(victim)


def limit_lowered():
    """Below what is in use, while nobody asks for more: only the writer is to blame."""
    group = memory_cgroup_v2(256 * MIB)
    held = []

    def hold():
        enter(group, os.getpid())
        held.append(b"x" * (64 * MIB))

    victim = child(hold)
    ready(victim)
    go()
    writer = by(lambda: write(f"{group}/memory.max", 8 * MIB))
    truth(0, writer)
    wait(victim)


def cgroup_kill():
    group = cgroup_v2()
    if not group or not os.path.exists(f"{group}/cgroup.kill"):
        cannot("this kernel has no cgroup.kill")
    victim = child()
    enter(group, victim)
    ready(victim)
    go()
    sent_by(lambda: write(f"{group}/cgroup.kill", 1))
    wait(victim)


main()
