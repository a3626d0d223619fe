"""How much of what a decision needs is really there, per item and location: below a threshold a
person decides, not the line."""

from __future__ import annotations

import duckdb
import polars as pl

#: The score below which an item-location is kept off the automatic path.
ENOUGH = 0.6

#: Days of history that count as a full one, and how long a stock count stays fresh.
HISTORY_DAYS, STOCK_DAYS = 182, 35

SCORES = """
with recursive feeds as (
    select item_id, from_id as location_id, item_id as fed_item, location_id as fed_location
    from marts.dim_item_locations where kind = 'transfer'
    union
    select bills.part_id, made.location_id, made.item_id, made.location_id
    from marts.dim_bills_of_materials as bills
    join marts.dim_item_locations as made using (item_id) where made.kind = 'purchase'
),
-- a warehouse is known as well as the shops it feeds, a part as what is made of it
serves as (
    select item_id, location_id, item_id as asked_item, location_id as shop_id
    from marts.dim_item_locations
    union
    select feeds.item_id, feeds.location_id, serves.asked_item, serves.shop_id
    from serves join feeds
      on feeds.fed_item = serves.item_id and feeds.fed_location = serves.location_id
),
demand as (
    select
        serves.item_id, serves.location_id,
        count(quantity) / count(*) as known_share,
        least(1, date_diff('day', min(period_start),
            max(period_start) + 1) / $history_days) as history_share
    from serves join marts.fct_demand as demand on demand.item_id = serves.asked_item
        and demand.location_id = serves.shop_id
    where is_current and period_start >= (select now_at::date from raw.world) - $history_days
    group by all
),
stock as (
    select
        item_id, location_id,
        greatest(0, 1 - date_diff('day', max(stock_known_at),
            max(world.now_at)) / $stock_days) as freshness
    from marts.fct_stock_positions, raw.world as world
    group by all
),
shares as (
    select
        planned.item_id, planned.location_id,
        coalesce(demand.known_share, 0) as demand_known_share,
        coalesce(demand.history_share, 0) as history_share,
        coalesce(stock.freshness, 0) as stock_freshness,
        coalesce(planned.unit_cost > 0 and planned.lead_time_days is not null,
            false)::double as terms_known
    from marts.dim_item_locations as planned
    left join demand using (item_id, location_id)
    left join stock using (item_id, location_id)
)
select *, (demand_known_share + history_share + stock_freshness + terms_known) / 4 as score
from shares order by item_id, location_id
"""


def completeness(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    """Score every planned item and location between 0 (nothing is known) and 1 (all that a decision
    needs is known and recent).

    Returns item_id, location_id, four shares in 0..1 (demand_known_share: closed periods of the
    last half year whose demand is known; history_share: how much of that half year there is;
    stock_freshness: 1 for a count today, 0 after five weeks;
    terms_known: cost and lead time are there), their mean as score, and is_enough (score >= 0.6).
    """
    frame = con.execute(SCORES, {"history_days": HISTORY_DAYS, "stock_days": STOCK_DAYS}).pl()
    return frame.with_columns((pl.col("score") >= ENOUGH).alias("is_enough"))


def incomplete(scores: pl.DataFrame) -> pl.DataFrame:
    """The planned items and locations of which too little is known, as exceptions for a person:
    they are planned, never approved by themselves.

    scores: what `completeness` returns. Returns item_id, location_id, kind (incomplete_data),
    severity (warning) and a reason that names every share.
    """
    short = scores.filter(~pl.col("is_enough"))
    parts = {
        "demand": "demand_known_share",
        "half a year of history": "history_share",
        "a recent count": "stock_freshness",
        "cost and lead time": "terms_known",
    }
    told = pl.concat_str(
        [
            pl.format(f"{name} {{}} %", (pl.col(share) * 100).round(0).cast(pl.Int64))
            for name, share in parts.items()
        ],
        separator=", ",
    )
    return short.select(
        "item_id",
        "location_id",
        kind=pl.lit("incomplete_data"),
        severity=pl.lit("warning"),
        reason=pl.format(
            "only {} % of what a decision needs is known ({}): a person decides",
            (pl.col("score") * 100).round(0).cast(pl.Int64),
            told,
        ),
    )
