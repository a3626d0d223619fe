"""Orders that were agreed and that what is known by now makes needless: a person cancels them or
lets them come."""

from __future__ import annotations

import polars as pl

from models.domain import SERIES
from models.replenishment.plan_exceptions import exception_of, figure

#: The kind of exception it makes.
NEEDLESS = "order_no_longer_needed"
#: What is asked of an order that could still be called off.
OPEN_ORDERS = {
    "item_id": pl.String,
    "location_id": pl.String,
    "order": pl.String,
    "quantity": pl.Float64,
    "due_on": pl.String,
}


def needless(targets: pl.DataFrame, orders: pl.DataFrame) -> pl.DataFrame:
    """Open orders without which stock on hand and on the way would still be enough, as warnings of
    the exception list; one a place of an item, the orders that are due last first.

    targets: item_id, location_id, position (units on hand and on order, these orders included) and
    order_up_to (units, what the rule would lift it to). orders: OPEN_ORDERS, quantity what has not
    come of it. Source: the cancel message of material requirements planning (Orlicky, Material
    Requirements Planning, 1975).
    """
    latest = orders.sort("due_on", "order", descending=True)
    found = (
        latest.join(targets.select(*SERIES, "position", "order_up_to"), on=SERIES)
        .with_columns(called_off=pl.col("quantity").cum_sum().over(SERIES))
        .filter(
            pl.col("quantity") > 0,
            pl.col("position") - pl.col("called_off") >= pl.col("order_up_to"),
        )
        .group_by(SERIES, maintain_order=True)
        .agg(
            pl.col("position", "order_up_to").first(),
            units=pl.col("called_off").last(),
            orders=pl.format("{} (due {})", "order", "due_on").str.join(", "),
        )
    )
    reason = pl.format(
        "{} units that are still to come are no longer needed: stock on hand and on the way is {}, "
        "and the rule lifts it to {}; cancel {} or let it come",
        figure("units"),
        figure("position"),
        figure("order_up_to"),
        "orders",
    )
    return exception_of(found, NEEDLESS, "warning", reason)
