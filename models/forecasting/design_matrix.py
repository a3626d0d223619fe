"""From features as pulled to the matrix XGBoost reads: every series on its own scale, every row
about one target period.

A row is a pair (origin row, offset): the features known at the origin, divided by the series'
recent level, and what the calendar and the plans say about the target period. The model learns
factors on the level, so a shop that sells 3 a day teaches one that sells 300.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from models.domain import SERIES
from models.forecasting.inputs import (
    AHEAD_A_YEAR_AGO,
    DEMAND_FEATURES,
    LAGS,
    LINEAR_FEATURES,
    PHASES,
    PLAN_FEATURES,
    SHAPE_FEATURES,
    SIGNAL_FAMILIES,
    SIGNAL_FEATURES,
    YEAR_AGO,
    Floats,
    Indices,
    Panel,
    Spec,
    locate,
    panels,
)

LEVEL_MEANS = {"day": (7, 28, 91), "week": (3, 13, 52), "month": (3, 13)}
SCALED = (
    *(name for name in LINEAR_FEATURES if name not in YEAR_AGO),
    *(name for name in SHAPE_FEATURES if name.startswith(("demand_std", "demand_max"))),
)
PLAIN = tuple(name for name in SHAPE_FEATURES if name not in SCALED)
CODES = ("category", "subcategory", "location_id")
PRICES = ("relative_price", "price_change")
TARGET = (
    "offset",
    "same_phase_mean",
    "same_phase_last",
    "same_period_last_year",
    "season_last_year",
    "day_of_week",
    "day_of_month",
    "week_of_year",
    "month",
)
PLANNED = (
    "promotion_count",
    "event_count",
    "is_open",
    "planned_price_ratio",
    "event_count_before",
    "event_count_after",
)
COLUMNS = (*SCALED, *PLAIN, *PRICES, "log_level", "log_price", *CODES, *TARGET, *PLANNED)

#: What a column is about, for explanations.
GROUPS = {
    **dict.fromkeys(SCALED, "recent demand"),
    **dict.fromkeys(PLAIN, "recent demand"),
    **dict.fromkeys(("log_level", *CODES, "offset"), "recent demand"),
    **dict.fromkeys((*PRICES, "log_price", "planned_price_ratio"), "price"),
    **dict.fromkeys(
        ("same_phase_mean", "same_phase_last", "same_period_last_year", *TARGET[4:], "is_open"),
        "season",
    ),
    **dict.fromkeys(("promotion_count",), "promotion"),
    **dict.fromkeys(("event_count", "event_count_before", "event_count_after"), "event"),
    **{name: family for family, names in SIGNAL_FAMILIES.items() for name in names},
}


@dataclass(frozen=True)
class Base:
    """The origin rows, ready to be paired with offsets: matrix (R, F), level (R,), origin period
    (R,), series row (R,), price (R,) in currency, signals (R, S) in their own units."""

    matrix: Floats
    level: Floats
    phase_means: Floats
    lags: dict[int, Floats]
    year_ago: Floats
    price: Floats
    signals: Floats
    origin: Indices
    series: Indices


@dataclass(frozen=True)
class Plans:
    """Plans as panels, one per plan feature, over the series of one frame."""

    panels: dict[str, Panel] = field(default_factory=dict)

    @classmethod
    def of(cls, plans: pl.DataFrame | None, keys: pl.DataFrame, spec: Spec) -> Plans:
        """Plans laid out over the series of `keys`; empty where nothing is planned."""
        if plans is None or plans.is_empty():
            return cls()
        return cls(
            panels(plans, keys, [name for name in PLAN_FEATURES if name in plans.columns], spec)
        )

    def window(self, first: int, last: int) -> Plans:
        """What is planned for the periods from `first` to `last`, both included."""
        return Plans({name: panel.window(first, last) for name, panel in self.panels.items()})

    def at(self, name: str, series: Indices, periods: Indices, absent: float) -> Floats:
        """What is planned for a series in a period, (n,); `absent` where no plan says anything.
        series: rows of `keys`; periods: period numbers."""
        if name not in self.panels:
            return np.full(len(series), absent, np.float32)
        planned = self.panels[name].at(series, periods, absent)
        return np.where(np.isnan(planned), np.float32(absent), planned)


@dataclass(frozen=True)
class Design:
    """How features become columns, learned from the training origins: codes of categories, the
    floor of a level, the signals fed."""

    spec: Spec
    codes: dict[str, list[str]]
    floor: float
    new_level: dict[str, float]
    signals: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of `rows`, in order."""
        return (*COLUMNS, *self.signals)

    @property
    def kinds(self) -> list[str]:
        """What XGBoost calls the type of each column: categorical or quantitative."""
        return ["c" if name in CODES else "q" for name in self.columns]

    @classmethod
    def learn(cls, origins: pl.DataFrame, spec: Spec) -> Design:
        """Read the categories and the usual level of a series, overall ("") and by category, from
        the origins."""
        codes = {
            name: sorted(origins[name].cast(pl.String).drop_nulls().unique().to_list())
            if name in origins.columns
            else []
            for name in CODES
        }
        level = _level(origins, spec)
        usual = float(np.nanmean(level)) if np.isfinite(level).any() else 0.0
        new_level = {"": usual}
        if "category" in origins.columns:
            by_category = pl.DataFrame(
                {"category": origins["category"].cast(pl.String), "level": level}
            ).with_columns(pl.col("level").fill_nan(None))
            for category, value in (
                by_category.group_by("category")
                .agg(pl.col("level").median())
                .drop_nulls()
                .sort("category")
                .iter_rows()
            ):
                new_level[category] = float(value)
        signals = tuple(
            name
            for name in SIGNAL_FEATURES
            if name in origins.columns and origins[name].is_not_null().any()
        )
        return cls(spec, codes, max(0.02 * usual, 1e-6), new_level, signals)

    def base(self, origins: pl.DataFrame, keys: pl.DataFrame | None = None) -> Base:
        """Scale the features of each origin row by its own level; a feature that is not there is
        unknown."""
        missing = [name for name in (*SERIES, "origin") if name not in origins.columns]
        if missing:
            raise ValueError(
                f"origins lack {', '.join(missing)}; pull them with service demand_v1 and name the "
                "cutoff `origin`"
            )
        level = _level(origins, self.spec)
        unknown = np.isnan(level)
        if unknown.any():
            category = (
                origins["category"].cast(pl.String).to_list()
                if "category" in origins.columns
                else [None] * len(origins)
            )
            level = level.copy()
            level[unknown] = [
                self.new_level.get(category[i] or "", self.new_level[""])
                for i in np.flatnonzero(unknown)
            ]
        level = np.maximum(level, self.floor).astype(np.float32)
        matrix = np.empty((len(origins), len(COLUMNS) - len(TARGET) - len(PLANNED)), np.float32)
        for j, name in enumerate(SCALED):
            matrix[:, j] = np.clip(_column(origins, name) / level, 0, 100)
        j = len(SCALED)
        for name in (*PLAIN, *PRICES):
            matrix[:, j] = _column(origins, name)
            j += 1
        matrix[:, j] = np.log(level)
        price = _column(origins, "price")
        matrix[:, j + 1] = np.log(np.where(price > 0, price, np.nan))
        for k, name in enumerate(CODES):
            matrix[:, j + 2 + k] = self._coded(origins, name)
        phases = np.stack(
            [matrix[:, SCALED.index(f"demand_phase_mean_{k}")] for k in range(PHASES)], axis=1
        )
        series = np.arange(len(origins)) if keys is None else locate(origins, keys)
        year_ago = np.stack(
            [np.clip(_column(origins, name) / level, 0, 100) for name in YEAR_AGO], axis=1
        )
        lags = {k: matrix[:, SCALED.index(f"demand_lag_{k}")] for k in LAGS}
        signals = np.empty((len(origins), len(self.signals)), np.float32)
        for k, name in enumerate(self.signals):
            signals[:, k] = _column(origins, name)
        return Base(
            matrix,
            level,
            phases,
            lags,
            year_ago,
            price,
            signals,
            self.spec.index(origins["origin"]),
            series,
        )

    def _coded(self, origins: pl.DataFrame, name: str) -> Floats:
        """The code of each row's category; unknown where training had none such."""
        if name not in origins.columns:
            return np.full(len(origins), np.nan, np.float32)
        order = pl.DataFrame(
            {"value": self.codes[name], "code": range(len(self.codes[name]))},
            schema={"value": pl.String, "code": pl.Float32},
        )
        asked = origins.select(pl.col(name).cast(pl.String).alias("value"))
        coded = asked.join(order, on="value", how="left", maintain_order="left")["code"]
        return coded.fill_null(np.nan).to_numpy()

    def rows(self, base: Base, row: Indices, offset: Indices, plans: Plans) -> Floats:
        """The matrix of pairs (origin row, offset), offset 0 = the first period after the cutoff;
        shape (n, columns)."""
        target = base.origin[row] + offset
        series = base.series[row]
        fixed = base.matrix.shape[1]
        out = np.empty((len(row), len(self.columns)), np.float32)
        out[:, :fixed] = base.matrix[row]
        out[:, fixed] = offset
        out[:, fixed + 1] = base.phase_means[row, offset % PHASES]
        out[:, fixed + 2] = np.nan
        for k in np.unique(offset):
            lag = PHASES - int(k) % PHASES
            if lag in base.lags:
                chosen = offset == k
                out[chosen, fixed + 2] = base.lags[lag][row[chosen]]
        ahead = np.minimum(offset, AHEAD_A_YEAR_AGO - 1)
        is_told = (offset < AHEAD_A_YEAR_AGO) & (self.spec.grain != "day")
        out[:, fixed + 3] = np.where(is_told, base.year_ago[row, ahead], np.nan)
        usual = base.year_ago[row, AHEAD_A_YEAR_AGO]
        out[:, fixed + 4] = out[:, fixed + 3] / np.where(usual > 0, usual, np.nan)
        out[:, fixed + 5 : fixed + 9] = calendar(self.spec, target)
        j = fixed + len(TARGET)
        out[:, j] = plans.at("promotion_count", series, target, 0.0)
        out[:, j + 1] = plans.at("event_count", series, target, 0.0)
        out[:, j + 2] = plans.at("is_open", series, target, 1.0)
        out[:, j + 3] = plans.at("planned_price", series, target, np.nan) / base.price[row]
        out[:, j + 4] = plans.at("event_count", series, target - 1, 0.0)
        out[:, j + 5] = plans.at("event_count", series, target + 1, 0.0)
        out[:, j + 6 :] = base.signals[row]
        return out

    def to_dict(self) -> dict[str, Any]:
        """What was learned as plain values, for a model's card."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Design:
        """What `to_dict` kept."""
        return cls(
            Spec.from_dict(data["spec"]),
            data["codes"],
            data["floor"],
            data["new_level"],
            tuple(data["signals"]),
        )


def calendar(spec: Spec, periods: Indices) -> Floats:
    """Weekday, day of the month, week of the year and month of each period number, (n, 4); what a
    grain lacks is unknown."""
    distinct, inverse = np.unique(periods, return_inverse=True)
    table = np.full((len(distinct), 4), np.nan, np.float32)
    for i, number in enumerate(distinct.tolist()):
        if spec.grain == "month":
            table[i, 3] = number % 12 + 1
            continue
        day = date(1970, 1, 1) + timedelta(days=number * (7 if spec.grain == "week" else 1))
        table[i] = (day.isoweekday(), day.day, day.isocalendar().week, day.month)
        if spec.grain == "week":
            table[i, 0] = np.nan
    return table[inverse]


def _column(frame: pl.DataFrame, name: str) -> Floats:
    if name not in frame.columns:
        return np.full(len(frame), np.nan, np.float32)
    return frame[name].cast(pl.Float32).fill_null(np.nan).to_numpy()


def _level(origins: pl.DataFrame, spec: Spec) -> Floats:
    """A series' recent level: the plain average of its short, middle and long mean, NaN for a
    series without any history."""
    if not set(DEMAND_FEATURES) & set(origins.columns):
        raise ValueError("origins carry no demand feature at all; pull them with service demand_v1")
    means = np.stack([_column(origins, f"demand_mean_{k}") for k in LEVEL_MEANS[spec.grain]])
    known = ~np.isnan(means)
    total = np.where(known, means, 0.0).sum(axis=0)
    return np.where(
        known.any(axis=0), np.maximum(total, 0.0) / np.maximum(known.sum(axis=0), 1), np.nan
    ).astype(np.float32)
