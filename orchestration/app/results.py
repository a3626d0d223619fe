"""What it was worth: money tied up, service, cost against the rules companies run, and bills to
come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from orchestration.app.looking import Row, one, published, rows
from orchestration.app.procurement import Desk

#: Weeks of the cash calendar.
WEEKS = 10
#: Weeks of a year and of a quarter.
YEAR, QUARTER = 52, 13


@dataclass(frozen=True)
class Results:
    """What an executive asks for first."""

    capital: Row
    year: Row
    weeks: list[Row]
    policies: list[Row]
    cash: list[Row]
    categories: list[Row]


def results(desk: Desk) -> Results:
    """Read the results off the snapshot and the ledger. Raises PublishError before the first
    publication."""
    with published(desk.home) as con:
        capital = one(con, _CAPITAL) or {}
        year = one(con, f"{_ENDED} {_YEAR}") or {}
        weeks = rows(con, f"{_ENDED} {_BY_WEEK}")[::-1]
        policies = rows(con, _POLICIES)
        categories = rows(con, _CATEGORIES)
        days = {
            row["supplier_id"]: row["payment_days"] or 0
            for row in rows(
                con, "select supplier_id, payment_days from marts.dim_suppliers where is_current"
            )
        }
        coming = rows(con, _COMING)
    return Results(capital, year, weeks, policies, _cash(desk, coming, days), categories)


def _cash(desk: Desk, coming: list[Row], days: dict[str, float]) -> list[Row]:
    """What falls due for payment week by week: open orders of the company's systems, and the
    ledger's own, approved and proposed."""
    first = desk.now.date() - timedelta(days=desk.now.weekday())
    weeks = [first + timedelta(weeks=k) for k in range(WEEKS)]
    found = {week: {"week": week, "ordered": 0.0, "proposed": 0.0} for week in weeks}

    def add(day: date, supplier: str, kind: str, money: float) -> None:
        paid = day + timedelta(days=float(days.get(supplier, 0)))
        week = max(paid - timedelta(days=paid.weekday()), first)
        if week in found:
            found[week][kind] += money  # type: ignore[operator]

    for row in coming:
        add(row["due_on"] or desk.now.date(), row["from_id"], "ordered", row["money"])
    for line in desk.ledger.lines():
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
#: The company by week, over the weeks that have ended.
_ENDED = f"""
with weeks as (
    select weekly.week_start, sum(sold_quantity) as sold, sum(lost_quantity) as lost,
        sum(revenue) as revenue, sum(lost_revenue) as lost_revenue,
        sum(cost_of_sales) as cost_of_sales, sum(stock_value) as stock_value,
        sum(due_lines) as due, sum(otif_lines) as otif
    from metrics.kpi_weekly as weekly, published.world as world
    where week_start + 7 <= cast(now_at as date)
    group by 1 order by 1 desc limit {YEAR + QUARTER}
)
"""
_YEAR = f"""
select min(week_start) as starts_on, max(week_start) + 6 as ends_on,
    sum(sold) / nullif(sum(sold) + sum(lost), 0) as fill_rate,
    sum(otif) / nullif(sum(due), 0) as otif_share, sum(lost_revenue) as lost_revenue,
    {YEAR} * avg(cost_of_sales) / nullif(avg(stock_value), 0) as turns,
    {YEAR} * avg(revenue - cost_of_sales) / nullif(avg(stock_value), 0) as gmroi
from (select * from weeks order by week_start desc limit {YEAR})
"""
#: Turns are those of the quarter that ends with the week; a week in which all was closed has no
#: fill rate.
_BY_WEEK = f"""
select week_start, sold, case when sold > 0 then sold / (sold + lost) end as fill_rate,
    otif / nullif(due, 0) as otif_share, stock_value,
    {YEAR} * avg(cost_of_sales) over quarter / nullif(avg(stock_value) over quarter, 0) as turns
from weeks
window quarter as (order by week_start rows between {QUARTER - 1} preceding and current row)
order by week_start desc limit {YEAR}
"""
_POLICIES = """
select * from decisions.champions where total_cost is not null order by total_cost
"""
_CATEGORIES = """
select coalesce(planned.category, '–') as category, count(distinct planned.item_id) as items,
    sum(capital.stock_value) as stock_value, sum(capital.working_capital) as working_capital,
    sum(turns.turns * turns.mean_on_hand) / nullif(sum(turns.mean_on_hand), 0) as turns
from marts.dim_item_locations as planned
left join metrics.kpi_working_capital as capital
    on capital.item_id = planned.item_id and capital.location_id = planned.location_id
left join metrics.kpi_turns as turns
    on turns.item_id = planned.item_id and turns.location_id = planned.location_id
group by 1 order by stock_value desc nulls last
"""
_COMING = """
select due_on, from_id, quantity * coalesce(unit_cost, 0) as money
from marts.fct_open_orders where kind = 'purchase' and origin = 'erp'
"""
