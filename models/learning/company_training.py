"""Train the company's agent on what happened: its own forecasts as they were made, and the demand
that came."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from models.domain import Floats, Situation
from models.learning.company_agent import (
    Outlook,
    SharedAgent,
    beginning,
    inputs_of,
    outlook_of,
    share,
)
from models.learning.engine import TRACED, Engine, State
from models.learning.rules import Params, View
from models.replenishment.policies import QuantileOrderUpTo
from models.twin.network import Network

#: What a missing unit costs is never taken for less than this share of what it does.
LEAST_SCALE = 0.05
#: Weights of the net cost so much, as a share of the cost at the start: items are few, and alike.
DECAY = 1e-4


@dataclass(frozen=True)
class Effort:
    """How long to learn. rows: the most rows of whole items a step works on; samples: paths a
    decision looks at; steps, rate: of Adam; check: steps between looks at the newest lesson."""

    rows: int = 600
    samples: int = 64
    steps: int = 120
    rate: float = 0.02
    check: int = 15


class Review(NamedTuple):
    """What was known at one review, by row: the outlook, demand added up before each period of the
    sampled futures (N, S, H + 1), sampled lead times to the shelf (N, S), and what a missing unit
    costs, (N,)."""

    outlook: Outlook
    total: Any
    lead: Any
    shortage: Any

    @classmethod
    def of(cls, view: Situation, samples: int) -> Review:
        """Of a situation as policies see it, a shipping node as its echelon; so many paths of it.
        Raises ValueError without sample paths."""
        outlook = outlook_of(view)
        paths = np.zeros((view.on_hand.size, 0, 0)) if view.paths is None else view.paths
        paths = paths[:, :samples]
        total = np.zeros((*paths.shape[:2], paths.shape[2] + 1), dtype=np.float32)
        np.cumsum(paths, axis=2, out=total[:, :, 1:])
        lead = np.repeat(view.lead_time[:, None], paths.shape[1], axis=1)
        if view.lead_time_paths.size:
            lead = view.lead_time_paths[:, : paths.shape[1]]
        return cls(outlook, total, lead, view.economics.shortage)


class Lesson(NamedTuple):
    """Reviews in a row: the stock to start from (N,), open orders by the period they are due in
    (N, K), what was known at each review, and the demand that came, (reviews x R, N)."""

    stock: Floats
    due: Floats
    reviews: Sequence[Review]
    demand: Floats


@dataclass(frozen=True)
class Trained:
    """The agent, what it cost in the newest lesson, which it did not learn from, what its
    structured part alone did there, the curve by step, and why it ended."""

    agent: SharedAgent
    structured_cost: float
    cost: float
    curve: list[tuple[int, float]] = field(default_factory=list)
    ended: str = ""


class LineTrainer:
    """A company's network and lessons of its past, all of as many reviews, the newest first.

    The newest lesson is kept aside to choose among steps and seeds, and what overlaps with it is
    not learned from: a forecaster errs otherwise every season, so what was learned has to hold for
    weeks that came after. Items are sampled whole, as they share nothing but their own shipping
    node.
    """

    def __init__(
        self, network: Network, lessons: Sequence[Lesson], *, items: np.ndarray, effort: Effort
    ) -> None:
        chosen = _whole_items(items, effort.rows)
        network = rows_of_network(network, chosen)
        self.effort, self.review = effort, network.review
        self.engine = Engine(network)
        self._aside, *self._lessons = (self._laid_out(lesson, chosen) for lesson in lessons)
        if not self._lessons:
            raise ValueError("learning: one lesson to learn from and one to judge by are needed")
        self._optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam())
        self._run = jax.jit(self._lived)
        self._slope = jax.jit(jax.value_and_grad(self._loss))

    def train(self, seed: int, tell: Callable[[int, int, float], None] | None = None) -> Trained:
        """Adam on random lessons from the rule's best setting on; the parameters kept are the
        cheapest in the newest lesson, without the net where it saves nothing there."""
        effort, random = self.effort, np.random.default_rng(seed)
        params = self._start(seed)
        memory = self._optimizer.init(params)
        first = lowest = self._look(params)
        usual = max(self._cost(params, self._lessons[0]), 1e-9)
        best, curve, ended = params, [(0, first)], "ran to its end"
        for step in range(1, effort.steps + 1):
            lesson = self._lessons[random.integers(len(self._lessons))]
            cost, slope = self._slope(params, lesson, usual)
            moves, memory = self._optimizer.update(slope, memory, params)
            rate = effort.rate * (0.05 + 0.95 * (1 + np.cos(np.pi * step / effort.steps)) / 2)
            params = {k: value - rate * moves[k] for k, value in params.items()}
            params["scale"] = jnp.maximum(params["scale"], LEAST_SCALE)
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
        alone = self._look(bare)
        if alone <= lowest:  # the structured part moved with the net, and is better off without it
            best, lowest = bare, alone
        return Trained(self._made(best), alone, lowest, curve, ended)

    def _start(self, seed: int) -> Params:
        """The rule's setting that is cheapest in the newest lesson, and a net that changes
        nothing."""
        params = {k: jnp.asarray(v, jnp.float32) for k, v in beginning(seed).items()}
        tried = [params] + [
            params | {"scale": jnp.full(1, setting, jnp.float32)}
            for setting in QuantileOrderUpTo.settings
        ]
        return min(tried, key=self._look)

    def _look(self, params: Params) -> float:
        return self._cost(params, self._aside)

    def _cost(self, params: Params, lesson: Any) -> float:
        return float(self._run(params, lesson)[0])

    def _loss(self, params: Params, lesson: Any, usual: float) -> Any:
        cost = self._lived(params, lesson)[0] / usual
        return cost + DECAY * sum((params[name] ** 2).sum() for name in ("weight0", "weight1"))

    def _made(self, params: Params) -> SharedAgent:
        runs = [self._run(params, lesson)[1] for lesson in (self._aside, *self._lessons)]
        seen = np.concatenate(
            [np.asarray(run, np.float64).reshape(-1, run.shape[-1]) for run in runs]
        )
        ranges = {"low": seen.min(axis=0), "high": seen.max(axis=0), "usual": seen.mean(axis=0)}
        kept = {k: np.asarray(v, dtype=np.float64) for k, v in params.items()}
        return SharedAgent(kept | ranges)

    def _lived(self, params: Params, lesson: Any) -> tuple[Any, Any]:
        """The cost of a lesson and what the net saw at each review. What comes before the first
        order can arrive is not counted, as nothing learned decides it."""
        stock, due, reviews, asked = lesson
        free = int(self.engine.network.lead_time.min(initial=1)) // self.review

        def interval(state: State, given: tuple[Review, Any]) -> tuple[State, Any]:
            known, asked = given
            view = self.engine.view(self.engine.arrived(state))
            quantity, seen = self._wanted(params, view, known)
            state, books = self.engine.run(lambda units, _: units, quantity, asked, state)
            return state, (books.cost.sum(), seen[0])

        start = State(stock[None], jnp.zeros_like(stock[None]), due[None])
        _, (costs, seen) = jax.lax.scan(interval, start, (reviews, asked))
        return costs[free:].sum(), jax.lax.stop_gradient(seen)

    def _wanted(self, params: Params, view: View, known: Review) -> tuple[Any, Any]:
        economics = self.engine.network.economics
        need = critical(
            shortfalls(view, known, self.review, is_lost=not self.engine.is_backlog),
            economics.holding,
            known.shortage * params["scale"],
            is_lost=not self.engine.is_backlog,
        )
        inputs = inputs_of(TRACED, view, known.outlook, need, self.review)
        change = share(TRACED, params, inputs) * known.outlook.scale
        smooth = jnp.maximum(need + change, 0.0)
        return TRACED.through(smooth, jnp.floor(smooth + 0.5)), inputs

    def _laid_out(self, lesson: Lesson, chosen: np.ndarray) -> Any:
        """The lesson's arrays of these rows, reviews stacked."""
        rows = [jax.tree.map(lambda part: part[chosen], one) for one in lesson.reviews]
        reviews = jax.tree.map(lambda *parts: jnp.asarray(np.stack(parts), jnp.float32), *rows)
        lead = reviews.lead.astype(jnp.int32)
        asked = lesson.demand[:, chosen].reshape(len(rows), self.review, 1, -1)
        return (
            jnp.asarray(lesson.stock[chosen], jnp.float32),
            jnp.asarray(self._folded(lesson.due[chosen]), jnp.float32),
            reviews._replace(lead=lead),
            jnp.asarray(asked, jnp.float32),
        )

    def _folded(self, due: Floats) -> Floats:
        """Open orders in as many columns as the engine has; what is due later comes in the last."""
        columns = self.engine.columns
        padded = np.pad(due, ((0, 0), (0, max(columns - due.shape[1], 0))))
        last = padded[:, columns - 1 :].sum(axis=1, keepdims=True)
        return np.concatenate([padded[:, : columns - 1], last], axis=1)


