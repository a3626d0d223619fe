"""PPO as a baseline: `make ppo`, or `python tests/benchmarks/bench_ppo.py zipkin-L4-p9 --seconds
300` with the tools of the group `ppo` on the path.

skrl's PPO learns by trial over the Gymnasium environment, within a budget of processor seconds on
one thread; the policy it ends with is measured in the twin on the demand that the agent's row of
the gap table was measured on. Rows are kept beside that table, every seed of them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

os.environ.setdefault(
    "XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import flax.linen as nn  # noqa: E402
import gymnasium  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
import skrl  # noqa: E402
from skrl.agents.jax.ppo import PPO, PPO_CFG  # noqa: E402
from skrl.envs.wrappers.jax import wrap_env  # noqa: E402
from skrl.memories.jax import RandomMemory  # noqa: E402
from skrl.models.jax import DeterministicMixin, GaussianMixin, Model  # noqa: E402
from skrl.resources.preprocessors.jax import RunningStandardScaler  # noqa: E402

from models.domain import Floats, Situation  # noqa: E402
from models.learning import gaps, problems  # noqa: E402
from models.learning.env import MOST_SEEN, ReplenishmentEnv  # noqa: E402
from models.learning.problems import Problem  # noqa: E402
from models.replenishment.base_policy import BasePolicy  # noqa: E402
from orchestration.app.gap_table import BASELINES, report  # noqa: E402
from orchestration.home import files  # noqa: E402

#: Environments side by side, periods an episode and steps between two updates.
BESIDE, EPISODE, ROLLOUT = 32, 100, 64
HIDDEN = 64
#: Deviation of the first orders around what is asked for in a period, in the window's demand.
EXPLORES = 0.1


class Actor(GaussianMixin, Model):  # type: ignore[misc]
    """What to order: a mean by node, and one deviation a node."""

    #: What is ordered first, by node, in the window's demand.
    first: ClassVar[Floats]

    def __init__(self, **spaces: Any) -> None:
        Model.__init__(self, **spaces)
        GaussianMixin.__init__(self, min_log_std=-5.0)

    @nn.compact
    def __call__(self, inputs: dict[str, Any], role: str) -> tuple[Any, dict[str, Any]]:
        count, inner = self.first.size, _inner(inputs)
        begin = nn.initializers.constant(self.first.astype(np.float32))
        mean = nn.Dense(count, kernel_init=nn.initializers.normal(0.01), bias_init=begin)(inner)
        deviation = self.param("log_std", lambda _: np.full(count, np.log(EXPLORES), np.float32))
        return mean, {"log_std": deviation}


class Critic(DeterministicMixin, Model):  # type: ignore[misc]
    """What a state is worth."""

    def __init__(self, **spaces: Any) -> None:
        Model.__init__(self, **spaces)
        DeterministicMixin.__init__(self)

    @nn.compact
    def __call__(self, inputs: dict[str, Any], role: str) -> tuple[Any, dict[str, Any]]:
        return nn.Dense(1)(_inner(inputs)), {}


def _inner(inputs: dict[str, Any]) -> Any:
    inner = inputs["observations"]
    for _ in range(2):
        inner = nn.tanh(nn.Dense(HIDDEN)(inner))
    return inner


@dataclass(frozen=True)
class Trained(BasePolicy):
    """The mean of what PPO learned to order, for copies of its network."""

    problem: Problem
    columns: int
    agent: Any
    name: str = "ppo"

    def order(self, situation: Situation) -> Floats:
        """Units for every row, (N,), from what the environment shows of it."""
        unit = self.problem.mean * self.problem.window
        due = situation.pipeline[:, : self.columns]
        due = np.pad(due, ((0, 0), (0, self.columns - due.shape[1])))
        rows = [situation.on_hand, situation.position, *due.T]
        seen = np.concatenate([row.reshape(-1, unit.size) / unit for row in rows], axis=1)
        seen = np.clip(seen, -MOST_SEEN, MOST_SEEN).astype(np.float32)
        inputs = {"observations": self.agent._observation_preprocessor(seen)}
        policy = self.agent.policy
        mean, _ = policy.apply(policy.state_dict.params, inputs, "policy")
        units = np.clip(np.asarray(mean, np.float64), 0.0, 1.0) * unit
        multiple = self.problem.network.order_multiple
        step = np.where(multiple > 0, multiple, 1.0)
        whole = np.where(multiple > 0, step * np.round(units / step), units)
        return whole.reshape(-1)


def trained(problem: Problem, seconds: float, seed: int) -> tuple[Trained, int, float]:
    """What PPO learned within so many processor seconds, its periods lived and seconds taken."""
    began = time.process_time()
    skrl.config.jax.key = seed
    env = wrap_env(
        gymnasium.vector.SyncVectorEnv(
            [lambda: ReplenishmentEnv(problem, EPISODE) for _ in range(BESIDE)]
        ),
        wrapper="gymnasium",
    )
    spaces = env.observation_space, env.action_space
    Actor.first = 1.0 / problem.window  # flax makes an __init__ of its own for whatever it inherits
    given = {"observation_space": spaces[0], "action_space": spaces[1], "device": None}
    models = {"policy": Actor(**given), "value": Critic(**given)}
    for role, model in models.items():
        model.init_state_dict(role=role)
    cfg = PPO_CFG(
        rollouts=ROLLOUT,
        mini_batches=8,
        learning_rate=3e-4,
        time_limit_bootstrap=True,
        observation_preprocessor=RunningStandardScaler,
        observation_preprocessor_kwargs={"size": spaces[0]},
        value_preprocessor=RunningStandardScaler,
        value_preprocessor_kwargs={"size": 1},
        rewards_shaper=lambda rewards, *_: rewards / float(problem.mean.sum()),
    )
    cfg.experiment.write_interval = cfg.experiment.checkpoint_interval = 0
    agent = PPO(
        models=models,
        memory=RandomMemory(memory_size=ROLLOUT, num_envs=BESIDE),
        cfg=cfg,
        observation_space=spaces[0],
        action_space=spaces[1],
    )
    agent.init()
    lived = _learn(agent, env, began + seconds)
    columns = spaces[0].shape[0] // spaces[1].shape[0] - 2
    return Trained(problem, columns, agent), lived, time.process_time() - began


def _learn(agent: Any, env: Any, until: float) -> int:
    """Live and learn until the budget is spent; the periods lived, all environments together."""
    agent.enable_training_mode(True)
    seen, _ = env.reset()
    step, costs = 0, [0.0]
    while time.process_time() < until:
        given = {"timestep": step, "timesteps": sys.maxsize}
        agent.pre_interaction(**given)
        actions, _ = agent.act(seen, None, **given)
        after, reward, ended, cut, infos = env.step(actions)
        agent.record_transition(
            observations=seen,
            states=None,
            actions=actions,
            rewards=reward,
            next_observations=after,
            next_states=None,
            terminated=ended,
            truncated=cut,
            infos=infos,
            **given,
        )
        agent.post_interaction(**given)
        seen, step = after, step + 1
        costs.append(-float(reward.mean()))
        if not step % (20 * EPISODE):
            _tell(f"{step * BESIDE:,} periods, cost {np.mean(costs[-10 * EPISODE :]):,.3f}")
    return step * BESIDE


def measured(problem: Problem, found: Trained, seconds: float, seed: int) -> gaps.Gap:
    """The row of the gap table: on the same demand as the optimum, else against the reference of
    the table."""
    best = gaps.known(problem)
    copies = max(min(gaps.COPIES, 4 * gaps.COPIES // problem.mean.size), 2)
    yardstick = gaps.Yardstick(problem, copies=copies)
    cost = yardstick.cost(found)
    if best is None:
        rows = [row for row in report()["rows"] if row["problem"] == problem.name]
        against = float(rows[0]["reference"])
        extra = cost - against
    else:
        against, extra = best.cost, cost - yardstick.cost(best.policy)
    return gaps.gap(problem.name, "ppo", extra, against, seconds=seconds, seed=seed)


def keep(row: gaps.Gap, lived: int) -> None:
    """Put a row beside those that are kept, in place of the one of its problem and seed."""
    kept = json.loads(BASELINES.read_text("utf-8")) if BASELINES.exists() else []
    said = {
        name: [round(one, 5) for one in value] if isinstance(value, list) else value
        for name, value in row.as_dict().items()
    } | {name: round(getattr(row, name), 5) for name in ("cost", "reference", "gap", "seconds")}
    others = [
        one for one in kept if (one["problem"], one["seed"]) != (said["problem"], said["seed"])
    ]
    rows = sorted(
        [*others, said | {"periods": lived, "by": f"skrl {skrl.__version__}"}],
        key=lambda one: (one["problem"], one["seed"]),
    )
    files.write(BASELINES, "[\n" + ",\n".join(json.dumps(one) for one in rows) + "\n]\n")


def _tell(said: str) -> None:
    sys.stderr.write(said + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=list(problems.CASES))
    parser.add_argument("--seconds", type=float, default=300.0, help="processor seconds a seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    for name in options.names:
        for chosen in options.seeds:
            case = problems.CASES[name]()
            policy, periods, took = trained(case, options.seconds, chosen)
            row = measured(case, policy, took, chosen)
            keep(row, periods)
            _tell(f"{name}, seed {chosen}: {row.gap:+.2%} of {row.reference:.3f}, {periods:,}")
