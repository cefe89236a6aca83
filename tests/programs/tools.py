"""Kills by programs that people and machines kill with. See stage.py."""

import os
import shutil
import signal
import subprocess
import time

from stage import *

TAG = f"conformance-{os.getpid()}"


def by_command(victim, *command):
    """The command itself is the sender."""
    ready(victim)
    go()
    sender = run(*command, stdout=2)
    truth(sender, sender)


def by_file(file):
    """Whoever writes its pid into the file is the sender; it must be about to become kill(1)."""
    sender = read_number(file)
    truth(sender, sender)


def pkill_part_of_a_word():
    victim = titled(f"{TAG} --port 9999")
    by_command(victim, "pkill", "-9", "-f", f"^{TAG} --port 99")


def pkill_whole_words():
    victim = titled(f"{TAG} --port 9999")
    by_command(victim, "pkill", "--full", f"^{TAG} --port 9999 ")


def pgrep_and_xargs():
    victim = titled(f"{TAG} --port 9999")
    ready(victim)
    go()
    with directory() as scratch:
        # xargs does not tell the pid of what it runs.
        write(f"{scratch}/kill", f'#!/bin/sh\necho $$ > {scratch}/sender\nexec {shutil.which("kill")} "$@"\n')
        os.chmod(f"{scratch}/kill", 0o755)
        path = f"{scratch}:{os.environ['PATH']}"
        run("sh", "-c", f"pgrep -f '^{TAG}' | xargs kill -9", env={**os.environ, "PATH": path})
        by_file(f"{scratch}/sender")


def killall():
    """By a name that nobody else has."""
    with directory() as scratch:
        program = f"{scratch}/v{os.getpid()}"
        shutil.copy("/bin/sleep", program)
        victim = start(program, str(LIFE)).pid
        by_command(victim, "killall", "-9", os.path.basename(program))


def fuser():
    with directory() as scratch:
        file = f"{scratch}/used"
        write(file, "x")
        victim = child(lambda: os.open(file, os.O_RDONLY))
        # It complains about every file of the machine that it may not look at.
        by_command(victim, "sh", "-c", "exec fuser --silent -k \"$0\" 2> /dev/null", file)


def stale_pidfile():
    """The file was written for a process that is gone, and another one has its number since."""
    with directory() as scratch:
        victim = child()
        file = f"{scratch}/service.pid"
        write(file, f"{victim}\n")
        os.utime(file, (1_000_000_000, 1_000_000_000))
        ready(victim)
        go()
        sender = run("sh", "-c", 'exec kill "$(cat "$0")"', file)
        truth(sender, sender)


def under(*command):
    """The pid of the program that a command starts, and that of the command."""
    script = f"trap - TERM; echo $$; exec sleep {LIFE}"
    process = start(*command, "sh", "-c", script, stdout=subprocess.PIPE)
    return int(process.stdout.readline()), process.pid


def timeout():
    """Its time is long enough for every tool to get ready."""
    victim, sender = under("timeout", "10")
    truth(sender, sender, os.getpid())
    ready(victim)
    go()


def timeout_kills_after():
    script = f"trap '' TERM; echo $$; exec sleep {LIFE}"
    process = start("timeout", "-k", "1", "10", "sh", "-c", script, stdout=subprocess.PIPE)
    truth(process.pid, process.pid, os.getpid())
    ready(int(process.stdout.readline()))
    go()


def cron():
    """The job of a crontab, which cron sees when it starts: in a mount namespace of its own, with no other crontab."""
    victim = child()
    ready(victim)
    go()
    with directory() as scratch:
        file = f"{scratch}/sender"
        script = f"""
            set -e
            mount --make-rprivate /
            for place in /etc/cron.d /var/spool/cron /run; do mount -t tmpfs none $place; done
            : > /run/none
            test ! -e /etc/crontab || mount --bind /run/none /etc/crontab
            echo '@reboot root echo $$ > {file}; exec kill {victim}' > /etc/cron.d/job
            exec cron -f
        """
        start("unshare", "--mount", "sh", "-c", script)
        by_file(file)


def logrotate():
    """It tells a service to reopen its log, with a signal that the service does not know."""
    victim = child()
    ready(victim)
    go()
    with directory() as scratch:
        write(f"{scratch}/service.log", "a line\n")
        write(
            f"{scratch}/conf",
            f"""
            {scratch}/service.log {{
                su root root
                rotate 1
                postrotate
                    echo $$ > {scratch}/sender
                    exec kill -HUP {victim}
                endscript
            }}
            """,
        )
        run("logrotate", "--force", "--state", f"{scratch}/state", f"{scratch}/conf", stdout=2)
        by_file(f"{scratch}/sender")


def cleaner_of_a_build():
    """What Jenkins does when a build is over: it looks for its cookie in the environment of processes, of ours only here."""
    victim = os.fork()
    if victim == 0:
        os.execve("/bin/sleep", ["sleep", str(LIFE)], {"BUILD_ID": "7", "JENKINS_NODE_COOKIE": TAG})
    started(victim)
    other = child()
    wanted = f"JENKINS_NODE_COOKIE={TAG}".encode()
    while wanted not in read(f"/proc/{victim}/environ"):
        time.sleep(0.001)

    def clean():
        for pid in (other, victim):
            if wanted in read(f"/proc/{pid}/environ").split(b"\0"):
                os.kill(pid, signal.SIGKILL)

    ready(victim)
    go()
    sent_by(clean)


main()
