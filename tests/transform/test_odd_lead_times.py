"""A receipt whose year is wrong makes no lead time, and a supplier who is really so late makes his."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from warehouses import Row, at, build, make_warehouse, query

from orchestration.expectations.doubtful_items import CAME_FAR_LATE

#: Orders of a supplier, and how many of the first of them came a year late.
RECORDS = [(1, 0), (1, 1), (2, 1), (2, 2), (5, 1), (5, 5), (15, 1), (15, 2), (30, 2), (30, 3)]


def _name(orders: int, late: int) -> str:
    return f"{orders} orders {late} late"


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A supplier a record, each order promised in 10 days and there in 12, or in 375."""
    bought: list[Row] = []
    came: list[Row] = []
    for orders, late in RECORDS:
        for k in range(orders):
            placed = at("2023-01-02") + timedelta(days=7 * k)
            line: Row = {
                "order_id": f"{orders}/{late}/{k}",
                "line_id": "1",
                "item_id": "bolt",
                "location_id": "shop",
                "quantity": 5.0,
            }
            supplier: Row = {"supplier_id": _name(orders, late)}
            due = placed + timedelta(days=10)
            bought.append(line | supplier | {"event_at": placed, "due_at": due})
            days = 375 if k < late else 12
            came.append(line | {"event_at": placed + timedelta(days=days)})
    warehouse = make_warehouse(
        tmp_path_factory.mktemp("late") / "warehouse.duckdb",
        {"timezone": "UTC", "now_at": at("2025-01-01")},
        {"purchase_orders": bought, "receipts": came},
    )
    build(warehouse, "+fct_lead_times", "run")
    return warehouse


@pytest.mark.parametrize(("orders", "late"), RECORDS)
def test_what_came_a_year_late_counts_from_the_second_on_where_it_is_one_in_ten(
    company: Path, orders: int, late: int
) -> None:
    found = query(
        company,
        "select actual_days, count(*) from marts.fct_lead_times where from_id = "
        f"'{_name(orders, late)}' group by 1 order by 1",
    )
    counted = dict(found)
    assert counted.get(12.0, 0) == orders - late
    # the order told of in the order of time: the first is odd, the next ones make a tenth or not
    ahead = [(orders - late) + n for n in range(1, late + 1)]
    believed = sum(n > 1 and 10 * n >= all_of for n, all_of in enumerate(ahead, start=1))
    assert counted.get(375.0, 0) == believed


def test_every_order_that_makes_no_lead_time_is_told(company: Path) -> None:
    with duckdb.connect(str(company), read_only=True) as con:
        told = con.execute(CAME_FAR_LATE).fetchall()
        left_out = con.execute(
            "select count(*) from intermediate.int_orders_received where order_id not in (select "
            "order_id from marts.fct_lead_times)"
        ).fetchone()
    assert left_out is not None and len(told) == left_out[0] > 0
    (reason,) = [row[4] for row in told if "order 5/1/0 " in row[4]]
    assert reason == (
        "order 5/1/0 line 1 was due on 2023-01-12 and came 365 days later, on 2024-01-12, as hardly any "
        "other of 5 orders 1 late: no lead time counts it; is the year right?"
    )
