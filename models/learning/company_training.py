"""Train the company's agent on futures of its own network: sampled demand, its own lead times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from models.domain import Floats, Situation
from models.learning.company_agent import (
    ForecastSummary,
    SharedAgent,
    beginning,
    inputs_of,
    share,
    structured,
    summary_of,
)
from models.learning.engine import TRACED, Engine, State
from models.learning.rules import Params, View
from models.twin.network import Network


@dataclass(frozen=True)
class Effort:
    """How long to learn. rows: the most rows of whole items a step works on; paths: futures a step;
    steps, rate: of Adam; check: steps between looks at the futures kept aside."""

    rows: int = 150
    paths: int = 16
    steps: int = 150
    rate: float = 0.02
    check: int = 15


@dataclass(frozen=True)
class Trained:
    """The agent, what its structured part alone cost on the futures kept aside (before and after
    its two numbers were learned), what it cost itself, by step, and why it ended."""

    agent: SharedAgent
    structured_cost: float
    cost: float
    curve: list[tuple[int, float]] = field(default_factory=list)
    ended: str = ""


class LineTrainer:
    """A company's network, its futures and its forecast at each review.

    demand: (N, S, T) sampled futures, T whole review intervals. summaries: of the view at each
    review. stock, due: the state at the start, (N,) and (N, K). The last quarter of the futures is
    kept aside. Items are sampled whole, as items share nothing but their own shipping node.
    """

    def __init__(
        self,
        network: Network,
        demand: Floats,
        summaries: list[ForecastSummary],
        stock: Floats,
        due: Floats,
        *,
        items: np.ndarray,
        effort: Effort,
    ) -> None:
        chosen = _whole_items(items, effort.rows)
        network = rows_of_network(network, chosen)
        self.effort, self.review = effort, network.review
        self.engine = Engine(network)
        self._demand = np.ascontiguousarray(demand[chosen].transpose(2, 1, 0), dtype=np.float32)
        stacked = (np.stack(part)[:, chosen] for part in zip(*summaries, strict=True))
        self._summaries = ForecastSummary(*(jnp.asarray(part, jnp.float32) for part in stacked))
        self._stock, self._due = stock[chosen], self._folded(due[chosen])
        aside = demand.shape[1] * 3 // 4
        self._train, self._aside = np.arange(aside), np.arange(aside, demand.shape[1])
        self._optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam())
        self._cost = jax.jit(lambda params, demand: self._run(params, demand)[0])
        self._seen = jax.jit(lambda params, demand: self._run(params, demand)[1])
        self._slope = jax.jit(jax.value_and_grad(lambda p, d: self._run(p, d)[0]))

    def train(self, seed: int, tell: Callable[[int, int, float], None] | None = None) -> Trained:
        """Adam on random futures; the parameters kept are the cheapest on those kept aside."""
        effort, random = self.effort, np.random.default_rng(seed)
        params = {k: jnp.asarray(v, jnp.float32) for k, v in beginning(seed).items()}
        memory = self._optimizer.init(params)
        first = lowest = self._look(params)
        best, curve, ended = params, [(0, first)], "ran to its end"
        for step in range(1, effort.steps + 1):
            picked = random.choice(self._train, min(effort.paths, self._train.size), replace=False)
            cost, slope = self._slope(params, self._demand[:, picked])
            moves, memory = self._optimizer.update(slope, memory, params)
            rate = effort.rate * (0.05 + 0.95 * (1 + np.cos(np.pi * step / effort.steps)) / 2)
            params = {k: value - rate * moves[k] for k, value in params.items()}
            if not np.isfinite(float(cost) + float(optax.tree.norm(slope))):
                ended = f"stopped at step {step}: the gradient is not a number"
                break
            if step % effort.check and step < effort.steps:
                continue
            looked = self._look(params)
            curve.append((step, looked))
            if tell:
                tell(step, effort.steps, looked)
            if not looked < 10 * first:
                ended = f"stopped at step {step}: the cost ran away to {looked:,.4g}"
                break
            best, lowest = (params, looked) if looked < lowest else (best, lowest)
        bare = best | {"weight1": jnp.zeros_like(best["weight1"]), "bias1": jnp.zeros(1)}
        return Trained(self._made(best), self._look(bare), lowest, curve, ended)

    def _look(self, params: Params) -> float:
        return float(self._cost(params, self._demand[:, self._aside]))

    def _made(self, params: Params) -> SharedAgent:
        seen = np.asarray(self._seen(params, self._demand[:, self._aside]), dtype=np.float64)
        flat = seen.reshape(-1, seen.shape[-1])
        ranges = {"low": flat.min(axis=0), "high": flat.max(axis=0), "usual": flat.mean(axis=0)}
        kept = {k: np.asarray(v, dtype=np.float64) for k, v in params.items()}
        return SharedAgent(kept | ranges)

    def _run(self, params: Params, demand: Any) -> tuple[Any, Any]:
        """Cost a path and what the net saw at each review; decisions of the last window have no
        gradient, as their consequences are not seen."""
        reviews = demand.shape[0] // self.review
        asked = demand[: reviews * self.review].reshape(reviews, self.review, *demand.shape[1:])
        learned = max(reviews - int(self.engine.network.lead_time.max() // self.review) - 1, 1)
        fixed = jax.lax.stop_gradient(params)
        shape = (demand.shape[1], self._stock.size)
        stock = jnp.broadcast_to(jnp.asarray(self._stock, jnp.float32), shape)
        due = jnp.broadcast_to(jnp.asarray(self._due, jnp.float32), (*shape, self._due.shape[1]))

        def interval(state: State, given: tuple[Any, ForecastSummary, Any]) -> tuple[State, Any]:
            k, summary, asked = given
            mine = jax.tree.map(lambda a, b: jnp.where(k < learned, a, b), params, fixed)
            view = self.engine.view(self.engine.arrived(state))
            seen = self._need(mine, view, summary)[1]
            state, books = self.engine.run(
                lambda p, view: self._need(p, view, summary)[0], mine, asked, state
            )
            return state, (books.cost.sum(axis=(0, 2)).mean(), seen)

        given = (jnp.arange(reviews), jax.tree.map(lambda part: part[:reviews], self._summaries))
        _, (costs, seen) = jax.lax.scan(
            interval, State(stock, jnp.zeros_like(stock), due), (*given, asked)
        )
        return costs.sum(), jax.lax.stop_gradient(seen)

    def _need(self, params: Params, view: View, summary: ForecastSummary) -> tuple[Any, Any]:
        need = structured(TRACED, params, view, summary)
        inputs = inputs_of(TRACED, view, summary, need, self.review)
        change = share(TRACED, params, inputs) * summary.scale
        smooth = jnp.maximum(need + change, 0.0)
        return TRACED.through(smooth, jnp.floor(smooth + 0.5)), inputs

    def _folded(self, due: Floats) -> Floats:
        """Open orders in as many columns as the engine has; what is due later comes in the last."""
        columns = self.engine.columns
        padded = np.pad(due, ((0, 0), (0, max(columns - due.shape[1], 0))))
        last = padded[:, columns - 1 :].sum(axis=1, keepdims=True)
        return np.concatenate([padded[:, : columns - 1], last], axis=1)


def summaries_along(situation: Situation, paths: Floats, reviews: int) -> list[ForecastSummary]:
    """The summary at each of so many reviews, as the forecast stands at the first; beyond its end
    its last review interval goes on. paths: (N, S, H) of the view, shipping nodes' echelons."""
    summaries = []
    for k in range(reviews):
        shifted = longer(paths, situation.review, (k * situation.review) + paths.shape[2])
        ahead = shifted[:, :, k * situation.review :]
        summaries.append(summary_of(replace(situation, paths=ahead)))
    return summaries


