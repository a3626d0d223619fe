"""Every shared case with a contract, landed: how many rows of each table, how many set aside, and
where Now stands."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest

from orchestration.landing import World, land
from orchestration.landing.contract.canonical import CANONICAL
from orchestration.landing.contract.errors import ContractError

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.exists(), reason="the shared cases are not here")
TINY = {"items": 1, "purchase_orders": 1, "receipts": 1, "stock": 1, "supplier_terms": 1}
SHOP = {"sales": 120, "stock": 2, "supplier_terms": 2}
#: case: (rows loaded, rows set aside, the day of Now)
LANDED: dict[str, tuple[dict[str, int], int, str | None]] = {
    "alias_chain": (TINY | {"aliases": 2, "sales": 30}, 0, "2024-01-31"),
    "cancelled_orders": ({"orders": 61, "sales": 61}, 0, "2024-03-01"),
    "column_renamed_midyear": ({"sales": 3}, 0, "2024-02-03"),
    "excel_lock_file": ({"supplier_terms": 1}, 0, None),
    "formula_error_cells": ({"supplier_terms": 1}, 2, None),
    "header_with_unit_in_brackets": ({"sales": 120}, 0, "2024-03-01"),
    "hidden_first_sheet": ({"supplier_terms": 2}, 0, None),
    "identity_row_counts_once": ({"sales": 2}, 0, "2024-01-02"),
    "ids_with_slash": (SHOP, 0, "2024-03-01"),
    "json_nested_lines": ({"sales": 2}, 0, "2024-01-02"),
    "kit_components": ({"components": 1}, 0, None),
    "legacy_xls": ({"sales": 39}, 0, "2024-01-29"),
    "location_climbs_out": (SHOP, 0, "2024-03-01"),
    "location_with_umlaut": (SHOP, 0, "2024-03-01"),
    "merged_cells": ({"supplier_terms": 2}, 2, None),
    "nbsp_thousands": ({"sales": 3}, 0, "2024-01-02"),
    "no_break_space": ({"sales": 4}, 0, "2024-01-03"),
    "one_bad_encoding": ({"sales": 60}, 60, "2024-03-01"),
    "one_future_date": ({"sales": 121}, 0, "2024-03-01"),
    "open_po_of_last_year": (TINY | {"purchase_orders": 2, "sales": 60}, 0, "2024-03-01"),
    "order_in_cases": ({"purchase_orders": 1}, 0, None),
    "planner_words": (TINY | {"constraints": 6, "sales": 60}, 0, "2024-03-01"),
    "po_without_supplier": (
        {"purchase_orders": 2, "receipts": 2, "sales": 120},
        0,
        "2024-03-01",
    ),
    "price_in_usd": ({"supplier_terms": 1}, 0, None),
    "receipt_line_zeros": (TINY | {"sales": 60}, 0, "2024-03-01"),
    "seven_months": (
        TINY | {"items": 2, "sales": 14, "stock": 2, "supplier_terms": 2},
        0,
        "2024-08-01",
    ),
    "shipment_without_date": ({"orders": 1, "sales": 120, "shipments": 1}, 0, "2024-03-01"),
    "short_history": ({"sales": 120}, 0, "2024-03-01"),
    "stock_by_bin": (TINY | {"sales": 60, "stock": 3}, 0, "2024-03-01"),
    "stock_elsewhere": ({"sales": 120, "stock": 2}, 0, "2024-03-01"),
    "supplier_order_days": ({"suppliers": 1}, 0, None),
    "supplier_with_umlaut": (SHOP, 0, "2024-03-01"),
    "two_date_orders": ({"sales": 3}, 1, "2024-02-14"),
    "unclosed_quote": ({"sales": 199}, 1, "2024-01-29"),
    "unit_words": (TINY | {"sales": 8}, 0, "2024-01-11"),
    "week_53": ({"sales": 2}, 3, "2022-01-10"),
    "weeks_from_midweek": (TINY | {"sales": 70}, 0, "2024-03-13"),
    "xls_biff": ({"supplier_terms": 1}, 0, None),
    "year_typo": (TINY | {"sales": 61}, 0, "2024-03-01"),
    "zip_from_a_mac": ({"sales": 2}, 0, "2024-01-04"),
}
#: case: (a word of its contract, the word that says it)
SAID: dict[str, tuple[str, str]] = {
    "merged_cells": ("key: [Article]", "key: [Article]\n    fill_down: [Supplier]"),
    "header_line_documents": (
        "orders: {order_id: po, event_at: ordered}",
        "orders: {order_id: po, event_at: ordered, supplier_id: supplier, location_id: warehouse}",
    ),
}


def landed(folder: Path, into: Path) -> tuple[dict[str, int], int, str | None]:
    into.mkdir(exist_ok=True)
    with duckdb.connect(str(into / "warehouse.duckdb"), config={"threads": "1"}) as con:
        land(con, World.load(folder), folder, into / "archive")
        counts = {
            name: con.execute(f"SELECT count(*) FROM raw.{name}").fetchall()[0][0]
            for name in CANONICAL
        }
        ((aside,),) = con.execute("SELECT count(*) FROM raw.quarantine").fetchall()
        ((now,),) = con.execute("SELECT now_at::date::varchar FROM raw.world").fetchall()
    return {name: count for name, count in counts.items() if count}, aside, now


@pytest.mark.parametrize("case", LANDED)
def test_a_case_lands_as_it_should(case: str, tmp_path: Path) -> None:
    assert landed(CASES / case, tmp_path) == LANDED[case]


@pytest.mark.parametrize(
    ("case", "rows"),
    [
        ("merged_cells", {"supplier_terms": 4}),
        ("header_line_documents", {"orders": 1, "purchase_orders": 2}),
    ],
)
def test_a_case_that_lacked_a_word_lands_whole_with_it(
    case: str, rows: dict[str, int], tmp_path: Path
) -> None:
    folder = tmp_path / "world"
    shutil.copytree(CASES / case, folder)
    contract = (folder / "world.yml").read_text(encoding="utf-8")
    assert SAID[case][0] in contract
    (folder / "world.yml").write_text(contract.replace(*SAID[case]), encoding="utf-8")
    assert landed(folder, tmp_path / "home")[:2] == (rows, 0)


def test_lines_whose_place_nobody_says_are_told_where_it_could_stand() -> None:
    with pytest.raises(ContractError, match="in the `orders` of the headers"):
        World.load(CASES / "header_line_documents")