def shortfalls(view: View, known: Review, review: int, *, is_lost: bool) -> Any:
    """As stock_projection.Part.shortfalls, with gradients: what each future lacks at the end of
    each period an order placed now can still help, (..., N, S, R)."""
    total, lead = known.total, known.lead[..., None]
    columns = view.pipeline.shape[-1]
    steps = jnp.arange(total.shape[-1])
    came = jnp.pad(view.pipeline.cumsum(axis=-1), ((0, 0), (0, 0), (1, 0)))
    came = came[..., jnp.minimum(steps, columns)][..., None, :]  # column i: until period i begins
    begun = jnp.broadcast_to(view.on_hand[..., None], (*view.on_hand.shape, total.shape[1]))
    owed = view.on_hand + view.pipeline.sum(axis=-1) - view.position
    begun = begun - owed[..., None]
    if is_lost:
        dry = total[..., 1:] - came[..., :-1]
        dry = jnp.where(steps[1:] <= lead, dry, -jnp.inf)
        begun = jnp.maximum(begun, dry.max(axis=-1))
    ends = lead + jnp.arange(review)
    asked = jnp.take_along_axis(total, jnp.minimum(ends + 1, total.shape[-1] - 1), axis=-1)
    arrived = jnp.take_along_axis(
        jnp.broadcast_to(came, (*begun.shape, came.shape[-1])),
        jnp.broadcast_to(jnp.minimum(ends, total.shape[-1] - 1), (*begun.shape, review)),
        axis=-1,
    )
    return asked - arrived - begun[..., None]


