"""Learn a policy's parameters by differentiating its cost through the twin."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.special import ndtri

from models.domain import Floats
from models.learning.agent import Agent, Form
from models.learning.engine import TRACED, Engine, State
from models.learning.problems import Problem
from models.learning.rules import PARAMETERS, Params

#: Costs beyond so many times those of the first look are a run that diverges.
RUNAWAY = 10.0
#: The seed of the paths that decide which parameters are kept; never those of a test.
DEVELOPMENT = 10**6
#: Parameters beyond so many are left where the gradients brought them.
MOST_SEARCHED = 12
#: Says what is learned, the step, of how many, and the cost then.
Tell = Callable[[str, int, int, float], None]


@dataclass(frozen=True)
class Settings:
    """How long and how wide to learn; a step differentiates `paths` paths of `periods` periods.

    tail: periods at the end whose decisions are not learned from, as their consequences are not
    seen. steps and rate (the first learning rate, falling like a cosine): of the structured part,
    then of the agent. check: steps between looks at the development paths; patience: looks without
    a new best before it stops early. hidden, bound: the net's width and its reach, in usual
    demands.
    """

    paths: int = 256
    periods: int = 60
    tail: int = 15
    steps: tuple[int, int] = (200, 800)
    rate: tuple[float, float] = (0.05, 0.004)
    check: int = 40
    patience: int = 10
    hidden: int = 32
    bound: float = 1.0
    dev_paths: int = 1000
    dev_periods: int = 250
    warm_up: int = 50


@dataclass(frozen=True)
class Learned:
    """One run's best parameters, its cost on the development paths, the curve of (step, cost) and
    why it ended."""

    params: Params
    cost: float
    seed: int = 0
    curve: list[tuple[int, float]] = field(default_factory=list)
    ended: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it ended by itself and was not stopped."""
        return not self.ended.startswith("stopped")


def first_guess(problem: Problem) -> Params:
    """Levels by the normal approximation of each window's demand, in usual demands."""
    economics, window = problem.network.economics, problem.window
    shortage, holding = economics.shortage.max(), max(economics.holding.max(), 1e-12)
    z = ndtri(np.clip(shortage / (shortage + holding), 0.5, 0.999))
    level = window + z * problem.deviation * np.sqrt(window) / problem.mean
    batch = np.sqrt(2 * economics.order_cost / (np.maximum(economics.holding, 1e-12)))
    guess = {
        "level": level,
        "cap": 1.0 + max(z, 0.5) * problem.deviation / problem.mean,
        "point": level - 1.0,
        "batch": np.maximum(batch / np.sqrt(problem.mean), 1.0),
    }
    return {name: guess[name] for name in PARAMETERS[problem.rule]}


