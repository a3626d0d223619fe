"""Is what is served still like what was learnt, and is it still news? Frames in, frames out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy.special import gammaincinv

#: Bins of the population stability index; its usual limit for a shift that matters; how much more
#: may be missing.
BINS, SHIFTED, LOST = 10, 0.25, 0.1
#: What chance alone explains in all but one of so many comparisons is no drift.
SURPRISE = 1e-4
#: A view with fewer days of news than this has no rhythm that it could fall out of.
RHYTHM = 8
DRIFT = {
    "feature": pl.String,
    "psi": pl.Float64,
    "psi_limit": pl.Float64,
    "missing_then": pl.Float64,
    "missing_now": pl.Float64,
    "has_moved": pl.Boolean,
    "is_lost": pl.Boolean,
}


def drift(learnt: pl.DataFrame, served: pl.DataFrame, day: str) -> pl.DataFrame:
    """How each feature's values moved from the training set to now.

    learnt, served: the same features, one row an entity; learnt has many values of column `day`,
    served one. Returns feature, psi (population stability index over the training set's deciles or
    categories, nulls left out), psi_limit, missing_then, missing_now (shares of null), has_moved
    and is_lost. Ordered by psi, largest first. The limit is the usual 0.25, or where that is more,
    what samples of these sizes show by chance (Yurdakul 2018), or half as far again as all but one
    of the training set's own days lie.
    """
    days = learnt.partition_by(day) if len(learnt) else []
    rows = []
    for name in served.columns if days else []:
        if name == day:
            continue
        then, now = learnt[name].drop_nulls(), served[name].drop_nulls()
        bins = Bins.of(then)
        before, after = bins.count(then), bins.count(now)
        # a chi-square with one degree of freedom less than there are bins
        freedom = max(1, len(before) - 1)
        surprise = 2 * float(gammaincinv(freedom / 2, 1 - SURPRISE))
        chance = surprise * (1 / max(1, len(then)) + 1 / max(1, len(now)))
        own = sorted(stability_index(before, bins.count(part[name].drop_nulls())) for part in days)
        psi, limit = (
            stability_index(before, after),
            max(SHIFTED, chance, 1.5 * own[-2] if len(own) > 1 else 0.0),
        )
        missing = [1 - len(part) / len(whole) for part, whole in ((then, learnt), (now, served))]
        noise = 4 * np.sqrt(missing[0] * (1 - missing[0]) / len(served))
        rows.append(
            [name, psi, limit, *missing, psi > limit, missing[1] - missing[0] > max(LOST, noise)]
        )
    return pl.DataFrame(rows, schema=DRIFT, orient="row").sort("psi", descending=True)


def stability_index(before: npt.ArrayLike, after: npt.ArrayLike) -> float:
    """Population stability index sum (q - p) ln(q / p) of two counts over the same bins; 0 where
    either is empty.

    An empty bin counts as half a row, so that one new value in a thousand does not make it
    infinite.
    """
    counts = [np.asarray(side, dtype=np.float64) for side in (before, after)]
    if not all(side.sum() for side in counts):
        return 0.0
    p, q = (np.maximum(side, 0.5) / np.maximum(side, 0.5).sum() for side in counts)
    return float(((q - p) * np.log(q / p)).sum())


@dataclass(frozen=True)
class Bins:
    """Where values are counted: up to each edge for numbers, or by category; the last bin takes
    what lies beyond."""

    edges: npt.NDArray[np.float64] | None
    categories: dict[Any, int]

    @classmethod
    def of(cls, values: pl.Series) -> Bins:
        """Deciles of numbers (fewer where values tie) and what lies below the least; the categories
        of anything else."""
        if values.dtype.is_numeric():
            numbers = values.to_numpy() if len(values) else np.zeros(1)
            below = np.nextafter(numbers.min(), -np.inf)
            return cls(np.unique([below, *np.quantile(numbers, np.arange(1, BINS) / BINS)]), {})
        return cls(
            None, {value: index for index, value in enumerate(values.unique().sort().to_list())}
        )

    def count(self, values: pl.Series) -> npt.NDArray[np.int64]:
        """How many values fall in each bin."""
        if self.edges is not None:
            return np.bincount(
                np.searchsorted(self.edges, values.to_numpy()), minlength=len(self.edges) + 1
            )
        beyond = len(self.categories)
        return np.bincount(
            np.array([self.categories.get(value, beyond) for value in values], dtype=np.int64),
            minlength=beyond + 1,
        )


def freshness(news: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """How old the newest news of each view is, beside how long it usually stays silent.

    news: view, known_on (each day on which something became known, up to `now`). Returns view,
    last_on, age_days, usual_days (the longest of all but 5 % of its silences; null where it never
    had a rhythm) and is_stale: silent for more than twice that.
    """
    days = (
        news.unique()
        .sort("view", "known_on")
        .with_columns(silence=pl.col("known_on").diff().dt.total_days().over("view"))
    )
    age = (pl.lit(now) - pl.col("known_on").max().cast(pl.Datetime("us"))) / timedelta(days=1)
    usual = pl.when(pl.len() >= RHYTHM).then(pl.col("silence").quantile(0.95, "higher"))
    ages = days.group_by("view", maintain_order=True).agg(
        last_on=pl.col("known_on").max(), age_days=age, usual_days=usual
    )
    return ages.with_columns(
        is_stale=(pl.col("age_days") > 2 * pl.col("usual_days") + 1).fill_null(False)
    )
