"""The small inputs that once failed in silence: what the gate says of them now, and where their Now
stands."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from orchestration.expectations import CheckOutcome, Gate, validate
from orchestration.expectations.raw_in import RAW_IN
from orchestration.landing import World, land

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.exists(), reason="the shared cases are not here")
LAWS = (
    "constraints_",
    "aliases_",
    "receipts_find",
    "sales_are_in",
    "sales_are_of",
    "stock_say",
    "manifest_first",
    "purchase_orders_find_their_header",
    "purchase_orders_have",
)


def _gate(case: str, folder: Path, world: Path | None = None) -> dict[str, CheckOutcome]:
    folder.mkdir(exist_ok=True)
    warehouse = folder / "warehouse.duckdb"
    files = world or CASES / case
    with duckdb.connect(str(warehouse)) as con:
        land(con, World.load(files), files, folder / "state" / "archive")
    laws = tuple(law for law in RAW_IN.laws if law.name.startswith(LAWS))
    return {
        outcome.name: outcome
        for outcome in validate(warehouse, Gate("raw_in", laws), "run")
        if not outcome.passed
    }


def _now(folder: Path) -> datetime:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as con:
        (now,) = con.execute("select now_at from raw.world").fetchone() or (None,)
    return now


def test_words_of_a_planner_that_nobody_reads_stop_the_line_and_name_the_nearest(
    tmp_path: Path,
) -> None:
    found = _gate("planner_words", tmp_path)
    names, scopes = (
        found["constraints_are_limits_somebody_reads"],
        found["constraints_are_of_something_known"],
    )
    assert names.blocks and scopes.blocks
    nearest = {row["name"]: row["nearest"] for row in names.failed_rows}
    assert nearest["Budget"] == "budget"
    assert nearest["service level"] == "service_level"
    assert {(row["name"], row["scope"], row["nearest"]) for row in scopes.failed_rows} == {
        ("budget", "s1", "S1"),
        ("supplier_minimum", "s1", "S1"),
        ("capacity", "MIAN", "MAIN"),
    }


@pytest.mark.parametrize(
    ("case", "now"),
    [("year_typo", datetime(2024, 3, 1, 23)), ("one_future_date", datetime(2024, 3, 1))],
)
def test_one_sale_of_a_wrong_year_is_named_and_moves_nothing(
    case: str, now: datetime, tmp_path: Path
) -> None:
    found = _gate(case, tmp_path)
    assert found["sales_are_of_this_time"].observed == 1
    assert _now(tmp_path) == now


def test_bins_of_one_place_are_told_of_and_equal_rows_too_and_units_nobody_knows(
    tmp_path: Path,
) -> None:
    assert not _gate("stock_by_bin", tmp_path / "bins")["stock_say_one_thing_at_a_time"].blocks
    assert (
        _gate("identity_row_counts_once", tmp_path / "rows")[
            "manifest_first_deliveries_repeat_nothing"
        ].observed
        == 1
    )
    units = {
        row["unit"]
        for row in _gate("unit_words", tmp_path / "units")[
            "sales_are_in_units_somebody_knows"
        ].failed_rows
    }
    assert {"PAL", "Case of 12"} <= units
    assert units.isdisjoint({"EA", "CS", "DZ"})


def test_a_receipt_whose_line_is_written_with_zeros_finds_its_order(tmp_path: Path) -> None:
    assert "receipts_find_their_order" not in _gate("receipt_line_zeros", tmp_path)


RESTARTING = """
world: restarting
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 3, absent_sales: zero}
sources:
  till:
    silo: erp
    path: till.csv
    key: [article, day]
    known_after: 0 days
    into: [sales: {item_id: article, location_id: "'MAIN'", event_at: '"day"', quantity: pieces}]
  orders:
    silo: erp
    path: orders_*.csv
    key: [number, line]
    known_at: ordered
    into: [purchase_orders: {order_id: number, line_id: line, item_id: article, location_id: "'MAIN'",
        supplier_id: supplier, quantity: pieces, event_at: ordered}]
"""


def test_an_order_number_that_begins_anew_with_the_year_is_told_of_until_the_year_is_part_of_it(
    tmp_path: Path,
) -> None:
    world = tmp_path / "world"
    world.mkdir()
    (world / "till.csv").write_text("article,day,pieces\na,2024-01-09,4\n", encoding="utf-8")
    head = "number,line,article,supplier,pieces,ordered\n"
    (world / "orders_2023.csv").write_text(f"{head}0001,1,a,S1,10,2023-01-05\n", encoding="utf-8")
    later = "0001,1,b,S2,70,2024-01-04\n0002,1,a,S1,5,2024-01-08\n"
    (world / "orders_2024.csv").write_text(head + later, encoding="utf-8")
    (world / "world.yml").write_text(RESTARTING, encoding="utf-8")
    told = _gate("restarting", tmp_path / "said", world)[
        "purchase_orders_have_a_number_of_their_own"
    ]
    assert not told.blocks
    ((first, last),) = [(str(r["first_at"])[:10], str(r["last_at"])[:10]) for r in told.failed_rows]
    assert (first, last) == ("2023-01-05", "2024-01-04")
    mended = RESTARTING.replace("order_id: number", "order_id: \"number || '/' || ordered[:4]\"")
    mended = mended.replace("key: [number, line]", "key: [number, line, ordered]")
    (world / "world.yml").write_text(mended, encoding="utf-8")
    assert not _gate("restarting", tmp_path / "mended", world)


def test_an_order_line_without_header_is_told_of(tmp_path: Path) -> None:
    world = tmp_path / "world"
    shutil.copytree(CASES / "header_line_documents", world)
    contract = (world / "world.yml").read_text(encoding="utf-8")
    said = "event_at: ordered, location_id: warehouse}"
    (world / "world.yml").write_text(contract.replace("event_at: ordered}", said), encoding="utf-8")
    found = "purchase_orders_find_their_header"
    assert found not in _gate("header_line_documents", tmp_path / "whole", world)
    with (world / "po_lines.csv").open("a", encoding="utf-8") as lines:
        lines.write("2,1,a,7\n")
    gate = _gate("header_line_documents", tmp_path / "orphan", world)[found]
    assert (gate.observed, gate.blocks) == (1, False)
