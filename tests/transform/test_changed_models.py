"""A change of one model builds that model and what reads it, and nothing else."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import duckdb
import pytest
from warehouses import SCRATCH, WORLD, at, make_warehouse, run_dbt

from orchestration.defs.changed_models import fingerprints, is_growing, reading_only, without
from orchestration.defs.transform import (
    begin_anew,
    facts_of,
    forget_build,
    mark_built,
    mark_grown,
    standing,
)
from orchestration.home.sql import quote
from orchestration.landing.load.store import create_tables

CHANGED = {
    "int_stock_closed",
    "kpi_company_weekly",
    "kpi_gmroi",
    "kpi_holding_cost",
    "kpi_turns",
    "kpi_weekly",
    "kpi_yearly",
}


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("changed")
    return make_warehouse(folder / "warehouse.duckdb", WORLD | {"now_at": at("2024-01-01")}, {})


@pytest.fixture(scope="module")
def manifest(warehouse: Path) -> dict[str, Any]:
    result = run_dbt(warehouse, "parse")
    assert result.returncode == 0, result.stdout
    said: dict[str, Any] = json.loads((SCRATCH / "target" / "manifest.json").read_text())
    return said


def different(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    one, other = fingerprints(before), fingerprints(after)
    return {name.split(".")[-1] for name in one if one[name] != other[name]}


def test_a_model_s_sql_changes_it_and_all_that_read_it(manifest: dict[str, Any]) -> None:
    after = deepcopy(manifest)
    after["nodes"]["model.stockhouse.int_stock_closed"]["raw_code"] += "\n-- a word"
    assert different(manifest, after) == CHANGED
    assert different(manifest, deepcopy(manifest)) == set()


def test_a_test_a_word_and_a_macro_change_what_they_are_about(manifest: dict[str, Any]) -> None:
    leaf = manifest["nodes"]["model.stockhouse.kpi_gmroi"]
    for part in ("description", "columns"):
        after = deepcopy(manifest)
        after["nodes"][leaf["unique_id"]][part] = "otherwise"
        assert different(manifest, after) == {"kpi_gmroi"}
    after = deepcopy(manifest)
    tests = [
        node
        for node in after["nodes"].values()
        if node["resource_type"] == "test" and node["attached_node"] == leaf["unique_id"]
    ]
    tests[0]["test_metadata"]["kwargs"]["columns"] = ["gmroi"]
    assert different(manifest, after) == {"kpi_gmroi"}
    after = deepcopy(manifest)
    after["macros"]["macro.stockhouse.duckdb__local_day"]["macro_sql"] += " "
    moved = different(manifest, after)
    assert {"fct_lead_times", "dim_calendar"} <= moved and "stg_items" not in moved


def test_dbt_builds_what_changed_with_every_test_that_looks_at_it(
    warehouse: Path, manifest: dict[str, Any], tmp_path: Path
) -> None:
    kept = {name for name in fingerprints(manifest) if name.split(".")[-1] not in CHANGED}
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest))
    # as dagster-dbt asks for everything but what reads decisions
    usual = ["--select", "fqn:*", "--exclude", "tag:decisions"]
    listed = run_dbt(
        warehouse,
        *("--quiet", "ls", *without(kept, path), *usual),
        *("--exclude-resource-type", "unit_test"),
        *("--output", "json", "--output-keys", "unique_id resource_type depends_on"),
    )
    assert listed.returncode == 0, listed.stdout
    found = [json.loads(line) for line in listed.stdout.splitlines() if line.startswith("{")]
    models = {one["unique_id"] for one in found if one["resource_type"] == "model"}
    assert {name.split(".")[-1] for name in models} == CHANGED
    tests = {one["unique_id"] for one in found if one["resource_type"] == "test"}
    nodes = manifest["nodes"]
    later = {name for name, node in nodes.items() if "decisions" in node.get("tags", [])}
    wanted = {
        name
        for name, node in nodes.items()
        if node["resource_type"] == "test"
        and models & set(node["depends_on"]["nodes"])
        and not later & set(node["depends_on"]["nodes"])
    }
    assert tests == wanted and wanted


def test_nothing_stands_of_a_build_that_failed_or_of_other_facts() -> None:
    prints = {"a": "1", "b": "2"}
    with duckdb.connect() as con:
        assert standing(con, "facts", prints) == set()
        mark_built(con, "facts", prints)
        assert standing(con, "facts", prints) == {"a", "b"}
        assert standing(con, "facts", prints | {"b": "3"}) == {"a"}
        assert standing(con, "others", prints) == set()
        forget_build(con)
        assert standing(con, "facts", prints) == set()


def test_a_table_grows_on_while_the_sql_that_made_it_is_today_s(manifest: dict[str, Any]) -> None:
    growing = {name for name, node in manifest["nodes"].items() if is_growing(node)}
    assert growing == {"model.stockhouse.feat_demand"}
    with duckdb.connect() as con:
        standing(con, "facts", {})
        assert begin_anew(con, {"a": "1"}) == ["--full-refresh"], "nobody knows who made it"
        mark_grown(con, {"a": "1"})
        assert begin_anew(con, {"a": "1"}) == []
        assert begin_anew(con, {"a": "2"}) == ["--full-refresh"]
        # that build failed: a table of the newer SQL may stand where the older comes back
        assert begin_anew(con, {"a": "1"}) == ["--full-refresh"]


@pytest.mark.parametrize("table", ["world", "manifest"])
def test_every_setting_and_every_word_of_a_delivery_is_a_fact_that_tables_follow_from(
    table: str,
) -> None:
    """A lead time of the contract, or a delivery that a changed contract read anew: a build of
    before stands no more."""
    with duckdb.connect() as con:
        create_tables(con)
        con.execute("insert into raw.manifest (delivery) select 'one'")
        con.execute("insert into raw.world (world) select 'shop'")
        before = facts_of(con, {}, "")
        assert facts_of(con, {}, "") == before
        for name, type_, *_ in con.execute(f"describe raw.{table}").fetchall():
            said = {"BOOLEAN": "true", "TIMESTAMP": "'2026-01-01'"}.get(type_, "'7'")
            value = "['7']" if type_.endswith("[]") else said
            was = con.execute(f"select {quote(name)} from raw.{table}").fetchone()
            con.execute(f"update raw.{table} set {quote(name)} = {value}::{type_}")
            assert facts_of(con, {}, "") != before, name
            con.execute(f"update raw.{table} set {quote(name)} = ?", was)
        assert facts_of(con, {}, "") == before


def test_what_is_made_from_tables_of_another_run_does_not_count_as_made(
    manifest: dict[str, Any],
) -> None:
    everything = {
        name for name, node in manifest["nodes"].items() if node["resource_type"] == "model"
    }
    assert reading_only(everything, manifest) == everything
    alone = {"model.stockhouse.feat_demand", "model.stockhouse.stg_world"}
    assert reading_only(alone, manifest) == {"model.stockhouse.stg_world"}
    without_one = everything - {"model.stockhouse.int_periods_closed"}
    lost = without_one - reading_only(without_one, manifest)
    assert {"model.stockhouse.fct_demand", "model.stockhouse.feat_demand"} <= lost
    assert "model.stockhouse.fct_prices" not in lost
