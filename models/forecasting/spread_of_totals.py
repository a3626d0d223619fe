"""The distribution of a total: sums of series err together, so their spread is learned on totals
and not added up from parts.

Variance of a total = near x mean + far x mean²: the first part is what averages out over many
series, the second what hits all alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.optimize import nnls

from models.forecasting import spread_around_mean
from models.forecasting.forecast import Forecast
from models.forecasting.inputs import Indices
from models.forecasting.level_alignment import SEPARATOR, group_name
from models.forecasting.spread_around_mean import Scatter

Floats = NDArray[np.floating]

NARROWEST = 0.02  # of variance / mean


@dataclass(frozen=True)
class TotalSpread:
    """How totals over the groups that `columns` name erred on unseen periods: how widely, and by
    what law."""

    columns: tuple[str, ...]
    near: float
    far: float
    law: Scatter

    def dispersion(self, mean: Floats) -> Floats:
        """Variance / mean of totals with these means, shaped as they are; never below NARROWEST."""
        return np.maximum(self.near + self.far * mean, NARROWEST)

    def quantiles(self, mean: Floats, levels: tuple[float, ...]) -> Floats:
        """Quantiles of totals, (n, Q) units."""
        return self.law.quantiles(mean, self.dispersion(mean), levels)

    def forecast(self, made: Forecast, attributes: pl.DataFrame) -> Forecast:
        """The forecast of every group's total; attributes: rows as made.keys, with the columns that
        name the groups."""
        names, group = grouping(attributes, self.columns)
        mean = sums(made.mean.astype(np.float64), group, len(names))
        values = self.quantiles(mean.reshape(-1), made.quantiles).reshape(
            *mean.shape, len(made.quantiles)
        )
        location = [
            name.split(SEPARATOR)[self.columns.index("location_id")]
            if "location_id" in self.columns
            else ""
            for name in names
        ]
        keys = pl.DataFrame(
            {"item_id": names, "location_id": location},
            schema={"item_id": pl.String, "location_id": pl.String},
        )
        return Forecast(
            keys,
            made.period_starts,
            made.quantiles,
            values,
            mean.astype(np.float32),
            made.correlation,
            made.whole_units,
        )

    def to_dict(self) -> dict[str, Any]:
        """What was learned as plain values, for a model's card."""
        return {
            "columns": self.columns,
            "near": self.near,
            "far": self.far,
            "law": self.law.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TotalSpread:
        """What `to_dict` kept."""
        return cls(
            tuple(data["columns"]), data["near"], data["far"], Scatter.from_dict(data["law"])
        )


#: The columns of `totals_frame`; a company too young to have totals has none of its rows.
TOTALS = pl.Schema(
    {
        "total_of": pl.String,
        "name": pl.String,
        "period_start": pl.Date,
        "quantile": pl.Float64,
        "value": pl.Float64,
    }
)


def totals_frame(totals: Mapping[tuple[str, ...], Forecast]) -> pl.DataFrame:
    """The totals' forecasts as one table a person can read: whose total, when, how much.

    totals: by the columns that name the groups, as `DemandModel.predict_totals` gives them.
    Columns: total_of (the columns' names, "everything" without any), name, period_start, quantile
    (null for the mean), value in units.
    """
    made = [
        forecast.to_frame().select(
            pl.lit(" x ".join(columns) or "everything").alias("total_of"),
            pl.col("item_id").str.replace_all(SEPARATOR, " / ", literal=True).alias("name"),
            "period_start",
            "quantile",
            "value",
        )
        for columns, forecast in totals.items()
    ]
    return pl.concat([pl.DataFrame(schema=TOTALS), *made])


def grouping(frame: pl.DataFrame, columns: tuple[str, ...]) -> tuple[list[str], Indices]:
    """The sorted names of the groups and the group of each row; no columns = one total of
    everything."""
    if not columns:
        return [""], np.zeros(len(frame), np.int64)
    names = frame.select(group_name(columns, frame).alias("name"))["name"]
    distinct = names.unique().sort()
    return distinct.to_list(), distinct.search_sorted(names).cast(pl.Int64).to_numpy()


def sums(values: Floats, group: Indices, groups: int) -> Floats:
    """Totals of the rows of each group, (groups, ...). values: (n, ...); group: each row's group,
    (n,)."""
    out = np.zeros((groups, *values.shape[1:]))
    np.add.at(out, group, values)
    return out


def learn_spread(
    columns: tuple[str, ...],
    mean: list[Floats],
    actual: list[Floats],
    group: list[Indices],
    whole_units: bool,
    seed: int,
) -> TotalSpread:
    """Learn from forecasts of unseen periods: per origin the series' mean and what came (N, H), and
    each series' group.

    A period unknown for a series is left out of its group's mean and of its total alike.
    """
    expected, realized = [], []
    for m, a, g in zip(mean, actual, group, strict=True):
        known = ~np.isnan(a)
        groups = int(g.max()) + 1
        expected.append(sums(np.where(known, m, 0.0), g, groups).reshape(-1))
        realized.append(sums(np.where(known, a, 0.0), g, groups).reshape(-1))
    total, observed = np.concatenate(expected), np.concatenate(realized)
    kept = total > 1e-6
    total, observed = total[kept], observed[kept]
    if len(total) < 30:
        return TotalSpread(columns, 2.0, 0.05, spread_around_mean.believed(whole_units))
    squares = (observed - total) ** 2 / total
    # each row counts by its own expected scatter, so neither the large nor the small totals decide
    # alone
    weight = 1 / (1 + 0.05 * total)
    near, far = nnls(np.column_stack([weight, weight * total]), weight * squares)[0]
    law = spread_around_mean.learn(
        total, np.maximum(near + far * total, NARROWEST), observed, whole_units, seed
    )
    return TotalSpread(columns, float(near), float(far), law)
