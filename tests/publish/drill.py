"""The reader drill: processes that read the current snapshot without pause while version after
version is published.

Run by itself (`python drill.py FILE STOP`) it is one reader: it reads FILE until STOP exists, then
prints what it found.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import duckdb

#: Two tables and the stamp: a reader that saw parts of two versions would get different runs from
#: them.
STAMPED = ("published.snapshot", "marts.stamp", "decisions.stamp")


@dataclass
class Reading:
    """What one reader met: reads that worked, reads whose tables disagree about the run, and
    errors."""

    reads: int = 0
    mixed: int = 0
    failed: list[str] = field(default_factory=list)


def read(file: Path, stop: Path) -> Reading:
    """Open, read and close the snapshot again and again, as a dashboard does, until told to
    stop."""
    reading = Reading()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not stop.exists():
        try:
            with duckdb.connect(str(file), read_only=True) as con:
                runs = {
                    con.execute(f"select min(run_id) || max(run_id) from {table}").fetchone()
                    for table in STAMPED
                }
            reading.reads += 1
            reading.mixed += len(runs) != 1
        except (duckdb.Error, OSError) as error:
            reading.failed.append(str(error))
    return reading


def stamp(warehouse: Path, run_id: str, rows: int) -> None:
    """Give the warehouse the tables of one run, each row stamped with it."""
    with duckdb.connect(str(warehouse)) as con:
        for schema in ("marts", "decisions"):
            con.execute(f"create schema if not exists {schema}")
            con.execute(
                f"create or replace table {schema}.stamp as select ? as run_id, i from "
                f"range({rows}) t(i)",
                [run_id],
            )


def drill(folder: Path, readers: int, publishes: int, rows: int, keep: int = 5) -> list[Reading]:
    """Publish `publishes` versions under the eyes of `readers` processes; returns what each of them
    met."""
    from orchestration.app.publishing import write_snapshot
    from orchestration.facts.published_snapshots import FILE  # a reader needs DuckDB alone

    warehouse, target, stop = folder / "warehouse.duckdb", folder / "published", folder / "stop"
    stamp(warehouse, "run-000", rows)
    write_snapshot(warehouse, target, "run-000", "2024-12-30")
    command = [sys.executable, __file__, str(target / "current" / FILE), str(stop)]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(readers)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for run in range(1, publishes + 1):
            stamp(warehouse, f"run-{run:03d}", rows)
            write_snapshot(warehouse, target, f"run-{run:03d}", "2024-12-30", keep=keep)
    finally:
        stop.touch()
        said = [process.communicate(timeout=60)[0] for process in processes]
    return [Reading(**json.loads(text)) for text in said]


if __name__ == "__main__":
    # sixteen readers without pause would otherwise leave the publisher, and everyone else, no
    # processor
    os.nice(15)
    sys.stdout.write(json.dumps(asdict(read(Path(sys.argv[1]), Path(sys.argv[2])))))
