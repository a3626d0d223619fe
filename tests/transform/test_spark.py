"""A small company on a real Spark, where one is installed: `make scale-up` does that, and CI."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from daily_company import make_daily
from drill_spark import compare
from spark_cluster import DrillError, Spark, build, check_java, cluster
from spark_costs import Cost, table
from warehouses import PROJECT
from warehouses import build as build_on_duckdb

from orchestration.facts import raw_files

INSTALLED = PROJECT.parent / ".venv" / "spark"
MODELS = "+dim_items +dim_calendar +fct_demand +feat_demand"
TABLES = [
    ("marts", "dim_items"),
    ("marts", "dim_calendar"),
    ("marts", "fct_demand"),
    ("features", "feat_demand"),
]


@pytest.fixture
def spark(tmp_path: Path) -> Spark:
    if not (INSTALLED / ".installed").exists():
        pytest.skip("Spark is not installed: `make scale-up` does that")
    try:
        check_java()
    except DrillError as error:
        pytest.skip(str(error))
    return Spark(INSTALLED, tmp_path)


@pytest.mark.service
def test_a_spark_that_loses_a_worker_builds_the_rows_that_duckdb_does(spark: Spark) -> None:
    warehouse = make_daily(spark.folder)
    build_on_duckdb(warehouse, MODELS, "run")
    assert raw_files.export(warehouse, spark.folder / "raw")["sales"] > 31
    with cluster(spark):
        said = build(spark, MODELS.split(), verb="run", kill_after="marts.fct_demand ")
        ended = [worker.poll() is not None for worker in spark.workers]
    assert "ERROR=0" in said and ended == [True, False]
    found = compare(spark, warehouse, TABLES)
    assert all(one.is_equal and one.rows for one in found), found
    assert found[2].rows > 200 and found[3].rows > 200
    shutil.rmtree(spark.folder / "spark" / "tables" / "features.db")
    assert not compare(spark, warehouse, TABLES)[3].is_equal, "a table that is not there"


@pytest.mark.service
def test_a_spark_that_is_not_there_is_said_in_one_line(spark: Spark) -> None:
    spark.master = "spark://127.0.0.1:1"
    with pytest.raises(DrillError, match=r"^Spark does not answer at spark://127.0.0.1:1 .*start"):
        build(spark, ["stg_world"])


def test_java_that_is_absent_is_said_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(DrillError, match="Java is absent"):
        check_java()


def test_costs_are_told_by_size_and_engine() -> None:
    told = table([Cost(2_000, "Spark, 1 worker", 61.2, 80, 2.04), Cost(30, "DuckDB", 9, 12, 0.4)])
    assert told.splitlines()[2:] == [
        "| 30 | DuckDB | 9 | 12 | 0.4 |",
        "| 2,000 | Spark, 1 worker | 61 | 80 | 2.0 |",
    ]
