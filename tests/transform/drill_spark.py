"""The same dbt project past one machine: a Spark master and two workers on loopback build staging,
marts and features of each home from what `stockhouse export-raw` wrote, run dbt's own tests there,
and every table's rows are compared with DuckDB's. Then what the models alone cost on each engine
and at several sizes.

    make scale-up
    python tests/transform/drill_spark.py SPARK_ENVIRONMENT HOME...
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
from spark_cluster import DrillError, Spark, build, check_java, cluster
from spark_costs import costs, table

from orchestration.app import publishing
from orchestration.errors import StockhouseError
from orchestration.facts import published_snapshots, raw_files
from orchestration.home import Home
from orchestration.home.sql import literal, quote, table_hash

SCHEMAS = ("marts", "features")
LAYERS = ["staging", "intermediate", *SCHEMAS]
#: Two engines add floats up in another order, so their last digits differ.
DIGITS = 6


@dataclass(frozen=True)
class Compared:
    """How one table of Spark's stands beside DuckDB's: its rows, and how many are only in one."""

    table: str
    rows: int
    only_duckdb: int
    only_spark: int
    columns: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether both say the same."""
        return not (self.only_duckdb or self.only_spark or self.columns)


def compare(spark: Spark, warehouse: Path, tables: list[tuple[str, str]]) -> list[Compared]:
    """Every table's rows, in any order, floats and money to DIGITS significant digits."""
    found = []
    with duckdb.connect() as con:
        con.execute(f"attach {literal(str(warehouse))} as warehouse (read_only)")
        for schema, name in tables:
            ours = f"warehouse.{quote(schema)}.{quote(name)}"
            found.append(_compared(con, f"{schema}.{name}", ours, spark.table(schema, name)))
    return found


def _compared(con: duckdb.DuckDBPyConnection, table: str, ours: str, theirs: str) -> Compared:
    try:
        said = [con.execute(f"describe from {one}").fetchall() for one in (ours, theirs)]
    except duckdb.IOException:
        return Compared(table, 0, 0, 0, "Spark has not built it")
    names = [[column[0] for column in columns] for columns in said]
    if names[0] != names[1]:
        other = sorted(set(names[0]) ^ set(names[1])) or ["another order"]
        return Compared(table, 0, 0, 0, f"other columns: {', '.join(other)}")
    for side, one in (("duckdb", ours), ("spark", theirs)):
        columns = ", ".join(_rounded(column, kind) for column, kind, *_ in said[0])
        con.execute(f"create or replace temp table {side}_rows as select {columns} from {one}")
    rows, total = table_hash(con, "duckdb_rows")
    if (rows, total) == table_hash(con, "spark_rows"):
        return Compared(table, rows, 0, 0)
    only = [
        con.execute(f"select count(*) from (from {a}_rows except all from {b}_rows)").fetchone()
        for a, b in (("duckdb", "spark"), ("spark", "duckdb"))
    ]
    return Compared(table, rows, *(int(one[0]) for one in only if one))


def _rounded(column: str, kind: str) -> str:
    name = quote(column)
    if kind in {"FLOAT", "DOUBLE"} or kind.startswith("DECIMAL"):
        digits = f"format('{{:.{DIGITS - 1}e}}', cast({name} as double))"
        return f"case when {name} = 0 then '0' else {digits} end as {name}"
    return f"cast({name} as varchar) as {name}"


def tables_of(warehouse: Path) -> list[tuple[str, str]]:
    """(schema, name) of every mart and feature table."""
    with duckdb.connect(str(warehouse), read_only=True) as con:
        return con.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_schema in ? order by all",
            [list(SCHEMAS)],
        ).fetchall()


def drill(environment: Path, home: Path) -> bool:
    """One home on Spark; whether every table is DuckDB's and its last snapshot still stands."""
    place = Home.open(home)
    with place.writing():
        before = _told(publishing.publish(place, "scale-up"))
    with tempfile.TemporaryDirectory(prefix="stockhouse-spark-") as scratch:
        spark = Spark(environment, Path(scratch))
        rows = raw_files.export(place.warehouse, spark.folder / "raw")
        print(f"{place.owner}: {sum(rows.values()):,} raw rows of {len(rows)} tables as Parquet")
        with cluster(spark):
            started = time.monotonic()
            # one worker ends in the middle; what it did is done again by the other
            said = build(spark, LAYERS, kill_after="marts.fct_demand ")
            took = time.monotonic() - started
            ended = [worker.poll() is not None for worker in spark.workers]
        print(f"  dbt on Spark: {said}, {took:.0f} s, {sum(ended)} of {len(ended)} workers killed")
        found = compare(spark, place.warehouse, tables_of(place.warehouse))
    for one in found:
        verdict = "equal" if one.is_equal else one.columns or _difference(one)
        print(f"  {one.table:<34}{one.rows:>12,} rows  {verdict}")
    equal = sum(one.is_equal for one in found)
    filled = sum(one.rows > 0 for one in found)
    stands = before == _told(published_snapshots.current(place.published))
    print(f"  {equal} of {len(found)} tables equal to {DIGITS} digits, {filled} of them with rows")
    print(f"  the last published snapshot {'stands' if stands else 'CHANGED'}")
    return stands and ended == [True, False] and bool(filled) and equal == len(found)


def _difference(one: Compared) -> str:
    return f"DIFFERS: {one.only_duckdb:,} rows only in DuckDB, {one.only_spark:,} only in Spark"


def _told(snapshot: published_snapshots.Snapshot) -> tuple[int, str]:
    """Which snapshot readers see, and what its file holds."""
    with snapshot.path.open("rb") as file:
        return snapshot.version, hashlib.file_digest(file, "sha256").hexdigest()


def main(environment: Path, homes: list[Path]) -> int:
    """Drill every home; 1 where one differs, 2 with one line where it cannot be drilled."""
    try:
        check_java()
        equal = [drill(environment, home) for home in homes]
        for home in homes:
            print(f"\n{home.name}: models from staging to features, their engine's start included")
            spent = []
            for cost in costs(environment, home, LAYERS):
                spent.append(cost)
                print(f"  {cost}", file=sys.stderr, flush=True)
            print(table(spent))
        return int(not all(equal))
    except (DrillError, StockhouseError) as error:
        print(f"scale-up: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), [Path(home) for home in sys.argv[2:]]))
