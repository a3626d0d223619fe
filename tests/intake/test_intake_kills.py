"""A receiver and a drainer killed with SIGKILL at moments nobody chose: what was acknowledged
lands, once."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from orchestration.intake import drain

ROOT = Path(__file__).resolve().parents[2]
#: Adds messages from a number on, saying each batch's end only after it was taken, and drains now
#: and then.
WORKER = """
import json, sys
from pathlib import Path
from orchestration.intake.inbox import Inbox, Message
folder, number = Path(sys.argv[1]), int(sys.argv[2])
sale = {"item": "apple", "store": "north", "day": "2024-03-01", "qty": 1}
with Inbox(folder) as box:
    while True:
        box.add("sales", [Message(f"s{n}", json.dumps({"id": f"s{n}", **sale}).encode()) for n in range(number, number + 7)])
        number += 7
        print(number, flush=True)
        box.drain("sales", batch_rows=5)
"""


def test_killed_at_any_moment_nothing_acknowledged_is_lost_and_nothing_is_double(shop: Any) -> None:
    world = shop.world(stream={"webhook": "${X}"}, identity="row")
    chance, acknowledged = random.Random(7), 0
    for _ in range(6):
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(shop.inbox), str(max(0, acknowledged - 3))],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdout is not None
        first = [worker.stdout.readline() for _ in range(3)]
        time.sleep(chance.uniform(0, 0.1))
        worker.send_signal(signal.SIGKILL)
        heard = [
            line
            for line in (*first, *worker.stdout.read().splitlines(keepends=True))
            if line.endswith("\n")
        ]
        worker.wait()
        worker.stdout.close()
        acknowledged = max(acknowledged, int(heard[-1]))
    drain(world, shop.inbox)
    found = [json.loads(line)["_message_id"] for line in shop.lines()]
    assert len(found) == len(set(found))
    assert set(found) >= {f"s{number}" for number in range(acknowledged)}
    assert shop.landed(world)[0] == len(found)
    assert acknowledged > 6 * 7
