"""Rows of stock, orders and receipts in quarantine hold the order of the item they name."""

from __future__ import annotations

import json
from collections.abc import Iterator

import duckdb
import pytest

from orchestration.expectations.doubtful_items import POSITIONS_ASIDE, TERMS_ASIDE
from orchestration.landing.load.store import create_tables

Con = duckdb.DuckDBPyConnection


@pytest.fixture
def con() -> Iterator[Con]:
    """A company of the items 5 and 12 in the shops 1 and 2; 5 is called E-5 too."""
    with duckdb.connect() as con:
        create_tables(con)
        con.execute("create schema marts; create schema intermediate")
        con.execute(
            "create table marts.dim_item_locations as "
            "from (values ('5', '1'), ('5', '2'), ('12', '1'), ('12', '2')) as t(item_id, location_id)"
        )
        con.execute(
            "create table intermediate.int_aliases_current as "
            "select 'item' as kind, 'E-5' as alias, '5' as id"
        )
        yield con


def land(con: Con, seq: int, table: str = "stock") -> str:
    """A delivery of a source, the seq-th of all."""
    con.execute(
        "insert into raw.manifest by name select ? as delivery, ? as source_id, ? as landed_seq",
        [f"d{seq}", f"{table} file", seq],
    )
    return f"d{seq}"


def aside(con: Con, seq: int, table: str = "stock", status: str = "open", **cells: str) -> None:
    """A row in quarantine, as it was handed over."""
    con.execute(
        """insert into raw.quarantine by name select ? as quarantine_id, ? as source_id,
            ? as delivery, 'a.csv' as path, ? as table_name, 'quantity' as column_name,
            'x' as value, 'is no number' as rule, ? as raw_text, ? as status, 7 as file_row""",
        [str(cells), f"{table} file", land(con, seq, table), table, json.dumps(cells), status],
    )


def held(con: Con) -> list[tuple[str, str]]:
    rows = con.execute(f"select item_id, location_id from ({POSITIONS_ASIDE}) order by all")
    return rows.fetchall()


@pytest.mark.parametrize("table", ["stock", "purchase_orders", "receipts"])
def test_a_row_in_quarantine_holds_the_item_it_names_there(con: Con, table: str) -> None:
    aside(con, 1, table, article="E-5", shop="2", qty="x")
    assert held(con) == [("5", "2")]
    ((said,),) = con.execute(f"select reason from ({POSITIONS_ASIDE})").fetchall()
    assert said.startswith(f"1 row of {table.replace('_', ' ')} is in quarantine")
    assert 'quantity "x" in row 7 of a.csv is no number' in said


def test_a_number_that_is_an_items_id_as_well_names_nothing(con: Con) -> None:
    aside(con, 1, article="5", shop="1", qty="12")
    aside(con, 2, article="5", shop="2", qty="x")
    assert held(con) == [("5", "1"), ("5", "2")]


def test_terms_in_quarantine_are_of_the_item_they_name_alone(con: Con) -> None:
    con.execute("alter table marts.dim_item_locations add column kind varchar default 'purchase'")
    con.execute("create table marts.dim_supplier_terms (item_id varchar, is_current boolean)")
    aside(con, 1, "supplier_terms", article="E-5", supplier="S", moq="12", lead="x")
    told = con.execute(f"select item_id, location_id from ({TERMS_ASIDE}) order by all").fetchall()
    assert told == [("5", "1"), ("5", "2")]


def test_a_row_of_no_place_holds_the_item_everywhere(con: Con) -> None:
    aside(con, 1, "purchase_orders", po="P9", article="12", qty="x")
    assert held(con) == [("12", "1"), ("12", "2")]


def test_what_is_given_up_or_named_anew_is_held_no_more(con: Con) -> None:
    aside(con, 1, status="discarded", article="5", shop="1", qty="x")
    assert held(con) == []
    aside(con, 2, article="5", shop="1", qty="x")
    aside(con, 3, article="12", shop="1", qty="x")
    con.execute(
        "insert into raw.stock by name select 'E-5' as item_id, '1' as location_id, "
        f"'stock file' as source_id, '{land(con, 4)}' as delivery"
    )
    assert held(con) == [("12", "1")]
