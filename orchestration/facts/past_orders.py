"""What the company really ordered, as its own systems recorded it."""

from __future__ import annotations

from datetime import date

import duckdb
import numpy as np
import polars as pl

from models.forecasting.inputs import locate
from models.twin.trust import PastOrders
from orchestration.facts.timeline import Timeline
from orchestration.home.sql import frame

#: Every order line from a moment on and when it came; of a line that was closed early what had come
#: by then, as no more of it was ever on the way.
ORDERED = """
    select item_id, location_id, ordered_at,
        case when closed_at is null then quantity else received_quantity end as units,
        coalesce(received_at, closed_at) as received_at
    from intermediate.int_orders_received
    where ordered_at >= $at and units > 0 and kind in ('purchase', 'transfer')
"""


def read_past_orders(
    con: duckdb.DuckDBPyConnection,
    nodes: pl.DataFrame,
    timeline: Timeline,
    *,
    start: date,
    periods: int,
) -> PastOrders:
    """What was ordered for these nodes in so many periods from `start` on; orders of one period
    come when the last of them came.
    """
    at = timeline.cutoff(start).replace(tzinfo=None)
    orders = frame(con, ORDERED, {"at": at})
    placed, took = np.zeros((nodes.height, periods)), np.zeros((nodes.height, periods), np.int64)
    began = timeline.local_days(orders["ordered_at"].cast(pl.Datetime))
    received = timeline.local_days(orders["received_at"].cast(pl.Datetime))
    lines = zip(locate(orders, nodes), began, received, orders["units"], strict=True)
    for row, day, end, units in lines:
        k = timeline.periods_from(start, day)
        if row < 0 or not 0 <= k < periods:
            continue
        placed[row, k] += float(units)
        until = timeline.periods_from(day, end) if end else periods
        took[row, k] = max(took[row, k], until)
    return PastOrders(placed, took)
