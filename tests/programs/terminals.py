"""Ends that come from a terminal. See stage.py."""

import fcntl
import os
import re
import signal
import termios

from stage import *

# asm-generic/ioctls.h; the module has it from Python 3.13 on.
TIOCVHANGUP = 0x5437


def on_terminal(slave):
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)


def leader(master, slave, body=lambda: None):
    """A child that leads a session on a terminal."""

    def lead():
        os.close(master)
        on_terminal(slave)
        body()

    return child(lead)


def terminal_closed():
    master, slave = os.openpty()
    victim = leader(master, slave)
    os.close(slave)
    truth(0, os.getpid())
    ready(victim)
    go()
    os.close(master)


def terminal_program_killed():
    """Whoever holds the master side, as sshd and tmux do, is killed itself."""
    reader, writer = os.pipe()

    def hold():
        master, slave = os.openpty()
        pid = leader(master, slave)
        os.close(slave)
        os.write(writer, str(pid).encode())

    holder = child(hold)
    truth(0, holder)
    ready(int(os.read(reader, 16)))
    go()
    os.kill(holder, signal.SIGKILL)
    wait(holder)


def leader_that_ends():
    """The leader of a session ends; the foreground group of its terminal is hung up."""
    master, slave = os.openpty()
    reader, writer = os.pipe()
    head = leader(master, slave, lambda: os.write(writer, str(child()).encode()))
    truth(0, head)
    ready(int(os.read(reader, 16)))
    go()
    os.kill(head, signal.SIGKILL)
    wait(head)


def orphaned_group():
    """A stopped process group loses the last process that could continue it."""
    reader, writer = os.pipe()

    def parent():
        victim = child(lambda: os.setpgid(0, 0))
        os.kill(victim, signal.SIGSTOP)
        os.waitpid(victim, os.WUNTRACED)
        os.write(writer, str(victim).encode())

    last = child(parent)
    truth(0, 0)
    ready(int(os.read(reader, 16)))
    go()
    os.kill(last, signal.SIGKILL)
    wait(last)


def typed(key):
    master, slave = os.openpty()
    victim = leader(master, slave)
    truth(0, 0)
    ready(victim)
    go()
    os.write(master, key)
    leave()


def interrupt_key():
    typed(b"\x03")


def quit_key():
    typed(b"\x1c")


def virtual_hangup():
    """What getty does before it asks for a name."""
    master, slave = os.openpty()
    victim = leader(master, slave)
    ready(victim)
    go()
    caller = by(lambda: fcntl.ioctl(slave, TIOCVHANGUP))
    truth(0, caller)


def shell_passes_hangup_on():
    """An interactive shell whose terminal is closed hangs up its jobs, and then itself."""
    master, slave = os.openpty()

    def shell():
        os.close(master)
        on_terminal(slave)
        for standard in range(3):
            os.dup2(slave, standard)
        os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])

    pid = os.fork()
    if pid == 0:
        shell()
    started(pid)
    os.close(slave)
    # A shell that reads may see the end of its terminal before the signal, and leaves its jobs alone then.
    os.write(master, f"sleep {LIFE} & echo job=$!.; wait\n".encode())
    said = b""
    while not (job := re.search(rb"job=(\d+)\.", said)):
        said += os.read(master, 1024)
    truth(pid, os.getpid())
    ready(int(job[1]))
    go()
    os.close(master)


main()
