"""Laws of order quantities: what a supplier accepts, what a distribution centre can give, what a
budget allows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.domain import Economics, Situation
from models.replenishment.constraints import Limit, fit, smallest_conflict
from models.replenishment.order_rounding import (
    Lots,
    allocate,
    feasible,
    orderable,
    price_at,
    smallest_order,
    up_to_price_break,
)
from models.replenishment.stock_projection import expected_cost

units = st.floats(0, 5000, allow_nan=False)


@pytest.mark.parametrize(
    ("wanted", "moq", "multiple", "ordered"),
    [
        (3, 10, 15, 15),
        (16, 10, 15, 30),
        (10, 10, 1, 10),
        (11, 10, 1, 11),
        (0, 10, 15, 0),
        (-4, 10, 15, 0),
        (2.5, 0, 0, 2.5),
        (2.5, 4, 0, 4),
    ],
)
def test_the_smallest_multiple_at_or_above_the_minimum_is_ordered(
    wanted: float, moq: float, multiple: float, ordered: float
) -> None:
    assert (
        feasible(np.array([float(wanted)]), np.array([float(moq)]), np.array([float(multiple)]))[0]
        == ordered
    )


@pytest.mark.parametrize("multiple", [0.0, 1.0, 12.0])
def test_one_row_alone_is_rounded_as_it_is_among_others(multiple: float) -> None:
    among = feasible(np.array([2.5, 7.0]), np.zeros(2), np.full(2, multiple))
    assert feasible(np.float64(2.5), np.float64(0), np.float64(multiple)) == among[0]  # type: ignore[arg-type]


@settings(deadline=None)
@given(units, st.integers(0, 300), st.integers(1, 48))
def test_an_order_is_a_multiple_at_or_above_the_minimum_and_never_less_than_wanted(
    wanted: float, moq: int, multiple: int
) -> None:
    ordered = float(feasible(np.array([wanted]), np.array([moq]), np.array([multiple]))[0])
    assert ordered % multiple == 0
    assert ordered == 0 or (ordered >= moq and ordered >= wanted - 1e-6)
    assert ordered <= max(
        wanted + multiple, smallest_order(np.array([moq]), np.array([multiple]))[0]
    )
    assert (ordered == 0) == (wanted <= 1e-9)


def test_a_quantity_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="row 1"):
        feasible(np.array([1.0, np.nan]), np.zeros(2), np.ones(2))


@settings(deadline=None)
@given(
    arrays(np.int64, 6, elements=st.integers(0, 40)),
    st.integers(0, 100),
    st.integers(0, 100),
    st.integers(1, 6),
)
def test_a_distribution_centre_never_ships_more_than_it_has_nor_more_than_asked(
    asked: np.ndarray, a: int, b: int, multiple: int
) -> None:
    source = np.array([-1, -1, 0, 0, 1, 1])
    requested = asked * float(multiple)
    available = np.array([a, b, 0, 0, 0, 0], dtype=float)
    shipped = allocate(requested, source, available, np.full(6, float(multiple)))
    assert (shipped <= requested).all() and (shipped >= 0).all() and (shipped % multiple == 0).all()
    assert (shipped[:2] == requested[:2]).all()
    for parent in (0, 1):
        given_out = shipped[source == parent].sum()
        assert given_out <= available[parent]
        # What stays behind is less than a multiple, unless everyone got what they asked for.
        assert (
            given_out == requested[source == parent].sum()
            or available[parent] - given_out < multiple
        )


@settings(deadline=None)
@given(
    arrays(np.int64, 6, elements=st.integers(0, 12)),
    arrays(np.int64, 6, elements=st.sampled_from([1, 2, 3, 5])),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_of_multiples_that_differ_what_is_left_is_less_than_any_row_still_waits_for(
    asked: np.ndarray, multiple: np.ndarray, a: int, b: int
) -> None:
    source, lots = np.array([-1, -1, 0, 0, 0, 1]), multiple.astype(float)
    requested, available = asked * lots, np.array([a, b, 0, 0, 0, 0], dtype=float)
    shipped = allocate(requested, source, available, lots)
    assert (shipped % lots == 0).all() and (shipped <= requested).all()
    for parent in (0, 1):
        mine = np.flatnonzero(source == parent)
        total, stock = requested[mine].sum(), available[parent]
        left = stock - shipped[mine].sum()
        assert left >= 0
        if total <= stock:
            assert (shipped[mine] == requested[mine]).all()
            continue
        fair = lots[mine] * np.floor(requested[mine] * stock / total / lots[mine] + 1e-9)
        more = shipped[mine] - fair
        assert ((more == 0) | (more == lots[mine])).all()
        waits = (more == 0) & (fair + lots[mine] <= requested[mine])
        assert (left < lots[mine][waits]).all()


def test_the_largest_remainder_goes_first_and_the_lowest_row_among_equals() -> None:
    source, lots = np.array([-1, 0, 0, 0]), np.ones(4)

    def sent(*asked: float, stock: float) -> list[float]:
        available = np.array([stock, 0, 0, 0])
        return allocate(np.array([0.0, *asked]), source, available, lots)[1:].tolist()

    assert sent(1, 1, 1, stock=2) == [1, 1, 0]
    assert sent(1, 5, 4, stock=5) == [1, 2, 2]  # 0.5, 2.5 and 2: two halves, one unit
    assert sent(2, 5, 3, stock=5) == [1, 3, 1]
    assert sent(2, 4, 4, stock=-3) == [0, 0, 0]
    anything = allocate(
        np.array([0.0, 3, 1]), np.array([-1, 0, 0]), np.array([2.0, 0, 0]), np.zeros(3)
    )
    assert anything.tolist() == [0, 1.5, 0.5]


@settings(deadline=None)
@given(st.floats(0, 60), st.integers(0, 20), st.sampled_from([0.0, 1.0, 0.5, 6.0]))
def test_what_is_rounded_off_is_the_nearest_that_can_be_ordered(
    wanted: float, moq: int, multiple: float
) -> None:
    least = float(smallest_order(np.array([moq]), np.array([multiple]))[0])
    got = float(Lots(np.array([float(moq)]), np.array([multiple])).round_off(np.array([wanted]))[0])
    if multiple == 0:
        nearest = [0.0, least, max(wanted, least)]
    else:
        steps = np.arange(0, 90, multiple)
        nearest = [0.0, *steps[steps >= least]]
    assert min(abs(got - one) for one in nearest) < 1e-9
    assert abs(got - wanted) <= min(abs(one - wanted) for one in nearest) + 1e-6


@pytest.mark.parametrize(
    ("needed", "moq", "multiple", "found"),
    [(3, 0, 1, 3), (3, 10, 4, 12), (12.1, 10, 4, 16), (0.3, 0, 0.1, 0.3), (0, 0, 5, 0)],
)
def test_one_line_is_the_least_multiple_that_is_enough(
    needed: float, moq: float, multiple: float, found: float
) -> None:
    assert orderable(needed, moq, multiple) == pytest.approx(found)


def _situation(seed: int, count: int = 6) -> Situation:
    random = np.random.default_rng(seed)
    return Situation(
        on_hand=random.integers(0, 5, count).astype(float),
        pipeline=random.integers(0, 4, (count, 1)).astype(float),
        history=np.zeros((count, 0)),
        paths=random.poisson(random.uniform(0.5, 8, count)[:, None, None], (count, 60, 3)).astype(
            float
        ),
        lead_time=np.full(count, 2),
        review=1,
        economics=Economics(
            np.full(count, 0.2),
            random.uniform(0.5, 3, count),
            random.uniform(1, 9, count),
            np.zeros(count),
        ),
    )


def _saved(situation: Situation, quantity: np.ndarray) -> float:
    cost = expected_cost(situation, np.stack([np.zeros_like(quantity), quantity], axis=1))
    return float((cost[:, 0] - cost[:, 1]).sum())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 120), st.floats(0, 60))
def test_more_budget_never_costs_service(seed: int, budget: float, more: float) -> None:
    situation = _situation(seed)
    random = np.random.default_rng(seed)
    multiple = random.integers(1, 5, 6).astype(float)
    smallest = smallest_order(random.integers(0, 8, 6), multiple)
    wanted = np.maximum(multiple * random.integers(0, 6, 6), 0)
    wanted = np.where(wanted > 0, np.maximum(wanted, smallest), 0.0)
    use = situation.economics.unit_cost

    poor = fit(situation, wanted, smallest, multiple, [Limit("budget", use, budget)])
    rich = fit(situation, wanted, smallest, multiple, [Limit("budget", use, budget + more)])
    for fitted, room in ((poor, budget), (rich, budget + more)):
        assert use @ fitted.quantity <= room + 1e-6
        ordered = fitted.quantity > 0
        assert (fitted.quantity[ordered] >= smallest[ordered]).all() and (
            fitted.quantity % multiple == 0
        ).all()
        assert (fitted.quantity <= wanted).all()
        assert fitted.shadow_price["budget"] >= -1e-12
    kept = _saved(situation, poor.quantity), _saved(situation, rich.quantity)
    everything = use @ wanted <= budget + more
    assert kept[1] >= kept[0] - 1e-6 or everything


def test_a_budget_that_is_enough_changes_nothing_and_costs_nothing() -> None:
    situation = _situation(3)
    wanted = np.full(6, 4.0)
    fitted = fit(situation, wanted, np.ones(6), np.ones(6), [Limit("budget", np.ones(6), 24.0)])
    assert (fitted.quantity == wanted).all()
    assert fitted.shadow_price == {"budget": 0.0} and fitted.gap == 0.0


def test_a_budget_below_zero_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'budget of SUP-1'"):
        fit(
            _situation(3),
            np.ones(6),
            np.ones(6),
            np.ones(6),
            [Limit("budget of SUP-1", np.ones(6), -5.0)],
        )


def test_the_shadow_price_is_what_one_more_unit_of_budget_saves() -> None:
    situation = _situation(11, count=1)
    smallest = multiple = np.ones(1)
    use = np.array([1.0])
    tight = fit(situation, np.array([12.0]), smallest, multiple, [Limit("budget", use, 5.0)])
    next_unit = _saved(situation, np.array([6.0])) - _saved(situation, np.array([5.0]))
    last_unit = _saved(situation, np.array([5.0])) - _saved(situation, np.array([4.0]))
    assert tight.quantity[0] == 5.0
    assert next_unit - 1e-9 <= tight.shadow_price["budget"] <= last_unit + 1e-9


@settings(deadline=None, max_examples=60)
@given(
    arrays(np.int64, (3, 4), elements=st.integers(0, 9)),
    arrays(np.int64, (2, 4), elements=st.integers(0, 3)),
    st.integers(0, 40),
)
def test_the_conflict_named_is_the_smallest_one_each_of_its_members_is_needed(
    asked: np.ndarray, use: np.ndarray, room: int
) -> None:
    demands = {f"demand {i}": row.astype(float) for i, row in enumerate(asked)}
    limits = [Limit(f"limit {i}", row.astype(float), float(room)) for i, row in enumerate(use)]

    def conflict(names: list[str]) -> list[str]:
        return smallest_conflict(
            {n: q for n, q in demands.items() if n in names}, [x for x in limits if x.name in names]
        )

    group = conflict([*demands, *(limit.name for limit in limits)])
    if not group:
        assert all(float(limit.use @ asked.max(axis=0)) <= room for limit in limits)
    for name in group:
        assert (
            conflict(group) == group and conflict([other for other in group if other != name]) == []
        )


STEPS = np.array([[12.0, 96.0, np.nan]] * 5), np.array([[1.0, 0.9, np.nan]] * 5)


def test_the_price_is_that_of_the_highest_step_reached_and_of_the_lowest_below_all() -> None:
    assert price_at(np.array([0.0, 12, 95, 96, 500]), *STEPS).tolist() == [1.0, 1.0, 1.0, 0.9, 0.9]


def test_an_order_is_raised_to_a_lower_price_only_where_holding_the_rest_costs_less() -> None:
    # 80 -> 96: saves 0.1 x 96 = 9.60; 16 units wait 1 + 16 / (2 x 10) = 1.8 periods at 0.01 = 0.29,
    # at 0.5 = 14.40.
    quantity, demand = (
        np.array([80.0, 80.0, 80.0, 0.0, 120.0]),
        np.array([10.0, 10.0, 0.0, 10.0, 10.0]),
    )
    holding = np.array([0.01, 0.5, 0.01, 0.01, 0.01])
    lots = {"moq": np.full(5, 12.0), "multiple": np.full(5, 12.0)}
    raised = up_to_price_break(quantity, *STEPS, **lots, demand=demand, holding=holding, review=1)
    assert raised.tolist() == [96.0, 80.0, 80.0, 0.0, 120.0]


@settings(deadline=None)
@given(
    st.integers(1, 400),
    st.floats(0.1, 50),
    st.floats(0.001, 1),
    st.floats(0.5, 1.0),
    st.integers(1, 48),
)
def test_raising_to_a_price_step_never_costs_more_than_it_saves(
    wanted: int, demand: float, holding: float, lower: float, lot: int
) -> None:
    least = feasible(np.array([float(wanted)]), np.zeros(1), np.array([float(lot)]))
    starts, prices = np.array([[1.0, 200.0]]), np.array([[1.0, lower]])
    lots = {"moq": np.zeros(1), "multiple": np.array([float(lot)])}
    raised = up_to_price_break(
        least,
        starts,
        prices,
        **lots,
        demand=np.array([demand]),
        holding=np.array([holding]),
        review=2,
    )
    early = (raised - least)[0]
    assert raised[0] % lot == 0 and early >= 0 and (early == 0 or raised[0] >= 200)
    saved = (price_at(least, starts, prices) - price_at(raised, starts, prices))[0] * raised[0]
    assert early == 0 or saved > early * holding * (2 + early / (2 * demand)) - 1e-9
