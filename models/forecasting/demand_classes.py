"""Classes of demand, by how much of it there is and by its pattern, and how well a forecast did in
each."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.domain import ABC, SERIES
from models.forecasting import metrics
from models.forecasting.drift import TAIL
from models.forecasting.forecast import Forecast

Floats = NDArray[np.floating]

#: Borders between smooth, erratic, intermittent and lumpy demand: periods from one sale to the
#: next, and the squared variation of what is sold where anything is (Syntetos, Boylan and Croston,
#: Journal of the Operational Research Society 56, 2005).
INTERVAL, VARIATION = 1.32, 0.49
SCORED = ("class", "of", "series", "demand", "wape", "bias", "under_tail")


def classed(history: pl.DataFrame) -> pl.DataFrame:
    """Which class each series is in: by volume (A, B, C) and by pattern.

    history: item_id, location_id, target_on, demand before the window; null where unknown.
    """
    known = history.drop_nulls("demand").group_by(SERIES)
    sizes = pl.col("demand").filter(pl.col("demand") > 0)
    found = known.agg(
        units=pl.col("demand").sum(),
        interval=pl.len() / sizes.len(),
        variation=(sizes.std() / sizes.mean()).fill_null(0.0) ** 2,
    ).sort("units", *SERIES, descending=[True, False, False])
    before = (pl.col("units").cum_sum() - pl.col("units")) / pl.col("units").sum()
    steady, alike = pl.col("interval") < INTERVAL, pl.col("variation") < VARIATION
    return found.select(
        *SERIES,
        volume=pl.when(before < ABC[0])
        .then(pl.lit("A, the first 80 % of units"))
        .when(before < ABC[1])
        .then(pl.lit("B, the next 15 %"))
        .otherwise(pl.lit("C, the rest")),
        pattern=pl.when(steady & alike)
        .then(pl.lit("smooth"))
        .when(steady)
        .then(pl.lit("erratic"))
        .when(alike)
        .then(pl.lit("intermittent"))
        .otherwise(pl.lit("lumpy")),
    )


def score_classes(classes: pl.DataFrame, ahead: Forecast, actual: Floats) -> pl.DataFrame:
    """One row a class of each grouping, columns SCORED; a class that sold nothing has no scores.

    classes: item_id, location_id, and one column a grouping, in the order of the forecast's series.
    """
    groupings = {
        "all": pl.Series(["all series"] * len(classes)),
        "volume": classes["volume"].fill_null("never sold before"),
        "pattern": classes["pattern"].fill_null("never sold before"),
        "place": classes["location_id"],
    }
    high, rows = ahead.at(TAIL), []
    for grouping, names in groupings.items():
        for name in sorted(names.unique().to_list()):
            mine = (names == name).to_numpy()
            here = actual[mine]
            sold = float(np.nansum(here))
            rows.append(
                {
                    "class": name,
                    "of": grouping,
                    "series": int(mine.sum()),
                    "demand": sold,
                    "wape": metrics.wape(here, ahead.mean[mine]) if sold else None,
                    "bias": metrics.bias(here, ahead.mean[mine]) if sold else None,
                    "under_tail": metrics.coverage(here, high[mine], TAIL).at_most
                    if sold
                    else None,
                }
            )
    return pl.DataFrame(rows).select(SCORED)
