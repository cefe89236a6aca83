"""A service that asks, in its own signal handler, who signals it. It goes on until its standard input is closed.

asking.py CLIENT SOCKET DEADLINE: the directory of the client, where the agent listens, and how long it may take, seconds.
Each SIGTERM and SIGUSR1 prints the context as JSON, with the line for a log and how long it took.
"""

import asyncio
import json
import signal
import sys
import time

sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import forensics_agent as forensics  # noqa: E402

forensics.SOCKET = sys.argv[2]
forensics.DEADLINE_S = float(sys.argv[3])


def asked(number):
    before = time.monotonic()
    context = forensics.snapshot_shutdown_context(number)
    took = time.monotonic() - before
    context["log"] = forensics.format_context_for_log(context)
    context["took_ms"] = took * 1000
    print(forensics.context_as_json(context), flush=True)


async def main():
    loop = asyncio.get_running_loop()
    ended = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGUSR1):
        loop.add_signal_handler(number, asked, number)
    loop.add_reader(sys.stdin, lambda: ended.done() or sys.stdin.readline() or ended.set_result(None))
    print("ready", flush=True)
    await ended


asyncio.run(main())