def critical(lacking: Any, holding: Any, shortage: Any, *, is_lost: bool) -> Any:
    """As stock_projection.critical_order, (..., N), between the sampled values: one more unit holds
    in every period it is left over, and saves where the interval ends short (lost sales) or in
    every period it is owed."""
    samples, review = lacking.shape[-2:]
    flat = lacking.reshape(*lacking.shape[:-2], -1)
    saves = (
        jnp.tile(jnp.arange(review) == review - 1, samples) if is_lost else jnp.ones(flat.shape[-1])
    )
    order = jnp.argsort(jax.lax.stop_gradient(flat), axis=-1)
    values = jnp.take_along_axis(flat, order, axis=-1)
    weight = holding[..., None] + shortage[..., None] * saves[order]
    needed = (shortage * (samples if is_lost else samples * review))[..., None]
    middle = weight.cumsum(axis=-1) - weight / 2
    above = (jax.lax.stop_gradient(middle < needed)).sum(axis=-1, keepdims=True)
    high = jnp.clip(above, 1, flat.shape[-1] - 1)
    at = [jnp.take_along_axis(middle, place, axis=-1) for place in (high - 1, high)]
    ends = [jnp.take_along_axis(values, place, axis=-1) for place in (high - 1, high)]
    part = jnp.clip((needed - at[0]) / jnp.maximum(at[1] - at[0], 1e-9), 0.0, 1.0)
    return (ends[0] + part * (ends[1] - ends[0]))[..., 0]


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
