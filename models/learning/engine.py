"""The twin's physics once more, in JAX, so that a policy's cost can be differentiated through it.

Same clock, same books as models/twin/simulator.py, held equal by a test on random networks; many
copies of a network (paths) run side by side. Where the clock rounds, the forward pass is exact and
the gradient passes as if it did not round (straight-through).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from models.domain import Floats
from models.learning.rules import Ops, View
from models.replenishment.order_rounding import smallest_order
from models.twin.network import Network

Array = jax.Array
Params = Any
#: Parameters and what is seen -> units wanted, (B, N).
Rule = Callable[[Params, View], Array]
#: How softly "is anything ordered" counts in gradients, units.
SOFTNESS = 1.0


def straight_through(smooth: Array, exact: Array) -> Array:
    """The exact values, with the gradient of the smooth ones."""
    return smooth + jax.lax.stop_gradient(exact - smooth)


#: With gradients.
TRACED = Ops(jnp, straight_through)


class State(NamedTuple):
    """Units of B paths: stock and owed (B, N), on_way (B, N, K), column k due in k + 1 periods."""

    stock: Array
    owed: Array
    on_way: Array


class Books(NamedTuple):
    """What one period booked: units (B, N) as in the twin's books, cost (B, N) money."""

    requested: Array
    shipped: Array
    lost: Array
    on_hand: Array
    owed: Array
    cost: Array


