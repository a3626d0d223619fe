"""Inbound: what was on its way when the last plan was published, and what the ledger has heard
of it since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb
import numpy as np
import polars as pl

from models.domain import SERIES, Floats
from models.procurement.documents import REFUSED, Document
from orchestration.home.sql import frame

#: Open orders of some items as they were published; one without a day is due now.
OPEN_ORDERS = """
    select order_id, origin, item_id, location_id, from_id, quantity,
        coalesce(due_on, $today) as due_on
    from marts.fct_open_orders where item_id in (select unnest($items))
"""
#: Which of these orders the company's systems knew by then.
KNOWN_ORDERS = """
    select distinct order_id from marts.fct_lead_times where order_id in (select unnest($orders))
"""
#: Units of these orders that the company's systems booked in, by order and line.
RECEIVED = """
    select order_id || '/' || coalesce(line_id, ''), sum(quantity) from marts.fct_receipts
    where is_current and order_id in (select unnest($orders)) group by 1
"""


@dataclass(frozen=True)
class Inbound:
    """Deliveries on their way: as published, as the ledger's lines stand now, and stock the ledger
    moved since.

    as_planned: order_id, item_id, location_id, from_id, quantity, due_on, as the last plan saw
    them. others: those of the company's systems, on the day the ledger last heard. lines: the
    ledger's own that these systems do not show. shifts: units by item and location.
    """

    as_planned: pl.DataFrame
    others: pl.DataFrame
    lines: Sequence[Document]
    shifts: Mapping[tuple[str, str], float]

    @classmethod
    def read(
        cls,
        con: duckdb.DuckDBPyConnection,
        lines: Sequence[Document],
        items: Collection[str],
        today: date,
    ) -> Inbound:
        """The published open orders of some items, and the ledger's lines of them; a line the
        company's systems show counts there, once."""
        lines = [line for line in lines if line.item_id in items]
        ours = {"orders": sorted({name for d in lines for name in (order_name(d), d.order_id)})}
        published = frame(con, OPEN_ORDERS, {"items": sorted(items), "today": today})
        known = {order for (order,) in con.execute(KNOWN_ORDERS, ours).fetchall()}
        received = dict(con.execute(RECEIVED, ours).fetchall())
        others = published.filter(pl.col("origin") == "erp")
        theirs = set(others["order_id"])
        unseen = [_delivery(d, d.quantity - d.received, d.asked_on) for d in _asked(lines, known)]
        ahead = pl.DataFrame(unseen, schema=_DELIVERY, orient="row")
        return cls(
            pl.concat([published.select(list(_DELIVERY)), ahead]),
            _as_answered(others, lines).select(list(_DELIVERY)),
            [d for d in lines if order_name(d) not in theirs and d.open_quantity > 0],
            _shifts(lines, known, received),
        )

    def moved(self, rows: pl.DataFrame) -> Floats:
        """(N,) units by which the ledger has moved the rows' stock since it was published: goods
        booked in, transfers sent off."""
        return np.array([self.shifts.get(key, 0.0) for key in rows.select(SERIES).iter_rows()])

    def as_it_is(self, nodes: pl.DataFrame) -> pl.DataFrame:
        """Deliveries as suppliers last said: what a ship notice leaves out comes one more lead time
        later."""
        lead = dict(zip(nodes.select(SERIES).iter_rows(), nodes["lead_time_days"], strict=True))
        found = []
        for d in self.lines:
            shipped = sum(d.shipments.values())
            rest = max(d.ordered - max(shipped, d.received), 0.0) if shipped else 0.0
            later = date.fromisoformat(d.due_on[:10]).toordinal() + round(
                lead.get((d.item_id, d.location_id)) or 0
            )
            found.append(_delivery(d, d.open_quantity - rest, d.due_on))
            if rest:
                found.append(_delivery(d, rest, date.fromordinal(later).isoformat()))
        return pl.concat([self.others, pl.DataFrame(found, schema=_DELIVERY, orient="row")])


_DELIVERY = {
    "order_id": pl.String,
    "item_id": pl.String,
    "location_id": pl.String,
    "from_id": pl.String,
    "quantity": pl.Float64,
    "due_on": pl.Date,
}


def order_name(line: Document) -> str:
    """A line's order as the marts know it."""
    return line.order_id if line.kind == "purchase" else f"{line.order_id}/{line.line_id}"


def _asked(lines: Sequence[Document], known: Collection[str]) -> list[Document]:
    """The ledger's approved lines that have not come whole and that no system shows."""
    return [
        d
        for d in lines
        if d.is_approved
        and d.ended in ("", REFUSED)
        and d.received < d.quantity
        and order_name(d) not in known
    ]


def _as_answered(others: pl.DataFrame, lines: Sequence[Document]) -> pl.DataFrame:
    """The systems' open orders, each on the day its supplier last said."""
    keys = ("order_id", "item_id", "location_id")
    answers = {
        (order_name(d), d.item_id, d.location_id): date.fromisoformat(d.due_on[:10])
        for d in lines
        if d.order_id
    }
    rows = others.select(*keys, "due_on").iter_rows()
    days = [answers.get((order, item, location), day) for order, item, location, day in rows]
    return others.with_columns(due_on=pl.Series(days, dtype=pl.Date))


def _shifts(
    lines: Sequence[Document], known: Collection[str], received: Mapping[str, float]
) -> dict[tuple[str, str], float]:
    """Units by item and location that the ledger moved and no system shows yet: transfers sent off,
    goods booked in."""
    shifts: defaultdict[tuple[str, str], float] = defaultdict(float)
    for d in lines:
        if not d.order_id:
            continue
        if d.kind == "transfer" and d.is_approved and not d.ended and order_name(d) not in known:
            shifts[d.item_id, d.from_id] -= d.quantity
        news = d.received - received.get(f"{d.order_id}/{d.line_id}", 0.0)
        if d.kind == "purchase" and news > 0:
            shifts[d.item_id, d.location_id] += news
    return dict(shifts)


def _delivery(line: Document, quantity: float, day: str) -> tuple[str, str, str, str, float, date]:
    due_on = date.fromisoformat(day[:10])
    return order_name(line), line.item_id, line.location_id, line.from_id, quantity, due_on
