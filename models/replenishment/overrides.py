"""What a planner knows and the data do not: a demand factor, a fixed quantity or a parameter, for a
while and with a reason.

Precedence: constraint, then override, then model. Every overridden line keeps what the system would
have done, so that the override's worth can be settled in money later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import numpy as np
import polars as pl

from models.domain import Floats

Kind = Literal["demand_factor", "quantity", "parameter"]
#: What of a plan a planner may set: its economics and its lead time; the least quantity and the
#: multiple are the supplier's word.
PARAMETERS = ("holding_cost", "shortage_cost", "unit_cost", "lead_time_periods")


@dataclass(frozen=True)
class Override:
    """One planner's override.

    scope: column -> value of the rows it concerns, such as {"item_id": "A", "location_id": "UK"};
    empty for all. kind: demand_factor multiplies every sampled demand by value; quantity orders so
    many units, rounded up to what the supplier accepts; parameter sets the numeric column
    `parameter` to value. expires_on: the last day it holds; None for ever.
    """

    kind: Kind
    value: float
    reason: str
    scope: Mapping[str, str] = field(default_factory=dict)
    expires_on: date | None = None
    parameter: str | None = None

    def __post_init__(self) -> None:
        if not np.isfinite(self.value) or self.value < 0:
            raise ValueError(
                f"override {self.reason!r}: value is {self.value}, it must be a number, 0 or more"
            )
        if (self.kind == "parameter") != (self.parameter is not None):
            raise ValueError(
                f"override {self.reason!r}: name the parameter for kind 'parameter', and for no "
                "other kind"
            )

    def is_active(self, on: date) -> bool:
        """Whether it holds on a day, its last day included."""
        return self.expires_on is None or on <= self.expires_on

    def touches(self, rows: pl.DataFrame) -> np.ndarray:
        """True for the rows in scope, shape (N,); ValueError for a scope that is no column of the
        plan."""
        return in_scope(rows, self.scope, f"override {self.reason!r}")


@dataclass(frozen=True)
class Overridden:
    """The inputs as the planner wants them: rows, paths (N, S, H), fixed quantities (N,) NaN where
    free, reasons by row.

    is_lead_time_set: (N,) True where the lead time is the planner's word and no longer the
    supplier's record.
    """

    rows: pl.DataFrame
    paths: Floats
    fixed: Floats
    is_lead_time_set: np.ndarray
    reasons: list[str]


def apply(overrides: Sequence[Override], rows: pl.DataFrame, paths: Floats) -> Overridden:
    """Apply overrides in their order; of two that set the same thing the later wins, factors
    multiply."""
    fixed, is_lead_time_set = np.full(rows.height, np.nan), np.zeros(rows.height, dtype=bool)
    reasons: list[list[str]] = [[] for _ in range(rows.height)]
    for override in overrides:
        touched = override.touches(rows)
        for row in np.flatnonzero(touched):
            reasons[row].append(override.reason)
        if override.kind == "demand_factor":
            paths = np.where(touched[:, None, None], paths * override.value, paths)
        elif override.kind == "quantity":
            fixed = np.where(touched, override.value, fixed)
        else:
            name = str(override.parameter)
            if name not in rows.columns or not rows.schema[name].is_numeric():
                raise ValueError(
                    f"override {override.reason!r}: {name!r} is no numeric column of the plan"
                )
            is_lead_time_set |= touched & (name == "lead_time_periods")
            value = pl.lit(override.value).cast(rows.schema[name])
            rows = rows.with_columns(
                pl.when(pl.Series(touched)).then(value).otherwise(name).alias(name)
            )
    return Overridden(rows, paths, fixed, is_lead_time_set, ["; ".join(texts) for texts in reasons])


def in_scope(rows: pl.DataFrame, scope: Mapping[str, str], whose: str) -> np.ndarray:
    """True for the rows whose columns have the scope's values, shape (N,)."""
    inside = np.ones(rows.height, dtype=bool)
    for column, value in scope.items():
        if column not in rows.columns:
            raise ValueError(f"{whose} is scoped by {column!r}, which is no column of the plan")
        inside &= (rows[column].cast(pl.String) == value).fill_null(False).to_numpy()
    return inside