class Trainer:
    """All that runs on one problem share: the engine, the development paths, what is compiled."""

    def __init__(self, problem: Problem, settings: Settings | None = None) -> None:
        self.problem = problem
        self.settings = settings = settings or Settings()
        self.engine = Engine(problem.network)
        self.form = Form(
            problem.rule,
            self.engine.columns,
            problem.mean,
            problem.network.order_multiple,
            settings.bound * problem.mean,
            settings.hidden,
        )
        self._dev = problem.sample(
            np.random.default_rng(DEVELOPMENT), settings.dev_periods, settings.dev_paths
        )
        self._look = jax.jit(self._dev_cost)
        self._ranges = jax.jit(self._input_ranges)
        self._update = jax.jit(self._one_step)
        self._optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.scale_by_adam())

    def structured(self, tell: Tell | None = None) -> Learned:
        """The problem's structured policy with parameters found by gradients; where nodes order in
        whole multiples, they are then moved by single multiples as long as that helps."""
        found = self._descend(first_guess(self.problem), 0, part=0, tell=tell)
        step = self.problem.network.order_multiple
        if not (step > 0).all() or step.size * len(found.params) > MOST_SEARCHED:
            return found
        moves = step / self.problem.mean
        params = {k: np.round(np.asarray(v) / moves) * moves for k, v in found.params.items()}
        params, cost = self._search(params, moves)
        return replace(found, params=params, cost=cost) if cost < found.cost else found

    def _search(self, params: Params, moves: Floats) -> tuple[Params, float]:
        """Coordinate search on the development paths, one multiple at a time."""
        cost, is_better = self.look(params), True
        while is_better:
            is_better = False
            for name, node, sign in product(params, range(moves.size), (1.0, -1.0)):
                tried = {k: v.copy() for k, v in params.items()}
                tried[name][node] += sign * moves[node]
                found = self.look(tried)
                if found < cost:
                    params, cost, is_better = tried, found, True
        return params, cost

    def agent(self, start: Params, seed: int, tell: Tell | None = None) -> Learned:
        """A net beside these structured parameters, both learned on; never worse than they are on
        the development paths, as step 0 corrects nothing."""
        return self._descend(self.form.beginning(start, seed), seed, part=1, tell=tell)

    def look(self, params: Params) -> float:
        """Cost a period on the development paths, in whole units as at test."""
        as_traced = {name: jnp.asarray(value, jnp.float32) for name, value in params.items()}
        return float(self._look(as_traced, self._dev))

    def made(self, learned: Learned) -> Agent:
        """The agent with these parameters, in NumPy, and the range of inputs it learned in."""
        params = {k: np.asarray(v, dtype=np.float64) for k, v in learned.params.items()}
        if "weight0" in params:
            low, high, usual = self._ranges(learned.params, self._dev)
            params |= {"low": low, "high": high, "usual": usual}
            params = {k: np.asarray(v, dtype=np.float64) for k, v in params.items()}
        return Agent(self.form, params)

    def _rule(self, params: Params, view: Any) -> Any:
        return self.form.order(TRACED, params, view)

    def _loss(self, params: Params, state: State, demand: Any) -> tuple[Any, State]:
        learned = self.settings.periods - self.settings.tail
        state, books = self.engine.run(self._rule, params, demand, state, learned)
        return books.cost.sum(axis=-1).mean(), state

    def _dev_cost(self, params: Params, demand: Any) -> Any:
        state = self.engine.start(self.problem.opening, demand.shape[1])
        _, books = self.engine.run(self._rule, params, demand, state)
        return books.cost[self.settings.warm_up :].sum(axis=-1).mean()

    def _input_ranges(self, params: Params, demand: Any) -> tuple[Any, Any, Any]:
        """Least, greatest and mean of each input over the development paths, (inputs,)."""
        state = self.engine.start(self.problem.opening, demand.shape[1])

        def inputs(state: State, asked: Any) -> tuple[State, Any]:
            seen = self.engine.view(self.engine.arrived(state))
            parts = self.form.features(TRACED, seen, self.form.structured(TRACED, params, seen))
            state, _ = self.engine.run(self._rule, params, asked[None], state)
            return state, (parts.min(axis=0), parts.max(axis=0), parts.mean(axis=0))

        _, (low, high, usual) = jax.lax.scan(inputs, state, demand)
        return low.min(axis=0), high.max(axis=0), usual.mean(axis=0)

    def _one_step(
        self, params: Params, memory: Any, state: State, demand: Any, rate: Any
    ) -> tuple[Params, Any, State, Any]:
        (loss, state), slope = jax.value_and_grad(self._loss, has_aux=True)(params, state, demand)
        moves, memory = self._optimizer.update(slope, memory, params)
        moved = jax.tree.map(lambda value, move: value - rate * move, params, moves)
        return moved, memory, state, loss + optax.global_norm(slope)

    def _descend(self, params: Params, seed: int, part: int, tell: Tell | None) -> Learned:
        """Adam on fresh paths each step, every chain going on where the last step left it."""
        settings, word = self.settings, ("structured", f"agent, seed {seed}")[part]
        steps, random = settings.steps[part], np.random.default_rng([part, seed])
        params = {name: jnp.asarray(value, jnp.float32) for name, value in params.items()}
        memory = self._optimizer.init(params)
        state = self.engine.start(self.problem.opening, settings.paths)
        first = self.look(params)
        best, lowest, since, ended = params, first, 0, "ran to its end"
        curve = [(0, first)]
        for step in range(1, steps + 1):
            demand = self.problem.sample(random, settings.periods, settings.paths)
            rate = settings.rate[part] * (0.02 + 0.98 * (1 + np.cos(np.pi * step / steps)) / 2)
            params, memory, state, health = self._update(params, memory, state, demand, rate)
            if not np.isfinite(health):
                ended = f"stopped at step {step}: the gradient is not a number"
                break
            if step % settings.check and step < steps:
                continue
            cost = self.look(params)
            curve.append((step, cost))
            if tell:
                tell(word, step, steps, cost)
            if not cost < RUNAWAY * first:
                ended = f"stopped at step {step}: the cost ran away to {cost:,.4g}"
                break
            best, lowest, since = (params, cost, 0) if cost < lowest else (best, lowest, since + 1)
            if since >= settings.patience:
                ended = f"early at step {step}, no better for {since} looks"
                break
        return Learned(best, lowest, seed, curve, ended)


def best_of(runs: Sequence[Learned]) -> Learned:
    """The run that was cheapest on the development paths."""
    return min(runs, key=lambda run: run.cost)
