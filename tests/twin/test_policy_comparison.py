"""Laws of the comparison: a champion is replaced only when luck is ruled out, and the card's
figures are the books' figures."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Policy
from models.replenishment.opening_state import Opening
from models.replenishment.policies import POLICIES, Smoothed
from models.twin.network import Network
from models.twin.policy_comparison import champion, paired_difference, scorecard
from models.twin.simulator import SimulationResult, simulate
from models.twin.trust import PastOrders
from orchestration.planning.replay import Replay, freight_of_demand, run_as_placed


def replayed() -> dict[str, SimulationResult]:
    random = np.random.default_rng(1)
    demand = random.poisson(3, (20, 12)).astype(float)
    network = Network(
        np.full(20, 1), Economics(np.full(20, 0.2), np.ones(20), np.full(20, 2.0), np.zeros(20))
    )
    return {
        name: simulate(
            network,
            POLICIES[name],
            demand,
            np.full(20, 6.0),
            history=random.poisson(3, (20, 30)).astype(float),
            forecaster=lambda t: np.random.default_rng(t).poisson(3, (20, 100, 2)).astype(float),
        )
        for name in ("min_max", "quantile_order_up_to")
    }


def test_the_incumbent_stays_where_the_difference_could_be_luck() -> None:
    random = np.random.default_rng(0)
    cost = random.gamma(2, 5, (60, 8))
    noise = cost + random.normal(0, 3, cost.shape)
    cheaper = cost - 0.5 + random.normal(0, 0.3, cost.shape)
    name, rivals = champion({"old": cost, "noise": noise, "cheaper": cheaper}, "old")
    assert name == "cheaper" and rivals["cheaper"].is_better
    assert not rivals["noise"].is_better
    assert champion({"old": cost, "noise": noise}, "old")[0] == "old"
    with pytest.raises(ValueError, match="'older' was not replayed"):
        champion({"old": cost}, "older")


def test_intervals_hold_the_true_difference_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(3)
    hits = 0
    for trial in range(200):
        cost = random.gamma(2, 5, (40, 3))
        other = cost + random.normal(0.2, 1, cost.shape)
        found = paired_difference("a", "b", other, cost, draws=300, seed=trial)
        hits += found.lower <= 0.2 * cost.size <= found.upper
    assert 175 <= hits <= 199


def test_rows_of_one_item_are_resampled_together() -> None:
    # Ten items at 50 places that share each item's luck: there are ten independent draws, not five
    # hundred.
    effect = np.repeat(np.random.default_rng(5).normal(0, 1, 10), 50)[:, None]
    cost = np.full((500, 1), 10.0)
    alone = paired_difference("a", "b", cost + effect, cost)
    together = paired_difference("a", "b", cost + effect, cost, blocks=np.repeat(np.arange(10), 50))
    assert together.upper - together.lower > 4 * (alone.upper - alone.lower)
    weekly = paired_difference(
        "a", "b", np.tile([0.0, 20.0], (500, 4)), np.full((500, 8), 10.0), period_block=2
    )
    assert weekly.lower <= 0 <= weekly.upper and weekly.ratio == 1.0


def test_the_card_holds_the_books_figures_and_can_be_written_as_json() -> None:
    results = replayed()
    card = scorecard(results, "quantile_order_up_to")
    assert set(card) == {"champion", "policies"} and card["champion"] == "quantile_order_up_to"
    for name, result in results.items():
        entry = card["policies"][name]
        assert entry["total_cost"] == pytest.approx(result.cost.sum())
        parts = ("holding_cost", "shortage_cost", "ordering_cost", "waste_cost")
        assert sum(entry[part] for part in parts) == pytest.approx(entry["total_cost"])
        assert sum(period["total_cost"] for period in entry["by_period"]) == pytest.approx(
            entry["total_cost"]
        )
        assert len(entry["by_period"]) == 12
        assert entry["fill_rate"] == pytest.approx(1 - result.lost.sum() / result.demand.sum())
        assert entry["purchase_value"] == pytest.approx(2.0 * result.shipped.sum())
    assert json.loads(json.dumps(card)) == card


def test_what_the_company_really_did_meets_the_same_demand_and_ranks_nothing() -> None:
    results = replayed()
    ours = results["min_max"]
    opening = Opening(np.full(20, 6.0), np.zeros((20, 2)), is_assumed=False)
    placed = PastOrders(np.full((20, 12), 3.0), np.full((20, 12), 2, dtype=np.int64))
    done = run_as_placed(ours.network, ours.demand, opening, placed.until(6))
    assert done is not None and (done.shipped[:, :6] == 3).all() and not done.shipped[:, 6:].any()
    assert (done.received[:, 2:8] == 3).all() and done.received.sum() == done.shipped.sum()
    assert done.demand is ours.demand and done.network is ours.network
    nothing = PastOrders(np.zeros((20, 12)), placed.took)
    assert run_as_placed(ours.network, ours.demand, opening, nothing) is None
    guessed = replace(opening, is_assumed=True)
    assert run_as_placed(ours.network, ours.demand, guessed, placed) is None

    nodes = pl.DataFrame({"item_id": [f"i{k}" for k in range(20)], "location_id": "DC"})
    days = [date(2024, 1, 1) + timedelta(days=k) for k in range(12)]
    made = Replay(nodes, days, results, "min_max", {}, pl.DataFrame(), as_placed=done)
    card = made.scorecard()
    assert set(card["policies"]) == set(results) and card["champion"] == "min_max"
    assert card["as_placed"]["purchase_value"] == 2.0 * done.shipped.sum()
    assert made.orders().filter(policy="as_placed")["quantity"].sum() == done.shipped.sum()
    # what is ordered in the last two of all periods is on the way at the end, at two a unit
    whole = run_as_placed(ours.network, ours.demand, opening, placed)
    assert replace(made, as_placed=whole).scorecard()["as_placed"]["pipeline_value"] == 2 * 120.0
    assert replace(made, as_placed=None).scorecard()["as_placed"] is None


def test_orders_that_follow_demand_have_a_bullwhip_of_one() -> None:
    result = replayed()["min_max"]
    assert result.bullwhip(np.ones(20, dtype=bool)) > 1
    copied = replace(result, books={**result.books, "requested": result.demand.T})
    assert copied.bullwhip(np.ones(20, dtype=bool)) == pytest.approx(1.0)


def test_smoothing_calms_the_bullwhip_and_replay_prices_it() -> None:
    random = np.random.default_rng(4)
    demand, history = (
        random.poisson(6, (40, 60)).astype(float),
        random.poisson(6, (40, 30)).astype(float),
    )
    network = Network(
        np.full(40, 3), Economics(np.full(40, 0.2), np.full(40, 2.0), np.ones(40), np.zeros(40))
    )

    def run(policy: Policy) -> SimulationResult:
        return simulate(network, policy, demand, np.full(40, 20.0), history=history)

    nervous = POLICIES["moving_average_cover"]
    plain, calm = run(nervous), run(Smoothed(nervous, weight=0.3))
    everyone = np.ones(40, dtype=bool)
    assert calm.bullwhip(everyone) < plain.bullwhip(everyone)
    found = paired_difference("calm", "plain", calm.cost, plain.cost)
    assert found.difference == pytest.approx(calm.cost.sum() - plain.cost.sum())
    assert found.lower <= found.difference <= found.upper


def test_freight_is_shown_and_decides_nothing() -> None:
    random = np.random.default_rng(3)
    demand = random.poisson(4, (6, 12)).astype(float)
    economics = Economics(np.full(6, 0.2), np.ones(6), np.ones(6), np.zeros(6))
    free, paid = (
        simulate(
            Network(np.full(6, 1), economics, freight_per_unit=np.full(6, rate)),
            POLICIES["periodic_review"],
            demand,
            np.full(6, 8.0),
            history=demand,
        )
        for rate in (0.0, 0.5)
    )
    card = scorecard({"free": free, "paid": paid}, "free")["policies"]
    assert (
        card["paid"]["freight_cost"] == pytest.approx(0.5 * card["paid"]["ordered_units"])
        and card["free"]["freight_cost"] == 0
    )
    assert card["paid"]["total_cost"] == card["free"]["total_cost"]


@pytest.mark.parametrize("unmet", [("lost", 1.0), ("backlog", 1.0), ("backlog", 0.3)])
@pytest.mark.parametrize("name", ["min_max", "quantile_order_up_to"])
@given(seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_every_policy_bears_the_freight_of_what_was_asked_for(
    unmet: Any, name: str, seed: int
) -> None:
    """A centre and three shops: whatever a policy moved, left or lost, so that ranking by the total
    and by the total with freight is one."""
    random = np.random.default_rng(seed)
    count, freight = 4, random.uniform(0, 3, 4)
    demand = random.poisson(3, (count, 9)).astype(float)
    demand[3] = 0
    network = Network(
        random.integers(0, 3, count),
        Economics(
            np.full(count, 0.2), np.ones(count), np.full(count, 2.0), np.zeros(count), *unmet
        ),
        supplied_from=np.array([3, 3, 3, -1]),
        freight_per_unit=freight,
    )
    result = simulate(
        network,
        POLICIES[name],
        demand,
        random.integers(0, 30, count).astype(float),
        history=np.full((count, 30), 3.0),
        forecaster=lambda t: np.random.default_rng(t).poisson(3, (count, 50, 6)).astype(float),
    )
    landed = freight + np.array([freight[3]] * 3 + [0.0])
    assert freight_of_demand(result) == pytest.approx(landed @ demand.sum(axis=1))
