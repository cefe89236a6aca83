"""A process that takes its own shutdown context with the function that the agent grew from, when told to.

own_context.py DIRECTORY: where the module `seed` with that function is.
"""

import json
import sys

sys.path.insert(0, sys.argv[1])
import seed  # noqa: E402

print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(seed.snapshot_shutdown_context(15)), flush=True)
sys.stdin.readline()
