"""A contract that comes to read a column which only new files have: what was landed before has it
empty, nothing stops, and a rebuild comes to the same."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from orchestration.landing import ContractError
from tests.landing.company import Company

SOURCES = """
sources:
  tills:
    silo: pos
    path: tills/*.{suffix}
    drift: {drift}
    key: [line]
    known_after: 1 day
    into: [sales: {{item_id: "'a'", location_id: "'north'", event_at: "date '2024-03-01'",
      quantity: qty{more}}}]
  names:
    silo: erp
    path: names.csv
    optional: true
    key: [item]
    known_at: date '2024-01-01'
    into: [items: {{item_id: item, name: name}}]
"""
#: What the contract comes to read, and what it then says of the new file's row.
READS = {", unit_price: price": 1.5, ', unit_price: "cast(price as double) * 2"': 3.0}
Rows = list[dict[str, object]]


def _csv(rows: Rows) -> bytes:
    return pl.DataFrame(rows).write_csv().encode()


def _jsonl(rows: Rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _parquet(rows: Rows) -> bytes:
    kept = io.BytesIO()
    pl.DataFrame(rows).write_parquet(kept)
    return kept.getvalue()


def _xlsx(rows: Rows) -> bytes:
    book, kept = openpyxl.Workbook(), io.BytesIO()
    sheet = book.active
    assert sheet is not None
    for line in (list(rows[0]), *(list(row.values()) for row in rows)):
        sheet.append(line)
    book.save(kept)
    return kept.getvalue()


FORMATS: dict[str, Callable[[Rows], bytes]] = {
    "csv": _csv,
    "jsonl": _jsonl,
    "parquet": _parquet,
    "xlsx": _xlsx,
}
OLD: Rows = [{"line": "1", "qty": 3}]
NEW: Rows = [{"line": "2", "qty": 4, "price": 1.5}]


def prices(company: Company) -> list[tuple[object, ...]]:
    return company.rows("SELECT quantity, unit_price FROM raw.sales ORDER BY ALL")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Callable[..., Company]]:
    """A company whose first files were landed before the contract read the price."""
    opened: list[Company] = []

    def one(suffix: str, drift: str) -> Company:
        company = Company(tmp_path, SOURCES.format(suffix=suffix, drift=drift, more=""))
        opened.append(company)
        company.write(f"tills/1.{suffix}", FORMATS[suffix](OLD))
        company.land()
        # another source's delivery between the two: a rebuild reads them apart
        company.write("names.csv", "item,name\na,Apple\n")
        company.land()
        return company

    yield one
    for company in opened:
        company.con.close()


@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize("drift", ["stop", "evolve", "quarantine"])
@pytest.mark.parametrize("suffix", FORMATS)
def test_what_was_landed_before_the_contract_read_a_column_has_it_empty(
    shop: Callable[..., Company], suffix: str, drift: str, reads: str
) -> None:
    company = shop(suffix, drift)
    company.contract(SOURCES.format(suffix=suffix, drift=drift, more=reads))
    company.write(f"tills/2.{suffix}", FORMATS[suffix](NEW))
    company.land()
    assert prices(company) == [(3, None), (4, READS[reads])]
    landed = company.business()
    company.land()
    assert company.business() == landed
    company.reland()
    assert company.business() == landed


def test_old_files_of_several_shapes_have_it_empty_whichever_later_file_brought_it(
    shop: Callable[..., Company],
) -> None:
    company = shop("csv", "evolve")
    for place, more in enumerate(("note", "Note,till", "till,clerk"), start=2):
        company.write(
            f"tills/{place}.csv",
            f"line,qty,{more}\n{place},{place}{',x' * (more.count(',') + 1)}\n",
        )
        company.land()
    reads = ", unit_price: price, revenue: cast(total as double), order_id: note"
    company.contract(SOURCES.format(suffix="csv", drift="evolve", more=reads))
    company.write("tills/8.csv", "line,qty,price\n8,8,1.5\n")
    company.write("tills/9.csv", "line,qty,total,note\n9,9,18,y\n")
    company.land()
    landed = company.business()
    told = company.rows("SELECT quantity, unit_price, revenue, order_id FROM raw.sales ORDER BY 1")
    assert told == [
        (2, None, None, "x"),
        (3, None, None, None),
        (3, None, None, "x"),
        (4, None, None, None),
        (8, 1.5, None, None),
        (9, None, 18, "y"),
    ]
    company.reland()
    assert company.business() == landed


def test_a_column_that_no_file_has_is_named_and_the_mended_contract_gets_every_row_back(
    shop: Callable[..., Company],
) -> None:
    company = shop("csv", "stop")
    landed = company.business()
    company.contract(SOURCES.format(suffix="csv", drift="stop", more=", unit_price: prise"))
    for _ in range(2):
        with pytest.raises(ContractError, match="`prise` is no column of source `tills`"):
            company.land()
    # the mended contract and the file it was changed for come together
    company.contract(SOURCES.format(suffix="csv", drift="stop", more=", unit_price: price"))
    company.write("tills/2.csv", FORMATS["csv"](NEW))
    company.land()
    assert prices(company) == [(3, None), (4, 1.5)]
    company.contract(SOURCES.format(suffix="csv", drift="stop", more=""))
    (company.data / "tills/2.csv").unlink()
    company.land()
    assert prices(company) == [(3, None), (4, None)]
    assert company.business()["items"] == landed["items"]
