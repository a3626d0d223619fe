"""The writer's slot: a run killed while it held it, and a slot that nobody gave back, never keep
the next run from starting."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import dagster as dg
import duckdb

from orchestration.home import Home
from orchestration.runs.line import instance_of, run_line, settings

WORLD = """
world: tiny
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}
sources:
  till:
    silo: erp
    path: till/*.csv
    format: csv
    identity: row
    known_after: 1 day
    into: [sales: {item_id: article, location_id: shop, event_at: day, quantity: pieces}]
"""
POOL = "warehouse_writer"
#: A run that holds the home and the pool's only slot, and is killed there.
KILLED = """
import os, signal, sys
from pathlib import Path
import dagster as dg
from orchestration.home import Home
from orchestration.runs.line import instance_of

@dg.op(pool="warehouse_writer")
def write():
    os.kill(os.getpid(), signal.SIGKILL)

@dg.job(executor_def=dg.in_process_executor)
def killed():
    write()

home = Home.found(Path(sys.argv[1]), "tiny")
with home.writing(), instance_of(home) as instance:
    killed.execute_in_process(instance=instance)
"""


def test_the_next_run_starts_by_itself_after_a_kill_that_leaked_the_writer_s_slot(
    tmp_path: Path,
) -> None:
    world, root, script = tmp_path / "world", tmp_path / "home", tmp_path / "killed.py"
    (world / "till").mkdir(parents=True)
    (world / "world.yml").write_text(WORLD, encoding="utf-8")
    (world / "till/1.csv").write_text(
        "article,shop,day,pieces\nmug,main,2024-01-01,3\n", encoding="utf-8"
    )
    script.write_text(KILLED, encoding="utf-8")
    killed = subprocess.run(
        [sys.executable, str(script), str(root)], capture_output=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    home = Home.found(root, "tiny")
    with instance_of(home) as instance:
        (left,) = instance.get_runs()
        assert left.status is dg.DagsterRunStatus.STARTED  # it had no time to say that it ended
        (slot,) = instance.event_log_storage.get_concurrency_info(POOL).claimed_slots
        assert slot.run_id == left.run_id  # and nobody will give its slot back

    report = run_line(home, settings(world, None, root, None), "land")
    assert report.new_rows == 1
    with duckdb.connect(str(home.warehouse), read_only=True) as con:
        assert con.execute("select count(*) from raw.sales").fetchone() == (1,)
