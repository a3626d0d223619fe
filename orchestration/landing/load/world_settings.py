"""raw.world, one row: the settings of the plan and Now, from which every later station knows how
far it may look."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb

from orchestration.home.sql import quote
from orchestration.landing.contract.validation import rules
from orchestration.landing.contract.world import WEEKDAYS, Economics, World
from orchestration.landing.load.now import read_clock


def write_world(
    cur: duckdb.DuckDBPyConnection, world: World, as_of: date | None = None
) -> datetime | None:
    """Write raw.world, one row: the settings of the plan and Now (UTC), the local midnight that
    ends `as_of` where it is given."""
    clock = read_clock(cur)
    now = clock.now_at
    if as_of is not None:
        local = datetime.combine(
            as_of + timedelta(days=1), datetime.min.time(), ZoneInfo(world.timezone)
        )
        now = local.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
    plan, told = world.plan, world.economics
    economics = told or Economics()
    holding_assumed = (
        economics.holding_per_year is None and economics.holding_per_unit_period is None
    )
    shortage_assumed = economics.shortage_margin is None and economics.shortage_per_unit is None
    row = {
        "world": world.world,
        "currency": world.currency,
        "timezone": world.timezone,
        "grain": plan.grain,
        "week_starts_on": WEEKDAYS.index(plan.week_starts_on) + 1,
        "review_days": plan.review_days,
        "decide_on": WEEKDAYS.index(plan.decide_on) + 1 if plan.decide_on else None,
        "orders_leave_at": plan.orders_leave_at,
        "lead_time_days": plan.lead_time_days,
        "lead_time_periods": plan.lead_time_periods,
        "absent_sales": plan.absent_sales,
        "is_whole_units": plan.whole_units,
        "holding_per_year": 0.25 if holding_assumed else economics.holding_per_year,
        "holding_per_unit_period": economics.holding_per_unit_period,
        "shortage_margin": 0.4 if shortage_assumed else economics.shortage_margin,
        "shortage_per_unit": economics.shortage_per_unit,
        "unmet": economics.unmet,
        "waiting_share": economics.waiting_share,
        "has_assumed_economics": holding_assumed or shortage_assumed,
        "now_at": now,
        "newest_at": clock.now_at,
        "begins_at": clock.begins_at,
        "added_up": [
            f"{source_id}/{table}"
            for source_id, source in world.sources.items()
            for _, table, words in rules(source)
            if words.get("several") == "sum"
        ],
    }
    cur.execute("BEGIN")
    cur.execute("DELETE FROM raw.world")
    names = ", ".join(quote(name) for name in row)
    cur.execute(
        f"INSERT INTO raw.world ({names}) VALUES ({', '.join('?' for _ in row)})",
        list(row.values()),
    )
    cur.execute("COMMIT")
    return now
