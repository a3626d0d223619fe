"""A forecast as a distribution: quantiles and a mean per series and period, and sample paths that hang together over time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtr

Floats = NDArray[np.float32]

#: Levels dense enough to draw sample paths from; the nine of the M5 uncertainty competition are among them.
PATH_LEVELS = (
    0.005, 0.025, 0.05, 0.1, 0.165, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.835,
    0.87, 0.9, 0.925, 0.95, 0.975, 0.985, 0.995,
)  # fmt: skip
#: Straight lines between fewer levels than this overstate the mean of skewed demand.
ENOUGH_LEVELS = 20
BLOCK = 4096


@dataclass(frozen=True)
class Forecast:
    """Demand to come, per series and period: what is expected, and how far off it may be.

    keys: item_id, location_id of N series. period_starts: H dates. quantiles: Q levels. values: (N, H, Q) units, not
    decreasing along Q. mean: (N, H) units. correlation: (H, H) of the normal scores of two periods' errors, None = independent.
    """

    keys: pl.DataFrame
    period_starts: list[date]
    quantiles: tuple[float, ...]
    values: Floats
    mean: Floats
    correlation: NDArray[np.float64] | None = None
    whole_units: bool = True

    def __post_init__(self) -> None:
        shape = (len(self.keys), len(self.period_starts), len(self.quantiles))
        if self.values.shape != shape or self.mean.shape != shape[:2]:
            raise ValueError(f"{shape} expected from keys, periods and quantiles; values are {self.values.shape}, mean {self.mean.shape}")

    def at(self, level: float) -> Floats:
        """The quantile at one of the levels held, (N, H)."""
        if level not in self.quantiles:
            raise ValueError(f"level {level} was not forecast; there are {', '.join(map(str, self.quantiles))}")
        return self.values[:, :, self.quantiles.index(level)]

    def select(self, levels: tuple[float, ...]) -> Forecast:
        """The same forecast with fewer levels."""
        values = np.stack([self.at(level) for level in levels], axis=2)
        return Forecast(self.keys, self.period_starts, levels, values, self.mean, self.correlation, self.whole_units)

    def paths(self, samples: int, seed: int = 0) -> Floats:
        """Draw demand paths, (N, samples, H) units: a Gaussian copula over the periods with these quantiles as margins.

        The demand of a window is the sum along a path, so it is composed and not added up from quantiles.
        """
        if len(self.quantiles) < ENOUGH_LEVELS:
            raise ValueError(
                f"paths from {len(self.quantiles)} levels would overstate skewed demand by a quarter; predict with quantiles=PATH_LEVELS"
            )
        horizon = len(self.period_starts)
        correlation = np.eye(horizon) if self.correlation is None else self.correlation
        eigen, vectors = np.linalg.eigh(correlation)
        root = vectors * np.sqrt(np.clip(eigen, 0.0, None))
        root /= np.sqrt((root**2).sum(axis=1, keepdims=True))
        out = np.empty((len(self.keys), samples, horizon), np.float32)
        for start in range(0, len(self.keys), BLOCK):
            block = self.values[start : start + BLOCK]
            random = np.random.default_rng([seed, start])
            normal = random.standard_normal((len(block), samples, horizon), dtype=np.float32) @ root.T.astype(np.float32)
            out[start : start + BLOCK] = self._invert(block, ndtr(normal))
        return np.rint(out) if self.whole_units else out

    def _invert(self, values: Floats, uniform: Floats) -> Floats:
        """Read the quantile function, (n, H, Q), at uniform (n, S, H): linear inside, to zero below, exponential tail above."""
        levels = np.asarray(self.quantiles)
        upper = np.clip(np.searchsorted(levels, uniform), 1, len(levels) - 1)
        by_level = np.moveaxis(values, 1, 0)  # (H, n, Q)
        position = np.moveaxis(upper, 2, 0)  # (H, n, S)
        high = np.moveaxis(np.take_along_axis(by_level, position, axis=2), 0, 2)
        low = np.moveaxis(np.take_along_axis(by_level, position - 1, axis=2), 0, 2)
        share = (uniform - levels[upper - 1]) / (levels[upper] - levels[upper - 1])
        out = low + (high - low) * np.clip(share, 0.0, 1.0)
        below = uniform < levels[0]
        out = np.where(below, low * uniform / levels[0], out)
        decay = np.log((1 - levels[-2]) / (1 - levels[-1]))
        beyond = np.log((1 - levels[-1]) / np.clip(1 - uniform, 1e-9, None)) / decay
        return np.where(beyond > 0, high + (high - low) * beyond, out).astype(np.float32)

    def to_frame(self) -> pl.DataFrame:
        """One row per item, location, period and quantile (null for the mean), with its value in units."""
        series, horizon, width = self.values.shape
        levels = pl.Series("quantile", [*self.quantiles, None], dtype=pl.Float64)
        stacked = np.concatenate([self.values, self.mean[:, :, None]], axis=2).reshape(-1)
        row = np.arange(series * horizon * (width + 1))
        return pl.DataFrame(
            {
                "item_id": self.keys["item_id"].gather(row // (horizon * (width + 1))),
                "location_id": self.keys["location_id"].gather(row // (horizon * (width + 1))),
                "period_start": pl.Series(self.period_starts, dtype=pl.Date).gather(row // (width + 1) % horizon),
                "quantile": levels.gather(row % (width + 1)),
                "value": stacked.astype(np.float64),
            }
        )


#: What a table of a whole forecast says beside its rows.
_KEPT = b"stockhouse.forecast"


def to_table(forecast: Forecast) -> pa.Table:
    """A forecast as one table that says all of it: item_id, location_id, period_start, mean and the levels' values.

    Levels and the correlation of errors are the table's metadata, so that `from_table` draws the same paths, bit by bit.
    """
    count, horizon, width = forecast.values.shape
    row = np.arange(count * horizon)
    keys = forecast.keys.select("item_id", "location_id")[row // horizon].to_arrow()
    values = pa.FixedSizeListArray.from_arrays(pa.array(forecast.values.reshape(-1)), width)
    starts = pa.array(forecast.period_starts, pa.date32()).take(pa.array(row % horizon))
    correlation = None if forecast.correlation is None else forecast.correlation.tolist()
    said = {
        "quantiles": forecast.quantiles,
        "correlation": correlation,
        "whole_units": forecast.whole_units,
    }
    table = pa.table(
        {
            "item_id": keys["item_id"],
            "location_id": keys["location_id"],
            "period_start": starts,
            "mean": pa.array(forecast.mean.reshape(-1)),
            "values": values,
        }
    )
    return table.replace_schema_metadata({_KEPT: json.dumps(said).encode()})


def from_table(table: pa.Table) -> Forecast:
    """The forecast that `to_table` wrote. Raises ValueError for a table that is none."""
    metadata = table.schema.metadata or {}
    if _KEPT not in metadata:
        raise ValueError("this table does not say the levels of a forecast: it was not kept as one")
    said = json.loads(metadata[_KEPT])
    starts = table["period_start"].unique().to_pylist()
    rows = pl.DataFrame(table.select(["item_id", "location_id"]))[:: len(starts)]
    values = table["values"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    shape = (len(rows), len(starts))
    correlation = said["correlation"]
    return Forecast(
        keys=rows,
        period_starts=starts,
        quantiles=tuple(said["quantiles"]),
        values=values.reshape(*shape, len(said["quantiles"])).astype(np.float32),
        mean=table["mean"].to_numpy().reshape(shape).astype(np.float32),
        correlation=None if correlation is None else np.asarray(correlation),
        whole_units=said["whole_units"],
    )


def blend(first: Forecast, second: Forecast, share: float = 0.5) -> Forecast:
    """Two forecasts of the same series averaged level by level, `share` to the second; the spread stays a spread, not a mixture."""
    if not first.keys.equals(second.keys) or first.period_starts != second.period_starts or first.quantiles != second.quantiles:
        raise ValueError("only forecasts of the same series, periods and levels can be blended")
    values = (1 - share) * first.values + share * second.values
    mean = (1 - share) * first.mean + share * second.mean
    correlation = first.correlation if first.correlation is not None else second.correlation
    rounded = np.rint(values) if first.whole_units else values
    return Forecast(first.keys, first.period_starts, first.quantiles, rounded, mean, correlation, first.whole_units)
