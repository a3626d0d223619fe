"""Level models: the total of a group of series is easier to forecast than its parts, so the parts
are aligned to it.

A level's features are the sums of its series' features, so nothing more is pulled. How far the
parts follow, from not at all to fully, is chosen on rolling origins and not assumed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import xgboost as xgb
from scipy.sparse import csr_matrix

from models.domain import SERIES
from models.forecasting.boosting import TOTAL, expect, sample, train
from models.forecasting.design_matrix import Design, Plans
from models.forecasting.inputs import (
    LAGS,
    LINEAR_FEATURES,
    SIGNAL_FEATURES,
    YEAR_AGO,
    Floats,
    Indices,
    Panel,
    Spec,
)
from models.forecasting.seasonality import CalendarTotals

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
#: A level never moves its parts by more than this factor.
WIDEST = 2.0
SEPARATOR = "|"
#: Series a group of a fine level must hold on average; smaller ones are as hard to forecast as
#: their parts.
STEADY = 100
#: Level models are small and their trees unsteady: so many are averaged, each from its own seed.
BAGS = 3
#: A calendar is learned from so many days at least: four of each weekday.
LEAST_DAYS = 28
#: Earlier than any period.
EVER = -(10**9)


def finest_level(origins: pl.DataFrame) -> tuple[tuple[str, ...], ...]:
    """The level to align to: locations by the finest category whose groups hold enough series for a
    steady total."""
    series = len(origins.select(SERIES).unique())
    for name in ("subcategory", "category"):
        is_known = name in origins.columns and origins[name].is_not_null().any()
        if is_known and series / len(origins.select("location_id", name).unique()) >= STEADY:
            return (("location_id", name),)
    return (("location_id", "category"),)


def group_name(columns: tuple[str, ...], frame: pl.DataFrame) -> pl.Expr:
    """One text per group; a series whose category is unknown belongs to the group of the
    unknown."""
    parts = [
        pl.col(c).cast(pl.String).fill_null("") if c in frame.columns else pl.lit("")
        for c in columns
    ]
    return pl.concat_str(parts, separator=SEPARATOR)


def total_origins(origins: pl.DataFrame, columns: tuple[str, ...], year: int) -> pl.DataFrame:
    """Origins of the totals: features summed over each group's series, signals averaged; an unknown
    lag in a series' life is its mean. year: periods of one (`Spec.year`)."""
    present = [name for name in LINEAR_FEATURES if name in origins.columns]
    age = (
        pl.col("periods_since_first_sale")
        if "periods_since_first_sale" in origins.columns
        else pl.lit(None)
    )
    usual = pl.coalesce(
        [
            pl.col(n)
            for n in ("demand_mean_13", "demand_mean_28", "demand_mean_52")
            if n in origins.columns
        ]
        or [pl.lit(0.0)]
    )
    lag_of = {f"demand_lag_{k}": k for k in LAGS} | dict.fromkeys(YEAR_AGO, year)
    sums = []
    for name in present:
        column = pl.col(name)
        if name in lag_of:
            column = pl.coalesce(
                column, pl.when(age >= lag_of[name] - 1).then(usual).otherwise(None)
            )
        sums.append(
            pl.when(column.is_not_null().any()).then(column.sum()).otherwise(None).alias(name)
        )
    sums += [pl.col(name).mean() for name in SIGNAL_FEATURES if name in origins.columns]
    kept = [
        pl.col(name).first()
        for name in ("category", "subcategory")
        if name in columns and name in origins.columns
    ]
    summed = origins.group_by(
        [group_name(columns, origins).alias("item_id"), "origin"], maintain_order=True
    ).agg(*sums, *kept)
    location = (
        pl.col("item_id").str.split(SEPARATOR).list.get(columns.index("location_id"))
        if "location_id" in columns
        else pl.lit("")
    )
    return summed.with_columns(location.alias("location_id"))


@dataclass(frozen=True)
class TreeTotals:
    """Totals by small boosted trees, for grains without weekdays; the mean of several trainings."""

    design: Design
    boosters: tuple[xgb.Booster, ...]

    @property
    def spec(self) -> Spec:
        """The grain and the horizon it was trained for."""
        return self.design.spec

    def forecast(self, totals: pl.DataFrame, planned: Plans) -> Floats:
        """Expected units of every total over the horizon, (G, H). totals: one row a total, as known
        at the origin; planned: plans over these rows."""
        base = self.design.base(totals, totals.select(SERIES))
        pair = np.arange(len(totals) * self.design.spec.horizon)
        row, step = pair // self.design.spec.horizon, pair % self.design.spec.horizon
        each = [expect(booster, self.design, base, planned, row, step) for booster in self.boosters]
        return np.mean(each, axis=0, dtype=np.float32).reshape(len(totals), -1)


