"""Every physical line of a delimited file is a row, part of a cell a person wrote, or in
quarantine: none is lost behind a quote."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.landing.company import Company

SALES = """
sources:
  tills:
    silo: pos
    path: tills/*.csv
    identity: row
    known_after: 1 day
    into:
      - sales: {item_id: item, location_id: store, event_at: day, quantity: qty}
"""
HEADER = "item,store,day,qty\n"


def rows(count: int) -> list[str]:
    return [f"a{i},n,2024-03-{i % 28 + 1:02},{i + 1}" for i in range(count)]


def landed(lines: list[str]) -> tuple[int, int, int, set[str]]:
    """(rows_in, loaded, quarantined, items) of a file of these lines."""
    folder = Path(tempfile.mkdtemp(prefix="stockhouse-lines-"))
    company = Company(folder, SALES)
    try:
        company.write("tills/1.csv", HEADER + "\n".join(lines) + "\n")
        report = company.land()
        counts = report.sources["tills"]
        items = {item for (item,) in company.rows("SELECT item_id FROM raw.sales")}
        assert company.rows(
            "SELECT count(*) FROM raw.quarantine WHERE raw_text = '' OR raw_text IS NULL"
        ) == [(0,)]
        return counts["rows_in"], counts["rows_loaded"], report.quarantined_rows, items
    finally:
        company.con.close()
        shutil.rmtree(folder)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 29), st.integers(0, 24)), min_size=1, max_size=5))
def test_stray_quotes_anywhere_spoil_at_most_their_own_lines(strays: list[tuple[int, int]]) -> None:
    lines = rows(30)
    for number, at in strays:
        lines[number] = lines[number][:at] + '"' + lines[number][at:]
    rows_in, loaded, quarantined, items = landed(lines)
    assert rows_in == 30
    assert loaded + quarantined == 30
    touched = {number for number, _ in strays}
    assert items >= {f"a{i}" for i in range(30) if i not in touched}


@pytest.mark.parametrize(
    "opened",
    ['"a10,n,2024-03-01,1', 'a10,"n,2024-03-01,1', 'a10,n,"2024-03-01,1', 'a10,n,2024-03-01,"1'],
)
@pytest.mark.parametrize(
    "closed",
    [
        'a15",n,2024-03-01,1',
        'a15,n",2024-03-01,1',
        'a15,n,2024-03-01",1',
        'a15,n,2024-03-01,1"',
        None,
    ],
)
def test_one_quote_that_opens_and_one_that_closes_lines_later_swallow_nothing(
    opened: str, closed: str | None
) -> None:
    lines = rows(40)
    lines[10] = opened
    if closed:
        lines[15] = closed
    rows_in, loaded, quarantined, items = landed(lines)
    assert (rows_in, loaded + quarantined) == (40, 40)
    assert items >= {f"a{i}" for i in range(40) if i not in (10, 15)}


def test_the_last_good_line_stands_before_and_after_a_stray_quote_in_a_large_file() -> None:
    lines = rows(60_000)
    lines[11] = '"' + lines[11]
    assert landed(lines)[:3] == (60_000, 59_999, 1)


@pytest.mark.parametrize(
    "cell", ['"two\nlines"', '"a, b\nc, d"', '"said ""so""\n\nand left"', '"one, two, three\nfour"']
)
def test_a_cell_of_several_lines_is_one_cell(cell: str) -> None:
    lines = rows(20)
    lines[4] = f"{cell},n,2024-03-05,5"
    rows_in, loaded, quarantined, _ = landed(lines)
    assert (rows_in, loaded, quarantined) == (20, 20, 0)
