"""The twin in Gymnasium's clothes, so that others can bring their own agent (needs the extra
`learn`)."""

from __future__ import annotations

from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np

from models.domain import Floats
from models.learning.engine import Engine, State
from models.learning.problems import Problem

#: Observations beyond so many windows' demand are shown as that many.
MOST_SEEN = 50.0


class ReplenishmentEnv(gymnasium.Env[Floats, Floats]):
    """One network over `periods` periods: the action is what each node orders, the reward what the
    period cost, negated.

    Observation: of each node on hand, position and pipeline as a policy sees them (a shipping node
    as its echelon), in a window's mean demand, (N x (2 + K),). Action: units in a window's mean
    demand, 0 to 1 by node; they are rounded as the node's orders are. An action that is not finite
    raises ValueError.
    """

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own name and kind

    def __init__(self, problem: Problem, periods: int = 100) -> None:
        self.problem, self.periods = problem, periods
        self._engine = Engine(problem.network)
        self._unit = (problem.mean * problem.window).astype(np.float64)
        count = problem.mean.size
        size = count * (2 + self._engine.columns)
        self.observation_space = gymnasium.spaces.Box(-MOST_SEEN, MOST_SEEN, (size,), np.float32)
        self.action_space = gymnasium.spaces.Box(0.0, 1.0, (count,), np.float32)
        self._step = jax.jit(
            lambda state, units, demand: self._engine.run(lambda p, _: p, units, demand, state)
        )
        self._seen = jax.jit(lambda state: self._engine.view(self._engine.arrived(state)))
        self._state: State = self._engine.start(problem.opening, 1)
        self._demand: Floats = np.zeros((periods, 1, count))
        self._period = 0

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """Start with the problem's opening stock and, by the seed, the luck of all periods."""
        super().reset(seed=seed)
        self._state = self._engine.start(self.problem.opening, 1)
        self._demand = self.problem.sample(self.np_random, self.periods, 1)
        self._period = 0
        return self._observed(), {}

    def step(self, action: Floats) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """One period: orders leave, demand comes, costs are booked; it ends after the last."""
        if not np.isfinite(action).all():
            raise ValueError("an order is not a finite number")
        units = np.clip(np.asarray(action, dtype=np.float64), 0.0, 1.0) * self._unit
        multiple = self.problem.network.order_multiple
        step = np.where(multiple > 0, multiple, 1.0)
        units = np.where(multiple > 0, step * np.round(units / step), units)
        if self._period % self.problem.network.review:
            units = np.zeros_like(units)
        demand = self._demand[self._period][None]
        self._state, books = self._step(self._state, jnp.asarray(units[None]), demand)
        self._period += 1
        info = {
            name: np.asarray(getattr(books, name))[0, 0] for name in ("shipped", "lost", "on_hand")
        }
        is_over = self._period >= self.periods
        return self._observed(), -float(books.cost.sum()), False, is_over, info

    def _observed(self) -> Floats:
        view = self._seen(self._state)
        parts = [view.on_hand, view.position, *np.moveaxis(np.asarray(view.pipeline), -1, 0)]
        seen = np.concatenate([np.asarray(part)[0] / self._unit for part in parts])
        return np.clip(seen, -MOST_SEEN, MOST_SEEN).astype(np.float32)
