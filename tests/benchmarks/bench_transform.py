"""How long dbt takes to turn a landed world into marts, and how much memory: `python tests/benchmarks/bench_transform.py WORLD DATA`.

Lands the world into a scratch folder first (not counted), then runs staging, intermediate and marts without tests, as the line does.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY))

from orchestration.landing import World, land  # noqa: E402  (the checkout is on the path only now)

SELECTION = ["staging", "intermediate", "marts"]


def main(world: Path, data: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        warehouse = Path(scratch) / "warehouse.duckdb"
        with duckdb.connect(str(warehouse), config={"threads": 2, "memory_limit": "4GB"}) as con:
            report = land(con, World.load(world), data, Path(scratch) / "archive")
        project = str(REPOSITORY / "dbt_project")
        started = time.perf_counter()
        subprocess.run(
            [
                str(Path(sys.executable).with_name("dbt")), "--quiet", "run", "--select", *SELECTION, "--project-dir", project,
                "--profiles-dir", project, "--target-path", f"{scratch}/target", "--log-path", f"{scratch}/logs",
            ],
            env=os.environ | {"STOCKHOUSE_WAREHOUSE": str(warehouse)},
            check=True,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"{world.name}: {report.new_rows:,} raw rows, {seconds:.0f} s wall, {used.ru_utime + used.ru_stime:.0f} s of CPU, "
          f"{used.ru_maxrss / 1e6:.1f} GB at most")  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
