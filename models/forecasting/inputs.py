"""What forecasting asks for: feature names, the calendar of a grain, and demand laid out as a dense
panel.

Every feature is grain-agnostic: lag 1 is the last closed period before the origin, whatever a
period is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from models.domain import SERIES

LAGS = (*range(1, 9), 14, 21, 28, 52, 364)
MEANS = (3, 7, 13, 28, 52, 91, 364)
PHASES = 7
STDS = (13, 28, 91)
#: So many periods from this time of last year on, and the mean of the four before them; the year of
#: days is read from the calendar.
AHEAD_A_YEAR_AGO = 13
YEAR_AGO = (*(f"demand_year_ago_{k}" for k in range(AHEAD_A_YEAR_AGO)), "demand_year_ago_mean_4")

#: Features of demand itself, taken at the origin (service demand_v1). Sums of these over series are
#: those of the summed series …
LINEAR_FEATURES = (
    *(f"demand_lag_{k}" for k in LAGS),
    *(f"demand_mean_{k}" for k in MEANS),
    *(f"demand_phase_mean_{k}" for k in range(PHASES)),
    *YEAR_AGO,
)
#: … which is not true of these.
SHAPE_FEATURES = (
    *(f"demand_std_{k}" for k in STDS),
    "demand_zero_share_28",
    "demand_zero_share_91",
    "demand_max_28",
    "known_share_28",
    "periods_since_sale",
    "periods_since_first_sale",
)
DEMAND_FEATURES = LINEAR_FEATURES + SHAPE_FEATURES
ITEM_FEATURES = ("category", "subcategory", "unit_cost", "weight_kg")
PRICE_FEATURES = ("price", "relative_price", "price_change")
#: The world outside, as last observed at the origin (service signals_v1), by family; columns of the
#: model only where a world feeds
SIGNAL_FAMILIES = {
    "weather": ("signal_weather",),
    "macro": ("signal_fuel_price", "signal_consumer_confidence", "signal_unemployment"),
    "search": ("signal_search_interest",),
    "competitor": ("signal_competitor_price", "competitor_distance_m"),
}
SIGNAL_FEATURES = tuple(name for names in SIGNAL_FAMILIES.values() for name in names)
#: Known in advance about a target period (service plans_v1); absence means nothing is planned.
PLAN_FEATURES = ("promotion_count", "event_count", "is_open", "planned_price")
#: The label (service labels_v1): demand of the target period, null where unknown.
LABEL = "demand"

Grain = Literal["day", "week", "month"]
Floats = NDArray[np.float32]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Spec:
    """What to forecast and how much work to spend: the grain, how many periods ahead, whole units
    or not.

    levels: groups of series whose total a level model also forecasts, such as (("location_id",
    "category"),); the bottom forecasts are aligned to it only as far as rolling origins say it
    helps. totals: groups whose total gets a distribution of its own, such as ((), ("category",)).
    rows: training rows at most; rounds: trees;
    half_life: periods after which a training row counts half.
    """

    grain: Grain
    horizon: int
    whole_units: bool = True
    levels: tuple[tuple[str, ...], ...] = (("location_id", "category"),)
    totals: tuple[tuple[str, ...], ...] = ()
    rows: int = 500_000
    rounds: int = 200
    half_life: float | None = None
    seed: int = 0
    threads: int = 2

    def __post_init__(self) -> None:
        if self.horizon < 1:
            raise ValueError(f"horizon is {self.horizon}: forecast at least one period ahead")
        if self.grain not in ("day", "week", "month"):
            raise ValueError(f"grain is {self.grain!r}: use day, week or month")

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Spec:
        """What dataclasses.asdict made of a Spec, also after JSON."""
        return cls(
            **data
            | {name: tuple(tuple(group) for group in data[name]) for name in ("levels", "totals")}
        )

    @property
    def year(self) -> int:
        """Periods in a year that keep the weekday: 364 days, 52 weeks, 12 months."""
        return {"day": 364, "week": 52, "month": 12}[self.grain]

    @property
    def season(self) -> int:
        """The shortest season of the grain, in periods: a week of days, a year of weeks or
        months."""
        return {"day": 7, "week": 52, "month": 12}[self.grain]

    def index(self, days: pl.Series) -> Indices:
        """The running number of the period that starts on each day, shape (n,)."""
        if self.grain == "month":
            return (
                days.dt.year().cast(pl.Int64) * 12 + days.dt.month().cast(pl.Int64) - 1
            ).to_numpy()
        number = days.cast(pl.Date).cast(pl.Int32).cast(pl.Int64).to_numpy()
        return number // (7 if self.grain == "week" else 1)

    def starts(self, origin: date, periods: int | None = None) -> list[date]:
        """The first days of the periods from the origin on."""
        count = range(self.horizon if periods is None else periods)
        if self.grain == "month":
            months = [origin.year * 12 + origin.month - 1 + k for k in count]
            return [date(m // 12, m % 12 + 1, 1) for m in months]
        return [origin + timedelta(days=k * (7 if self.grain == "week" else 1)) for k in count]


@dataclass(frozen=True)
class Panel:
    """Periodic values of all series as one matrix: values (N, T), column 0 is period number
    `first`, NaN where unknown."""

    keys: pl.DataFrame
    first: int
    values: Floats

    def at(self, series: Indices, periods: Indices, absent: float = np.nan) -> Floats:
        """Values at (series, period) pairs; `absent` outside the panel."""
        column = periods - self.first
        inside = (column >= 0) & (column < self.values.shape[1]) & (series >= 0)
        out = np.full(len(series), absent, np.float32)
        out[inside] = self.values[series[inside], column[inside]]
        return out

    def window(self, first: int, last: int) -> Panel:
        """A panel of the periods from `first` to `last` that it has, both included."""
        begin = min(max(first - self.first, 0), self.values.shape[1])
        end = min(max(last + 1 - self.first, begin), self.values.shape[1])
        return Panel(self.keys, self.first + begin, self.values[:, begin:end].copy())

    def until(self, end: int) -> Floats:
        """The values before period number `end`, unknown periods appended where the panel stops
        earlier."""
        width = max(end - self.first, 1)
        short = max(width - self.values.shape[1], 0)
        return np.pad(self.values, ((0, 0), (0, short)), constant_values=np.nan)[:, :width]


def series_keys(frame: pl.DataFrame) -> pl.DataFrame:
    """The distinct series of a frame, sorted: item_id, location_id."""
    missing = [name for name in SERIES if name not in frame.columns]
    if missing:
        raise ValueError(
            f"the frame has no column {', '.join(missing)}; it has {', '.join(frame.columns)}"
        )
    return frame.select(SERIES).unique().sort(SERIES)


def locate(frame: pl.DataFrame, keys: pl.DataFrame) -> Indices:
    """The row of `keys` each row of `frame` belongs to, -1 where it has none."""
    numbered = keys.select(pl.col(SERIES).cast(pl.String)).with_row_index("_series")
    asked = frame.select(pl.col(SERIES).cast(pl.String))
    series = asked.join(numbered, on=list(SERIES), how="left", maintain_order="left")["_series"]
    return series.cast(pl.Int64).fill_null(-1).to_numpy()


def panels(
    frame: pl.DataFrame, keys: pl.DataFrame, columns: list[str], spec: Spec
) -> dict[str, Panel]:
    """Lay out columns of (item_id, location_id, target_on, …) as panels; a repeated cell is an
    error naming its series."""
    series = locate(frame, keys)
    kept = series >= 0
    if not kept.any():
        return {
            name: Panel(keys, 0, np.full((len(keys), 0), np.nan, np.float32)) for name in columns
        }
    period = spec.index(frame["target_on"])
    first, last = int(period[kept].min()), int(period[kept].max())
    width = last - first + 1
    cell = series[kept] * width + period[kept] - first
    counts = np.bincount(cell, minlength=1)
    if counts.max() > 1:
        item, location = keys.row(int(counts.argmax()) // width)[:2]
        raise ValueError(
            f"item {item!r} at location {location!r} has two rows for one period; hand over one "
            "row a period"
        )
    out = {}
    for name in columns:
        values = np.full(len(keys) * width, np.nan, np.float32)
        values[cell] = frame[name].cast(pl.Float32).fill_null(np.nan).to_numpy()[kept]
        out[name] = Panel(keys, first, values.reshape(len(keys), -1))
    return out
