"""From the planner's rows to what a policy may see: the one place where columns become arrays."""

from __future__ import annotations

from typing import Literal

import numpy as np
import polars as pl

from models.domain import Economics, Floats, Integers, Situation
from models.replenishment.agreed_shares import Lanes, lanes_of, lots_of


def situation_of(
    rows: pl.DataFrame,
    paths: Floats,
    *,
    history: Floats | None,
    pipeline: Floats | None,
    lead_time_paths: Integers | None,
    phase: Integers | None,
    review: int,
    unmet: Literal["lost", "backlog"],
    order_cost: float,
    customer_orders: Floats | None = None,
) -> Situation:
    """The situation of rows with the columns of dim_item_locations + on_hand, on_order and, if
    promised, service_level.

    A missing MOQ is 0, a missing multiple 1, a missing service level none. A row with several
    sources (see agreed_shares) waits for the slowest, and buys in any quantity here: each source
    has its own lots.
    """
    lanes, ways = Lanes.of(rows), lanes_of(rows)

    def column(name: str, missing: float | None = None) -> Floats:
        series = rows[name] if missing is None else rows[name].fill_null(missing)
        return series.to_numpy().astype(np.float64)

    lots = lots_of(ways)
    if lanes is not None:
        lots = {name: lanes.where_single(values) for name, values in lots.items()}

    def longest(name: str) -> Integers:
        values = ways[name].to_numpy().astype(np.int64)
        return values if lanes is None else lanes.longest(values)

    return Situation(
        on_hand=column("on_hand"),
        pipeline=column("on_order", 0.0)[:, None] if pipeline is None else pipeline,
        history=np.zeros((rows.height, 0)) if history is None else history,
        paths=paths,
        lead_time=longest("lead_time_periods"),
        review=review,
        economics=Economics(
            holding=column("holding_cost"),
            shortage=column("shortage_cost"),
            unit_cost=column("unit_cost"),
            order_cost=np.full(rows.height, float(order_cost)),
            unmet=unmet,
        ),
        lead_time_paths=np.zeros((0, 0), dtype=np.int64)
        if lead_time_paths is None
        else lead_time_paths,
        phase=np.zeros(0, dtype=np.int64) if phase is None else phase,
        moq=lots["moq"],
        order_multiple=lots["order_multiple"],
        service_level=column("service_level", 0.0)
        if "service_level" in rows.columns
        else np.zeros(0),
        gap=longest("gap") if "gap" in rows.columns else np.zeros(0, dtype=np.int64),
        customer_orders=np.zeros((0, 0)) if customer_orders is None else customer_orders,
    )


def sources_of(rows: pl.DataFrame) -> Integers:
    """The row each row's goods come from, (N,): the same item at its shipping location, -1 for a
    purchase."""
    index = rows.select("item_id", from_id="location_id").with_row_index("source")
    sources = rows.select("item_id", "from_id", "kind").join(
        index, on=["item_id", "from_id"], how="left", maintain_order="left"
    )
    is_transfer = pl.col("kind") == "transfer"
    return (
        sources.select(pl.when(is_transfer).then("source").fill_null(-1))
        .to_series()
        .cast(pl.Int64)
        .to_numpy()
    )


def price_steps(rows: pl.DataFrame, price_breaks: pl.DataFrame | None) -> tuple[Floats, Floats]:
    """What a unit costs from which quantity on: starts and prices (N, B), NaN beyond a row's last
    step.

    price_breaks: item_id, from_id (the supplier), from_quantity, unit_cost. A row without any, and
    every transfer, has one step: its own unit cost.
    """
    steps = rows.select("item_id", "from_id", "kind", own="unit_cost").with_row_index("row")
    single = steps.select("row", start=pl.lit(0.0), price=pl.col("own").cast(pl.Float64))
    if price_breaks is not None and not price_breaks.is_empty():
        offered = price_breaks.select(
            "item_id", "from_id", start="from_quantity", price="unit_cost"
        ).drop_nulls()
        found = (
            steps.filter(pl.col("kind") == "purchase")
            .join(offered, on=["item_id", "from_id"])
            .select("row", pl.col("start", "price").cast(pl.Float64))
        )
        single = pl.concat([single.join(found, on="row", how="anti"), found])
    ordered = single.sort("row", "start").with_columns(step=pl.int_range(pl.len()).over("row"))
    shape = (rows.height, int(max(ordered["step"].to_list(), default=0)) + 1)
    starts, prices = np.full(shape, np.nan), np.full(shape, np.nan)
    at = (ordered["row"].to_numpy(), ordered["step"].to_numpy())
    starts[at], prices[at] = ordered["start"].to_numpy(), ordered["price"].to_numpy()
    return starts, prices
