"""Stock that covers no demand says why, and how much for each reason."""

from __future__ import annotations

import duckdb
import pytest

from orchestration.expectations.doubtful_items import UNAVAILABLE

NOW = "2024-03-10"
LOTS = (
    "item_id, location_id, status, is_blocked, expires_on, on_hand, available, event_at, is_current"
)
#: A lot of a status that dbt's variable unavailable_stock names is blocked.
BLOCKED = ("blocked", "quarantine", "gesperrt")


def told(*lots: tuple[str | None, str | None, float, float]) -> list[str]:
    """The reasons, for lots of (status, expires_on, on_hand, available)."""
    with duckdb.connect() as con:
        con.execute("create schema raw; create schema marts")
        con.execute(f"create table raw.world as select timestamp '{NOW}' as now_at")
        con.execute("create table marts.dim_item_locations as select 'a' item_id, 'x' location_id")
        con.execute(
            f"create table marts.fct_stock_lots as select {LOTS} from (select 'a' item_id, "
            "'x' location_id, ''::varchar status, false is_blocked, date '2024-01-01' expires_on, 0.0::double "
            "on_hand, 0.0::double available, timestamp '2024-03-09' event_at, true is_current) "
            "limit 0"
        )
        for lot in lots:
            con.execute(
                "insert into marts.fct_stock_lots values "
                "('a', 'x', ?, ?, ?, ?, ?, timestamp '2024-03-09', true)",
                (lot[0], lot[0] in BLOCKED, *lot[1:]),
            )
        return [row[0] for row in con.execute(f"select reason from ({UNAVAILABLE})").fetchall()]


@pytest.mark.parametrize(
    ("lot", "why"),
    [
        (("available", None, 1311.0, 1180.0), "131 reserved for customers"),
        ((None, None, 20.0, 19.5), "0.5 reserved for customers"),
        (("available", "2024-02-01", 37.0, 0.0), "37 past the date"),
        (("available", "2024-03-10", 5.0, 5.0), "5 past the date"),  # passed since the count
        *(((word, None, 9.0, 0.0), f'9 with the status "{word}"') for word in BLOCKED),
    ],
)
def test_a_lot_says_why(lot: tuple[str | None, str | None, float, float], why: str) -> None:
    assert told(lot) == [f"set aside at x: {why}; this covers no other demand"]


def test_each_reason_stands_with_its_units() -> None:
    (said,) = told(
        ("blocked", None, 3.0, 0.0),
        ("blocked", "2024-01-01", 2.0, 0.0),
        ("available", "2024-01-01", 4.0, 0.0),
        ("available", None, 10.0, 3.0),
    )
    assert '5 with the status "blocked"' in said
    assert "4 past the date" in said and "7 reserved for customers" in said


def test_what_can_be_sold_is_not_told() -> None:
    assert told(("available", "2024-03-11", 5.0, 5.0), (None, None, -2.0, -2.0)) == []
