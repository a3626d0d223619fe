"""All that is known of one order line: why this quantity, what the future may bring with and
without it, other ways, limits, and who did what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import duckdb

from models.domain import need_id
from models.procurement.approval import Evidence, Verdict, judge
from models.procurement.documents import Document, Event
from orchestration.app import procurement
from orchestration.app.looking import Row, names, one, published, remembered, rows
from orchestration.app.procurement import Desk

#: How many periods of the past stand before a forecast.
PAST = 56


@dataclass(frozen=True)
class Card:
    """One order line. plan: its row of decisions.order_lines, None for a line no current plan has.

    parts: (part, quantity) that add up to the plan's quantity. verdict: whom the approval matrix
    asks. ways: other ways to the goods. legacy: what other rules would order.
    """

    need: str
    line: Document
    version: int
    item: str
    currency: str
    plan: Row | None
    parts: list[tuple[str, float]]
    target: Row | None
    ways: list[Row]
    limits: list[Row]
    verdict: Verdict
    history: list[Event]
    chart: Chart

    @property
    def value(self) -> float:
        """What the line costs."""
        return self.line.quantity * self.line.unit_cost


@dataclass(frozen=True)
class Chart:
    """Demand of a place and those it feeds: past (day, units, unknown), forecast bands, stock with
    and without the order, and marks (promotions)."""

    past: list[Row]
    ahead: list[Row]
    stock: list[Row]
    marks: list[Row]
    places: list[str]


def find_line(desk: Desk, need: str) -> Document:
    """The newest line of a need or document id. Raises LookupError where there is none."""
    return remembered(desk, "lines by name", lambda: _by_name(desk))[need]


def _by_name(desk: Desk) -> dict[str, Document]:
    """Every line by its document id and by its need's, which the newest one has."""
    lines = desk.ledger.lines()
    needs = {need_id(line.intent_key): line for line in lines}
    return needs | {line.document_id: line for line in lines}


def order_card(desk: Desk, need: str) -> Card:
    """Everything about one line. Raises LookupError for an unknown one, PublishError before the
    first publication."""
    line = find_line(desk, need)
    version = desk.ledger.store.versions([line.document_id])[line.document_id]
    given = {"item": line.item_id, "place": line.location_id}
    with published(desk.home) as con:
        plan = one(con, _PLAN, {"need": need_id(line.intent_key)})
        parts = rows(con, _PARTS, {"id": plan["order_line_id"]}) if plan else []
        target = one(
            con,
            "select * from decisions.targets where item_id = $item and location_id = $place",
            given,
        )
        ways = rows(con, _WAYS, given)
        limits = rows(con, "select * from decisions.limits order by shadow_price desc, name")
        item = names(con).get(line.item_id, line.item_id)
        chart = _chart(con, line)
    evidence = procurement.evidence(desk).get(line.document_id, Evidence())
    verdict = judge(line.kind, line.quantity, line.unit_cost, evidence, desk.ledger.limits())
    return Card(
        need_id(line.intent_key),
        line,
        version,
        item,
        desk.currency,
        plan,
        [(part["part"], part["quantity"]) for part in parts],
        target,
        ways,
        limits,
        verdict,
        desk.ledger.history(document_ids=[line.document_id], limit=50)[::-1],
        chart,
    )


_PLAN = "select * from decisions.order_lines where ends_with(order_line_id, '-' || $need)"
_PARTS = "select part, quantity from decisions.explanations where order_line_id = $id"
_WAYS = """
select * from decisions.alternatives
where item_id = $item and location_id = $place order by rank
"""
#: A place and every place it feeds with this item: their demand is why it orders.
SERVED = """
with recursive served as (
    select $place as location_id
    union
    select fed.location_id from served join marts.dim_item_locations as fed
      on fed.from_id = served.location_id and fed.item_id = $item and fed.kind = 'transfer'
) select location_id from served order by location_id
"""


