"""How far the twin can be trusted: the past, run again with the orders that were really placed, and
its stock beside what people counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from models.domain import Floats, Integers, Situation
from models.twin.network import Network
from models.twin.simulator import SimulationResult, simulate

#: Counted and simulated stock of a class and place may differ by this share of what was counted;
#: beyond, answers about it are not to be trusted.
TRUSTED = 0.2


@dataclass(frozen=True)
class PastOrders:
    """What was really ordered: units (N, T) by the period of the order, and the periods each took
    (N, T), T or more where it never came."""

    units: Floats
    took: Integers

    def until(self, period: int) -> PastOrders:
        """The orders of the first so many periods."""
        units = self.units.copy()
        units[:, period:] = 0.0
        return PastOrders(units, self.took)


@dataclass
class Placed:
    """A rule that orders what was really ordered. units: (T, N)."""

    units: Floats
    name: str = "as_placed"
    _next: int = field(default=0, repr=False)

    def order(self, situation: Situation) -> Floats:
        """The next period's orders, whatever the situation."""
        self._next += 1
        return self.units[self._next - 1]


def run_again(
    network: Network,
    demand: Floats,
    on_hand: Floats,
    due: Floats,
    placed: PastOrders,
) -> SimulationResult:
    """The periods from `on_hand` and `due` on, with the orders placed and the time each took.

    demand: (N, T) what was sold. due: (N, K) open at the start.
    """
    lanes = network.lead_time.size
    as_was = replace(
        network,
        review=1,
        moq=np.zeros(lanes),
        order_multiple=np.zeros(lanes),
    )
    return simulate(
        as_was,
        Placed(placed.units.T.copy()),
        demand,
        on_hand,
        pipeline=due,
        arriving=due,
        lead_times=placed.took,
    )


def errors(
    rows: pl.DataFrame, simulated: Floats, counted: pl.DataFrame, classes: Sequence[str]
) -> pl.DataFrame:
    """Simulated stock against counted stock by item class and place.

    rows: item_id and location_id of N nodes. simulated: (N, T) units at the end of each period.
    counted: row, period and on_hand, one line a count. Columns: item_class, location_id, counts,
    counted (mean units), error (sum of absolute differences over what was counted), bias (sum of
    differences over it), is_trusted (error up to TRUSTED).
    """
    there = simulated[counted["row"].to_numpy(), counted["period"].to_numpy()]
    said = counted.with_columns(
        item_class=pl.Series(classes, dtype=pl.String).gather(counted["row"]),
        location_id=rows["location_id"].cast(pl.String).gather(counted["row"]),
        off=pl.Series(there) - counted["on_hand"],
    )
    total = pl.col("on_hand").sum().clip(1e-9)
    found = said.group_by("item_class", "location_id").agg(
        counts=pl.len().cast(pl.Int64),
        counted=pl.col("on_hand").mean(),
        error=pl.col("off").abs().sum() / total,
        bias=pl.col("off").sum() / total,
    )
    return found.with_columns(is_trusted=pl.col("error") <= TRUSTED).sort(
        "item_class", "location_id"
    )


def overall_error(found: pl.DataFrame) -> float:
    """The error over all classes and places, each as much as was counted of it; found: see
    `errors`."""
    counted = (found["counts"] * found["counted"]).to_numpy()
    return float(found["error"].to_numpy() @ counted) / max(float(counted.sum()), 1e-9)