class Engine:
    """The four steps of a period for a tree network with planned lead times.

    Raises ValueError for what it does not know: several lanes a node, and sources whose receivers
    take different multiples.
    """

    def __init__(self, network: Network) -> None:
        if not network.is_tree:
            raise ValueError("learning: only networks with one lane a node can be learned on")
        self.network, economics = network, network.economics
        if 0 < economics.waits < 1:
            raise ValueError("learning: all unmet demand is lost or all of it waits, not a share")
        self.is_backlog = economics.waits == 1
        self.columns = max(int(network.lead_time.max(initial=0)), 1)
        count = network.size
        lead = network.lead_time[:, None]
        self._enters = (np.arange(self.columns) == lead - 1).astype(float)
        self._at_once = (network.lead_time == 0).astype(float)
        self._draws = np.zeros((count, count))  # [source, receiver]
        inner = np.flatnonzero(network.supplied_from >= 0)
        self._draws[network.supplied_from[inner], inner] = 1.0
        self._below = np.zeros((count, count))
        parents = network.echelons.parents
        if parents.size:
            self._below[parents] = network.echelons.below.toarray()
        self._smallest = smallest_order(network.moq, network.order_multiple)
        self._step = np.where(network.order_multiple > 0, network.order_multiple, 1.0)
        self._is_stepped = network.order_multiple > 0
        self._groups = self._receivers(inner)

    def _receivers(self, inner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Receivers by source, (P, C), padded with -1, and the sources, (P,)."""
        sources = np.unique(self.network.supplied_from[inner])
        rows = [inner[self.network.supplied_from[inner] == source] for source in sources]
        for source, group in zip(sources, rows, strict=True):
            multiples = self.network.order_multiple[group]
            if multiples.min() < multiples.max():
                raise ValueError(
                    f"learning: receivers of node {source} take different multiples; learn with one"
                )
        widest = max((len(group) for group in rows), default=0)
        padded = np.full((len(rows), widest), -1)
        for row, group in enumerate(rows):
            padded[row, : len(group)] = group
        return padded, sources

    def start(self, on_hand: Floats, paths: int) -> State:
        """The same stock (N,) on every path, nothing on the way."""
        stock = jnp.broadcast_to(jnp.asarray(on_hand), (paths, self.network.size))
        empty = jnp.zeros((*stock.shape, self.columns), stock.dtype)
        return State(stock, jnp.zeros_like(stock), empty)

    def view(self, state: State) -> View:
        """What a policy sees at step 2: a shipping node as its echelon."""
        position = state.stock + state.on_way.sum(axis=-1) - state.owed
        on_hand = state.stock + position @ self._below.T
        return View(on_hand, state.on_way, on_hand + state.on_way.sum(axis=-1) - state.owed)

    def arrived(self, state: State) -> State:
        """Step 1: what is due comes in."""
        later = state.on_way[..., 1:]
        on_way = jnp.concatenate([later, jnp.zeros_like(state.on_way[..., :1])], axis=-1)
        return State(state.stock + state.on_way[..., 0], state.owed, on_way)

    def run(
        self, rule: Rule, params: Params, demand: Array, state: State, learned: int | None = None
    ) -> tuple[State, Books]:
        """Let a rule run the stock through demand (T, B, N); books have a leading T.

        learned: only decisions of the first so many periods have a gradient in `params`, as those
        near the end do not see their consequences.
        """
        periods = demand.shape[0]
        learned = periods if learned is None else learned
        fixed = jax.lax.stop_gradient(params)

        def period(state: State, given: tuple[Array, Array]) -> tuple[State, Books]:
            t, asked = given
            mine = jax.tree.map(lambda a, b: jnp.where(t < learned, a, b), params, fixed)
            return self._period(rule, mine, state, t, asked)

        return jax.lax.scan(period, state, (jnp.arange(periods), demand))

    def _period(
        self, rule: Rule, params: Params, state: State, t: Array, demand: Array
    ) -> tuple[State, Books]:
        state = self.arrived(state)
        quantity = rule(params, self.view(state))
        if self.network.review > 1:
            quantity = jnp.where(t % self.network.review == 0, quantity, 0.0)
        requested = self._lots(quantity)
        shipped = self._share(requested, state.stock)
        stock = state.stock - shipped @ self._draws.T + shipped * self._at_once
        on_way = state.on_way + shipped[..., None] * self._enters
        owed = state.owed
        if self.is_backlog:
            served = jnp.minimum(stock, owed)
            stock, owed = stock - served, owed - served
        sold = jnp.minimum(stock, demand)
        lost = demand - sold
        stock = stock - sold
        if self.is_backlog:
            owed = owed + lost
        economics = self.network.economics
        unmet = owed if self.is_backlog else lost
        cost = economics.holding * stock + economics.shortage * unmet
        if economics.order_cost.any():
            cost = cost + economics.order_cost * _is_any(shipped)
        return State(stock, owed, on_way), Books(requested, shipped, lost, stock, owed, cost)

    def _lots(self, quantity: Array) -> Array:
        """As order_rounding.Lots.round_up; the gradient is that of the wanted quantity."""
        tiny = 1e-9 if quantity.dtype == jnp.float64 else 1e-4
        stepped = self._step * jnp.ceil(quantity / self._step - tiny)
        rounded = jnp.maximum(jnp.where(self._is_stepped, stepped, quantity), self._smallest)
        rounded = jnp.where(quantity > tiny, rounded, 0.0)
        return straight_through(jnp.maximum(quantity, 0.0), rounded)

    def _share(self, requested: Array, stock: Array) -> Array:
        """As order_rounding.Sharing.share_out; the gradient is that of sharing in proportion."""
        rows, sources = self._groups
        if not sources.size:
            return requested
        tiny = 1e-9 if requested.dtype == jnp.float64 else 1e-4
        is_row = rows >= 0
        asked = jnp.where(is_row, requested[..., rows], 0.0)  # (B, P, C)
        total = asked.sum(axis=-1, keepdims=True)
        there = stock[..., sources][..., None]
        is_short = total > there
        part = jnp.maximum(there, 0.0) / jnp.where(is_short, total, 1.0)
        smooth = jnp.where(is_short, asked * part, asked)
        step = self._step[rows]
        given = jnp.where(self._is_stepped[rows], step * jnp.floor(smooth / step + tiny), smooth)
        over = (smooth - given) / step
        queued = is_row & self._is_stepped[rows] & (given + step <= asked + tiny)
        over = jnp.where(queued, jnp.round(over / tiny) * tiny, -1.0)
        before = (over[..., None, :] > over[..., :, None]) | (
            (over[..., None, :] == over[..., :, None]) & np.tri(rows.shape[1], k=-1, dtype=bool)
        )
        place = (before & queued[..., None, :]).sum(axis=-1) + 1
        left = there - given.sum(axis=-1, keepdims=True)
        given = given + step * (queued & (place * step <= left + tiny))
        exact = jnp.where(is_short, given, asked)
        shared = straight_through(smooth, exact)
        flat = shared.reshape(*shared.shape[:-2], -1)
        return requested.at[..., rows[is_row]].set(flat[..., is_row.reshape(-1)])


def _is_any(units: Array) -> Array:
    """1 where anything is ordered; softened in gradients."""
    return straight_through(1.0 - jnp.exp(-units / SOFTNESS), (units > 0).astype(units.dtype))
