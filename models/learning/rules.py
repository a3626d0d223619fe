"""Structured policies as arithmetic on arrays: the same code orders in the twin (NumPy) and learns
through the engine (JAX).

Each rule turns parameters and a view into units wanted. Parameters are in multiples of `scale`,
the node's usual demand, so that one learning rate suits all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from models.domain import Floats

Params = dict[str, Any]


class Ops(NamedTuple):
    """Whose arrays are worked on: NumPy's or JAX's.

    through: (smooth, exact) -> the exact values, with the gradient of the smooth ones.
    """

    xp: Any
    through: Callable[[Any, Any], Any]


#: Without gradients.
PLAIN = Ops(np, lambda smooth, exact: exact)


class View(NamedTuple):
    """What a policy sees: on_hand and position (..., N) units, a shipping node's with all that is
    downstream; pipeline (..., N, K), column k due in k + 1 periods."""

    on_hand: Any
    pipeline: Any
    position: Any


def base_stock(ops: Ops, params: Params, view: View, scale: Floats) -> Any:
    """Order up to a level; of a shipping node the level of its whole echelon."""
    return ops.xp.maximum(params["level"] * scale - view.position, 0.0)


def capped_base_stock(ops: Ops, params: Params, view: View, scale: Floats) -> Any:
    """Order up to a level, never more than a cap at once (Xin, Operations Research 69(1), 2021)."""
    return ops.xp.minimum(base_stock(ops, params, view, scale), params["cap"] * scale)


def s_S(ops: Ops, params: Params, view: View, scale: Floats) -> Any:
    """Wait until the position is at s or below, then order up to S = s + batch.

    Its gradient in s is that of a soft threshold, a tenth of usual demand wide.
    """
    xp = ops.xp
    lacking = params["point"] * scale - view.position
    soft = 1.0 / (1.0 + xp.exp(-xp.clip(lacking / (0.1 * scale), -30.0, 30.0)))
    orders = ops.through(soft, 1.0 * (lacking >= 0))
    return orders * (xp.maximum(lacking, 0.0) + xp.abs(params["batch"]) * scale)


#: Every structured rule by its name; each needs these parameters.
RULES: dict[str, Callable[..., Any]] = {
    "base_stock": base_stock,
    "capped_base_stock": capped_base_stock,
    "s_S": s_S,
}
PARAMETERS = {
    "base_stock": ("level",),
    "capped_base_stock": ("level", "cap"),
    "s_S": ("point", "batch"),
}


def whole(ops: Ops, quantity: Any, step: Floats) -> Any:
    """The nearest multiple of each node's step (0: any quantity); gradients pass straight
    through."""
    sized = np.where(step > 0, step, 1.0)
    nearest = sized * ops.xp.floor(quantity / sized + 0.5)
    return ops.through(quantity, ops.xp.where(step > 0, nearest, quantity))
