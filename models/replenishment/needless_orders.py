"""Orders that were agreed and that what is known by now makes needless: a person cancels them or
lets them come."""

from __future__ import annotations

import polars as pl

from models.domain import SERIES, Floats
from models.replenishment.plan_exceptions import exception_of, figure

#: The kind of exception it makes.
NEEDLESS = "order_no_longer_needed"
#: What is asked of orders that can still be called off; quantity is what has not come of one.
OPEN_ORDERS = {
    "item_id": pl.String,
    "location_id": pl.String,
    "order": pl.String,
    "quantity": pl.Float64,
    "due_on": pl.String,
}


def open_units(rows: pl.DataFrame, orders: pl.DataFrame) -> Floats:
    """(N,) units of each row that can still be called off.

    rows: item_id and location_id of N rows. orders: OPEN_ORDERS.
    """
    units = orders.group_by(SERIES).agg(pl.col("quantity").sum())
    found = rows.select(SERIES).join(units, on=SERIES, how="left", maintain_order="left")
    return found["quantity"].fill_null(0.0).to_numpy()


def needless(rows: pl.DataFrame, wanted: Floats, orders: pl.DataFrame) -> pl.DataFrame:
    """Open orders that the rule would not ask for again, as warnings of the exception list; one a
    row, the orders that are due last first.

    rows: item_id, location_id and position (units on hand and on order, these orders included) of N
    rows. wanted: (N,) units the rule would order now if none of a row's open orders came. orders:
    OPEN_ORDERS. Source: the cancel message of material requirements planning (Orlicky, Material
    Requirements Planning, 1975).
    """
    asked = rows.select(*SERIES, "position", wanted=pl.Series(wanted, dtype=pl.Float64))
    called_off = pl.col("quantity").cum_sum().over(SERIES)
    found = (
        orders.filter(pl.col("quantity") > 0)
        .sort("due_on", "order", descending=True)
        .join(asked, on=SERIES, maintain_order="left")
        .with_columns(called_off=called_off, all_units=pl.col("quantity").sum().over(SERIES))
        .filter(pl.col("called_off") <= pl.col("all_units") - pl.col("wanted"))
        .group_by(SERIES, maintain_order=True)
        .agg(
            pl.col("position").first(),
            units=pl.col("called_off").last(),
            orders=pl.format("{} (due {})", "order", "due_on").str.join(", "),
        )
    )
    reason = pl.format(
        "{} units that are still to come would not be ordered again today: on hand and on the way "
        "are {}; cancel {}, or let it come",
        figure("units"),
        figure("position"),
        "orders",
    )
    return exception_of(found, NEEDLESS, "warning", reason)
