"""What is on the way: when it will truly arrive, and when the planner believes it will."""

from __future__ import annotations

import numpy as np

from models.domain import Floats, Integers


class Pipeline:
    """Open orders of all nodes by periods to arrival, and by periods to the promised date where the two may differ.

    Policies see promises only: a late order stays due next period until it comes. units: (N, A + 1, P + 1), A and P the longest
    actual and promised times; when lead times are certain both are the same and P is dropped.
    """

    def __init__(self, nodes: int, longest_actual: int, longest_promised: int, *, is_certain: bool) -> None:
        self._is_certain = is_certain
        self._units = np.zeros((nodes, longest_actual + 1, 1 if is_certain else max(longest_promised, 1) + 1))
        self._rows = np.arange(nodes)

    def load(self, due: Floats) -> None:
        """Take over orders already open: due (N, K), column k arrives at the start of period k, as promised."""
        for k in range(due.shape[1]):
            # advance() runs before the first receipt, so column 0 of `due` waits one place behind the door.
            self._units[:, k + 1, 0 if self._is_certain else min(k + 1, self._units.shape[2] - 1)] += due[:, k]

    def advance(self) -> Floats:
        """Start the next period and hand over what has arrived, shape (N,)."""
        moved = np.zeros_like(self._units)
        moved[:, :-1] = self._units[:, 1:]
        if not self._is_certain:
            promised = np.zeros_like(moved)
            promised[:, :, 1:-1] = moved[:, :, 2:]
            promised[:, :, 1] += moved[:, :, 0] + moved[:, :, 1]  # late: expected next period until it comes
            moved = promised
        arrived = moved[:, 0].sum(axis=1)
        moved[:, 0] = 0.0
        self._units = moved
        return arrived

    def add(self, quantity: Floats, actual: Integers, promised: Integers) -> None:
        """Send off orders that arrive `actual` periods from now and are promised in `promised`; both at least 1 where quantity >
        0."""
        self._units[self._rows, actual, 0 if self._is_certain else promised] += quantity

    def seen(self) -> Floats:
        """What the planner sees: units due at the start of the coming periods by promise, shape (N, K), column 0 the next
        period."""
        return self._units[:, 1:, 0] if self._is_certain else self._units.sum(axis=1)[:, 1:]

    def total(self) -> Floats:
        """All units on the way, shape (N,)."""
        return self._units.sum(axis=(1, 2))
