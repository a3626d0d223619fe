"""The laws of fct_demand, on a hand-made company small enough to check by hand: every version,
netting, stock-outs, the week."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from daily_company import make_daily, sale
from warehouses import Row, at, build, days, make_warehouse, query

DEMAND = (
    "select period_start, quantity, recorded_quantity, version, known_at, is_current from {} where "
    "item_id = ? order by 1, 4"
)


@pytest.fixture(scope="module")
def daily(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day grain in London; Now is the midnight that begins 2024-02-10."""
    return make_daily(tmp_path_factory.mktemp("daily"))


def test_both_versions_of_a_rolling_mean_can_be_read_after_a_correction(daily: Path) -> None:
    mean = """select avg(quantity) from marts.fct_demand_as_known_at(?)
              where item_id = 'steady' and period_start between date '2024-01-04'
                  and date '2024-01-31'"""
    before = query(daily, mean, [at("2024-02-05 08:59")])[0][0]
    after = query(daily, mean, [at("2024-02-05 09:00")])[0][0]
    assert before == 4.0
    assert after == 4.0 + (32.0 - 4.0) / 28


def test_a_correction_is_a_new_version_and_the_old_one_stays(daily: Path) -> None:
    rows = [
        row
        for row in query(daily, DEMAND.format("marts.fct_demand"), ["steady"])
        if row[0] == date(2024, 1, 20)
    ]
    assert [
        (quantity, version, known, current) for _, quantity, _, version, known, current in rows
    ] == [
        (4.0, 1, at("2024-01-21"), False),
        (32.0, 2, at("2024-02-05 09:00"), True),
    ]


def test_a_cancellation_corrects_the_period_of_the_sale_it_takes_back(daily: Path) -> None:
    current = {
        row[0]: row for row in query(daily, DEMAND.format("marts.fct_demand"), ["netted"]) if row[5]
    }
    # ann's first purchase stands: her return matches the one of 6
    assert current[date(2024, 1, 2)][1] == 10.0
    assert current[date(2024, 1, 3)][1] == 6.0 + 6.0 - 6.0 - 2.0
    assert current[date(2024, 1, 3)][4] == at("2024-01-09 10:00")
    as_of_then = query(
        daily,
        DEMAND.format("marts.fct_demand_as_known_at(timestamp '2024-01-08 09:00')"),
        ["netted"],
    )
    assert {row[0]: row[1] for row in as_of_then}[date(2024, 1, 3)] == 12.0


def test_a_return_without_a_sale_lowers_its_own_period_and_demand_stays_at_zero(
    daily: Path,
) -> None:
    rows = {
        row[0]: row for row in query(daily, DEMAND.format("marts.fct_demand"), ["netted"]) if row[5]
    }
    assert rows[date(2024, 1, 10)][1:3] == (0.0, -5.0)


def test_a_late_sale_is_a_second_version(daily: Path) -> None:
    rows = [
        row
        for row in query(daily, DEMAND.format("marts.fct_demand"), ["late"])
        if row[0] == date(2024, 1, 3)
    ]
    assert [(row[1], row[4]) for row in rows] == [
        (0.0, at("2024-01-04")),
        (7.0, at("2024-01-05 08:00")),
    ]


def test_demand_is_unknown_where_the_shelf_was_empty(daily: Path) -> None:
    rows = {row[0]: row for row in query(daily, DEMAND.format("marts.fct_demand"), ["empty"])}
    assert rows[date(2024, 1, 3)][1] == 0.0
    assert rows[date(2024, 1, 4)][1:3] == (None, 1.0)


def test_demand_is_unknown_where_a_line_is_far_beyond_its_item_s_record(daily: Path) -> None:
    rows = {row[0]: row for row in query(daily, DEMAND.format("marts.fct_demand"), ["typed"])}
    assert rows[date(2024, 1, 4)][1:3] == (4.0, 4.0)
    assert rows[date(2024, 1, 5)][1:3] == (None, 4.0)
    moved = "select sum(delta) from intermediate.int_stock_moved where item_id = 'typed'"
    assert query(daily, moved) == [(-28.0,)]


def test_what_lay_on_the_shelf_and_did_not_sell_was_not_wanted_but_before_the_first_sale_of_all_nothing_is_known(
    daily: Path,
) -> None:
    told = query(daily, DEMAND.format("marts.fct_demand"), ["shelved"])
    assert [(row[0], row[1]) for row in told][:4] == [
        (date(2024, 1, 3), 0.0),
        (date(2024, 1, 4), 0.0),
        (date(2024, 1, 5), 0.0),
        (date(2024, 1, 6), 3.0),
    ]
    assert query(daily, DEMAND.format("marts.fct_demand"), ["steady"])[0][0] == date(2024, 1, 1)


def test_no_series_has_a_gap_and_each_reaches_the_last_closed_period(daily: Path) -> None:
    for item, first in [("netted", date(2024, 1, 2)), ("steady", date(2024, 1, 1))]:
        current = [
            row[0] for row in query(daily, DEMAND.format("marts.fct_demand"), [item]) if row[5]
        ]
        assert current == [first + days(n) for n in range((date(2024, 2, 9) - first).days + 1)]


def test_nothing_known_after_now_is_seen(daily: Path) -> None:
    assert query(daily, "select count(*) from marts.fct_demand where item_id = 'future'") == [(0,)]


def test_weeks_start_on_the_declared_local_weekday_and_missing_reports_are_unknown(
    tmp_path: Path,
) -> None:
    """Week of Tuesdays in New York: 2024-01-09 04:59 UTC is still Monday there, 05:00 is
    Tuesday."""
    sales = [
        sale("a", 1.0, "2024-01-02 05:00"),
        sale("a", 2.0, "2024-01-09 04:59"),
        sale("a", 4.0, "2024-01-16 05:00"),
    ]
    world: Row = {
        "grain": "week",
        "week_starts_on": 2,
        "timezone": "America/New_York",
        "absent_sales": "missing",
        "now_at": at("2024-01-23 05:00"),
    }
    warehouse = make_warehouse(tmp_path / "warehouse.duckdb", world, {"sales": sales})
    build(warehouse, "+fct_demand", "run")
    rows = query(
        warehouse, "select period_start, quantity, event_at from marts.fct_demand order by 1"
    )
    assert rows == [
        (date(2024, 1, 2), 3.0, at("2024-01-09 05:00")),
        (date(2024, 1, 9), None, at("2024-01-16 05:00")),
        (date(2024, 1, 16), 4.0, at("2024-01-23 05:00")),
    ]
