"""Laws of lead times: open orders count, few orders borrow, samples keep the distribution."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.lead_time_survival import LeadTimes, survival
from models.replenishment.lead_times import expected, mix, realized, sample_periods

ages = st.lists(st.tuples(st.integers(0, 60), st.booleans()), min_size=1, max_size=40)


def test_the_estimate_by_hand() -> None:
    # Finished after 10, 20 and 30 days, one order still open after 15: of the two left at 20, one
    # came.
    found = survival(np.array([10.0, 20, 30, 15]), np.array([False, False, False, True]))
    assert found.days.tolist() == [10, 20, 30]
    assert found.probability == pytest.approx([0.25, 0.375, 0.375])
    assert found.mean_days == pytest.approx(21.25)
    assert found.quantile(0.5) == 20


@settings(deadline=None)
@given(ages)
def test_probabilities_add_up_and_open_orders_never_make_a_supplier_look_faster(
    rows: list[tuple[int, bool]],
) -> None:
    days, is_open = np.array([float(a) for a, _ in rows]), np.array([b for _, b in rows])
    found = survival(days, is_open)
    assert found.probability.sum() == pytest.approx(1.0) and (found.probability >= 0).all()
    assert (np.diff(found.days) > 0).all()
    if not is_open.all():
        assert found.mean_days >= days[~is_open].min() - 1e-9
        blind = survival(days, np.zeros_like(is_open))
        assert found.mean_days >= blind.mean_days - 1e-9


def test_a_textbook_case_of_survival() -> None:
    """Events at 6, 10 and 13 of seven subjects, censored at 9, 11 and twice at 16: S = 6/7, 24/35,
    16/35, and the rest at 16."""
    found = survival(
        np.array([6.0, 9, 10, 11, 13, 16, 16]), np.array([0, 1, 0, 1, 0, 1, 1]).astype(bool)
    )
    assert found.days.tolist() == [6, 10, 13, 16]
    assert 1 - found.probability.cumsum() == pytest.approx([6 / 7, 24 / 35, 16 / 35, 0.0])
    assert (found.quantile(0.5), found.quantile(0.9), found.censored) == (13, 16, 4)


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_without_open_orders_it_is_the_empirical_distribution(days: list[int]) -> None:
    array = np.array(days, dtype=float)
    found = survival(array, np.zeros(array.size, dtype=bool))
    assert found.probability.cumsum() == pytest.approx(
        [(array <= day).mean() for day in found.days]
    )
    assert found.mean_days == pytest.approx(array.mean())


def test_a_new_supplier_borrows_everybodys_lateness() -> None:
    lateness = LeadTimes(np.array([1.0, 1.5]), np.array([0.5, 0.5]))
    assert mix(None, 20.0, lateness, orders=0).mean_days == pytest.approx(25.0)
    assert mix(None, 20.0, None, orders=0).mean_days == 20.0
    own = survival(np.full(10, 40.0), np.zeros(10, dtype=bool))
    assert mix(own, 20.0, lateness, orders=10).mean_days == pytest.approx((40 + 25) / 2)


def test_samples_keep_the_distribution_and_the_seed_decides_their_order() -> None:
    group = LeadTimes(np.array([7.0, 8.0, 21.0]), np.array([0.5, 0.25, 0.25]))
    found = sample_periods([group], 7.0, 100, seed=1)
    assert np.bincount(found[0], minlength=4).tolist() == [0, 50, 25, 25]
    assert (sample_periods([group], 7.0, 100, seed=1) == found).all()
    assert (sample_periods([group], 7.0, 100, seed=2) != found).any()


def test_ages_that_are_no_days_are_refused() -> None:
    for bad in (np.array([]), np.array([-1.0]), np.array([np.nan])):
        with pytest.raises(ValueError, match="at least one order"):
            survival(bad, np.zeros(bad.size, dtype=bool))


NEXT = pl.DataFrame(
    {
        "kind": "purchase",
        "from_id": ["S1", "S1", "NEW"],
        "location_id": "DC",
        "lead_time_days": [10.0, 30.0, 20.0],
    }
)


def orders(*lines: tuple[str, float, float, bool, int]) -> pl.DataFrame:
    """Past orders: supplier, promised days, days taken so far, whether still open, day of January
    it was placed."""
    return pl.DataFrame(
        [
            {
                "kind": "purchase",
                "from_id": source,
                "location_id": "DC",
                "promised_days": promised,
                "days": days,
                "is_open": is_open,
                "ordered_at": datetime(2024, 1, placed),
            }
            for source, promised, days, is_open, placed in lines
        ]
    )


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_orders_that_are_not_due_yet_make_nobody_faster_than_promised(ages: list[int]) -> None:
    past = orders(*[("S1", 10.0, float(age), True, 1) for age in ages])
    assert expected(NEXT, past, 1.0, 20, seed=0).min(axis=1).tolist() == [10, 30, 20]


def test_a_supplier_s_own_record_counts_for_the_promise_it_was_made_on_and_others_borrow() -> None:
    past = orders(*[("S1", 10.0, 15.0, False, 1 + i % 28) for i in range(90)])
    found = expected(NEXT, past, 1.0, 200, seed=0)
    assert found.shape == (3, 200)
    assert set(found[0]) == {15}  # own record and everybody's lateness agree
    # no order on that promise: half as long again, as for everybody
    assert set(found[1]) == {45} and set(found[2]) == {30}
    assert expected(NEXT, past.clear(), 7.0, 5, seed=0).tolist() == [[2] * 5, [5] * 5, [3] * 5]


def test_an_order_still_open_makes_the_next_one_look_no_faster() -> None:
    done = [("S1", 10.0, float(9 + i % 4), False, 1 + i) for i in range(20)]
    blind, seeing = (
        expected(NEXT, orders(*done, *late), 1.0, 200, seed=0)
        for late in ([], [("S1", 10.0, 28.0, True, 1)] * 5)
    )
    assert seeing[0].mean() > blind[0].mean() and seeing[0].max() >= 28


def test_one_late_order_that_never_came_makes_nobody_else_late() -> None:
    found = expected(NEXT, orders(("S1", 10.0, 20.0, True, 1)), 1.0, 200, seed=0)
    assert found[0].max() >= 20  # its own way, by the weight of one order
    assert set(found[1]) == {30} and set(found[2]) == {20}


@settings(deadline=None, max_examples=50)
@given(
    on_time=st.integers(0, 200),
    still_open=st.integers(0, 400),
    late=st.floats(1.01, 40.0),
    age=st.integers(0, 9),
)
def test_one_odd_order_makes_nobody_else_late(
    on_time: int, still_open: int, late: float, age: int
) -> None:
    done = [("S1", 10.0, 10.0, False, 1 + k % 20) for k in range(on_time)]
    waiting = [("S1", 10.0, float(age), True, 1 + k % 28) for k in range(still_open)]
    odd = ("S1", 10.0, 10.0 * late, False, 28)
    found = expected(NEXT, orders(*done, *waiting, odd), 1.0, 200, seed=0)
    assert set(found[1]) == {30} and set(found[2]) == {20}


def test_two_orders_that_were_late_make_others_late_by_their_weight() -> None:
    late = [("S1", 10.0, 20.0, False, day) for day in (1, 2)]
    waiting = [("S1", 10.0, 3.0, True, 3)] * 3000
    found = expected(NEXT, orders(*late, *waiting), 1.0, 200, seed=0)
    assert (found[2] == 40).mean() == pytest.approx(0.2) and (found[2] == 20).mean() == 0.8


def test_history_s_lead_times_are_those_of_the_nearest_order_that_came() -> None:
    past = orders(
        ("S1", 10.0, 9.0, False, 2), ("S1", 10.0, 12.0, False, 20), ("S1", 10.0, 40.0, True, 9)
    )
    found = realized(
        NEXT, past, [date(2024, 1, 1), date(2024, 1, 10), date(2024, 1, 12), date(2024, 1, 31)], 1.0
    )
    assert found.tolist() == [[9, 9, 12, 12], [30] * 4, [20] * 4]
