"""What the models from staging to features cost on each engine and at several sizes: DuckDB, and
Spark with one and with two workers. A larger company is the home's own with copies of its items
under other ids, a stand-in for size and not for variety."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from metered import Meter
from spark_cluster import DrillError, Spark, build, cluster
from warehouses import run_dbt

from orchestration.facts import raw_files
from orchestration.home import Home
from orchestration.home.sql import quote
from orchestration.landing.contract.canonical import CANONICAL

WORKERS = (1, 2)
#: A company's items as they are, and so many times as many.
SIZES = (1, 4, 16)
#: The columns of raw tables that name an item.
ITEMS = ("item_id", "part_id", "substitute_id", "successor_id")


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


def costs(
    environment: Path, home: Path, layers: Sequence[str], sizes: Sequence[int] = SIZES
) -> Iterator[Cost]:
    """What a home's models cost on DuckDB and on Spark, one after the other, smallest first.

    environment: where Spark is installed. Raises DrillError where a build fails.
    """
    for times in sizes:
        with tempfile.TemporaryDirectory(prefix="stockhouse-costs-") as scratch:
            folder = Path(scratch)
            warehouse = Path(shutil.copy(Home.open(home).warehouse, folder))
            multiply(warehouse, times)
            with Meter() as meter:
                _build_on_duckdb(warehouse, layers)
            series = _series(warehouse)
            yield Cost(series, "DuckDB", meter.seconds, meter.cpu, meter.peak_gb)
            raw_files.export(warehouse, folder / "raw")
            for number in WORKERS:
                spark = Spark(environment, folder / f"spark-{number}", raw=folder / "raw")
                spark.folder.mkdir()
                with Meter() as meter, cluster(spark, number):
                    build(spark, list(layers), verb="run")
                engine = f"Spark, {number} worker{'s'[: number > 1]}"
                yield Cost(series, engine, meter.seconds, meter.cpu, meter.peak_gb)


def multiply(warehouse: Path, times: int) -> None:
    """Give a warehouse's raw tables so many times as many items, with all that is said of them."""
    with duckdb.connect(str(warehouse)) as con:
        for table, canonical in CANONICAL.items():
            named = [column for column in ITEMS if column in canonical.columns]
            where = f"coalesce({', '.join(named)}) is not null" if named else "kind = 'item'"
            if not named and table != "aliases":
                continue
            other = {column: f"{column} || '-' || copy" for column in named or ("alias", "id")}
            other |= {column: f"hash({column}, copy)" for column in ("row_key", "row_hash")}
            replaced = ", ".join(f"{said} as {column}" for column, said in other.items())
            con.execute(
                f"insert into raw.{quote(table)} select fact.* replace ({replaced}) "
                f"from raw.{quote(table)} as fact, range(2, ?) as copies (copy) where {where}",
                [times + 1],
            )


def _series(warehouse: Path) -> int:
    with duckdb.connect(str(warehouse), read_only=True) as con:
        said = con.execute("select count(*) from intermediate.int_series_started").fetchone()
    return int(said[0]) if said else 0


def _build_on_duckdb(warehouse: Path, layers: Sequence[str]) -> None:
    # whole tables, as Spark makes them
    whole = ("run", "--full-refresh", "--select", *layers, "--exclude", "tag:decisions")
    done = run_dbt(warehouse, *whole)
    if done.returncode:
        raise DrillError(f"dbt on DuckDB failed: {' '.join(done.stdout.split())[-300:]}")


def table(found: Sequence[Cost]) -> str:
    """The costs as a table in Markdown, by engine and size; in the last line of each engine what
    one series more takes, between the smallest size and the largest."""
    lines = ["| engine | series | seconds | processor s | peak GB |", "|---|--:|--:|--:|--:|"]
    for engine in dict.fromkeys(one.engine for one in found):
        own = sorted((one for one in found if one.engine == engine), key=lambda one: one.series)
        lines += [
            f"| {engine} | {one.series:,} | {one.seconds:,.0f} | {one.cpu:,.0f} "
            f"| {one.peak_gb:.1f} |"
            for one in own
        ]
        few, many = own[0], own[-1]
        if (more := many.series - few.series) > 0:
            lines.append(
                f"| {engine} | one more | {(many.seconds - few.seconds) / more * 1e3:.1f} ms "
                f"| {(many.cpu - few.cpu) / more * 1e3:.1f} ms "
                f"| {(many.peak_gb - few.peak_gb) / more * 1e3:.2f} MB |"
            )
    return "\n".join(lines)
