"""The same dbt project past one machine: a Spark master and two workers on loopback build staging,
marts and features of each home from what `stockhouse export-raw` wrote, run dbt's own tests there,
and every table's rows are compared with DuckDB's.

    make scale-up
    python tests/transform/drill_spark.py SPARK_ENVIRONMENT HOME...
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from orchestration.app import publishing
from orchestration.errors import StockhouseError
from orchestration.facts import published_snapshots, raw_files
from orchestration.home import Home
from orchestration.home.sql import literal, quote, table_hash

PROJECT = Path(__file__).resolve().parents[2] / "dbt_project"
SCHEMAS = ("marts", "features")
LAYERS = ["staging", "intermediate", *SCHEMAS]
#: Two engines add floats up in another order, so their last digits differ.
DIGITS = 6
JAVA = 17
MEMORY = "2g"
LOG4J = """
rootLogger.level = error
rootLogger.appenderRef.console.ref = console
logger.catalog.name = org.apache.hadoop.hive.metastore.RetryingHMSHandler
logger.catalog.level = off
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %p %c{1}: %m%n
"""
#: What Spark and dbt say at length, and what it means.
TOLD = {
    r"UNABLE_TO_INFER_SCHEMA|PATH_NOT_FOUND": "the raw files are not all there: export them anew",
    r"All masters are unresponsive|Failed to connect to master": "Spark is gone",
    r"with name `(\w+)` cannot be resolved": r"a model reads \1, which the raw files lack: export "
    "them anew, or mend the model",
    r"Could not set lock|Failed to start database": "another drill uses this catalog: end it first",
}


class DrillError(Exception):
    """One line that says what is wrong and how to mend it."""


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


@dataclass
class Spark:
    """Where Spark is installed, where it writes, and whom it asks for work to be done."""

    environment: Path
    folder: Path
    master: str = "local[1]"
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def settings(self) -> dict[str, str]:
        """The environment of every process of Spark and of dbt on it."""
        (self.folder / "log4j2.properties").write_text(LOG4J, encoding="utf-8")
        return os.environ | {
            "STOCKHOUSE_SPARK": self.master,
            "STOCKHOUSE_SPARK_MEMORY": MEMORY,
            "STOCKHOUSE_SPARK_WAREHOUSE": str(self.folder / "spark"),
            "STOCKHOUSE_RAW": str(self.folder / "raw"),
            "SPARK_CONF_DIR": str(self.folder),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_NO_DAEMONIZE": "1",
            "DO_NOT_TRACK": "1",
        }

    def dbt(self, *arguments: str) -> subprocess.Popen[str]:
        """Start dbt on Spark."""
        places = {
            "project-dir": PROJECT,
            "profiles-dir": PROJECT,
            "target-path": self.folder / "target",
            "log-path": self.folder,
        }
        return subprocess.Popen(
            [
                str(self.environment / "bin" / "dbt"),
                "--no-use-colors",
                "--log-level-file=info",
                *arguments,
                "--target=spark",
                *(f"--{name}={path}" for name, path in places.items()),
            ],
            env=self.settings(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def table(self, schema: str, name: str) -> str:
        """SQL of the Parquet files that Spark keeps a table in."""
        files = self.folder / "spark" / "tables" / f"{schema}.db" / name / "*.parquet"
        return f"read_parquet({literal(str(files))})"


def check_java() -> None:
    """Raises DrillError where there is no Java that Spark runs on."""
    java = shutil.which("java", path=os.environ.get("JAVA_HOME", "") + "/bin") or shutil.which(
        "java"
    )
    if java is None:
        raise DrillError(f"Java is absent: install {JAVA} or newer, or set JAVA_HOME.")
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', said)
    if not found or int(found[1]) < JAVA:
        raise DrillError(f"{java} is {said.splitlines()[0]}: Spark needs Java {JAVA} or newer.")


def check_reached(master: str) -> None:
    """Raises DrillError where nothing answers at spark://HOST:PORT."""
    found = re.fullmatch(r"spark://([^:]+):(\d+)", master)
    if found:
        try:
            socket.create_connection((found[1], int(found[2])), timeout=5).close()
        except OSError as error:
            raise DrillError(f"Spark does not answer at {master} ({error}): start it.") from error


@contextmanager
def cluster(spark: Spark, workers: int = 2) -> Iterator[None]:
    """A standalone master and its workers on loopback, for as long as this lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spark.master = f"spark://127.0.0.1:{port}"
    log = spark.folder / "cluster.log"
    ours = ["--host", "127.0.0.1", "--webui-port", "0"]
    with log.open("wb") as out, ExitStack() as stack:

        def start(name: str, *arguments: str) -> subprocess.Popen[bytes]:
            process = subprocess.Popen(
                [str(_spark_class(spark)), f"org.apache.spark.deploy.{name}", *ours, *arguments],
                env=spark.settings(),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
            stack.callback(_end, process)
            return process

        start("master.Master", "--port", str(port))
        _wait_for(lambda: _listens(port), "Spark's master did not start", log)
        spark.workers = [
            start(
                "worker.Worker",
                *("--cores", "1", "--memory", MEMORY),
                *("--work-dir", str(spark.folder / f"worker-{number}")),
                spark.master,
            )
            for number in range(workers)
        ]
        yield


def _spark_class(spark: Spark) -> Path:
    found = next(spark.environment.glob("lib/python*/site-packages/pyspark/bin/spark-class"), None)
    if found is None:
        raise DrillError(
            f"{spark.environment} has no Spark: install requirements-spark.lock there."
        )
    return found


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _wait_for(is_so, failed: str, log: Path, seconds: float = 60) -> None:  # type: ignore[no-untyped-def]
    until = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > until:
            raise DrillError(f"{failed} within {seconds:.0f} s: see {log}.")
        time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and the executors it started; they are a session of their own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def build(spark: Spark, select: list[str], verb: str = "build", kill_after: str = "") -> str:
    """Build and test the models on Spark; dbt's last line of what passed.

    kill_after: the model whose start one of the workers does not outlive. Raises DrillError with
    one line where something failed.
    """
    check_reached(spark.master)
    without = ["--exclude-resource-type=unit_test"] if verb == "build" else []
    process = spark.dbt(verb, "--select", *select, "--exclude", "tag:decisions", *without)
    said = []
    for line in process.stdout or ():
        said.append(line)
        if kill_after and "START" in line and kill_after in line:
            threading.Timer(1, os.killpg, (spark.workers[0].pid, signal.SIGKILL)).start()
            kill_after = ""
    output = "".join(said)
    if process.wait():
        raise DrillError(_in_one_line(output))
    return next(line for line in reversed(said) if "PASS=" in line).partition("Done. ")[2].strip()


def _in_one_line(output: str) -> str:
    for pattern, meaning in TOLD.items():
        found = re.search(pattern, output)
        if found:
            return found.expand(meaning)
    failed = re.findall(r"(?:Failure|Error) in (\w+ \w+)", output)
    why = re.search(r"Error in \w+ [^\n]*\n\s*(?:\w+ Error\n\s*)?([^\n]+)", output)
    what = ", ".join(dict.fromkeys(failed)) or "dbt"
    return f"{what} failed on Spark: {why[1].strip() if why else ' '.join(output.split())[-200:]}"


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
        return int(not all([drill(environment, home) for home in homes]))
    except (DrillError, StockhouseError) as error:
        print(f"scale-up: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), [Path(home) for home in sys.argv[2:]]))
