"""Laws of policies: what the economics say is what is ordered, and nothing is ordered without
need."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domain import Economics, Situation
from models.replenishment.classic_rules import MovingAverageCover, seasonal_factors
from models.replenishment.echelon import Echelons, echelon_view
from models.replenishment.order_rounding import smallest_order
from models.replenishment.policies import (
    LEGACY,
    POLICIES,
    PRIOR_SCALE,
    BaseStock,
    CappedBaseStock,
    DisruptionAware,
    Newsvendor,
    QuantileOrderUpTo,
    ReorderPointOrderUpTo,
    Smoothed,
    informed,
)
from models.replenishment.service_levels import (
    classes,
    implied_service_level,
    implied_shortage_cost,
)
from models.replenishment.stock_projection import expected_cost, parts, project, window_demand


def _shortfalls(situation: Situation) -> np.ndarray:
    (part,) = parts(situation)
    return part.shortfalls


def situation(
    seed: int = 0,
    count: int = 5,
    lead: int = 2,
    review: int = 1,
    unmet: str = "lost",
    samples: int = 80,
) -> Situation:
    random = np.random.default_rng(seed)
    mean = random.uniform(0.3, 9, count)
    return Situation(
        on_hand=random.integers(0, 8, count).astype(float),
        pipeline=random.integers(0, 6, (count, max(lead - 1, 0))).astype(float),
        history=random.poisson(mean[:, None], (count, 60)).astype(float),
        paths=random.poisson(mean[:, None, None], (count, samples, lead + review)).astype(float),
        lead_time=np.full(count, lead),
        review=review,
        economics=Economics(
            np.full(count, 0.2),
            np.full(count, 1.0),
            np.ones(count),
            np.full(count, 2.0),
            unmet=unmet,
        ),  # type: ignore[arg-type]
    )


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 9999), st.integers(0, 3), st.integers(1, 4), st.sampled_from(["lost", "backlog"])
)
def test_the_quantile_order_is_the_cheapest_whole_quantity_on_the_paths(
    seed: int, lead: int, review: int, unmet: str
) -> None:
    now = situation(seed, lead=lead, review=review, unmet=unmet)
    ordered = QuantileOrderUpTo(scale=1.0).order(now)
    tried = np.arange(0, 160.0)
    cost = expected_cost(now, np.tile(tried, (ordered.size, 1)))
    chosen = np.take_along_axis(cost, ordered.astype(int)[:, None], axis=1)[:, 0]
    assert chosen == pytest.approx(cost.min(axis=1), rel=1e-9, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_in_packs_the_cheaper_of_the_pack_below_and_the_pack_above_is_taken(seed: int) -> None:
    packs, moq = np.array([6.0, 4, 3, 10, 1]), np.array([0.0, 8, 0, 0, 5])
    now = situation(seed)
    policy = QuantileOrderUpTo(scale=1.0)
    free = policy.order(now)
    packed = policy.order(replace(now, moq=moq, order_multiple=packs))
    smallest = smallest_order(moq, packs)
    for row in range(5):
        if free[row] <= smallest[row]:
            # whoever asks raises it to the minimum, no one saves a pack by not ordering
            assert packed[row] == free[row]
            continue
        tried = np.arange(smallest[row], free[row] + 2 * packs[row] + 1, packs[row])
        cost = expected_cost(now, np.tile(tried, (5, 1)))[row]
        assert packed[row] % packs[row] == 0
        assert cost[list(tried).index(packed[row])] == pytest.approx(cost.min())


def test_under_backlog_the_level_is_the_critical_fractile_of_the_windows_demand() -> None:
    now = situation(4, unmet="backlog", samples=600)
    level = QuantileOrderUpTo().target(now)
    expected = np.quantile(window_demand(now), 1.0 / 1.2, axis=1, method="inverted_cdf")
    assert level == pytest.approx(expected)


@pytest.mark.parametrize("name", sorted(POLICIES))
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 9999), stock=st.integers(100_000, 1_000_000))
def test_no_policy_orders_when_stock_lasts_for_years_or_asks_for_less_than_nothing(
    name: str, seed: int, stock: int
) -> None:
    now = situation(seed)
    ordered = POLICIES[name].order(now)
    assert (ordered >= 0).all() and np.isfinite(ordered).all()
    assert (POLICIES[name].order(replace(now, on_hand=np.full(5, float(stock)))) == 0).all()


@pytest.mark.parametrize("name", LEGACY)
def test_legacy_rules_need_no_forecast_and_order_whole_units(name: str) -> None:
    now = replace(situation(5), paths=None)
    ordered = POLICIES[name].order(now)
    assert (ordered == np.round(ordered)).all() and ordered.sum() > 0


def test_a_policy_that_needs_a_forecast_says_so() -> None:
    with pytest.raises(ValueError, match="sample paths"):
        QuantileOrderUpTo().order(replace(situation(), paths=None))
    with pytest.raises(ValueError, match="covers 1 periods"):
        now = situation()
        QuantileOrderUpTo().order(
            replace(now, paths=now.paths[:, :, :1] if now.paths is not None else None)
        )


def test_before_any_tuning_lost_sales_take_the_prior_scale_and_backlog_the_textbook() -> None:
    lost, owed = situation(3), situation(3, unmet="backlog")
    assert (
        QuantileOrderUpTo().order(lost) == QuantileOrderUpTo(scale=PRIOR_SCALE["lost"]).order(lost)
    ).all()
    assert (QuantileOrderUpTo().order(owed) == QuantileOrderUpTo(scale=1.0).order(owed)).all()


def test_lost_sales_need_less_stock_than_backlog_after_the_shelf_ran_empty() -> None:
    empty = replace(situation(7), on_hand=np.zeros(5), pipeline=np.zeros((5, 1)))
    owed = replace(empty, economics=replace(empty.economics, unmet="backlog"))
    assert (QuantileOrderUpTo().order(empty) <= QuantileOrderUpTo().order(owed)).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999), st.floats(0.2, 1.0), st.floats(1.0, 4.0))
def test_a_dearer_shortage_never_orders_less(seed: int, low: float, high: float) -> None:
    now = situation(seed)
    assert (
        QuantileOrderUpTo(scale=low).order(now) <= QuantileOrderUpTo(scale=high).order(now)
    ).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 9999))
def test_stock_projected_on_a_path_is_what_the_simulator_would_leave(seed: int) -> None:
    now = situation(seed, samples=3)
    stock, unmet = project(now, 3)
    assert now.paths is not None
    for sample in range(3):
        left = now.on_hand.copy()
        for k in range(3):
            left = left + (now.pipeline[:, k - 1] if 1 <= k <= now.pipeline.shape[1] else 0)
            demand = now.paths[:, sample, k]
            assert unmet[:, sample, k] == pytest.approx(np.maximum(demand - left, 0))
            left = np.maximum(left - demand, 0)
            assert stock[:, sample, k] == pytest.approx(left)


def test_a_certain_lead_time_given_as_samples_changes_nothing() -> None:
    now = situation(9)
    sampled = replace(now, lead_time_paths=np.full((5, 80), 2))
    assert _shortfalls(sampled) == pytest.approx(_shortfalls(now))
    assert (QuantileOrderUpTo().order(sampled) == QuantileOrderUpTo().order(now)).all()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9999), st.booleans(), st.floats(0.3, 3))
def test_target_parts_add_up_to_what_is_wanted(seed: int, is_late: bool, scale: float) -> None:
    now = situation(seed, lead=1)
    if is_late:
        longer = np.random.default_rng(seed).poisson(4, (5, 80, 4)).astype(float)
        now = replace(
            now, paths=longer, lead_time_paths=np.random.default_rng(seed).integers(0, 4, (5, 80))
        )
    policy = QuantileOrderUpTo(scale=scale)
    target = policy.split(now, as_sold=np.ones(5))
    for row in range(5):
        assert sum(target.parts(row).values()) == pytest.approx(target.need[row])
    assert np.maximum(target.need, 0) == pytest.approx(policy.order(now))
    assert target.order_up_to == pytest.approx(policy.target(now))


@settings(deadline=None)
@given(st.floats(0, 0.999), st.floats(0.01, 10), st.integers(1, 9))
def test_service_level_and_shortage_cost_imply_each_other(
    level: float, holding: float, periods: int
) -> None:
    cost = implied_shortage_cost(level, np.array([holding]), periods)
    assert implied_service_level(cost, np.array([holding]), periods)[0] == pytest.approx(level)
    with pytest.raises(ValueError, match="below 1"):
        implied_shortage_cost(1.0, np.array([holding]))


def test_capped_base_stock_never_orders_more_than_its_cap() -> None:
    now = replace(situation(2), on_hand=np.zeros(5))
    assert CappedBaseStock(level=30.0, cap=4.0).order(now).max() == 4.0


def test_the_newsvendor_covers_the_window_and_a_lower_scale_orders_less() -> None:
    now = replace(situation(2), on_hand=np.zeros(5), pipeline=np.zeros((5, 1)))
    covered = (window_demand(now) <= Newsvendor().target(now)[:, None]).mean(axis=1)
    assert (covered >= now.economics.fractile - 1e-9).all()
    assert (Newsvendor().order(now) == np.round(Newsvendor().target(now))).all()
    assert BaseStock().with_setting(0.1).order(now).sum() < BaseStock().order(now).sum()


def test_told_of_an_event_a_rule_covers_the_longer_way_and_the_larger_demand() -> None:
    now = situation(2)
    told = replace(now, delay=np.full(5, 2), surge=np.full(5, 1.5))
    seen = informed(told)
    assert (seen.lead_time == now.lead_time + 2).all()
    assert now.paths is not None and seen.paths is not None
    assert seen.paths.shape[2] == now.paths.shape[2] + 2
    assert seen.paths[:, :, :3] == pytest.approx(1.5 * now.paths)
    sampled = np.tile(np.arange(1, 5), (5, 1))
    late = informed(replace(told, lead_time_paths=sampled)).lead_time_paths
    assert (late == sampled + 2).all(), "each sampled lead time is as much longer"
    rule = DisruptionAware()
    assert (rule.order(told) == QuantileOrderUpTo().order(seen)).all()
    assert rule.order(told).sum() > QuantileOrderUpTo().order(told).sum()
    assert (rule.order(now) == QuantileOrderUpTo().order(now)).all()
    wary = replace(rule, trust=0.0)
    assert (wary.order(told) == QuantileOrderUpTo().order(now)).all()


def test_where_an_order_costs_money_as_much_is_bought_at_once_as_wilson_says() -> None:
    """Of items alike but in demand: four times the demand, twice the lot, sqrt(2 K d / h)."""
    demand = np.array([1.0, 4.0, 16.0])
    now = situation(count=3)
    now = replace(
        now,
        paths=np.broadcast_to(demand[:, None, None], (3, 80, 3)),
        economics=replace(now.economics, order_cost=np.full(3, 5.0), holding=np.full(3, 0.1)),
    )
    lots = ReorderPointOrderUpTo().target(now) - QuantileOrderUpTo().target(now)
    assert lots == pytest.approx([10, 20, 40])


def test_smoothing_calms_a_large_order_and_leaves_its_policy_alone_at_weight_one() -> None:
    now = replace(situation(2), on_hand=np.zeros(5), pipeline=np.zeros((5, 1)))
    whole = QuantileOrderUpTo()
    assert (Smoothed(whole, weight=1.0).order(now) == whole.order(now)).all()
    assert Smoothed(whole, weight=0.4).order(now).sum() < whole.order(now).sum()


def test_the_moving_average_covers_four_weeks_of_known_weeks() -> None:
    history = np.full((1, 20), np.nan)
    history[0, -13:] = [2, 4] * 6 + [np.nan]
    now = replace(
        situation(count=1), history=history, on_hand=np.array([5.0]), pipeline=np.array([[1.0]])
    )
    assert MovingAverageCover().order(now)[0] == 4 * 3 - 6


def test_seasonal_factors_are_pooled_and_average_to_one_over_phases() -> None:
    phase = np.arange(12) % 4
    history = np.array([[1.0, 2, 3, 2] * 2, [2.0, 4, 6, 4] * 2])
    past, coming = seasonal_factors(history, phase, 4)
    assert coming == pytest.approx([0.5, 1.0, 1.5, 1.0])
    assert history / past == pytest.approx(np.repeat([[2.0], [4.0]], 8, axis=1))


def test_a_distribution_centre_sees_the_sum_of_its_locations_and_their_stock() -> None:
    now = replace(
        situation(1, count=3, lead=1), lead_time=np.array([2, 1, 3]), paths=np.ones((3, 80, 6))
    )
    view = echelon_view(now, np.array([-1, 0, 0]))
    assert view.lead_time.tolist() == [5, 1, 3]
    assert view.on_hand[0] == now.on_hand.sum() + now.pipeline[1:].sum()
    assert view.paths is not None and (view.paths[0] == 3).all() and (view.paths[1] == 1).all()
    assert (view.history[0] == now.history.sum(axis=0)).all()
    assert now.on_hand[0] != view.on_hand[0] and (view.on_hand[1:] == now.on_hand[1:]).all()


def test_goods_that_go_round_in_a_circle_are_refused_by_naming_the_nodes() -> None:
    with pytest.raises(ValueError, match=r"circle: node\(s\) 1, 2 supply themselves"):
        Echelons(np.array([-1, 2, 1, 0]))
    with pytest.raises(ValueError, match=r"circle: node\(s\) 1 supply"):
        Echelons(np.array([-1, 1]))
    with pytest.raises(ValueError, match="points at node 7"):
        Echelons(np.array([-1, 7]))


def test_an_echelon_of_three_levels_counts_every_unit_below_once() -> None:
    now = replace(
        situation(1, count=4, lead=1), lead_time=np.array([5, 3, 1, 2]), paths=np.ones((4, 80, 12))
    )
    view = echelon_view(now, np.array([-1, 0, 1, 1]))
    assert view.lead_time.tolist() == [5 + 3 + 2, 3 + 2, 1, 2]
    position = now.position
    assert view.on_hand[0] == now.on_hand[0] + position[1:].sum()
    assert view.on_hand[1] == now.on_hand[1] + position[2:].sum()
    assert view.paths is not None and view.paths[:, 0, 0].tolist() == [4, 3, 1, 1]
    assert view.history[1] == pytest.approx(now.history[1:].sum(axis=0))


def test_a_node_with_two_sources_burdens_each_with_its_share() -> None:
    # Two plants (0, 1) supply a shop (2) in the ratio 3 to 1.
    echelons = Echelons(
        np.array([-1, -1, 0, 1]), np.array([0, 1, 2, 2]), np.array([1, 1, 0.75, 0.25]), nodes=3
    )
    assert echelons.stock(np.zeros(3), np.array([0.0, 0.0, 8.0])).tolist() == [6.0, 2.0, 0.0]
    assert echelons.way_down(np.array([9, 9, 4, 2])).tolist() == [4, 2, 0]


def test_a_promised_service_level_raises_the_order_until_it_is_kept_and_says_so() -> None:
    now = replace(situation(3, lead=1), on_hand=np.zeros(5), pipeline=np.zeros((5, 1)))
    cheap = replace(now, economics=replace(now.economics, shortage=np.full(5, 0.05)))
    for level in (0.5, 0.8, 0.95):
        promised = replace(cheap, service_level=np.array([0.0, level, level, level, level]))
        quantity = QuantileOrderUpTo().order(promised)
        covered = (_shortfalls(promised)[:, -1] <= quantity[:, None]).mean(axis=1)
        assert (covered[1:] >= level - 0.02).all()
        target = QuantileOrderUpTo().split(promised)
        assert target.service_floor[0] == 0 and (target.service_floor[1:] > 0).all()
    dear = replace(now, service_level=np.full(5, 0.1))
    assert (QuantileOrderUpTo().order(dear) == QuantileOrderUpTo().order(now)).all()


def test_classes_follow_the_value_and_the_steadiness_of_demand() -> None:
    steady, erratic = np.full(40, 3.0), np.where(np.arange(40) % 8 == 0, 24.0, 0.0)
    history = np.stack([steady, erratic, steady, np.full(40, np.nan)])
    assert classes(np.array([80.0, 15.5, 3.5, 1.0]), history, review=4) == ["AX", "BY", "CX", "C"]
    assert classes(np.array([1.0, 9.0]), np.zeros((2, 0)), review=4) == ["B", "A"]
