"""Named places where a drill may kill the process: `STOCKHOUSE_FAILPOINT=name:n` ends it, as kill
-9 would, the n-th time it gets there.

Nothing happens unless the variable is set; the places are the moments between two durable steps of
landing, or of forgetting a customer.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "bytes copied",
    "rows staged",
    "bytes moved",
    "bytes archived",
    "before commit",
    "rows committed",
    "after commit",
)
FORGETTING = ("deliveries rewritten", "sources marked", "bytes replaced")
VARIABLE = "STOCKHOUSE_FAILPOINT"
_passed: dict[str, int] = {}


def failpoint(name: str) -> None:
    """Die here without a word if the drill says so."""
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    point, _, times = wanted.rpartition(":")
    if point != name:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] == int(times):
        os.kill(os.getpid(), signal.SIGKILL)
