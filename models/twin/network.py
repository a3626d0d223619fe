"""The network the twin simulates: items at locations, who supplies whom, how long it takes and what it costs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.domain import Economics, Floats, Integers
from models.replenishment.echelon import check_tree


@dataclass(frozen=True)
class Network:
    """Items at locations as nodes 0 .. N-1, each supplied by another node or by a supplier who never runs out.

    supplied_from: (N,) index of the shipping node, -1 for a supplier; two levels. lead_time: (N,) planned whole periods from
    order (or transfer) to stock. economics: per node; order_cost is booked on every order line. review: periods between
    decisions. moq, order_multiple: (N,) units (multiple 1 = whole units, 0 = any quantity). freight_per_unit: (N,) money a unit
    shipped to the node; shown, never part of what a policy is judged by.
    """

    lead_time: Integers
    economics: Economics
    supplied_from: Integers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    review: int = 1
    moq: Floats = field(default_factory=lambda: np.zeros(0))
    order_multiple: Floats = field(default_factory=lambda: np.zeros(0))
    freight_per_unit: Floats = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        count = self.lead_time.size
        for name, default in (("supplied_from", -1), ("moq", 0.0), ("order_multiple", 1.0), ("freight_per_unit", 0.0)):
            given = getattr(self, name)
            if given.size == 0:
                object.__setattr__(self, name, np.full(count, default))
            elif given.size != count:
                raise ValueError(f"network: {name} has {given.size} entries for {count} nodes")
        for name in ("holding", "shortage", "unit_cost", "order_cost"):
            values = getattr(self.economics, name)
            if values.shape != (count,):
                raise ValueError(f"network: economics.{name} has shape {values.shape} for {count} nodes")
            if not (np.isfinite(values) & (values >= 0)).all():
                raise ValueError(f"network: economics.{name} must be a finite number, 0 or more, at every node")
        if self.review < 1 or (count and self.lead_time.min() < 0):
            raise ValueError("network: review must be at least one period and no lead time negative")
        check_tree(self.supplied_from)

    @property
    def size(self) -> int:
        return int(self.lead_time.size)

    @property
    def is_parent(self) -> np.ndarray:
        """True at nodes that ship to other nodes, shape (N,)."""
        flags = np.zeros(self.size, dtype=bool)
        flags[self.supplied_from[self.supplied_from >= 0]] = True
        return flags
