"""What the platform hands over itself, and what is read from the archive again, is the same row by
its ids, under the number it came as."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import polars as pl

from orchestration.landing import land_records, table_hashes
from tests.landing.company import FIRST_DAY, SALES, Company

NOON = datetime(2024, 3, 2, 12)


def handed(company: Company, table: str, known_at: datetime = NOON, **row: Any) -> None:
    """One row that the platform hands over."""
    tables = {table: pl.DataFrame([row])}
    world, archive = company.world, company.archive
    land_records(company.con, world, "ledger", tables, known_at=known_at, archive=archive)


def test_archived_deliveries_keep_the_number_they_came_under(company: Company) -> None:
    company.write("tills/a.csv", FIRST_DAY)
    company.land()
    company.write("tills/b.csv", FIRST_DAY.replace("T1,", "T2,"))
    company.land()
    said = "SELECT path, landed_seq, rows_in, part FROM raw.manifest JOIN raw.sales USING (delivery) ORDER BY ALL"
    before, hashes = company.rows(said), table_hashes(company.con)
    archived = "SELECT path, landed_seq FROM raw.manifest ORDER BY 2"
    assert company.rows(archived) == [("tills/a.csv", 1), ("tills/b.csv", 2)]
    company.reland()
    assert company.rows(said) == before and table_hashes(company.con) == hashes
    assert company.rows(archived) == [("tills/a.csv", 1), ("tills/b.csv", 2)]


def test_what_the_platform_handed_over_is_there_after_a_rebuild(company: Company) -> None:
    company.write("tills/a.csv", FIRST_DAY)
    company.land()
    order = {
        "order_id": "SHP1",
        "line_id": "1",
        "item_id": "apple",
        "location_id": "north",
        "supplier_id": "S1",
        "event_at": NOON,
        "quantity": 5.0,
    }
    handed(company, "purchase_orders", **order)
    handed(company, "purchase_orders", **order | {"quantity": 6.0}, known_at=NOON.replace(hour=13))
    handed(company, "purchase_orders", **order | {"line_id": "2"})
    rows = "SELECT row_key, row_hash, quantity, known_at, source_id FROM raw.purchase_orders ORDER BY ALL"
    before = company.rows(rows)
    assert len(before) == 3 and len({row[0] for row in before}) == 2  # a key is the ids alone
    counts = "SELECT source_id, rows_in, rows_claimed, claims, rows_loaded, rows_repeated FROM raw.manifest WHERE source_id = 'ledger'"
    assert company.rows(counts) == [("ledger", 1, 1, 1, 1, 0)] * 3
    hashes = table_hashes(company.con)
    company.reland()
    assert company.rows(rows) == before and table_hashes(company.con) == hashes


def test_a_row_of_the_platform_s_own_is_the_same_by_its_ids_whatever_else_it_says(
    company: Company,
) -> None:
    company.write("tills/a.csv", FIRST_DAY)
    company.land()

    def keys(table: str, one: dict[str, Any], **changes: Any) -> int:
        handed(company, table, **one)
        for name, value in changes.items():
            handed(company, table, **one | {name: value})
        return len(company.rows(f"SELECT DISTINCT row_key FROM raw.{table}"))

    order = {"order_id": "1", "line_id": "1", "item_id": "a", "event_at": NOON, "quantity": 1.0}
    assert keys("purchase_orders", order, status="open", unit="case", currency="EUR") == 1
    assert keys("purchase_orders", order, line_id="2", item_id="b", supplier_id="S") == 4
    alias = {"kind": "item", "alias": "x", "id": "a"}
    assert keys("aliases", alias, alias="y", id="b") == 3
    promotion = {"name": "may", "starts_at": NOON, "item_id": "a"}
    assert keys("promotions", promotion, name="june", kind="sale") == 2


def test_a_source_read_anew_keeps_its_numbers_among_those_of_others(company: Company) -> None:
    master = "  master: {silo: erp, path: items.csv, key: [item], known_at: date '2024-01-01', into: [items: {item_id: item, name: name}]}\n"
    company.contract(SALES + master)
    company.write("tills/a.csv", FIRST_DAY)
    company.write("items.csv", "item,name\napple,Apple\n")
    company.land()
    company.write("tills/b.csv", FIRST_DAY.replace("T1,", "T2,"))
    company.land()
    numbers = "SELECT path, landed_seq FROM raw.manifest ORDER BY 2"
    before = company.rows(numbers)
    assert [seq for _, seq in before] == [1, 2, 3] and before[1][0] == "items.csv"
    company.contract(SALES.replace("1 day", "2 days") + master)
    assert company.land().read_anew == ["tills"]
    assert company.rows(numbers) == before