def places_fed(con: duckdb.DuckDBPyConnection, item: str, place: str) -> list[str]:
    """A place and the places it feeds with an item."""
    found = con.execute(SERVED, {"item": item, "place": place}).fetchall()
    return [name for (name,) in found]


def _chart(con: duckdb.DuckDBPyConnection, line: Document) -> Chart:
    places = places_fed(con, line.item_id, line.location_id)
    order: dict[str, Any] = {"due": line.due_on[:10], "quantity": line.quantity}
    if line.kind == "transfer" and line.from_id in places:
        order["quantity"] = 0.0
    return chart(con, line.item_id, places, order, waits=not line.is_approved)


def chart(
    con: duckdb.DuckDBPyConnection,
    item: str,
    places: list[str],
    order: dict[str, Any] | None = None,
    *,
    waits: bool = True,
) -> Chart:
    """Demand and stock of an item over some places together.

    order: due (ISO day) and quantity of a line; waits: whether it is not among the open orders yet.
    The quantiles of several places are added, which is wider than the truth.
    """
    given = {"item": item, "places": places}
    past = rows(con, _PAST, given)[::-1]
    ahead = rows(con, _AHEAD, given)
    stock = _projected(con, given, ahead, order, waits=waits)
    marks = rows(con, _MARKS, given | {"first": past[0]["day"]}) if past else []
    return Chart(past, ahead, stock, marks, places)


_PAST = f"""
select period_start as day, sum(quantity) as units, bool_or(is_censored) as is_censored
from marts.fct_demand
where item_id = $item and list_contains($places, location_id) and is_current
group by 1 order by 1 desc limit {PAST}
"""
_AHEAD = """
select period_start as day,
    sum(value) filter (quantile is null) as mean,
    sum(value) filter (quantile = 0.025) as p025, sum(value) filter (quantile = 0.25) as p25,
    sum(value) filter (quantile = 0.5) as p50,
    sum(value) filter (quantile = 0.75) as p75, sum(value) filter (quantile = 0.975) as p975
from decisions.forecasts
where item_id = $item and list_contains($places, location_id) group by 1 order by 1
"""
_MARKS = """
select distinct name, kind, starts_on, ends_on from marts.fct_promotions
where is_current and ends_on >= $first
    and (item_id is null or item_id = $item)
    and (location_id is null or list_contains($places, location_id))
order by starts_on limit 6
"""
_HAND = """
select sum(on_hand) as units from marts.fct_stock_positions
where item_id = $item and list_contains($places, location_id)
"""
_DUE = """
select due_on as day, sum(quantity) as units from marts.fct_open_orders
where item_id = $item and list_contains($places, location_id)
    and not list_contains($places, coalesce(from_id, '')) group by 1 order by 1
"""


def _projected(
    con: duckdb.DuckDBPyConnection,
    given: dict[str, Any],
    ahead: list[Row],
    order: dict[str, Any] | None,
    *,
    waits: bool,
) -> list[Row]:
    """Expected stock at the end of each period, without and with the order: stock on hand, plus
    what is due, less the mean forecast."""
    hand = one(con, _HAND, given)
    if not ahead or hand is None or hand["units"] is None:
        return []
    due = [(row["day"], row["units"]) for row in rows(con, _DUE, given)]
    without, stock = float(hand["units"]), []
    units = order["quantity"] if order else 0.0
    for row in ahead:
        arrived = [pair for pair in due if pair[0] is None or pair[0] <= row["day"]]
        due = [pair for pair in due if pair not in arrived]
        without += sum(pair[1] for pair in arrived) - (row["mean"] or 0.0)
        is_in = order is not None and row["day"].isoformat() >= order["due"]
        other = without + units * is_in if waits else without - units * is_in
        with_it, less = (other, without) if waits else (without, other)
        stock.append({"day": row["day"], "without": less, "with": with_it})
    return stock
