"""The environment keeps Gymnasium's contract, and costs in it are the twin's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from models.domain import Floats, Situation
from models.learning import problems
from models.learning.env import ReplenishmentEnv
from models.twin.simulator import simulate


@dataclass(frozen=True)
class Capped:
    """Base-stock, never more than an action can say."""

    levels: Floats
    most: Floats
    name: str = "capped"

    def order(self, situation: Situation) -> Floats:
        return np.clip(self.levels - situation.position, 0.0, self.most)


def test_the_environment_keeps_gymnasiums_contract() -> None:
    check_env(
        ReplenishmentEnv(problems.CASES["serial-L1-p4"](), periods=5),
        skip_render_check=True,
    )


def test_an_episode_costs_what_the_twin_books_for_the_same_orders() -> None:
    problem = problems.CASES["retailers-lost"]()
    env = ReplenishmentEnv(problem, periods=20)
    levels = np.ceil(problem.mean * (problem.window + 1))
    unit = problem.mean * problem.window
    count, total, is_over, seen = problem.mean.size, 0.0, False, env.reset(seed=4)[0]
    while not is_over:
        position = seen[count : 2 * count] * unit
        order = np.clip(levels - np.round(position), 0.0, unit)
        seen, reward, _, is_over, _ = env.step((order / unit).astype(np.float32))
        total -= reward
    demand = env._demand[:, 0].T
    twin = simulate(problem.network, Capped(levels, unit), demand, problem.opening)
    assert total == pytest.approx(float(twin.cost.sum()), rel=1e-5)


def test_an_order_that_is_no_number_is_refused() -> None:
    env = ReplenishmentEnv(problems.CASES["zipkin-L1-p4"](), periods=2)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="finite"):
        env.step(np.array([np.nan], dtype=np.float32))
