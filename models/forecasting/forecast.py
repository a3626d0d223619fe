"""A forecast as a distribution: quantiles and a mean per series and period, and sample paths that
hang together over time."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from models.domain import SERIES
from models.forecasting.sample_paths import draw

Floats = NDArray[np.float32]

#: Levels dense enough to draw sample paths from; the nine of the M5 uncertainty competition are
#: among them.
PATH_LEVELS = (
    0.005,
    0.025,
    0.05,
    0.1,
    0.165,
    0.2,
    0.25,
    0.3,
    0.35,
    0.4,
    0.45,
    0.5,
    0.55,
    0.6,
    0.65,
    0.7,
    0.75,
    0.8,
    0.835,
    0.87,
    0.9,
    0.925,
    0.95,
    0.975,
    0.985,
    0.995,
    0.999,
)


@dataclass(frozen=True)
class Forecast:
    """Demand to come, per series and period: what is expected, and how far off it may be.

    This is the one place where mean, quantiles and paths meet: paths have these quantiles at these
    levels, and between and above the levels they are bent so that their mean is the mean. Whoever
    makes a forecast hands over quantiles that allow it (`agreeing`).

    keys: item_id, location_id of N series. period_starts: H dates. quantiles: Q levels. values: (N,
    H, Q) units, not decreasing along Q. mean: (N, H) units. correlation: (H, H) of the normal
    scores of two periods' errors, None = independent. before: (N, B) mean demand of the B periods
    before the first, where the model looked ahead over them because nobody has reported them yet.
    """

    keys: pl.DataFrame
    period_starts: list[date]
    quantiles: tuple[float, ...]
    values: Floats
    mean: Floats
    correlation: NDArray[np.float64] | None = None
    whole_units: bool = True
    before: Floats | None = None

    def __post_init__(self) -> None:
        shape = (len(self.keys), len(self.period_starts), len(self.quantiles))
        if self.values.shape != shape or self.mean.shape != shape[:2]:
            raise ValueError(
                f"{shape} expected from keys, periods and quantiles; values are "
                f"{self.values.shape}, mean {self.mean.shape}"
            )

    def at(self, level: float) -> Floats:
        """The quantile at one of the levels held, (N, H)."""
        if level not in self.quantiles:
            raise ValueError(
                f"level {level} was not forecast; there are {', '.join(map(str, self.quantiles))}"
            )
        return self.values[:, :, self.quantiles.index(level)]

    def select(self, levels: tuple[float, ...]) -> Forecast:
        """The same forecast with fewer levels."""
        values = np.stack([self.at(level) for level in levels], axis=2)
        return Forecast(
            self.keys,
            self.period_starts,
            levels,
            values,
            self.mean,
            self.correlation,
            self.whole_units,
            self.before,
        )

    def window(self, start: date, periods: int) -> Forecast:
        """The same forecast of so many periods from one of them on. Raises ValueError where it does
        not reach so far."""
        first = self.period_starts.index(start)
        if first + periods > len(self.period_starts):
            raise ValueError(
                f"{periods} periods from {start} were asked for; the forecast ends with that of "
                f"{self.period_starts[-1]}"
            )
        part = slice(first, first + periods)
        passed = self.mean[:, :first]
        return replace(
            self,
            before=passed if self.before is None else np.hstack([self.before, passed]),
            period_starts=self.period_starts[part],
            values=self.values[:, part],
            mean=self.mean[:, part],
            correlation=None if self.correlation is None else self.correlation[part, part],
        )

    def paths(self, samples: int, seed: int = 0) -> Floats:
        """Draw demand paths, (N, samples, H) units, with these quantiles and this mean as margins
        (see `sample_paths.draw`)."""
        return draw(
            keys=["\x1f".join(map(str, key)) for key in self.keys.select(SERIES).iter_rows()],
            values=self.values,
            mean=self.mean,
            quantiles=self.quantiles,
            correlation=self.correlation,
            whole_units=self.whole_units,
            samples=samples,
            seed=seed,
        )

    def to_frame(self) -> pl.DataFrame:
        """One row per item, location, period and quantile (null for the mean), with its value in
        units."""
        series, horizon, width = self.values.shape
        levels = pl.Series("quantile", [*self.quantiles, None], dtype=pl.Float64)
        stacked = np.concatenate([self.values, self.mean[:, :, None]], axis=2).reshape(-1)
        row = np.arange(series * horizon * (width + 1))
        return pl.DataFrame(
            {
                "item_id": self.keys["item_id"].gather(row // (horizon * (width + 1))),
                "location_id": self.keys["location_id"].gather(row // (horizon * (width + 1))),
                "period_start": pl.Series(self.period_starts, dtype=pl.Date).gather(
                    row // (width + 1) % horizon
                ),
                "quantile": levels.gather(row % (width + 1)),
                "value": stacked.astype(np.float64),
            }
        )


#: What a table of a whole forecast says beside its rows.
_KEPT = b"stockhouse.forecast"


def to_table(forecast: Forecast) -> pa.Table:
    """A forecast as one table that says all of it: item_id, location_id, period_start, mean and the
    levels' values; in a series' first row the means of the periods before it.

    Levels and the correlation of errors are the table's metadata, so that `from_table` draws the
    same paths, bit by bit.
    """
    count, horizon, width = forecast.values.shape
    row = np.arange(count * horizon)
    keys = forecast.keys.select("item_id", "location_id")[row // horizon].to_arrow()
    values = pa.FixedSizeListArray.from_arrays(pa.array(forecast.values.reshape(-1)), width)
    starts = pa.array(forecast.period_starts, pa.date32()).take(pa.array(row % horizon))
    correlation = None if forecast.correlation is None else forecast.correlation.tolist()
    facts = {
        "quantiles": forecast.quantiles,
        "correlation": correlation,
        "whole_units": forecast.whole_units,
    }
    columns = {
        "item_id": keys["item_id"],
        "location_id": keys["location_id"],
        "period_start": starts,
        "mean": pa.array(forecast.mean.reshape(-1)),
        "values": values,
    }
    if forecast.before is not None:
        columns["before"] = _in_first_rows(forecast.before, horizon)
    table = pa.table(columns)
    return table.replace_schema_metadata({_KEPT: json.dumps(facts).encode()})


def _in_first_rows(before: Floats, horizon: int) -> pa.Array:
    """One list a series, each followed by nulls up to the next series' rows."""
    told: list[list[float] | None] = [None] * (len(before) * horizon)
    told[::horizon] = before.tolist()
    return pa.array(told, pa.list_(pa.float32()))


