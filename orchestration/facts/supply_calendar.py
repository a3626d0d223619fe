"""The days of suppliers, lanes and places, read from the marts, and what they make of a plan's lead
times: the same for the plan, a replay, the twin and a replan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import cache

import duckdb
import numpy as np
import polars as pl

from models.domain import Integers
from models.replenishment.calendars import (
    EVERY_DAY,
    MONDAY_TO_FRIDAY,
    Days,
    SupplyCalendar,
    Waits,
    longest,
    waits,
    weekdays,
)
from orchestration.facts.timeline import DAYS_A_PERIOD, Timeline

#: How far back and ahead the longest wait is looked for: every holiday comes once.
YEAR = timedelta(days=366)
SUPPLIERS = """
    select supplier_id, country, region_id, order_days, working_days, is_cut_off_missed
    from marts.dim_suppliers where is_current order by all
"""
PLACES = """
    select location_id, country, region_id, receiving_days from marts.dim_locations where is_current
    order by all
"""
HOLIDAYS = """
    select day, country, region_id, supplier_id, location_id from marts.dim_holidays order by all
"""
#: Whether any row's lead time counts working days or waits for a lane.
DATED_WAYS = """
    select count(*) from marts.dim_item_locations
    where lead_time_working_days is not null or departure_days is not null
"""


def read_calendar(con: duckdb.DuckDBPyConnection, timeline: Timeline) -> SupplyCalendar | None:
    """The days of everybody who supplies or receives; None where nobody has said any."""
    suppliers = con.execute(SUPPLIERS).fetchall()
    places = con.execute(PLACES).fetchall()
    holidays = con.execute(HOLIDAYS).fetchall()
    dated = con.execute(DATED_WAYS).fetchone()
    said = any(order or works or missed for *_, order, works, missed in suppliers)
    if not (said or holidays or any(days for *_, days in places) or (dated and dated[0])):
        return None
    everybody = frozenset(day for day, *whose in holidays if not any(whose))

    def closed(
        country: str | None, region: str | None, *, supplier: str = "", location: str = ""
    ) -> frozenset[date]:
        return everybody | {
            day
            for day, of_country, of_region, of_supplier, of_location in holidays
            if (
                (of_country or of_region)
                and of_country in (None, country)
                and of_region in (None, region)
            )
            or (of_supplier and of_supplier == supplier)
            or (of_location and of_location == location)
        }

    orders, works = {}, {}
    for supplier, country, region, order_days, working_days, _ in suppliers:
        shut = closed(country, region, supplier=supplier)
        orders[supplier] = Days(weekdays(order_days), shut)
        works[supplier] = Days(weekdays(working_days) if working_days else MONDAY_TO_FRIDAY, shut)
    return SupplyCalendar(
        orders=orders,
        works=works,
        cut_offs=frozenset(supplier for supplier, *_, missed in suppliers if missed),
        takes={
            place: Days(weekdays(days), closed(country, region, location=place))
            for place, country, region, days in places
        },
        everybody=Days(EVERY_DAY, everybody),
        days_a_period=DAYS_A_PERIOD[timeline.grain],
    )


def waits_of(
    calendar: SupplyCalendar | None, rows: pl.DataFrame, timeline: Timeline, days: Sequence[date]
) -> Waits | None:
    """What the calendar makes of orders of these rows decided on each of these days; None where
    there is no calendar."""
    if calendar is None:
        return None
    following = [timeline.shift(day, timeline.review) for day in days]
    return waits(calendar, rows, days, following)


def longest_waits(
    con: duckdb.DuckDBPyConnection, timeline: Timeline, rows: pl.DataFrame
) -> Integers:
    """(N,) the most periods by which the calendar has lengthened or will lengthen each row's
    window, in the year before Now and in the one after. rows: of dim_item_locations."""
    calendar = read_calendar(con, timeline)
    if calendar is None:
        return np.zeros(rows.height, dtype=np.int64)
    day = timeline.first_period(timeline.origin - YEAR)
    days = []
    while day <= timeline.origin + YEAR:
        days.append(day)
        day = timeline.shift(day, 1)
    return longest(calendar, rows, days, [timeline.shift(day, timeline.review) for day in days])


def dated(
    rows: pl.DataFrame, calendar: SupplyCalendar | None, timeline: Timeline, *, horizon: int
) -> tuple[pl.DataFrame, Integers]:
    """The rows as the calendar has it for orders decided at Now, and W, (N,) periods they wait.

    lead_time_periods with the wait in it, gap (periods an order has to last beyond the review), and
    leaves_on, the day it leaves.
    """
    none = np.zeros(rows.height, dtype=np.int64)
    found = waits_of(calendar, rows, timeline, [timeline.origin])
    if calendar is None or found is None:
        return rows.with_columns(gap=pl.Series(none), leaves_on=pl.lit(timeline.origin)), none
    lead_time = rows["lead_time_periods"].cast(pl.Int64).fill_null(0).to_numpy()
    found = found.within(lead_time, timeline.review, horizon)
    longer, gap = found.longer[:, 0], found.gaps[:, 0]
    leaves = [calendar.way(row).leaves(timeline.origin) for row in rows.iter_rows(named=True)]
    return rows.with_columns(
        lead_time_periods=(pl.col("lead_time_periods") + pl.Series(longer)).cast(pl.Int32),
        gap=pl.Series(gap),
        leaves_on=pl.Series(leaves, dtype=pl.Date),
    ), longer


def without_waiting(past: pl.DataFrame, calendar: SupplyCalendar | None) -> pl.DataFrame:
    """Past orders with their days counted from when they could leave: what they waited for until
    then is the calendar's, and not the supplier's being late.

    past: kind, from_id, location_id, promised_days, days and ordered_on.
    """
    if calendar is None or past.is_empty():
        return past

    @cache
    def waited(kind: str, source: str, place: str, day: date) -> float:
        row = {"kind": kind, "from_id": source, "location_id": place, "lead_time_days": 1.0}
        return float((calendar.way(row).leaves(day) - day).days)

    names = ("kind", "from_id", "location_id", "ordered_on")
    days = [waited(*one) for one in past.select(names).iter_rows()]
    wait = pl.Series(days, dtype=pl.Float64)
    return past.with_columns(
        days=pl.max_horizontal(pl.col("days") - wait, 1.0),
        promised_days=pl.max_horizontal(pl.col("promised_days") - wait, 1.0),
    )