@dataclass(frozen=True)
class Level:
    """One trained level model, and how far its series follow it."""

    columns: tuple[str, ...]
    model: CalendarTotals | TreeTotals
    strength: float

    def factors(self, origins: pl.DataFrame, plans: Plans, mean: Floats) -> Floats:
        """What each series' mean, (N, H), is multiplied by so that groups meet their total; origins
        of one date, rows as in mean."""
        if self.strength == 0.0:
            return np.ones_like(mean)
        total, group = forecast_totals(self.columns, self.model, origins, plans)
        return alignment(total, group, mean) ** np.float32(self.strength)


def alignment(total: Floats, group: Indices, mean: Floats) -> Floats:
    """Total over the sum of its parts, per series and period, within bounds."""
    parts = membership(group, len(total)) @ mean
    factor = np.where((parts > 0) & np.isfinite(total), total / np.maximum(parts, 1e-9), 1.0)
    return np.clip(factor, 1 / WIDEST, WIDEST).astype(np.float32)[group]


def membership(group: Indices, groups: int) -> csr_matrix:
    """The summing matrix (groups, N)."""
    kept = np.flatnonzero(group >= 0)
    return csr_matrix(
        (np.ones(len(kept), np.float32), (group[kept], kept)), shape=(groups, len(group))
    )


def total_plans(plans: Plans, member: csr_matrix, keys: pl.DataFrame) -> Plans:
    """What is planned for a group: the mean over its series; prices are left to the series."""
    count = np.maximum(np.asarray(member.sum(axis=1)), 1)
    out = {}
    for name, source in plans.panels.items():
        if name != "planned_price":
            absent = 1.0 if name == "is_open" else 0.0
            out[name] = Panel(
                keys,
                source.first,
                member
                @ np.where(np.isnan(source.values), np.float32(absent), source.values)
                / count,
            )
    return Plans(out)


def total_demand(demand: Panel, member: csr_matrix, keys: pl.DataFrame) -> Panel:
    """Demand of the groups; an unknown period inside a series' life counts its mean, so a stock-out
    is no fall in demand."""
    known = ~np.isnan(demand.values)
    usual = np.where(known, demand.values, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    alive = np.maximum.accumulate(known, axis=1)
    filled = np.where(known, demand.values, np.where(alive, usual[:, None], 0)).astype(np.float32)
    return Panel(keys, demand.first, member @ filled)


def forecast_totals(
    columns: tuple[str, ...],
    model: CalendarTotals | TreeTotals,
    origins: pl.DataFrame,
    plans: Plans,
) -> tuple[Floats, Indices]:
    """Totals (G, H) of the groups of one origin date, and the group of each row of `origins`,
    (N,)."""
    totals = total_origins(origins, columns, model.spec.year)
    keys = totals.select(SERIES)
    group = group_of(origins, keys, columns)
    return model.forecast(totals, total_plans(plans, membership(group, len(keys)), keys)), group


def group_of(frame: pl.DataFrame, keys: pl.DataFrame, columns: tuple[str, ...]) -> Indices:
    """The row of `keys` (item_id = group name) each series belongs to, -1 where none."""
    numbered = keys.select(pl.col("item_id").alias("_group")).with_row_index("_row")
    names = frame.select(group_name(columns, frame).alias("_group"))
    row = names.join(numbered, on="_group", how="left", maintain_order="left")["_row"]
    return row.cast(pl.Int64).fill_null(-1).to_numpy()


def train_level(
    columns: tuple[str, ...],
    origins: pl.DataFrame,
    keys: pl.DataFrame,
    demand: Panel,
    plans: Plans,
    spec: Spec,
    before: int,
) -> CalendarTotals | TreeTotals | None:
    """Train a level model on targets before period number `before`; `keys` carries the columns that
    name the groups.

    Days have a calendar to learn, coarser periods have not; None where there is too little to learn
    from.
    """
    totals = total_origins(origins, columns, spec.year)
    level_keys = totals.select(SERIES).unique().sort(SERIES)
    member = membership(group_of(keys, level_keys, columns), len(level_keys))
    observed, planned = (
        total_demand(demand, member, level_keys),
        total_plans(plans, member, level_keys),
    )
    if spec.grain == "day":
        return (
            CalendarTotals.learn(observed, planned, spec, before)
            if before - observed.first >= LEAST_DAYS
            else None
        )
    design = Design.learn(totals, spec)
    base = design.base(totals, level_keys)
    rounds = min(300, max(50, spec.rounds))
    boosters = []
    for seed in range(spec.seed, spec.seed + BAGS):
        pairs = sample(base, observed, spec, max(spec.rows // 4, 1), EVER, before, seed)
        booster = train(design, base, planned, pairs, {**TOTAL, "seed": seed}, rounds)
        boosters += [booster] if booster is not None else []
    return TreeTotals(design, tuple(boosters)) if boosters else None
