"""What is there and on its way when a plan or a replay begins, at Now or at a past midnight."""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np
import polars as pl

from models.domain import SERIES, Floats
from models.forecasting.inputs import locate
from models.replenishment.implausible_lines import YEAR_DAYS
from models.replenishment.opening_state import Opening
from orchestration.facts.timeline import Timeline
from orchestration.home.sql import frame

#: Facts of an item whose place others have taken are facts of theirs, by their share.
HEIRS = "left join marts.dim_successions as heirs on facts.item_id = heirs.item_id"
#: What is on its way at Now, by the day it is due.
ON_THE_WAY = f"""
    select coalesce(heirs.successor_id, facts.item_id) as item_id, location_id, due_at,
        quantity * coalesce(heirs.share, 1) as quantity
    from marts.fct_open_orders as facts {HEIRS}
"""
#: Stock at Now; not known where goods moved but nobody ever counted.
STOCK = (
    "select item_id, location_id, on_hand, stock_known_at, is_unknown from "
    "marts.fct_stock_positions"
)
#: Stock at an instant: the last count before it and everything that moved since. Item, location,
#: units.
STOCK_AT = f"""
    with counts as (
        select item_id, location_id, event_at, on_hand from marts.fct_stock
        where is_current and on_hand is not null and event_at <= $at
        qualify row_number() over (partition by item_id, location_id order by event_at desc,
            known_at desc) = 1
    ),
    facts as (
        select counts.item_id, counts.location_id,
            any_value(counts.on_hand) + coalesce(sum(moves.delta), 0) as on_hand
        from counts
        left join intermediate.int_stock_moved as moves
            on moves.item_id = counts.item_id and moves.location_id = counts.location_id
            and moves.event_at >= counts.event_at and moves.event_at < $at
        group by counts.item_id, counts.location_id
    )
    select coalesce(heirs.successor_id, facts.item_id) as item_id, location_id,
        sum(on_hand * coalesce(heirs.share, 1)) as on_hand
    from facts {HEIRS} group by 1, 2
"""
#: What moved before an instant: where it did and nobody ever counted, the stock is unknown; where
#: nothing did, there is none.
MOVED_BY = f"""
    select distinct coalesce(heirs.successor_id, facts.item_id) as item_id, location_id
    from intermediate.int_stock_moved as facts {HEIRS} where event_at < $at
"""
#: Orders placed before an instant and not complete at it; of one that is open to this day, what has
#: not come in.
OPEN_AT = f"""
    select
        coalesce(heirs.successor_id, facts.item_id) as item_id, location_id,
        coalesce(due_at, received_at) as due_at,
        sum((quantity - case when received_at is null then received_quantity else 0 end)
            * coalesce(heirs.share, 1)) as quantity
    from intermediate.int_orders_received as facts {HEIRS}
    where ordered_at < $at and (received_at is null or received_at >= $at) and (closed_at is null
        or closed_at >= $at)
    group by all
"""


def read_current_opening(
    con: duckdb.DuckDBPyConnection, nodes: pl.DataFrame, timeline: Timeline, horizon: int
) -> Opening | None:
    """Stock and open orders at Now, or None where the world keeps no stock records."""
    stock = nodes.select(SERIES).join(
        frame(con, STOCK), on=SERIES, how="left", maintain_order="left"
    )
    if stock["stock_known_at"].null_count() == len(stock):
        return None
    unknown = pl.when(pl.col("is_unknown")).then(float("nan")).otherwise("on_hand")
    on_hand = stock.select(unknown.fill_null(0.0)).to_series().to_numpy()
    coming = frame(con, ON_THE_WAY)
    due = due_by_period(coming, nodes, timeline, start=timeline.origin, horizon=horizon)
    return Opening(on_hand, due, is_assumed=False)


def read_past_opening(
    con: duckdb.DuckDBPyConnection,
    nodes: pl.DataFrame,
    timeline: Timeline,
    *,
    start: date,
    horizon: int,
) -> Opening | None:
    """Stock and open orders at the midnight beginning a past day, or None where the world kept no
    stock by then.

    A replay starts from it; at Now it says the same as read_current_opening.
    """
    at = {"at": timeline.cutoff(start).replace(tzinfo=None)}
    stock = frame(con, STOCK_AT, at)
    if stock.is_empty():
        return None
    moved = frame(con, MOVED_BY, at).with_columns(untouched=pl.lit(float("nan")))
    state = nodes.select(SERIES).join(stock, on=SERIES, how="left", maintain_order="left")
    state = state.join(moved, on=SERIES, how="left", maintain_order="left")
    on_hand = state.select(pl.coalesce("on_hand", "untouched", 0.0)).to_series()
    coming = frame(con, OPEN_AT, at)
    due = due_by_period(coming, nodes, timeline, start=start, horizon=horizon)
    return Opening(on_hand.to_numpy(), due, is_assumed=False)


def due_by_period(
    orders: pl.DataFrame, nodes: pl.DataFrame, timeline: Timeline, *, start: date, horizon: int
) -> Floats:
    """(N, horizon + 1) units on the way by the period they are due in; what is overdue or undated
    comes in the first.

    orders: item_id, location_id, quantity and due_at (UTC moments) or due_on (local days). An order
    for something no longer planned brings stock to nobody here, nor does one that is due after more
    than YEAR_DAYS, beyond the forecast: its year may be mistyped, and what is needed before it
    comes has to be ordered all the same.
    """
    if "due_on" not in orders.columns:
        moments = orders["due_at"].cast(pl.Datetime)
        orders = orders.with_columns(due_on=timeline.local_days(moments))
    due = np.zeros((len(nodes), horizon + 1))
    rows = locate(orders, nodes)
    for row, day, quantity in zip(rows, orders["due_on"], orders["quantity"], strict=True):
        column = max(0, timeline.periods_from(start, day)) if day else 0
        is_far = day is not None and column > horizon and (day - start).days > YEAR_DAYS
        if row >= 0 and not is_far:
            due[row, min(column, horizon)] += quantity
    return due
