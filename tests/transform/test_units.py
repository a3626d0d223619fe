"""A unit is one thing however it is written, and one that nobody says counts nowhere and is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from warehouses import PROJECT, Row, at, build, make_warehouse, query

from models.procurement.unit_codes import BASE, PACKS, WORDS, unit_named
from orchestration.expectations.doubtful_items import UNITS_UNKNOWN
from orchestration.expectations.unit_words import unit_word


def _each(words: str, holds: float | None) -> dict[str | None, float | None]:
    return dict.fromkeys(words.split(), holds)


#: What a system may write, and what one of it is of an item that is kept in pieces, whose pack is 6
#: and whose tray holds 24; None: nobody says.
SPELLINGS: dict[str | None, float | None] = {
    None: 1,
    **_each("ea EA. Each pc pcs PCS. Pieces piece stk Stck. units UNIT u c62 nar eur", 1),
    **_each("kg kgs KG. kilos Grams lbs liters litres Metres m2 cbm feet", 1),
    **_each("case Cases CS. cs cartons Ctns ctn. Karton boxes BOX bx packs pks", 6),
    **_each("dz DZ. dozen Dozens dzn doz. Dutzend", 12),
    **dict.fromkeys(["tray", "Trays", " TRAY. "], 24),
    **_each("pallet Pallets PAL plts rolls bag pairs KAR case12 gross bundle", None),
    **_each("12 ? 1/2 sleeves usd tra", None),
    **dict.fromkeys(["Case of 12", "each of"]),
}
SAID: Row = {"item_id": "a", "source_id": "erp", "delivery": "d"}
TABLES = ("sales", "returns", "purchase_orders", "receipts", "stock", "customer_orders")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two units of every spelling in every table, a place each."""
    tables: dict[str, list[Row]] = {name: [] for name in TABLES}
    for k, word in enumerate(SPELLINGS):
        row: Row = SAID | {"location_id": f"s{k}", "unit": word, "row_no": k}
        when: Row = {"event_at": at("2024-01-05")}
        tables["sales"].append(row | when | {"quantity": 2.0})
        tables["returns"].append(row | when | {"quantity": 2.0})
        tables["stock"].append(row | when | {"on_hand": 2.0})
        line: Row = {"order_id": f"P{k}", "line_id": "1", "quantity": 2.0}
        tables["purchase_orders"].append(row | when | line | {"due_at": at("2024-02-20")})
        tables["customer_orders"].append(row | when | line)
        tables["receipts"].append(row | {"event_at": at("2024-01-09")} | line)
    tables["items"] = [{"item_id": "a", "pack_size": 6.0, "known_at": at("2023-01-01")}]
    tables["item_units"] = [
        {"item_id": "a", "unit": "Tray", "quantity": 24.0, "known_at": at("2023-01-01")}
    ]
    tables["supplier_terms"] = [
        SAID
        | {
            "row_no": k,
            "supplier_id": f"V{k}",
            "moq": 2.0,
            "unit": word,
            "known_at": at("2023-01-01"),
        }
        for k, word in enumerate(SPELLINGS)
    ]
    warehouse = make_warehouse(
        tmp_path_factory.mktemp("units") / "warehouse.duckdb",
        {"timezone": "UTC", "currency": "EUR", "now_at": at("2024-02-01")},
        tables,
    )
    build(
        warehouse,
        "+int_sales_dated +int_returns_matched +int_purchases_stated +int_receipts_stated "
        "+int_stock_counted +fct_customer_orders +dim_supplier_terms +int_units_unknown",
        "run",
    )
    return warehouse


@pytest.mark.parametrize(
    ("table", "column", "by"),
    [
        ("intermediate.int_sales_dated", "quantity", "location_id"),
        ("intermediate.int_returns_matched", "quantity", "location_id"),
        ("intermediate.int_purchases_stated", "quantity", "location_id"),
        ("intermediate.int_receipts_stated", "quantity", "location_id"),
        ("intermediate.int_stock_counted", "on_hand", "location_id"),
        ("marts.fct_customer_orders", "quantity", "location_id"),
        ("marts.dim_supplier_terms", "moq", "supplier_id"),
    ],
)
def test_a_quantity_is_in_the_item_s_unit_or_counts_nowhere(
    company: Path, table: str, column: str, by: str
) -> None:
    found: dict[str, Any] = dict(
        query(company, f"select substr({by}, 2), {column} from {table} where {column} is not null")
    )
    held = {str(k): 2 * holds for k, holds in enumerate(SPELLINGS.values()) if holds is not None}
    assert found == held


def test_every_line_that_counts_nowhere_is_told_with_its_unit(company: Path) -> None:
    unknown = sorted(
        (name, f"s{k}")
        for k, holds in enumerate(SPELLINGS.values())
        if holds is None
        for name in TABLES
    )
    found = query(
        company,
        "select told_in, location_id from intermediate.int_units_unknown where told_in <> "
        "'supplier_terms' order by 1, 2",
    )
    assert found == unknown
    with duckdb.connect(str(company)) as con:
        con.execute(
            "create or replace table marts.dim_item_locations as select 'a' as item_id, "
            "'s0' as location_id"
        )
        con.execute(
            "create or replace table raw.manifest as select 'erp' as source_id, "
            "'d' as delivery, 'f' as path, 1 as rows_above"
        )
        told = con.execute(UNITS_UNKNOWN).fetchall()
    units = {unit_named(word or "") for word, holds in SPELLINGS.items() if holds is None}
    assert len(told) == len(unknown) + len(units)
    assert all("count nowhere" in row[4] or "counts nowhere" in row[4] for row in told)


@settings(deadline=None)
@given(
    word=st.one_of(
        st.sampled_from(sorted(WORDS)),
        st.text("abehosxz.m² ß", max_size=9),
        st.sampled_from([word or "" for word in SPELLINGS]),
    ),
    many=st.sampled_from(["", "s", "es", "."]),
)
def test_gates_and_documents_read_a_unit_alike(word: str, many: str) -> None:
    said = word + many
    row = duckdb.execute(f"select {unit_word('$1')}", [said]).fetchone()
    assert row == (unit_named(said),)


def test_marts_know_the_words_that_documents_know(company: Path) -> None:
    told = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    words = {word: name for name, many in told["unit_words"].items() for word in many.split()}
    assert words == WORDS
    assert told["base_units"].split() == [*BASE, "money"]
    assert told["pack_units"].split() == list(PACKS)
    staged = query(company, "select location_id, unit from staging.stg_sales where unit <> 'money'")
    spelt = list(SPELLINGS)
    assert all(unit == unit_named(spelt[int(place[1:])] or "") for place, unit in staged)
