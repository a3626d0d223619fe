"""Choose a policy's setting by replaying what already happened, never what is to be decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.domain import Floats
from models.replenishment.policies import RegisteredPolicy
from models.twin.simulator import SimulationResult


@dataclass(frozen=True)
class Tuned:
    """The setting chosen and the evidence: cost of each candidate over the replays, money, in the
    candidates' order."""

    setting: Any
    candidates: tuple[Any, ...]
    costs: tuple[float, ...]


def tune(
    candidates: Sequence[Any],
    replay: Callable[[Any], Floats | float],
    *,
    cautious: Any | None = None,
    margin: float = 0.002,
) -> Tuned:
    """Replay every candidate setting and take the cheapest; of those within `margin` of it, the one
    nearest to `cautious`.

    candidates: numbers or any settings. replay: setting -> cost (any shape, summed) on periods
    before the decision. cautious: the setting to keep where the difference is noise (numbers only);
    left out, cheapest wins. Raises ValueError without candidates.
    """
    if not candidates:
        raise ValueError("there is no candidate setting to tune over")
    costs = tuple(float(np.sum(replay(setting))) for setting in candidates)
    cheapest = min(costs)
    near = [i for i, cost in enumerate(costs) if cost <= cheapest * (1 + margin)]
    if cautious is None:
        return Tuned(candidates[costs.index(cheapest)], tuple(candidates), costs)
    best = min(near, key=lambda i: (abs(candidates[i] - cautious), costs[i]))
    return Tuned(candidates[best], tuple(candidates), costs)


def tune_policy(
    policy: RegisteredPolicy,
    replay: Callable[[RegisteredPolicy], SimulationResult],
    settings: Sequence[float],
    *,
    prior: float | None = None,
    margin: float = 0.02,
) -> RegisteredPolicy:
    """The same policy with the setting that would have cost least in a replay of periods before the
    decision.

    replay: runs a policy over past demand with forecasts as they were made then, such as a partial
    of `simulate`. prior: the setting to stay near where the difference is below `margin`, as
    replays of public data say that differences under 2 % are noise.
    """
    found = tune(
        settings,
        lambda setting: replay(policy.with_setting(setting)).cost,
        cautious=prior,
        margin=margin,
    )
    return policy.with_setting(found.setting)
