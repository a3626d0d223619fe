"""How far from the best a policy is: replayed in the twin on the same demand as the reference."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from models.domain import Economics, Floats, Integers, Policy, Situation
from models.learning.oracles import lost_sales
from models.learning.problems import HOLDING, UPSTREAM, Problem
from models.learning.serial import clark_scarf, normal_clipped
from models.replenishment.base_policy import BasePolicy
from models.twin.network import Network
from models.twin.simulator import simulate

#: Periods that are not scored, and those that are; copies of the network; the seed of their luck.
WARM_UP, PERIODS, COPIES, TEST = 100, 400, 4000, 20_000_000
#: Grid of the chain's oracle, units.
STEP = 0.05


@dataclass(frozen=True)
class Gap:
    """One row of the gap table: cost and reference a period, gap = cost / reference - 1 with its 95
    % interval, processor seconds and seed of the training."""

    problem: str
    policy: str
    cost: float
    reference: float
    gap: float
    interval: tuple[float, float]
    seconds: float
    seed: int

    def as_dict(self) -> dict[str, Any]:
        """The row as data."""
        return asdict(self) | {"interval": list(self.interval)}


@dataclass(frozen=True)
class TablePolicy(BasePolicy):
    """Orders looked up by state (on hand, due in 1, ...): an optimal policy under lost sales."""

    orders: Integers
    name: str = "optimum"

    def order(self, situation: Situation) -> Floats:
        """The optimal units for every row, (N,); a state beyond the table takes its nearest
        edge's."""
        due = situation.pipeline[:, : self.orders.ndim - 1]
        state = np.column_stack([situation.on_hand, due]).astype(np.int64)
        inside = np.minimum(state, np.array(self.orders.shape) - 1)
        return self.orders[tuple(inside.T)].astype(np.float64)


@dataclass(frozen=True)
class LevelPolicy(BasePolicy):
    """Echelon base-stock with one level a node, for copies of a network."""

    levels: Floats
    name: str = "echelon_base_stock"

    def order(self, situation: Situation) -> Floats:
        """Units that lift every node's position to its level, (N,)."""
        levels = np.tile(self.levels, situation.on_hand.size // self.levels.size)
        return np.maximum(levels - situation.position, 0.0)


@dataclass(frozen=True)
class Reference:
    """The least cost a period and a policy that reaches it."""

    cost: float
    policy: Policy


def reference(problem: Problem) -> Reference:
    """The proved optimum of one of the small problems. Raises ValueError where none is known."""
    network = problem.network
    shortage = float(network.economics.shortage[0])
    if problem.pmf is not None:
        optimum = lost_sales(
            problem.pmf, int(network.lead_time[0]), float(network.economics.holding[0]), shortage
        )
        return Reference(optimum.cost, TablePolicy(optimum.orders))
    if problem.name.startswith("serial-"):
        leads = (int(network.lead_time[0]), *UPSTREAM)
        best = clark_scarf(normal_clipped(5, 2, STEP), leads, HOLDING, shortage, step=STEP)
        return Reference(best.cost, LevelPolicy(best.levels))
    raise ValueError(f"{problem.name}: no exact optimum is known")


def known(problem: Problem) -> Reference | None:
    """The proved optimum where one is known: one location under lost sales, and the chains."""
    is_known = problem.pmf is not None or problem.name.startswith("serial-")
    return reference(problem) if is_known else None


def copies_of(network: Network, copies: int) -> Network:
    """So many of the same network side by side, without lanes between them."""
    shift = np.repeat(np.arange(copies) * network.size, network.size)
    above = np.tile(network.supplied_from, copies)
    economics = network.economics
    return replace(
        network,
        lead_time=np.tile(network.lead_time, copies),
        economics=Economics(
            holding=np.tile(economics.holding, copies),
            shortage=np.tile(economics.shortage, copies),
            unit_cost=np.tile(economics.unit_cost, copies),
            order_cost=np.tile(economics.order_cost, copies),
            unmet=economics.unmet,
        ),
        supplied_from=np.where(above < 0, -1, above + shift),
        moq=np.tile(network.moq, copies),
        order_multiple=np.tile(network.order_multiple, copies),
        freight_per_unit=np.tile(network.freight_per_unit, copies),
        to=np.arange(network.size * copies),
        share=np.ones(network.size * copies),
    )


class Yardstick:
    """The twin with the test's luck: what any policy costs on it, by copy."""

    def __init__(
        self, problem: Problem, *, copies: int = COPIES, periods: int = PERIODS, seed: int = TEST
    ) -> None:
        self.problem, self.copies = problem, copies
        drawn = problem.sample(np.random.default_rng(seed), WARM_UP + periods, copies)
        self._demand = drawn.reshape(WARM_UP + periods, -1).T
        self._network = copies_of(problem.network, copies)
        self._opening = np.tile(problem.opening, copies)

    def cost(self, policy: Policy) -> Floats:
        """Mean cost a period of each copy, (copies,), the warm-up left out."""
        unmet = "owed" if self._network.economics.unmet == "backlog" else "lost"
        books = ("on_hand", unmet, "shipped")
        done = simulate(self._network, policy, self._demand, self._opening, record=books)
        return done.cost[:, WARM_UP:].mean(axis=1).reshape(self.copies, -1).sum(axis=1)


def gap(
    problem: str, policy: str, extra: Floats, against: float, *, seconds: float, seed: int
) -> Gap:
    """The row of a policy that cost `extra` (copies,) a period more than the reference did on the
    same demand."""
    mean = float(extra.mean())
    margin = 1.96 * float(extra.std(ddof=1)) / np.sqrt(extra.size)
    return Gap(
        problem=problem,
        policy=policy,
        cost=against + mean,
        reference=against,
        gap=mean / against,
        interval=((mean - margin) / against, (mean + margin) / against),
        seconds=seconds,
        seed=seed,
    )
