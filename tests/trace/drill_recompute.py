"""Ten random order lines of a home's last run, each made anew from state/archive alone: `python
tests/trace/drill_recompute.py HOME WORLD`.

Exit code 1 if any quantity differs. The home is only read; the rebuild takes as long as a first run
without its rehearsal.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from orchestration.home import Home
from orchestration.runs.recompute import recompute

NEWEST = (
    "select order_line_id from decisions.order_lines where run_id = (select max_by(run_id, as_of) "
    "from decisions.order_lines)"
)


def main(root: Path, world: Path, lines: int = 10) -> int:
    home, started = Home.open(root), time.perf_counter()
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        known = sorted(line for (line,) in con.execute(NEWEST).fetchall())
    found = recompute(home, world, random.Random(4).sample(known, min(lines, len(known))))
    for line in found:
        print(line)
    same = sum(line.is_same for line in found)
    print(
        f"{same} of {len(found)} order lines recomputed to the same quantity in "
        f"{time.perf_counter() - started:.0f} s"
    )
    return int(same < len(found))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
