"""What the models from staging to features cost on each engine: DuckDB, and Spark with one and with
two workers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from metered import Meter
from spark_cluster import DrillError, Spark, build, cluster
from warehouses import run_dbt

from orchestration.facts import raw_files
from orchestration.home import Home

WORKERS = (1, 2)


@dataclass(frozen=True)
class Cost:
    """One build of all models without their tests, the start of its engine included.

    seconds: of the wall. cpu: processor seconds of all processes. peak_gb: of all together.
    """

    series: int
    engine: str
    seconds: float
    cpu: float
    peak_gb: float


def costs(environment: Path, home: Path, layers: Sequence[str]) -> list[Cost]:
    """What a home's models cost on DuckDB and on Spark, one after the other.

    environment: where Spark is installed. Raises DrillError where a build fails.
    """
    place = Home.open(home)
    with duckdb.connect(str(place.warehouse), read_only=True) as con:
        said = con.execute("select count(*) from intermediate.int_series_started").fetchone()
    series = int(said[0]) if said else 0
    with tempfile.TemporaryDirectory(prefix="stockhouse-costs-") as scratch:
        folder = Path(scratch)
        warehouse = Path(shutil.copy(place.warehouse, folder))
        with Meter() as meter:
            _build_on_duckdb(warehouse, layers)
        found = [Cost(series, "DuckDB", meter.seconds, meter.cpu, meter.peak_gb)]
        raw_files.export(place.warehouse, folder / "raw")
        for number in WORKERS:
            spark = Spark(environment, folder / f"spark-{number}", raw=folder / "raw")
            spark.folder.mkdir()
            with Meter() as meter, cluster(spark, number):
                build(spark, list(layers), verb="run")
            engine = f"Spark, {number} worker{'s'[: number > 1]}"
            found.append(Cost(series, engine, meter.seconds, meter.cpu, meter.peak_gb))
    return found


def _build_on_duckdb(warehouse: Path, layers: Sequence[str]) -> None:
    done = run_dbt(warehouse, "run", "--select", *layers, "--exclude", "tag:decisions")
    if done.returncode:
        raise DrillError(f"dbt on DuckDB failed: {' '.join(done.stdout.split())[-300:]}")


def table(found: Sequence[Cost]) -> str:
    """The costs as a table in Markdown, by size and engine."""
    lines = ["| series | engine | seconds | processor s | peak GB |", "|--:|---|--:|--:|--:|"]
    lines += [
        f"| {one.series:,} | {one.engine} | {one.seconds:,.0f} | {one.cpu:,.0f} "
        f"| {one.peak_gb:.1f} |"
        for one in sorted(found, key=lambda one: one.series)
    ]
    return "\n".join(lines)
