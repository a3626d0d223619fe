"""A forecast as a distribution: quantiles and a mean per series and period, and sample paths that
hang together over time."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from models.domain import SERIES

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
#: How much of the step from one level to the next its stretch of levels keeps on average: a
#: straight line keeps a half, a stair that
#: rises at once or at the end all or nothing. Within these bounds the steps are bent before the
#: tail is, within the wider ones after.
USUAL_BEND, WIDEST_BEND = (0.25, 0.75), (0.005, 0.995)
#: Series whose paths are drawn at a time.
BLOCK = 2048


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
        """Draw demand paths, (N, samples, H) units: a Gaussian copula over the periods with these
        quantiles and this mean as margins.

        The demand of a window is the sum along a path, so it is composed and not added up from
        quantiles. A series is drawn by its name, so its paths are the same whichever others are
        forecast beside it; each normal draw is used with both signs.
        """
        root = self._root().T.astype(np.float32)
        out = np.empty((len(self.keys), samples, len(self.period_starts)), np.float32)
        half = (samples + 1) // 2
        names = ["\x1f".join(map(str, key)) for key in self.keys.select(SERIES).iter_rows()]
        for start in range(0, len(names), BLOCK):
            stop = min(start + BLOCK, len(names))
            drawn = np.stack(
                [
                    _of_series(name, seed).random((2, half, len(root)), np.float32)
                    for name in names[start:stop]
                ]
            )
            normal = ndtri(np.clip(drawn[:, 0], 1e-7, 1 - 1e-7)) @ root
            uniform = ndtr(np.concatenate([normal, -normal], axis=1)[:, :samples])
            units = self._margins(slice(start, stop)).at(uniform)
            # up or down by chance, so that the mean stays; at a level that was forecast there is
            # nothing to round
            if self.whole_units:
                rounding = np.concatenate([drawn[:, 1], 1 - drawn[:, 1]], axis=1)[:, :samples]
                units = np.floor(units + np.clip(rounding, 0.0, 1 - 1e-6))
            out[start:stop] = units
        return out

    def _root(self) -> NDArray[np.float64]:
        """A square root of the correlation, (H, H), rows of length one."""
        correlation = (
            np.eye(len(self.period_starts)) if self.correlation is None else self.correlation
        )
        eigen, vectors = np.linalg.eigh(correlation)
        root = vectors * np.sqrt(np.clip(eigen, 0.0, None))
        return np.asarray(root / np.sqrt((root**2).sum(axis=1, keepdims=True)))

    def _margins(self, rows: slice) -> _Margins:
        return _Margins.of(self.values[rows], self.mean[rows], self.quantiles)

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


@dataclass(frozen=True)
class _Margins:
    """The quantile functions of n series and H periods: levels and values with zero before them,
    how steps are bent, and the tail.

    levels: (Q + 1,). values: (n, H, Q + 1) units. bend: (n, H), the power of the way from one level
    to the next. tail: (n, H), what is expected beyond the last level. scale: (n, H), one unless the
    quantiles allow no such mean.
    """

    levels: NDArray[np.float64]
    values: NDArray[np.float64]
    bend: NDArray[np.float64]
    tail: NDArray[np.float64]
    scale: NDArray[np.float64]

    @classmethod
    def of(cls, values: Floats, mean: Floats, quantiles: tuple[float, ...]) -> _Margins:
        levels = np.concatenate([[0.0], quantiles])
        steps = np.concatenate([np.zeros((*mean.shape, 1)), values], axis=2, dtype=np.float64)
        width, beyond = np.diff(levels), 1 - levels[-1]
        # the mean if every step came at the end of its stretch
        least = steps[:, :, :-1] @ width + beyond * steps[:, :, -1]
        rise, expected = np.diff(steps, axis=2) @ width, mean.astype(np.float64)
        tail = (
            (steps[:, :, -1] - steps[:, :, -2]) / np.log((1 - levels[-2]) / beyond)
            if len(levels) > 2
            else np.zeros_like(expected)
        )

        def kept(tail: NDArray[np.float64], bounds: tuple[float, float]) -> NDArray[np.float64]:
            return np.clip(
                (expected - least - beyond * tail) / np.where(rise > 0, rise, 1.0), *bounds
            )

        share = kept(tail, USUAL_BEND)
        tail = np.maximum((expected - least - share * rise) / beyond, 0.0)
        share = kept(tail, WIDEST_BEND)
        area = least + share * rise + beyond * tail
        return cls(
            levels,
            steps,
            1 / share - 1,
            tail,
            np.where(area > 0, expected / np.where(area > 0, area, 1.0), 1.0),
        )

    def at(self, uniform: NDArray[np.floating]) -> NDArray[np.floating]:
        """Demand (n, S, H) units at uniform (n, S, H)."""
        series, horizon, width = self.values.shape
        step = np.clip(np.searchsorted(self.levels, uniform) - 1, 0, width - 2)
        cell = (np.arange(series)[:, None] * horizon + np.arange(horizon)) * width
        low = self.values.reshape(-1)[cell[:, None, :] + step]
        rise = self.values.reshape(-1)[cell[:, None, :] + step + 1] - low
        share = np.clip((uniform - self.levels[step]) / np.diff(self.levels)[step], 0.0, 1.0)
        units = low + rise * share ** self.bend[:, None, :]
        above = uniform > self.levels[-1]
        far = np.log((1 - self.levels[-1]) / np.maximum(1 - uniform, 1e-9))
        units += np.where(above, far * self.tail[:, None, :], 0.0)
        return np.asarray(units * self.scale[:, None, :])


def agreeing(
    values: Floats, mean: Floats, quantiles: tuple[float, ...], whole_units: bool
) -> Floats:
    """Quantiles (N, H, Q) that a distribution with this mean, (N, H), can have: those too high for
    it are taken down in proportion."""
    levels = np.asarray(quantiles)
    weight = np.append(np.diff(levels), 1 - levels[-1])
    steps = values.astype(np.float64)
    # the mean if every step came as late in its stretch as paths bend it at most (see _Margins)
    rise = np.diff(steps, axis=2, prepend=0.0) @ np.diff(levels, prepend=0.0)
    least = steps @ weight + WIDEST_BEND[0] * rise
    too_high = least > mean
    factor = np.divide(mean, least, out=np.ones_like(least), where=too_high)[:, :, None]
    lowered = values * factor
    return np.where(factor < 1, np.floor(lowered) if whole_units else lowered, values).astype(
        np.float32
    )


def _of_series(name: str, seed: int) -> np.random.Generator:
    """The random numbers of a series, by its name and the seed alone."""
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return np.random.Generator(
        np.random.SFC64(np.random.SeedSequence([seed, int.from_bytes(digest, "little")]))
    )
