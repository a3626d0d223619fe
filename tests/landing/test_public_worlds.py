"""The public data sets land whole through their contracts: row counts reconcile to the last row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from orchestration.landing import LandReport, World, land

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
pytestmark = pytest.mark.shared


def landed(
    tmp_path: Path, world: str, data: str
) -> Iterator[tuple[duckdb.DuckDBPyConnection, LandReport]]:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), config={"threads": "2"}) as con:
        report = land(
            con, World.load(ROOT / "tests" / "worlds" / world), SHARED / data, tmp_path / "archive"
        )
        assert report.quarantined_rows == 0
        yield con, report


def count(con: duckdb.DuckDBPyConnection, table: str, where: str = "true") -> int:
    row = con.execute(f"SELECT count(*) FROM raw.{table} WHERE {where}").fetchone()
    assert row is not None
    return int(row[0])


def test_scms_reads_three_date_formats_and_words_for_numbers(tmp_path: Path) -> None:
    for con, report in landed(tmp_path, "scms", "scms"):
        assert report.sources["deliveries"]["rows_in"] == 10_324
        assert [count(con, table) for table in ("sales", "shipments", "receipts")] == [
            10_324,
            10_324,
            4_920,
        ]
        # text in the freight column
        assert count(con, "shipments", "freight_cost IS NULL") == 4_126
        assert count(con, "shipments", "bills_with IS NOT NULL") == 2_445
        assert (
            count(
                con,
                "shipments s",
                (
                    "bills_with IS NOT NULL AND NOT EXISTS (SELECT 1 FROM raw.shipments t WHERE "
                    "t.line_id = s.bills_with)"
                ),
            )
            == 0
        )
        assert (
            count(
                con,
                "receipts r",
                (
                    "EXISTS (SELECT 1 FROM raw.purchase_orders p WHERE p.line_id = r.line_id AND "
                    "p.event_at > r.event_at)"
                ),
            )
            == 136
        )


def test_vn2_is_the_weeks_of_all_its_series(tmp_path: Path) -> None:
    for con, report in landed(tmp_path, "vn2", "vn2_history"):
        assert count(con, "sales") == 599 * 157 == 94_043
        assert (
            count(con, "stock", "is_in_stock IS NOT NULL"),
            count(con, "stock", "on_hand IS NOT NULL"),
        ) == (94_043, 599)
        assert count(con, "purchase_orders") == 423
        assert report.now_at == datetime(2024, 4, 15)


def test_supplygraph_lands_three_flows_and_two_sheets(tmp_path: Path) -> None:
    for con, report in landed(tmp_path, "supplygraph", "supplygraph"):
        assert count(con, "sales") == 221 * 41
        counts = report.sources["deliveries"]
        assert counts["rows_skipped"] + counts["rows_loaded"] == 221 * 41


def test_walmart_reads_bare_cr_and_turns_negative_weeks_into_returns(tmp_path: Path) -> None:
    for con, _ in landed(tmp_path, "walmart", "walmart_weekly"):
        assert count(con, "sales") + count(con, "returns") == 421_570
        assert count(con, "returns") == 1_285
        assert count(con, "locations") == 45
