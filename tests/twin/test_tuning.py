"""Laws of tuning: the cheapest setting wins, and noise does not move a cautious one."""

from __future__ import annotations

import numpy as np
import pytest

from models.domain import Economics, Policy
from models.replenishment.policies import QuantileOrderUpTo
from models.twin.network import Network
from models.twin.simulator import SimulationResult, simulate
from models.twin.tuning import tune, tune_policy


def test_the_cheapest_setting_is_chosen_with_its_evidence() -> None:
    found = tune([0.4, 0.6, 1.0], lambda scale: np.array([1.0, (scale - 0.6) ** 2]))
    assert found.setting == 0.6
    assert found.costs == pytest.approx((1.04, 1.0, 1.16))


def test_a_difference_within_the_margin_keeps_the_cautious_setting() -> None:
    costs = {0.4: 100.0, 0.6: 100.1, 1.0: 103.0}
    assert tune(list(costs), costs.__getitem__, cautious=1.0).setting == 0.6
    assert tune(list(costs), costs.__getitem__).setting == 0.4
    with pytest.raises(ValueError, match="no candidate"):
        tune([], costs.__getitem__)


def test_a_scale_stays_near_the_prior_where_the_difference_is_noise() -> None:
    random = np.random.default_rng(7)
    network = Network(
        np.full(80, 1), Economics(np.full(80, 0.2), np.ones(80), np.ones(80), np.zeros(80))
    )
    demand, paths = (
        random.poisson(4, (80, 40)).astype(float),
        random.poisson(4, (80, 200, 2)).astype(float),
    )

    def replay(policy: Policy) -> SimulationResult:
        return simulate(network, policy, demand, np.full(80, 8.0), forecaster=lambda t: paths)

    cost = {scale: replay(QuantileOrderUpTo(scale=scale)).cost.sum() for scale in (0.02, 0.65, 0.7)}
    assert abs(cost[0.65] / cost[0.7] - 1) < 0.02 < cost[0.02] / cost[0.7] - 1
    assert (
        tune_policy(QuantileOrderUpTo(), replay, (0.02, 0.65, 0.7), prior=0.7).setting("lost")
        == 0.7
    )
    assert (
        tune_policy(QuantileOrderUpTo(), replay, (0.02, 0.65), prior=0.02).setting("lost") == 0.65
    )


def test_a_scale_tuned_on_the_past_undoes_a_forecast_that_is_too_high() -> None:
    random = np.random.default_rng(7)
    network = Network(
        np.full(80, 1), Economics(np.full(80, 0.2), np.ones(80), np.ones(80), np.zeros(80))
    )
    demand = random.poisson(4, (80, 40)).astype(float)

    def replay(share: float, policy: Policy) -> SimulationResult:
        paths = np.random.default_rng(1).poisson(4 * share, (80, 200, 2)).astype(float)
        return simulate(network, policy, demand, np.full(80, 8.0), forecaster=lambda t: paths)

    scales, ours = (0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.3), QuantileOrderUpTo()
    usual = tune_policy(ours, lambda policy: replay(1.0, policy), scales)
    wary = tune_policy(ours, lambda policy: replay(1.4, policy), scales)
    assert 0 < (wary.setting("lost") or 0) < (usual.setting("lost") or 0) <= 1.0
    assert replay(1.4, wary).cost.sum() < replay(1.4, QuantileOrderUpTo(scale=1.0)).cost.sum()
