"""Runs a command as the process of a given pid, which must be free: `with_pid.py PID COMMAND…`.

The kernel hands out pids in turn, so that a number comes back only after tens of thousands of others; CRIU asks for one
by clone3(2), and so does this. It exits with 77 where the kernel does not let it.
"""

import ctypes
import errno
import os
import signal
import sys

SYS_CLONE3 = 435


class CloneArgs(ctypes.Structure):
    """`struct clone_args`, include/uapi/linux/sched.h."""

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            "flags pidfd child_tid parent_tid exit_signal stack stack_size tls set_tid set_tid_size cgroup"
        ).split()
    ]


def main():
    wanted, command = int(sys.argv[1]), sys.argv[2:]
    number = (ctypes.c_int * 1)(wanted)
    args = CloneArgs(exit_signal=signal.SIGCHLD, set_tid=ctypes.addressof(number), set_tid_size=1)
    libc = ctypes.CDLL(None, use_errno=True)
    child = libc.syscall(SYS_CLONE3, ctypes.byref(args), ctypes.sizeof(args))
    if child < 0:
        sys.exit(77 if ctypes.get_errno() in (errno.EPERM, errno.ENOSYS, errno.EINVAL) else 1)
    if child == 0:
        os.execvp(command[0], command)
    os.waitpid(child, 0)


main()
