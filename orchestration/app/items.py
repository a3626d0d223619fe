"""What is planned, item by item: stock, cover, orders under way, forecast, suppliers and what
people did about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from models.procurement.documents import Document, Event
from orchestration.app.audit_trail import DECISIONS
from orchestration.app.order_card import Chart, chart, places_fed
from orchestration.app.procurement import Desk
from orchestration.app.snapshot_queries import Row, lines_of, one, published, rows
from orchestration.home import Home
from orchestration.planning.override_journal import Entry, entries

PAGE = 50
#: So many decisions about an item stand on its page.
DECIDED = 20
SORTS = {
    "risk": "risk desc nulls last, planned.item_id, planned.location_id",
    "item": "planned.item_id, planned.location_id",
    "cover": "cover.cover_days asc nulls last, planned.item_id",
    "value": "value desc nulls last, planned.item_id",
}
_FROM = """
from marts.dim_item_locations as planned
left join marts.dim_items as item on item.item_id = planned.item_id and item.is_current
left join marts.fct_stock_positions as stock
    on stock.item_id = planned.item_id and stock.location_id = planned.location_id
left join metrics.kpi_cover_days as cover
    on cover.item_id = planned.item_id and cover.location_id = planned.location_id
left join decisions.targets as target
    on target.item_id = planned.item_id and target.location_id = planned.location_id
where ($search = '' or contains(lower(planned.item_id), $search)
        or contains(lower(coalesce(item.name, '')), $search))
    and ($place = '' or planned.location_id = $place)
    and ($category = '' or planned.category = $category)
"""
#: The chance that a shelf runs empty, with the plan's orders and if nothing is ordered: the larger
#: of that before what is ordered now can come and that while it acts. Every list says this one.
RISK = "greatest(target.stock_out_risk_before, target.stock_out_risk_with)"
RISK_WITHOUT = "greatest(target.stock_out_risk_before, target.stock_out_risk_without)"
_COLUMNS = f"""
select planned.*, coalesce(item.name, planned.item_id) as item, stock.on_hand, stock.on_order,
    cover.cover_days, cover.daily_issues, stock.on_hand * planned.unit_cost as value,
    {RISK} as risk, {RISK_WITHOUT} as risk_without,
    target.stock_out_on, target.item_class, target.quantity as proposed, target.safety_stock,
    target.order_up_to, target.expected_demand, target.completeness
"""


@dataclass(frozen=True)
class ItemList:
    """One page of a list: its rows, how many there are in all, and what may be filtered by."""

    rows: list[Row]
    total: int
    places: list[str]
    categories: list[str]


def item_list(
    home: Home, search: str, place: str, category: str, sort: str, page: int, size: int = PAGE
) -> ItemList:
    """One page of what is planned, searched and sorted by the snapshot itself."""
    given = {"search": search.lower(), "place": place, "category": category}
    order = SORTS.get(sort, SORTS["risk"])
    with published(home) as con:
        counted = one(con, f"select count(*) as total {_FROM}", given)
        found = rows(
            con,
            f"{_COLUMNS} {_FROM} order by {order} limit $size offset $skip",
            given | {"size": size, "skip": max(page - 1, 0) * size},
        )
        values = (
            "select distinct {} as v from marts.dim_item_locations where v is not null order by 1"
        )
        places = [row["v"] for row in rows(con, values.format("location_id"))]
        categories = [row["v"] for row in rows(con, values.format("category"))]
    return ItemList(found, counted["total"] if counted else 0, places, categories)


@dataclass(frozen=True)
class ItemPage:
    """One item: about it, its places, what is on its way, its promises, and what people did.

    overrides: also those that ended. decisions: what was decided of its lines, the newest first,
    each with its line.
    """

    about: Row
    places: list[Row]
    coming: list[Row]
    lines: list[Document]
    overrides: list[Entry]
    decisions: list[tuple[Event, Document]]
    chart: Chart
    accuracy: list[Row]
    suppliers: list[Row]
    metrics: Row


def item_page(desk: Desk, item: str, place: str = "") -> ItemPage:
    """Everything about one item, its chart for one place or all. Raises LookupError for an
    unknown one."""
    given: dict[str, Any] = {"search": "", "place": "", "category": "", "item": item}
    with published(desk.home) as con:
        about = one(
            con,
            "select * from marts.dim_items where item_id = $item and is_current",
            {"item": item},
        )
        places = rows(
            con, f"{_COLUMNS} {_FROM} and planned.item_id = $item order by role, 2", given
        )
        if not places:
            raise LookupError(item)
        all_of = [row["location_id"] for row in places]
        shown = places_fed(con, item, place) if place else all_of
        coming = rows(con, _COMING, {"item": item})
        ahead = chart(con, item, shown, lines_of(desk))
        suppliers = rows(con, _SUPPLIERS, {"item": item})
        metrics = one(con, _METRICS, {"item": item}) or {}
        accuracy = rows(con, _KEPT, {"item": item, "places": shown})
    mine = [line for line in lines_of(desk) if line.item_id == item]
    overrides = [one for one in entries(desk.home) if one.override.scope.get("item_id") == item]
    by_name = {line.document_id: line for line in mine}
    said = desk.ledger.history(DECISIONS, list(by_name), limit=DECIDED) if mine else []
    return ItemPage(
        about or {"item_id": item, "name": item, "category": None},
        places,
        coming,
        mine[::-1],
        overrides[::-1],
        [(event, by_name[event.document_id]) for event in said],
        ahead,
        accuracy,
        suppliers,
        metrics,
    )


_COMING = """
select * from marts.fct_open_orders where item_id = $item order by due_on nulls first limit 50
"""
_SUPPLIERS = """
select terms.*, coalesce(supplier.name, terms.supplier_id) as name
from marts.dim_supplier_terms as terms
left join marts.dim_suppliers as supplier
    on supplier.supplier_id = terms.supplier_id and supplier.is_current
where terms.item_id = $item and terms.is_current
"""
_METRICS = """
select (select gmroi from metrics.kpi_gmroi where item_id = $item) as gmroi,
    (select sum(issued_quantity) from metrics.kpi_turns where item_id = $item) as issued,
    (select sum(lost_quantity) from metrics.kpi_lost_sales where item_id = $item) as lost
"""
_KEPT = """
select forecast.as_of, forecast.period_start as day, sum(forecast.value) as forecast,
    sum(demand.quantity) as demand
from decisions_history.forecasts as forecast
join marts.fct_demand as demand on demand.item_id = forecast.item_id
    and demand.location_id = forecast.location_id and demand.period_start = forecast.period_start
    and demand.is_current
where forecast.item_id = $item and forecast.quantile is null
    and list_contains($places, forecast.location_id)
group by 1, 2 order by 2 desc limit 56
"""