def longer(paths: Floats, review: int, periods: int) -> Floats:
    """Paths (N, S, H) for more periods: the last review interval is repeated."""
    missing = max(periods - paths.shape[2], 0)
    tail = paths[:, :, -review:]
    return np.concatenate([paths, *([tail] * -(-missing // review))], axis=2)[:, :, :periods]


def rows_of_network(network: Network, rows: np.ndarray) -> Network:
    """A network of only these nodes, whole items. Where receivers of one node take different
    multiples, its stock is shared out in any quantity."""
    place = np.full(network.size, -1)
    place[rows] = np.arange(rows.size)
    above = network.supplied_from[rows]
    above = np.where(above < 0, -1, place[above])
    multiple = network.order_multiple[rows].astype(np.float64)
    for source in np.unique(above[above >= 0]):
        fed = above == source
        if multiple[fed].min() < multiple[fed].max():
            multiple[fed] = 0.0
    economics = network.economics
    return Network(
        network.lead_time[rows],
        replace(
            economics,
            holding=economics.holding[rows],
            shortage=economics.shortage[rows],
            unit_cost=economics.unit_cost[rows],
            order_cost=economics.order_cost[rows],
        ),
        supplied_from=above,
        review=network.review,
        moq=network.moq[rows],
        order_multiple=multiple,
    )


def _whole_items(items: np.ndarray, most: int) -> np.ndarray:
    """Rows of randomly chosen items, all rows of each, at most so many."""
    names = np.random.default_rng(7).permutation(np.unique(items))
    chosen = np.zeros(items.size, dtype=bool)
    for name in names:
        rows = items == name
        if chosen.sum() + rows.sum() <= most or not chosen.any():
            chosen |= rows
    return np.flatnonzero(chosen)