def from_table(table: pa.Table) -> Forecast:
    """The forecast that `to_table` wrote. Raises ValueError for a table that is none."""
    metadata = table.schema.metadata or {}
    if _KEPT not in metadata:
        raise ValueError("this table does not say the levels of a forecast: it was not kept as one")
    facts = json.loads(metadata[_KEPT])
    starts = table["period_start"].unique().to_pylist()
    rows = pl.DataFrame(table.select(["item_id", "location_id"]))[:: len(starts)]
    values = table["values"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    shape = (len(rows), len(starts))
    correlation, before = facts["correlation"], None
    if "before" in table.column_names:
        told = table["before"].drop_null().to_pylist()
        before = np.array(told, dtype=np.float32).reshape(len(rows), -1)
    return Forecast(
        keys=rows,
        period_starts=starts,
        quantiles=tuple(facts["quantiles"]),
        values=values.reshape(*shape, len(facts["quantiles"])).astype(np.float32),
        mean=table["mean"].to_numpy().reshape(shape).astype(np.float32),
        correlation=None if correlation is None else np.asarray(correlation),
        whole_units=facts["whole_units"],
        before=before,
    )


def blend(first: Forecast, second: Forecast, share: float = 0.5) -> Forecast:
    """Two forecasts of the same series averaged level by level, `share` to the second; the spread
    stays a spread, not a mixture."""
    if (
        not first.keys.equals(second.keys)
        or first.period_starts != second.period_starts
        or first.quantiles != second.quantiles
    ):
        raise ValueError("only forecasts of the same series, periods and levels can be blended")
    values = (1 - share) * first.values + share * second.values
    mean = (1 - share) * first.mean + share * second.mean
    correlation = first.correlation if first.correlation is not None else second.correlation
    rounded = np.rint(values) if first.whole_units else values
    return Forecast(
        first.keys,
        first.period_starts,
        first.quantiles,
        rounded,
        mean,
        correlation,
        first.whole_units,
    )
