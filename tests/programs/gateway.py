"""A gateway: on SIGTERM it removes the markers in its HERMES_HOME at once, as the true one does, and exits."""

import os
import signal

MARKERS = (".gateway-takeover.json", ".gateway-planned-stop.json")


def stop(_number, _frame):
    for name in MARKERS:
        try:
            os.unlink(os.path.join(os.environ["HERMES_HOME"], name))
        except FileNotFoundError:
            pass
    os._exit(0)


signal.signal(signal.SIGTERM, stop)
# A gateway whose test is gone ends by itself.
signal.alarm(300)
print("ready", flush=True)
while True:
    signal.pause()
