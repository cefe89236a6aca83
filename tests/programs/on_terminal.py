"""Runs a command on a terminal of 24 lines of 100 columns and prints what comes to it, escape sequences shown as text.

on_terminal.py COMMAND…: each write of the command is one line. It ends with the command, and with its status.
"""

import fcntl
import os
import pty
import struct
import sys
import termios

pid, terminal = pty.fork()
if pid == 0:
    # The size must be there before the command looks for it.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    os.environ["TERM"] = "xterm"
    os.execvp(sys.argv[1], sys.argv[1:])
print("ready", flush=True)
while True:
    try:
        part = os.read(terminal, 65536)
    except OSError:
        break
    if not part:
        break
    print(part.decode("utf-8", "replace").encode("unicode_escape").decode("ascii"), flush=True)
_, status = os.waitpid(pid, 0)
print("ended", os.waitstatus_to_exitcode(status), flush=True)
