"""A supplier who takes no order below a value, a weight, a volume, or a number of units or
pallets: buy more now, or wait for the next review, whichever is expected to cost less; and a truck
that costs the same however full it is: fill up its rest where that is cheaper than holding it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import polars as pl

from models.domain import Floats, Integers, Situation
from models.replenishment.constraints import Limit, smallest_conflict
from models.replenishment.notes import Note
from models.replenishment.order_rounding import feasible
from models.replenishment.stock_projection import expected_cost

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
    or what `counts` says: kilograms, cubic metres, units, or pallets of whatever items.

    truck_cost: money that each truck costs, in which the least order goes: 0 where nobody says.
    truck: how much one takes, in what is counted; None: as much as the least order. currency: what
    a value is said in.
    """

    from_id: str
    value: float
    counts: Counted = "value"
    truck_cost: float = 0.0
    truck: float | None = None
    currency: str = ""

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
        unit = COUNTS[self.counts] or f" {self.currency}".rstrip()
        size = self.value if self.truck is None else self.truck
        mine = self.rows(rows)
        return Floor(self.from_id, self.value, mine, use, unit, self.truck_cost, size)

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

    use: (N,) what a unit of each row counts, None for its price. unit: what is said behind amounts.
    truck_cost, truck: what a truck costs, and how much one takes.
    """

    from_id: str
    value: float
    rows: Integers
    use: Floats | None = None
    unit: str = ""
    truck_cost: float = 0.0
    truck: float = 0.0

    @property
    def said(self) -> str:
        """The minimum in words."""
        return f"{_amount(self.value)}{self.unit}"

    def upto(self, value: float) -> Floor:
        """The same rows with another least order."""
        return replace(self, value=value)

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
            kept = _filled(view, kept, prices, least, is_free)
            continue
        raised, more = _raised(view, kept, prices, least, is_free)
        costs = expected_cost(view, np.stack([np.zeros(mine.size), kept[mine]], axis=1), mine)
        waiting = float((costs[:, 0] - costs[:, 1]).sum())
        if more <= waiting:
            kept = _filled(view, raised, prices, least, is_free)
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


def in_minimum_words(quantity: Floats, prices: Prices, floors: Sequence[Floor]) -> list[str]:
    """What a planner reads of the least order of each row's supplier, and what is ordered of him
    all in all; empty where nothing is, or he names none. quantity: (N,) units ordered."""
    said = [""] * quantity.size
    for least in floors:
        mine = least.rows[quantity[least.rows] > 0]
        total = _amount(float(least.counted(quantity, prices)[mine].sum()))
        for row in mine if least.value > 0 else ():
            said[row] = (
                f"{least.from_id} takes no order below {least.said}, this one comes to {total}"
            )
    return said


def _amount(value: float) -> str:
    return f"{value:,.2f}".removesuffix("0").removesuffix(".0")


def _filled(
    view: Situation, quantity: Floats, prices: Prices, least: Floor, is_free: np.ndarray
) -> Floats:
    """The quantities with the last truck filled up, where holding what fills it costs less than
    that part of the truck: what goes in now needs no place in a later one."""
    loaded = float(least.counted(quantity, prices)[least.rows].sum())
    if least.truck_cost <= 0 or least.truck <= 0 or not (quantity[least.rows] > 0).any():
        return quantity
    trucks = np.ceil(loaded / least.truck - 1e-9)
    empty = trucks - loaded / least.truck
    if empty <= 1e-9:
        return quantity
    # the last lot that goes in must not need another truck
    full, _ = _raised(view, quantity, prices, least.upto(trucks * least.truck), is_free, over=False)
    early = full - quantity
    gained = float(least.counted(full, prices)[least.rows].sum()) - loaded
    costs = _holding(view, early, least.rows)
    return full if costs < least.truck_cost * gained / least.truck else quantity


def _holding(view: Situation, early: Floats, mine: Integers) -> float:
    """What holding units costs that are bought before they are needed."""
    demand = np.asarray(view.paths)[mine].mean(axis=(1, 2), dtype=np.float64)
    units = early[mine]
    waits = np.divide(units, 2 * demand, out=np.zeros_like(units), where=demand > 0)
    return float((units * view.economics.holding[mine] * (waits + view.interval[mine])).sum())


def _raised(
    view: Situation,
    quantity: Floats,
    prices: Prices,
    least: Floor,
    is_free: np.ndarray,
    *,
    over: bool = True,
) -> tuple[Floats, float]:
    """The quantities that keep the minimum, and what holding the rest costs: infinite where nothing
    can be raised. over: whether the last lot may go beyond it; else a lot that would is left out.
    """
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
        more = raised.copy()
        more[row] = feasible(raised[row] + lot, view.moq[row], view.order_multiple[row])
        if not over and float(least.counted(more, prices)[mine].sum()) > least.value + 1e-9:
            open_ = open_[mine[open_] != row]
            continue
        raised = more
    return raised, _holding(view, raised - quantity, mine)
