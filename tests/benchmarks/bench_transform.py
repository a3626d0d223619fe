"""Marts by dbt, beside the same SQL run plainly, and what one more day costs: `python
tests/benchmarks/bench_transform.py WORLD DATA`.

Lands the world into a scratch folder first (not counted). Marts: staging, intermediate and marts
without tests, by dbt and then by DuckDB alone in a copy of the warehouse, statement by statement as
dbt wrote them. One more day: a whole transform with its tests, the gate on raw rows and a
publication, as the line does them; the marts are made anew whatever is new.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

REPOSITORY = Path(__file__).parents[2]
sys.path.insert(0, str(REPOSITORY))

# (the checkout is on the path only now)
from orchestration.app import publishing  # noqa: E402
from orchestration.expectations import GATES, validate  # noqa: E402
from orchestration.facts import decisions  # noqa: E402
from orchestration.landing import World, land  # noqa: E402

MARTS = ["--select", "staging", "intermediate", "marts"]
#: As dbt_project/profiles.yml has them.
SETTINGS = {"threads": 2, "memory_limit": "4GB", "preserve_insertion_order": False}


def dbt(scratch: Path, verb: str, *arguments: str) -> None:
    """One dbt command on the scratch warehouse."""
    project = str(REPOSITORY / "dbt_project")
    command = [
        str(Path(sys.executable).with_name("dbt")),
        "--quiet",
        verb,
        *arguments,
        "--project-dir",
        project,
        "--profiles-dir",
        project,
        "--target-path",
        str(scratch / "target"),
        "--log-path",
        str(scratch / "logs"),
    ]
    environment = os.environ | {"STOCKHOUSE_WAREHOUSE": str(scratch / "warehouse.duckdb")}
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def plainly(scratch: Path, warehouse: Path) -> None:
    """What dbt ran, in the order it ran it, by DuckDB alone."""
    done = json.loads((scratch / "target" / "run_results.json").read_text(encoding="utf-8"))[
        "results"
    ]
    done = [result for result in done if result["unique_id"].startswith("model.")]
    manifest = json.loads((scratch / "target" / "manifest.json").read_text(encoding="utf-8"))[
        "nodes"
    ]
    done.sort(key=lambda result: result["timing"][-1]["started_at"])
    with duckdb.connect(str(warehouse), config=SETTINGS) as con:
        con.execute("set TimeZone = 'UTC'")
        for schema in {manifest[result["unique_id"]]["schema"] for result in done}:
            con.execute(f'create schema if not exists "{schema}"')
        for result in done:
            node = manifest[result["unique_id"]]
            sql = (
                scratch / "target" / "run" / node["package_name"] / node["original_file_path"]
            ).read_text(encoding="utf-8")
            con.execute(sql.replace("__dbt_tmp", ""))


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main(world: Path, data: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scratch, plain = Path(folder), Path(folder) / "plain" / "warehouse.duckdb"
        warehouse = scratch / "warehouse.duckdb"
        with duckdb.connect(str(warehouse), config=SETTINGS) as con:
            report = land(con, World.load(world), data, scratch / "state" / "archive")
            decisions.load(con, scratch / "decisions")
        plain.parent.mkdir()
        shutil.copy(warehouse, plain)
        by_dbt = timed(lambda: dbt(scratch, "run", *MARTS))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        start_up = timed(lambda: dbt(scratch, "ls", *MARTS))
        alone = timed(lambda: plainly(scratch, plain))
        transform = timed(
            lambda: dbt(
                scratch,
                "build",
                "--exclude",
                "tag:decisions",
                "--exclude-resource-type",
                "unit_test",
            )
        )
        gate = timed(lambda: validate(warehouse, GATES["raw_in"], "bench"))
        publish = timed(
            lambda: publishing.write_snapshot(
                warehouse, scratch / "published", "bench", "2020-01-01"
            )
        )
    print(
        "| world | raw rows | marts by dbt | peak GB | of it start-up | the same SQL plainly | "
        "ratio without start-up |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|")
    print(
        f"| {world.name} | {report.new_rows:,} | {by_dbt:.0f} s | {used.ru_maxrss / 1e6:.1f} | "
        f"{start_up:.0f} s | {alone:.0f} s "
        f"| {(by_dbt - start_up) / alone:.2f} |"
    )
    print(
        "\n| one more day | transform with features and tests | gate on raw rows | publish | in "
        "all |\n|---|--:|--:|--:|--:|"
    )
    print(
        f"| {world.name} | {transform:.0f} s | {gate:.0f} s | {publish:.0f} s | "
        f"{transform + gate + publish:.0f} s |"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
