"""A Spark master and its workers on loopback, and dbt that builds our project there from what
`stockhouse export-raw` wrote."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from warehouses import PROJECT

from orchestration.home.sql import literal

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


@dataclass
class Spark:
    """Where Spark is installed, where it writes, whom it asks for work to be done, and the raw files
    it reads (by default in the folder it writes to)."""

    environment: Path
    folder: Path
    master: str = "local[1]"
    raw: Path | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def settings(self) -> dict[str, str]:
        """The environment of every process of Spark and of dbt on it."""
        (self.folder / "log4j2.properties").write_text(LOG4J, encoding="utf-8")
        return os.environ | {
            "STOCKHOUSE_SPARK": self.master,
            "STOCKHOUSE_SPARK_MEMORY": MEMORY,
            "STOCKHOUSE_SPARK_WAREHOUSE": str(self.folder / "spark"),
            "STOCKHOUSE_RAW": str(self.raw or self.folder / "raw"),
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
