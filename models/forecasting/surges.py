"""Unusual rises: series that asked for clearly more than was usual, each with the reasons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.domain import SERIES
from models.forecasting.attribution import PARTS, attribute, expected
from models.forecasting.custom_forecaster import OwnModel
from models.forecasting.demand_model import DemandModel
from models.forecasting.forecast import PATH_LEVELS, Forecast
from models.forecasting.inputs import Indices

#: A rise is looked into from this multiple of what was usual …
SURGE = 1.3
#: … and where so few of the usual window's sampled futures reach it; more of them where today's
#: forecast, which knows the window's season, plans and signals, is above SURGE times usual itself.
RARE, RARE_IF_FORESEEN = 0.01, 0.1
SAMPLES = 500
LEAST = 0.05  # units: a smaller part is not named
SCHEMA = {
    "item_id": pl.String,
    "location_id": pl.String,
    "period_start": pl.Date,
    "periods": pl.Int64,
    "demand": pl.Float64,
    "usual": pl.Float64,
    "part": pl.String,
    "units": pl.Float64,
}
Known = tuple[pl.DataFrame, pl.DataFrame | None]


def find_surges(
    model: DemandModel | OwnModel, now: Known, before: Known, actual: NDArray[np.floating]
) -> pl.DataFrame:
    """What sold far above the usual in the newest window, and which causes the model sees for it.

    now, before: origins and plans at the beginning of the window, and as long before it as it is
    long, the same series in the same order. actual: (N, W) units in the window, NaN unknown: such
    periods count on neither side. Usual is the forecast made before for the window before; a rise
    that the forecast of now foresees is told from chance by less of it than one nobody can. Returns
    one row a part of every surge, columns SCHEMA: the parts that add up to demand - usual; none
    where nothing is unusual.
    """
    periods = actual.shape[1]
    made = model.predict(*before, PATH_LEVELS)
    known = np.isfinite(actual)
    usual = (made.mean[:, :periods] * known).sum(axis=1)
    demand = np.nansum(actual, axis=1)
    rows = np.flatnonzero(demand > SURGE * usual)
    if not rows.size:
        return pl.DataFrame(schema=SCHEMA)
    means = expected(model, *now), made.mean
    foreseen = (means[0][rows, :periods] * known[rows]).sum(axis=1)
    rare = np.where(foreseen > SURGE * usual[rows], RARE_IF_FORESEEN, RARE)
    rows = rows[demand[rows] > _seldom(made, rows, known[rows], rare)]
    if not rows.size:
        return pl.DataFrame(schema=SCHEMA)
    units = np.nan_to_num(actual[rows])
    parts = attribute(model, *now, *before, units, rows=rows, periods=periods, means=means)
    units = parts["units"].to_numpy().reshape(len(PARTS), rows.size, periods)
    units = (units * known[rows]).sum(axis=2)
    part, row = np.nonzero(np.abs(units) > LEAST)
    surges = (
        now[0][rows]
        .select(
            *SERIES,
            pl.col("origin").alias("period_start"),
            periods=pl.lit(periods),
            demand=pl.Series(demand[rows]),
            usual=pl.Series(usual[rows]),
        )[row]
        .with_columns(part=pl.Series(PARTS).gather(part), units=pl.Series(units[part, row]))
    )
    return surges.select(pl.col(name).cast(kind) for name, kind in SCHEMA.items()).sort(
        *SERIES, pl.col("units").abs(), descending=[False, False, True]
    )


def in_words(surges: pl.DataFrame) -> pl.DataFrame:
    """One sentence a surge for the exception list: item_id, location_id, reason.

    surges: columns SCHEMA, one row a part, as `find_surges` gives them. Parts that explain less
    than a tenth of the rise are left out of the sentence.
    """
    rise = pl.col("demand") - pl.col("usual")
    parts = pl.format(
        "{}{} {}",
        pl.when(pl.col("units") < 0).then(pl.lit("-")).otherwise(pl.lit("+")),
        _plain("units"),
        "part",
    )
    grouped = surges.with_columns(part_text=parts).group_by(
        *SERIES, "period_start", "periods", "demand", "usual", maintain_order=True
    )
    listed = grouped.agg(
        pl.col("part_text").filter(pl.col("units").abs() >= 0.1 * rise).str.join(", ")
    )
    return listed.select(
        *SERIES,
        reason=pl.format(
            "{} asked for in {} periods from {}, where {} was usual: {}",
            _plain("demand"),
            "periods",
            "period_start",
            _plain("usual"),
            "part_text",
        ),
    )


def _plain(column: str) -> pl.Expr:
    """Units as people write them, without sign: tenths only where there are any."""
    return pl.col(column).abs().round(1).cast(pl.String).str.strip_suffix(".0")


def _seldom(
    made: Forecast, rows: Indices, known: NDArray[np.bool_], rare: NDArray[np.floating]
) -> NDArray[np.floating]:
    """(n,) what only so `rare` a share of each series' sampled futures exceeds in the known
    periods."""
    part = replace(made, keys=made.keys[rows], values=made.values[rows], mean=made.mean[rows])
    paths = part.paths(SAMPLES)[:, :, : known.shape[1]]
    totals = np.sort((paths * known[:, None, :]).sum(axis=2), axis=1)
    place = np.ceil((1 - rare) * (totals.shape[1] - 1)).astype(int)
    return totals[np.arange(len(totals)), place]
