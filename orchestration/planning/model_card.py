"""What the demand model is good and bad at, class by class: the same method trained before the last
window, held against the demand that came in it."""

from __future__ import annotations

import polars as pl

from models.domain import SERIES
from models.forecasting import backtest
from models.forecasting.demand_classes import classed, score_classes
from models.forecasting.forecast import Forecast
from orchestration.planning.demand import Demand


def judge(demand: Demand) -> tuple[pl.DataFrame, Forecast]:
    """Train as of one horizon before Now, forecast it and compare.

    Returns one row a class (columns models.forecasting.demand_classes.SCORED: which grouping, which
    class, how many series, units that came, WAPE, bias, and the share of periods at most on the
    upper quantile) and the forecast. Raises ValueError where history is too short.
    """
    timeline = demand.timeline
    start = timeline.shift(timeline.origin, -demand.horizon)
    ahead = demand.predict(demand.train(start), start)
    labels = demand.labels(timeline.origin)
    actual = backtest.observed(labels, ahead.keys, start, timeline.spec(demand.horizon))
    classes = ahead.keys.select(SERIES).join(
        classed(labels.filter(pl.col("target_on") < start)),
        on=list(SERIES),
        how="left",
        maintain_order="left",
    )
    return score_classes(classes, ahead, actual), ahead
