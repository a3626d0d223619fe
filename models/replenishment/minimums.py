"""A supplier who takes no order below a value, a weight, a volume, or a number of units or
pallets: buy more now, or wait for the next review, whichever is expected to cost less."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from models.domain import Floats, Integers, Situation
from models.replenishment.constraints import Limit, smallest_conflict
from models.replenishment.notes import Note
from models.replenishment.orders import feasible
from models.replenishment.projection import expected_cost

#: Unit price by row for quantities by row, (N,) each.
Prices = Callable[[Floats], Floats]


#: What a minimum may count, and how that is said behind its number.
COUNTS = {
    "value": "",
    "weight_kg": " kg",
    "volume_m3": " m³",
    "units": " units",
    "pallets": " pallets",
}
Counted = Literal["value", "weight_kg", "volume_m3", "units", "pallets"]


@dataclass(frozen=True)
class SupplierMinimum:
    """The least of one review's purchases that a supplier accepts: value in the world's currency,
    or what `counts` says: kilograms, cubic metres, units, or pallets of whatever items."""

    from_id: str
    value: float
    counts: Counted = "value"

    def floor(self, rows: pl.DataFrame) -> Floor:
        """The minimum in numbers for these rows, with pallet_quantity where pallets count; an item
        whose size nobody knows adds none."""
        use = None
        if self.counts == "units":
            use = np.ones(rows.height)
        elif self.counts == "pallets":
            use = (1 / rows["pallet_quantity"].cast(pl.Float64)).fill_null(0.0).to_numpy()
        elif self.counts != "value":
            use = rows[self.counts].cast(pl.Float64).fill_null(0.0).to_numpy()
        said = f"{self.value:g}{COUNTS[self.counts]}"
        return Floor(self.from_id, self.value, self.rows(rows), use, said)

    def rows(self, rows: pl.DataFrame) -> Integers:
        """The rows bought from the supplier."""
        return np.flatnonzero(
            ((rows["from_id"] == self.from_id) & (rows["kind"] == "purchase"))
            .fill_null(False)
            .to_numpy()
        )


@dataclass(frozen=True)
class Floor:
    """A supplier's least order, and the rows bought from that supplier.

    use: (N,) what a unit of each row counts, None for its price. said: the minimum in words.
    """

    from_id: str
    value: float
    rows: Integers
    use: Floats | None = None
    said: str = ""

    def counted(self, quantity: Floats, prices: Prices) -> Floats:
        """What each row's order counts, (N,)."""
        return quantity * (prices(quantity) if self.use is None else self.use)

    def is_missed(self, quantity: Floats, prices: Prices) -> bool:
        """Whether something is ordered, but less than the supplier takes."""
        is_ordered = bool((quantity[self.rows] > 0).any())
        reached = float(self.counted(quantity, prices)[self.rows].sum())
        return is_ordered and reached < self.value - 1e-9


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
        costs = expected_cost(view, np.stack([np.zeros(mine.size), kept[mine]], axis=1), mine)
        waiting = float((costs[:, 0] - costs[:, 1]).sum())
        if more <= waiting:
            kept = raised
            continue
        buying = (
            f"buying more would cost {more:,.2f}"
            if np.isfinite(more)
            else "nothing that counts towards it sells or may be raised"
        )
        why = f"{least.from_id} takes no order below {least.said}: {buying}, waiting {waiting:,.2f}"
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
        least_order = {f"the least order of {least.from_id} ({least.said})": alone}
        group = smallest_conflict(least_order, limits)
        why = (
            f"{' and '.join(group)} cannot all be kept"
            if group
            else f"other orders left less room than the {least.said} it takes at least"
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
    counts = least.counted(np.ones(quantity.size), prices)[mine] > 0
    raised, open_ = quantity.copy(), np.flatnonzero(is_free[mine] & (demand > 0) & counts)
    while least.is_missed(raised, prices):
        if not open_.size:
            return raised, float("inf")
        cover = (view.position[mine] + raised[mine])[open_] / demand[open_]
        row = mine[open_[int(cover.argmin())]]
        lot = view.order_multiple[row] if view.order_multiple[row] > 0 else 1.0
        raised[row] = feasible(raised[row] + lot, view.moq[row], view.order_multiple[row])
    early = (raised - quantity)[mine]
    waits = np.divide(early, 2 * demand, out=np.zeros_like(early), where=demand > 0)
    held = early * view.economics.holding[mine] * (waits + view.interval[mine])
    return raised, float(held.sum())
