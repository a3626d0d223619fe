"""One problem learned and measured: the structured policy, an agent a seed, and the gap of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.domain import Floats
from models.learning.agent import Agent
from models.learning.gaps import Gap, Reference, Yardstick, gap
from models.learning.training import Learned, Trainer, best_of

#: The name of what the development paths chose, and of the seeds they did not.
AGENT, CANDIDATE = "agent", "agent_candidate"


@dataclass(frozen=True)
class Study:
    """What was learned on a problem: by gradients alone, and by each seed's net."""

    trainer: Trainer
    structured: Learned
    runs: Sequence[Learned]

    @property
    def chosen(self) -> Learned:
        """The seed that is cheapest on the development paths."""
        return best_of(self.runs)

    @property
    def agent(self) -> Agent:
        """The chosen seed's policy, with the range of inputs it was trained in."""
        return self.trainer.made(self.chosen)

    @property
    def bare(self) -> Agent:
        """The structured policy learned without a net."""
        return replace(self.trainer.made(self.structured), name=self.structured_name)

    @property
    def structured_name(self) -> str:
        """The structured policy's name: in networks levels are those of echelons."""
        rule = self.trainer.problem.rule
        return f"echelon_{rule}" if self.trainer.problem.network.is_parent.any() else rule


def measure(
    study: Study, against: Reference | None, seconds: Sequence[float], yardstick: Yardstick
) -> list[Gap]:
    """The gap table's rows: the structured policy, the agent, the seeds not chosen.

    against: left out, the structured policy is the reference, at its cost on the same demand.
    seconds: of the structured part, then of each seed; the agent's are those of all it took.
    """
    trainer, problem = study.trainer, study.trainer.problem
    bare = yardstick.cost(study.bare)
    base = bare if against is None else yardstick.cost(against.policy)
    best = float(bare.mean()) if against is None else against.cost

    def row(policy: str, cost: Floats, took: float, seed: int) -> Gap:
        return gap(problem.name, policy, cost - base, best, seconds=took, seed=seed)

    rows = [row(study.structured_name, bare, seconds[0], 0)]
    for run, took in zip(study.runs, seconds[1:], strict=True):
        is_chosen = run is study.chosen
        name, spent = (AGENT, float(np.sum(seconds))) if is_chosen else (CANDIDATE, took)
        rows.append(row(name, yardstick.cost(trainer.made(run)), spent, run.seed))
    return rows
