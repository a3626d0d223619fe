"""Tracing an order line: every link is there, nothing later than the decision is shown, and the
lines are the ones in the files."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from orchestration.facts.trace import TraceError, TraceReport, trace
from tests.gates.tiny_company import found


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    path = found(tmp_path / "warehouse.duckdb")
    with duckdb.connect(str(path)) as con:
        con.execute(
            """create schema features;
            create table features.feat_demand as
            select item_id, location_id, event_at, known_at, quantity as demand_lag_1
                from marts.fct_demand;
            create table marts.bridge_aliases (kind varchar, alias varchar, id varchar,
                status varchar, known_at timestamp);
            create table marts.fct_open_orders as
            select 'po-1' as order_id, item_id, location_id, 12.0 as quantity,
                timestamp '2024-12-20' as ordered_at
            from marts.dim_item_locations where location_id = 'dc';"""
        )
    return path


def traced(warehouse: Path, archive: Path, line: str, **more: int) -> TraceReport:
    with duckdb.connect(str(warehouse), read_only=True) as con:
        return trace(con, archive, line, **more)


def rows(report: TraceReport, link: str, table: str) -> list[dict[str, object]]:
    return [
        row
        for step in report.steps
        if (step.link, step.table) == (link, table)
        for row in step.rows
    ]


def test_an_order_line_leads_back_to_the_lines_of_its_files(
    warehouse: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "d-sales").write_bytes(b"the bytes as delivered")
    report = traced(warehouse, archive, "line-3")
    assert list(dict.fromkeys(step.link for step in report.steps)) == [
        "order line",
        "decision",
        "forecast and model",
        "feature rows",
        "mart rows",
        "raw rows",
        "file, sheet, row",
    ]
    newest = rows(report, "file, sheet, row", "raw.sales")[0]
    assert newest == {
        "file": "erp/sales.csv",
        "part": "sales.csv",
        "file_row": 364,
        "source_id": "till",
        "silo": "erp",
        "bytes": 1000,
        "delivery": "d-sales",
        "is_archived": True,
    }
    assert rows(report, "file, sheet, row", "raw.stock")[0]["is_archived"] is False
    assert (
        sum(row["quantity"] for row in rows(report, "decision", "decisions.explanations"))
        == report.line["quantity"]
    )  # type: ignore[misc]
    assert {row["model"] for row in rows(report, "forecast and model", "decisions.forecasts")} == {
        "pooled_quantile"
    }


def test_a_line_is_found_by_its_need_s_id_without_the_run(warehouse: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(warehouse)) as con:
        con.execute("update decisions.order_lines set order_line_id = '01234567-' || order_line_id")
    assert traced(warehouse, tmp_path, "line-3").order_line_id == "01234567-line-3"


def test_a_warehouse_order_leads_to_the_sales_of_the_shops_it_feeds(
    warehouse: Path, tmp_path: Path
) -> None:
    report = traced(warehouse, tmp_path, "line-1")
    assert report.line["location_id"] == "dc"
    assert {row["location_id"] for row in rows(report, "raw rows", "raw.sales")} == {"shop"}
    assert rows(report, "raw rows", "raw.suppliers")[0]["supplier_id"] == "acme"


def test_other_ways_to_the_same_goods_are_shown_the_normal_order_first(
    warehouse: Path, tmp_path: Path
) -> None:
    assert not rows(traced(warehouse, tmp_path, "line-3"), "other ways", "decisions.alternatives")
    with duckdb.connect(str(warehouse)) as con:
        con.execute(
            """insert into decisions.alternatives by name
            select run_id, as_of, item_id, location_id, rank, way, 17.0 as quantity,
                40.0 - rank as total_cost, rank = 1 as is_cheapest
            from decisions.order_lines, (values (1, 'from the other shop''s surplus'), (0,
                'normal order')) as ways(rank, way)"""
        )
    report = traced(warehouse, tmp_path, "line-3")
    shown = rows(report, "other ways", "decisions.alternatives")
    assert [(row["way"], row["location_id"]) for row in shown] == [
        ("normal order", "shop"),
        ("from the other shop's surplus", "shop"),
    ]
    assert "way=from the other shop's surplus" in str(report)
    with duckdb.connect(str(warehouse)) as con:
        # as a home has it that ran last before there were any
        con.execute("drop table decisions.alternatives")
    assert traced(warehouse, tmp_path, "line-3").steps


def test_nothing_known_after_the_decision_is_shown(warehouse: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(warehouse)) as con:
        con.execute("update decisions.order_lines set as_of = timestamp '2024-10-01'")
    report = traced(warehouse, tmp_path, "line-3")
    times = [row["known_at"] for step in report.steps for row in step.rows if row.get("known_at")]
    assert times
    assert max(times) <= report.as_of
    # the warehouse has moved on, and the report says so
    assert "2024-12-30 00:00 UTC" in report.notes[0]


def test_rows_under_another_systems_name_are_found(warehouse: Path, tmp_path: Path) -> None:
    with duckdb.connect(str(warehouse)) as con:
        con.execute("update raw.sales set item_id = 'MUG-0815' where item_id = 'mug'")
        con.execute(
            "insert into marts.bridge_aliases values ('item', 'MUG-0815', 'mug', 'confirmed', "
            "timestamp '2024-01-01')"
        )
        con.execute("update raw.sales set item_id = 'RED MUG' where row_no = 1")
        con.execute(
            "insert into marts.bridge_aliases values ('item', 'RED MUG', 'mug', 'candidate', "
            "timestamp '2024-01-01')"
        )
    report = traced(warehouse, tmp_path, "line-3")
    assert {row["item_id"] for row in rows(report, "raw rows", "raw.sales")} == {"MUG-0815"}
    # a look is no proof
    assert [
        step.found for step in report.steps if (step.link, step.table) == ("raw rows", "raw.sales")
    ] == [181]


def test_a_report_prints_and_is_json(warehouse: Path, tmp_path: Path) -> None:
    report = traced(warehouse, tmp_path, "line-3")
    told = json.loads(json.dumps(report.as_dict()))
    assert told["line"]["quantity"] == 17.0
    assert [step["table"] for step in told["steps"]] == [step.table for step in report.steps]
    assert "erp/sales.csv" in str(report)
    assert "raw.sales (showing 5 of 182; --rows shows more)" in str(report)
    more = traced(warehouse, tmp_path, "line-3", rows=200)
    assert next(len(step.rows) for step in more.steps if step.table == "raw.sales") == 182
    assert "showing" not in str(more)


def test_an_unknown_line_is_said(warehouse: Path, tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No run proposed an order line 'line-9'"):
        traced(warehouse, tmp_path, "line-9")
