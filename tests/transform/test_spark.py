"""A small company on a real Spark, where one is installed: `make scale-up` does that, and CI."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from daily_company import make_daily, sale
from drill_spark import compare
from spark_cluster import DrillError, Spark, build, check_java, cluster
from spark_costs import Cost, multiply, table
from warehouses import PROJECT, at, make_warehouse, query
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


def test_costs_are_told_by_engine_and_size_with_what_one_series_more_takes() -> None:
    told = table(
        [
            Cost(2_030, "DuckDB", 29, 52, 2.4),
            Cost(30, "DuckDB", 9, 12, 0.4),
            Cost(30, "Spark, 1 worker", 61.2, 80, 2.04),
        ]
    )
    assert told.splitlines()[2:] == [
        "| DuckDB | 30 | 9 | 12 | 0.4 |",
        "| DuckDB | 2,030 | 29 | 52 | 2.4 |",
        "| DuckDB | one more | 10.0 ms | 20.0 ms | 1.00 MB |",
        "| Spark, 1 worker | 30 | 61 | 80 | 2.0 |",
    ]


def test_a_company_of_more_items_has_as_many_times_the_series(tmp_path: Path) -> None:
    """An item's kits, aliases and sales come with it; places and suppliers stay as they are."""
    alias = {"kind": "item", "alias": "Drill", "id": "drill"}
    place = {"kind": "location", "alias": "The shop", "id": "shop"}
    warehouse = make_warehouse(
        tmp_path / "warehouse.duckdb",
        {"now_at": at("2024-01-09")},
        {
            "sales": [
                sale("Drill", 4.0, "2024-01-02 10:00", location_id="The shop"),
                sale("kit", 1.0, "2024-01-02 10:00", location_id="The shop"),
            ],
            "components": [{"item_id": "kit", "part_id": "saw", "quantity": 2.0}],
            "aliases": [row | {"known_at": at("2024-01-01")} for row in (alias, place)],
        },
    )
    multiply(warehouse, 3)
    build_on_duckdb(warehouse, "+int_series_started", "run")
    found = query(warehouse, "select item_id, location_id from intermediate.int_series_started")
    assert sorted(found) == [
        (item + copy, "shop") for item in ("drill", "saw") for copy in ("", "-2", "-3")
    ]
