"""One look at a morning: what the machine did, what needs a person, what is at risk, and whether
everything is in order."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from models.procurement.documents import Document
from orchestration.app.items import RISK
from orchestration.app.limits import Autonomy, autonomy
from orchestration.app.order_book import order_book
from orchestration.app.procurement import Desk
from orchestration.app.snapshot_queries import Row, lines_of, one, published, remembered, rows
from orchestration.app.supply_exceptions import trouble
from orchestration.app.worklist import OPEN, WORKING, money_at_risk, worklist

SHOWN = 6


@dataclass(frozen=True)
class Today:
    """The morning's figures. stages: lines and value by how far they are. cases: the most at risk.

    waiting: the largest lines that a person has to approve. risks: where stock may run out. late:
    lines that will not come as asked. mail: messages of the outbox by status.
    """

    stages: dict[str, tuple[int, float]]
    autonomy: Autonomy
    waiting: pl.DataFrame
    waiting_count: int
    waiting_value: float
    cases: pl.DataFrame
    case_count: int
    value_at_risk: float
    risks: list[Row]
    risk_count: int
    late: list[tuple[Document, str]]
    mail: dict[str, int]
    is_stopped: bool
    limits_waiting: str
    stock: Row
    model: Row
    stairs: list[Row]
    spend: list[Row]


def today(desk: Desk) -> Today:
    """Read the morning off the snapshot and the ledger. Raises PublishError before the first
    publication."""
    return remembered(desk, "today", lambda: _today(desk))


def _today(desk: Desk) -> Today:
    lines = lines_of(desk)
    stages: dict[str, tuple[int, float]] = {}
    for line in lines:
        count, value = stages.get(line.stage, (0, 0.0))
        stages[line.stage] = (count + 1, value + line.quantity * line.unit_cost)
    book = order_book(desk).filter(pl.col("status") == "requisition")
    cases = worklist(desk).filter(pl.col("status").is_in([OPEN, WORKING]))
    waiting = desk.ledger.proposed_limits()
    with published(desk.home) as con:
        risks = rows(con, _RISKS)
        counted = one(con, _COUNTED) or {}
        stock = one(con, _STOCK) or {}
        model = one(con, _MODEL) or {}
        stairs = rows(con, _STAIRS)
        spend = rows(con, _SPEND)
    return Today(
        stages,
        autonomy(desk),
        book.head(SHOWN),
        len(book),
        float(book["value"].sum() or 0),
        cases.head(SHOWN),
        len(cases),
        money_at_risk(cases),
        risks,
        counted.get("places", 0),
        [(line, why) for line in lines if (why := trouble(line))],
        desk.ledger.mail(),
        desk.ledger.is_stopped(),
        waiting[1] if waiting else "",
        stock,
        model,
        stairs,
        spend,
    )


#: Where it is likelier than one in ten that stock runs out before the next order can help.
_AT_RISK = f"where {RISK} >= 0.1"
_COUNTED = f"select count(*) as places from decisions.targets as target {_AT_RISK}"
_RISKS = f"""
select target.*, coalesce(item.name, target.item_id) as item,
    {RISK} as risk,
    target.expected_demand * planned.price as value_at_risk
from decisions.targets as target
left join marts.dim_items as item on item.item_id = target.item_id and item.is_current
left join marts.dim_item_locations as planned
    on planned.item_id = target.item_id and planned.location_id = target.location_id
{_AT_RISK}
order by value_at_risk desc nulls last, risk desc, 1, 2 limit {SHOWN}
"""
_STOCK = """
select (select sum(stock_value) from metrics.kpi_working_capital) as stock_value,
    (select sum(working_capital) from metrics.kpi_working_capital) as working_capital,
    (select sum(on_order_value) from metrics.kpi_working_capital) as on_order_value,
    (select count(*) from metrics.kpi_cover_days where on_hand <= 0) as empty,
    (select count(*) from metrics.kpi_cover_days) as counted
"""
_MODEL = "select * from decisions.models order by as_of desc limit 1"
#: Forecast value added: simple methods and the model, on the same rehearsed weeks.
_STAIRS = "select method, wape, bias from decisions.forecast_scores order by stair"
_SPEND = """
select line.from_id as supplier_id, coalesce(any_value(supplier.name), line.from_id) as name,
    sum(line.value) as value, count(*) as lines
from decisions.order_lines as line
left join marts.dim_suppliers as supplier
    on supplier.supplier_id = line.from_id and supplier.is_current
where line.kind = 'purchase' group by 1 order by value desc limit 8
"""
