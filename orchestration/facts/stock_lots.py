"""Until when the stock that is there can be sold, lot by lot, where a world counts lots with a
date."""

from __future__ import annotations

import duckdb
import numpy as np
import polars as pl

from models.domain import Floats
from models.forecasting.inputs import locate
from orchestration.facts.opening_stock import HEIRS
from orchestration.facts.timeline import Timeline
from orchestration.home.sql import frame

#: What the last count has of each item and place by the first day on which it cannot be sold; lots
#: of an older count than the stock's say nothing any more.
DATED = f"""
    with newest as (
        select item_id, location_id, max(event_at) as event_at
        from marts.fct_stock where is_current and on_hand is not null group by all
    )
    select coalesce(heirs.successor_id, facts.item_id) as item_id, facts.location_id,
        expires_on, sum(greatest(available, 0) * coalesce(heirs.share, 1)) as quantity
    from marts.fct_stock_lots as facts
    join newest using (item_id, location_id, event_at)
    {HEIRS}
    where facts.is_current and expires_on > $day
    group by all order by all
"""


def read_lots(
    con: duckdb.DuckDBPyConnection, nodes: pl.DataFrame, timeline: Timeline, periods: int
) -> Floats:
    """(N, periods + 1) units of the last count by the last whole period in which they can be sold,
    column 0 the first period planned, the last column later ones; what has not a whole period left
    stands in the first. What is blocked, past its date at Now, or has none is left out.
    """
    lots = np.zeros((len(nodes), periods + 1))
    dated = frame(con, DATED, {"day": timeline.local_day(timeline.now_at)})
    for row, day, quantity in zip(
        locate(dated, nodes), dated["expires_on"], dated["quantity"], strict=True
    ):
        last = max(timeline.periods_from(timeline.origin, day) - 1, 0)
        if row >= 0:
            lots[row, min(last, periods)] += quantity
    return lots
