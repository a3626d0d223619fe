"""Lines that may be right and are seldom: goods sent where nobody buys, and stock for more than a
year. They stay in the plan and wait for a person."""

from __future__ import annotations

from math import ceil

import polars as pl

from models.domain import SERIES, Floats, recent_mean
from models.replenishment.echelon import Echelons
from models.replenishment.plan_exceptions import exception_of, figure
from models.replenishment.situations import sources_of

#: Days without a sale after which nothing is moved to a place unseen, and the days of a year.
QUIET_DAYS, YEAR_DAYS = 28, 364
#: The kinds of exception that keep a line off the automatic path.
WAITING = ("moved_without_sale", "beyond_a_year")


def implausible(planned: pl.DataFrame, history: Floats, period_days: float) -> pl.DataFrame:
    """The lines that a person has to look at before goods move, as warnings of the exception list.

    planned: item_id, location_id, kind, from_id, quantity and position (units) of every planned
    row. history: (N, T) past demand in their order, NaN unknown. moved_without_sale: a transfer to
    a place that is known to have sold nothing in the last 28 days, though freight and handling are
    paid there and back; one whose shelf was empty is what replenishment is for. beyond_a_year: a
    line that lifts the position above a year's demand, at a distribution centre of all it ships to;
    a row without any known demand is left to `incomplete_data`.
    """
    quiet, year = (ceil(days / period_days) for days in (QUIET_DAYS, YEAR_DAYS))
    sold = history[:, -quiet:].sum(axis=1)  # NaN where any of it is unknown
    usual = Echelons(sources_of(planned)).demand(recent_mean(history, year) * year)
    rows = planned.select(*SERIES, "kind", "from_id", "quantity", "position").with_columns(
        sold=pl.Series(sold), usual=pl.Series(usual).round(1)
    )
    lines = rows.filter(pl.col("quantity") > 0)
    moved = lines.filter(pl.col("kind") == "transfer", pl.col("sold") <= 0)
    much = lines.filter(
        pl.col("usual") > 0, pl.col("position") + pl.col("quantity") > pl.col("usual")
    )
    return pl.concat(
        [
            exception_of(
                moved,
                WAITING[0],
                "warning",
                pl.format(
                    "{} units would go from {} to where none was sold in {} days: they cost "
                    "freight and handling there, and again if they come back; a person decides",
                    figure("quantity"),
                    "from_id",
                    QUIET_DAYS,
                ),
            ),
            exception_of(
                much,
                WAITING[1],
                "warning",
                pl.format(
                    "{} units lift the position from {} above a year's demand of {}: a person "
                    "decides",
                    figure("quantity"),
                    figure("position"),
                    figure("usual"),
                ),
            ),
        ]
    )
