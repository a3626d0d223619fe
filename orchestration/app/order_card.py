"""All that is known of one order line: why this quantity, what the future may bring with and
without it, other ways, limits, and who did what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import duckdb
import polars as pl

from models.domain import need_id
from models.procurement.approval import Evidence, Verdict, judge
from models.procurement.documents import Document, Event
from orchestration.app import procurement
from orchestration.app.procurement import Desk
from orchestration.app.snapshot_queries import Row, lines_of, one, published, remembered, rows
from orchestration.facts.inbound import Inbound, order_name
from orchestration.home.sql import frame

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
    and without the order, marks (promotions), and signals: the days on which one was unusual, with
    how many standard deviations it lay off its mean (off)."""

    past: list[Row]
    ahead: list[Row]
    stock: list[Row]
    marks: list[Row]
    signals: list[Row]
    places: list[str]


def find_line(desk: Desk, need: str) -> Document:
    """The newest line of a need or document id. Raises LookupError where there is none."""
    return remembered(desk, "lines by name", lambda: _by_name(desk))[need]


def _by_name(desk: Desk) -> dict[str, Document]:
    """Every line by its document id and by its need's, which the newest one has."""
    lines = lines_of(desk)
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
        about = one(con, _NAME, {"item": line.item_id}) or {}
        places = places_fed(con, line.item_id, line.location_id)
        seen = chart(con, line.item_id, places, lines_of(desk), line)
    known = remembered(desk, "evidence", lambda: procurement.evidence(desk))
    evidence = known.get(line.document_id, Evidence())
    verdict = judge(line.kind, line.quantity, line.unit_cost, evidence, desk.ledger.limits())
    return Card(
        need_id(line.intent_key),
        line,
        version,
        about.get("name") or line.item_id,
        desk.currency,
        plan,
        [(part["part"], part["quantity"]) for part in parts],
        target,
        ways,
        limits,
        verdict,
        desk.ledger.history(document_ids=[line.document_id], limit=50)[::-1],
        seen,
    )


_NAME = "select name from marts.dim_items where item_id = $item and is_current"
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


def chart(
    con: duckdb.DuckDBPyConnection,
    item: str,
    places: list[str],
    lines: Sequence[Document],
    line: Document | None = None,
) -> Chart:
    """Demand and stock of an item over some places together.

    lines: the ledger's; line: the one that the stock is shown with and without. The quantiles of
    several places are added, which is wider than the truth.
    """
    given = {"item": item, "places": places}
    past = rows(con, _PAST, given)[::-1]
    ahead = rows(con, _AHEAD, given)
    stock = _projected(con, given, ahead, lines, line)
    since = given | {"first": past[0]["day"]} if past else None
    marks = rows(con, _MARKS, since) if since else []
    signals = rows(con, _SIGNALS, since) if since else []
    return Chart(past, ahead, stock, marks, signals, places)


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
#: Signals of the item or of where it is sold, where they lay this far off their own mean.
UNUSUAL = 2.0
_SIGNALS = f"""
with told as (
    select name, target_on as day, value,
        (value - avg(value) over same) / nullif(stddev(value) over same, 0) as off
    from marts.fct_signals
    where is_current and (item_id is null or item_id = $item)
        and (location_id is null or list_contains($places, location_id))
        and (region_id is null or region_id in (
            select region_id from marts.dim_locations
            where is_current and list_contains($places, location_id)))
    window same as (partition by name, region_id, location_id, item_id)
)
select day, name, any_value(value) as value, max_by(off, abs(off)) as off from told
where abs(off) >= {UNUSUAL} and day >= $first
group by day, name order by abs(max_by(off, abs(off))) desc limit 6
"""
_HAND = """
select sum(on_hand) as units from marts.fct_stock_positions
where item_id = $item and list_contains($places, location_id)
"""
_NODES = """
select item_id, location_id, lead_time_days from marts.dim_item_locations where item_id = $item
"""


def _projected(
    con: duckdb.DuckDBPyConnection,
    given: dict[str, Any],
    ahead: list[Row],
    lines: Sequence[Document],
    line: Document | None,
) -> list[Row]:
    """Expected stock at the end of each period, without and with the line: what is on hand and on
    its way as the ledger knows it now, less the mean forecast."""
    hand = one(con, _HAND, given)
    if not ahead or hand is None or hand["units"] is None:
        return []
    item, places = given["item"], given["places"]
    coming = Inbound.read(con, lines, [item], ahead[0]["day"])
    due = coming.as_it_is(frame(con, _NODES, {"item": item}))
    due = due.filter(pl.col("location_id").is_in(places))
    own = _own(due, line, places)
    others = due.join(own, on=due.columns, how="anti")
    moved = sum(coming.shifts.get((item, place), 0.0) for place in places)
    without, with_it, stock = float(hand["units"]) + moved, 0.0, []
    for first, last, row in _spans(ahead):
        without += _between(others, first, last) - (row["mean"] or 0.0)
        with_it += _between(own, first, last)
        stock.append({"day": row["day"], "without": without, "with": without + with_it})
    return stock


def _own(due: pl.DataFrame, line: Document | None, places: list[str]) -> pl.DataFrame:
    """What is still to come of one line: its deliveries on their way, or what it asks for before
    anybody approved it; nothing where it only moves goods between the places."""
    if line is None or line.ended or (line.kind == "transfer" and line.from_id in places):
        return due.clear()
    if line.stage == "requisition" and not line.is_firm:
        asked = {"quantity": line.quantity, "due_on": date.fromisoformat(line.due_on[:10])}
        return pl.DataFrame([asked], schema=due.schema)
    return due.filter(
        (pl.col("order_id") == order_name(line)) & (pl.col("location_id") == line.location_id)
    )


def _spans(ahead: list[Row]) -> list[tuple[date, date, Row]]:
    """Each period with its first day and the day after its last; what is overdue comes in the
    first."""
    days = [row["day"] for row in ahead]
    last = days[-1] + (days[-1] - days[-2] if len(days) > 1 else timedelta(days=1))
    return list(zip([date.min, *days[1:]], [*days[1:], last], ahead, strict=True))


def _between(due: pl.DataFrame, first: date, last: date) -> float:
    """Units that are due from one day to before another."""
    return float(
        due.filter(pl.col("due_on").is_between(first, last, closed="left"))["quantity"].sum()
    )
