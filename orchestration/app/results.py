"""What it was worth: money tied up, service, cost against the rules companies run, and bills to
come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from orchestration.app.home_context import timeline_of
from orchestration.app.procurement import Desk
from orchestration.app.snapshot_queries import Row, lines_of, one, published, rows

#: Weeks of the cash calendar.
WEEKS = 15


@dataclass(frozen=True)
class Results:
    """What an executive asks for first. rehearsals: what each policy would have cost, by the day it
    was rehearsed."""

    capital: Row
    year: Row
    weeks: list[Row]
    policies: list[Row]
    rehearsals: list[Row]
    cash: list[Row]
    categories: list[Row]


def results(desk: Desk) -> Results:
    """Read the results off the snapshot and the ledger. Raises PublishError before the first
    publication."""
    with published(desk.home) as con:
        capital = one(con, _CAPITAL) or {}
        year = one(con, _YEAR) or {}
        weeks = rows(con, _BY_WEEK)[::-1]
        policies = rows(con, _POLICIES)
        rehearsals = rows(con, _REHEARSALS)
        categories = rows(con, _CATEGORIES)
        days = {
            row["supplier_id"]: row["payment_days"] or 0
            for row in rows(
                con, "select supplier_id, payment_days from marts.dim_suppliers where is_current"
            )
        }
        came, coming = rows(con, _RECEIVED), rows(con, _COMING)
    cash = _cash(desk, came, coming, days)
    return Results(capital, year, weeks, policies, rehearsals, cash, categories)


def _cash(desk: Desk, came: list[Row], coming: list[Row], days: dict[str, float]) -> list[Row]:
    """What falls due for payment week by week: goods received and not due yet (what working
    capital takes off), open orders of the company's systems, and the ledger's own, approved and
    proposed. A bill is due so many days after its goods as its supplier's terms say."""
    timeline = timeline_of(desk.home)
    today = timeline.local_day(desk.now)
    first = today - timedelta(days=today.weekday())
    weeks = [first + timedelta(weeks=k) for k in range(WEEKS)]
    parts = ("received", "ordered", "proposed")
    found = {week: {"week": week} | dict.fromkeys(parts, 0.0) for week in weeks}

    def add(day: date, supplier: str, kind: str, money: float) -> None:
        paid = day + timedelta(days=float(days.get(supplier, 0)))
        if kind == "received" and paid <= today:
            return
        week = max(paid - timedelta(days=paid.weekday()), first)
        if week in found:
            found[week][kind] += money  # type: ignore[operator]

    for row in came:
        day = timeline.local_day(row["event_at"])
        add(day, row["supplier_id"], "received", float(row["money"]))
    for row in coming:
        add(row["due_on"] or today, row["from_id"], "ordered", row["money"])
    for line in lines_of(desk):
        if line.kind != "purchase" or line.ended:
            continue
        kind = "ordered" if line.is_approved else "proposed"
        units = line.open_quantity if line.is_approved else line.quantity
        add(date.fromisoformat(line.due_on[:10]), line.from_id, kind, units * line.unit_cost)
    return list(found.values())


_CAPITAL = """
select sum(stock_value) as stock_value, sum(on_order_value) as on_order_value,
    sum(payable_value) as payable_value, sum(working_capital) as working_capital
from metrics.kpi_working_capital
"""
_YEAR = "select * from metrics.kpi_yearly where scope = 'company'"
_BY_WEEK = """
select * from metrics.kpi_company_weekly order by week_start desc limit 52
"""
_POLICIES = """
select * from decisions.champions where total_cost is not null order by total_cost
"""
_REHEARSALS = """
select policy, as_of::date as day, max(total_cost)::double as cost
from decisions_history.champions where total_cost is not null
group by all order by day desc, policy limit 400
"""
_CATEGORIES = """
with held as (
    select planned.category,
        count(distinct planned.item_id) as items,
        sum(capital.stock_value) as stock_value, sum(capital.working_capital) as working_capital
    from marts.dim_item_locations as planned
    left join metrics.kpi_working_capital as capital
        on capital.item_id = planned.item_id and capital.location_id = planned.location_id
    group by 1
)
select held.* replace (coalesce(held.category, '–') as category), yearly.turns
from held left join metrics.kpi_yearly as yearly
    on yearly.scope = 'category' and yearly.category is not distinct from held.category
order by stock_value desc nulls last
"""
#: As kpi_working_capital prices and counts them: at the planned cost, where stock is counted.
_RECEIVED = """
select receipts.supplier_id, receipts.event_at,
    sum(receipts.quantity * planned.unit_cost) as money
from marts.fct_receipts as receipts
inner join marts.dim_suppliers as suppliers
    on suppliers.supplier_id = receipts.supplier_id and suppliers.is_current
inner join marts.dim_item_locations as planned
    on planned.item_id = receipts.item_id and planned.location_id = receipts.location_id
inner join metrics.kpi_working_capital as capital
    on capital.item_id = receipts.item_id and capital.location_id = receipts.location_id
where receipts.is_current group by 1, 2
"""
_COMING = """
select due_on, from_id, quantity * coalesce(unit_cost, 0) as money
from marts.fct_open_orders where kind = 'purchase' and origin = 'erp'
"""
