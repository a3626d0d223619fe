"""Whatever a company may map is read by somebody: a column that no mart, feature or plan looks at
cannot be mapped."""

from __future__ import annotations

import re

import pytest
from warehouses import PROJECT

from orchestration.landing.contract.canonical import CANONICAL

#: Staging makes revenue of a price; a reason is for the person who traces a row to its file, and
#: changes no number.
READ_ELSEWHERE = {
    ("sales", "unit_price"),
    ("returns", "unit_price"),
    ("returns", "reason"),
    ("adjustments", "reason"),
}


def _readers(table: str) -> str:
    """All SQL behind staging that reads this table, with what staging itself works out of it."""
    texts = [
        path.read_text()
        for folder in ("intermediate", "marts", "features", "metrics")
        for path in (PROJECT / "models" / folder).glob("*.sql")
    ]
    macros = "".join(path.read_text() for path in (PROJECT / "macros").glob("*.sql"))
    return "".join(text for text in texts if f"stg_{table}" in text) + macros


@pytest.mark.parametrize("table", CANONICAL)
def test_every_column_that_can_be_mapped_is_read(table: str) -> None:
    sql = _readers(table)
    unread = {
        name
        for name in CANONICAL[table].columns
        if not re.search(rf"\b{name}\b", sql) and (table, name) not in READ_ELSEWHERE
    }
    assert not unread
