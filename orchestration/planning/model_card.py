"""What the demand model is good and bad at, class by class: the same method trained before the last
window, held against the demand that came in it."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from models.domain import SERIES, Floats
from models.forecasting import metrics
from models.forecasting.drift import TAIL
from models.forecasting.forecast import Forecast
from orchestration.planning.demand import Demand

#: Syntetos and Boylan's borders between smooth, erratic, intermittent and lumpy demand: periods
#: from one sale to the next, and the squared variation of what is sold where anything is.
INTERVAL, VARIATION = 1.32, 0.49
#: Series that sell the first 80 % of all units are class A, the next 15 % class B.
BORDERS = {"A": 0.80, "B": 0.95}
SCORED = ("class", "of", "series", "demand", "wape", "bias", "under_tail")


def judge(demand: Demand) -> tuple[pl.DataFrame, Forecast, Floats]:
    """Train as of one horizon before Now, forecast it and compare.

    Returns one row a class (columns SCORED: which grouping, which class, how many series, units
    that came, WAPE, bias, and the share of periods at most on the upper quantile), the forecast,
    and what came (N, H), NaN where unknown. Raises ValueError where history is too short.
    """
    timeline = demand.timeline
    start = timeline.shift(timeline.origin, -demand.horizon)
    model = demand.train(start)
    ahead = demand.predict(model, start)
    labels = demand.labels(timeline.origin)
    came = _matrix(labels, ahead.keys, ahead.period_starts)
    classes = ahead.keys.select(SERIES).join(
        kinds(labels.filter(pl.col("target_on") < start)),
        on=list(SERIES),
        how="left",
        maintain_order="left",
    )
    return score(classes, ahead, came), ahead, came


def kinds(history: pl.DataFrame) -> pl.DataFrame:
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
        volume=pl.when(before < BORDERS["A"])
        .then(pl.lit("A, the first 80 % of units"))
        .when(before < BORDERS["B"])
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


def score(classes: pl.DataFrame, ahead: Forecast, came: Floats) -> pl.DataFrame:
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
            actual = came[mine]
            sold = float(np.nansum(actual))
            rows.append(
                {
                    "class": name,
                    "of": grouping,
                    "series": int(mine.sum()),
                    "demand": sold,
                    "wape": metrics.wape(actual, ahead.mean[mine]) if sold else None,
                    "bias": metrics.bias(actual, ahead.mean[mine]) if sold else None,
                    "under_tail": metrics.coverage(actual, high[mine], TAIL).at_most
                    if sold
                    else None,
                }
            )
    return pl.DataFrame(rows).select(SCORED)


def _matrix(labels: pl.DataFrame, keys: pl.DataFrame, days: list[date]) -> Floats:
    """(N, H) demand of these series and periods, NaN where it is unknown or was never recorded."""
    asked = keys.select(SERIES).join(pl.DataFrame({"target_on": days}), how="cross")
    found = asked.join(labels, on=[*SERIES, "target_on"], how="left", maintain_order="left")
    units = found["demand"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    return units.reshape(len(keys), len(days))
