"""A supplier who takes no order below a value: buy more now, or wait for the next review, whichever
is expected to cost less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from models.domain import Floats, Integers, Situation
from models.replenishment.constraints import Limit, smallest_conflict
from models.replenishment.notes import Note
from models.replenishment.orders import feasible
from models.replenishment.projection import expected_cost, rows_of

#: Unit price by row for quantities by row, (N,) each.
Prices = Callable[[Floats], Floats]


@dataclass(frozen=True)
class SupplierMinimum:
    """The least value of one review's purchases that a supplier accepts, in the world's
    currency."""

    from_id: str
    value: float

    def rows(self, rows: pl.DataFrame) -> Integers:
        """The rows bought from the supplier."""
        return np.flatnonzero(
            ((rows["from_id"] == self.from_id) & (rows["kind"] == "purchase"))
            .fill_null(False)
            .to_numpy()
        )


@dataclass(frozen=True)
class Floor:
    """A supplier's least order value, and the rows bought from that supplier."""

    from_id: str
    value: float
    rows: Integers

    def is_missed(self, quantity: Floats, prices: Prices) -> bool:
        """Whether something is ordered, but for less than the supplier takes."""
        return 0 < float((quantity * prices(quantity))[self.rows].sum()) < self.value - 1e-9


def keep_minimums(
    view: Situation, quantity: Floats, prices: Prices, floors: Sequence[Floor], is_free: np.ndarray
) -> tuple[Floats, list[Note]]:
    """Raise a supplier's lines until its minimum is kept, or take them all back, and note those
    that wait.

    quantity: (N,) units. is_free: (N,) True where the quantity may be raised. More is bought of
    whatever runs out first, one lot after the other; the E units too many of a row wait for its
    next order: E x h x (R + E / 2d). Waiting costs what the lines were to save.
    """
    kept: Floats = quantity.copy()
    notes = []
    for least in floors:
        mine = least.rows
        if not least.is_missed(kept, prices):
            continue
        raised, more = _raised(view, kept, prices, least, is_free)
        costs = expected_cost(
            rows_of(view, mine), np.stack([np.zeros(mine.size), kept[mine]], axis=1)
        )
        waiting = float((costs[:, 0] - costs[:, 1]).sum())
        if more <= waiting:
            kept = raised
            continue
        why = (
            f"{least.from_id} takes no order below {least.value:g}: buying more would cost "
            f"{more:,.2f}, waiting {waiting:,.2f}"
        )
        notes.append(Note("below_supplier_minimum", "warning", mine[kept[mine] > 0], why))
        kept[mine] = 0.0
    return kept, notes


def give_up(
    kept: Floats, fitted: Floats, prices: Prices, floors: Sequence[Floor], limits: Sequence[Limit]
) -> tuple[Floats, list[Note]]:
    """Take back what limits cut below a supplier's minimum, and name the smallest group that cannot
    be kept together.

    kept: (N,) units before the limits, fitted: after them.
    """
    left, notes = fitted.copy(), []
    for least in floors:
        mine = least.rows
        if not least.is_missed(left, prices):
            continue
        alone = np.zeros(kept.size)
        alone[mine] = kept[mine]
        least_order = {f"the least order of {least.from_id} ({least.value:g})": alone}
        group = smallest_conflict(least_order, limits)
        why = (
            f"{' and '.join(group)} cannot all be kept"
            if group
            else f"other orders left less room than the {least.value:g} it takes at least"
        )
        notes.append(Note("below_supplier_minimum", "warning", mine[left[mine] > 0], why))
        left[mine] = 0.0
    return left, notes


def _raised(
    view: Situation, quantity: Floats, prices: Prices, least: Floor, is_free: np.ndarray
) -> tuple[Floats, float]:
    """The quantities that keep the minimum, and what holding the rest costs: infinite where nothing
    can be raised."""
    mine = least.rows
    demand = np.asarray(view.paths)[mine].mean(axis=(1, 2), dtype=np.float64)
    raised, open_ = quantity.copy(), np.flatnonzero(is_free[mine] & (demand > 0))
    while least.is_missed(raised, prices):
        if not open_.size:
            return raised, float("inf")
        cover = (view.position[mine] + raised[mine])[open_] / demand[open_]
        row = mine[open_[int(cover.argmin())]]
        lot = view.order_multiple[row] if view.order_multiple[row] > 0 else 1.0
        raised[row] = feasible(raised[row] + lot, view.moq[row], view.order_multiple[row])
    early = (raised - quantity)[mine]
    waits = np.divide(early, 2 * demand, out=np.zeros_like(early), where=demand > 0) + view.review
    return raised, float((early * view.economics.holding[mine] * waits).sum())
