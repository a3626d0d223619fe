"""On which days orders leave and goods come, and what that makes of the window an order covers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.domain import Economics, Situation
from models.replenishment.calendars import (
    EVERY_DAY,
    Days,
    SupplyCalendar,
    Waits,
    Way,
    longest,
    waits,
    weekdays,
)
from models.replenishment.customer_orders import consumed, set_aside
from models.replenishment.decision import Terms, decide
from models.replenishment.policies import POLICIES
from models.replenishment.stock_projection import expected_cost, remembering, window_demand

MONDAY = date(2024, 3, 4)
ALWAYS = Days()
ROW = {"kind": "purchase", "from_id": "acme", "location_id": "shop", "lead_time_days": 3.0}
WEEKLY = timedelta(days=7)
DAILY = timedelta(days=1)


def test_weekdays_are_read_as_people_write_them() -> None:
    assert weekdays("tue") == weekdays("Tuesday") == weekdays("2") == weekdays("Di") == {2}
    assert weekdays("mon-thu") == weekdays("Mo bis Do") == {1, 2, 3, 4}
    assert weekdays("fri - mon") == {5, 6, 7, 1}
    assert weekdays("tue, fri") == weekdays("2;5") == weekdays("tue and fri") == {2, 5}
    assert weekdays(None) == weekdays(" ") == weekdays("daily") == EVERY_DAY
    with pytest.raises(ValueError, match="'noday' is no weekday"):
        weekdays("noday")


@pytest.mark.parametrize(
    ("way", "leaves", "arrives"),
    [
        (Way(ALWAYS, ALWAYS, ALWAYS, 3.0), 0, 3),
        # orders on Tuesdays only: a day's wait; with a holiday on it, a week more
        (Way(Days(frozenset({2})), ALWAYS, ALWAYS, 3.0), 1, 4),
        (Way(Days(frozenset({2}), frozenset({date(2024, 3, 5)})), ALWAYS, ALWAYS, 3.0), 8, 11),
        # too late for the cut-off of the day
        (Way(ALWAYS, ALWAYS, ALWAYS, 3.0, is_missed=True), 1, 4),
        (Way(Days(frozenset({1})), ALWAYS, ALWAYS, 3.0, is_missed=True), 7, 10),
        # ten working days are two weeks; with a holiday in them a day more
        (Way(ALWAYS, Days(frozenset(range(1, 6))), ALWAYS, 0.0, 10.0), 0, 14),
        (
            Way(ALWAYS, Days(frozenset(range(1, 6)), frozenset({date(2024, 3, 8)})), ALWAYS, 0, 10),
            0,
            15,
        ),
        # goods of Thursday are taken in on Monday
        (Way(ALWAYS, ALWAYS, Days(frozenset({1, 2})), 3.0), 0, 7),
    ],
)
def test_an_order_leaves_and_arrives_on_open_days(way: Way, leaves: int, arrives: int) -> None:
    assert way.leaves(MONDAY) == MONDAY + leaves * DAILY
    assert way.arrives(MONDAY) == MONDAY + arrives * DAILY


OPEN = st.builds(
    Days,
    st.frozensets(st.integers(1, 7), min_size=1),
    st.frozensets(st.integers(0, 60).map(lambda k: MONDAY + k * DAILY), max_size=5),
)


@given(OPEN, OPEN, OPEN, st.integers(0, 20), st.none() | st.integers(0, 10), st.integers(0, 30))
def test_who_orders_later_never_has_it_sooner(
    sends: Days, works: Days, takes: Days, days: int, working: int | None, later: int
) -> None:
    way = Way(sends, works, takes, days, working)
    sooner, then = way.arrives(MONDAY), way.arrives(MONDAY + later * DAILY)
    assert MONDAY + (days if working is None else working) * DAILY <= sooner <= then


def _calendar(**more: Days) -> SupplyCalendar:
    return SupplyCalendar(orders=more)


def test_an_order_lasts_until_what_the_next_decision_orders_is_there() -> None:
    rows = pl.DataFrame([{**ROW, "lead_time_periods": 3}])
    calendar = _calendar(acme=Days(frozenset({2})))
    days = [MONDAY + k * DAILY for k in range(7)]
    daily = waits(calendar, rows, days, [day + DAILY for day in days])
    # on Monday the order waits a day; on Tuesday it leaves, and the next one only in a week
    assert daily.longer[0].tolist() == [1, 0, 6, 5, 4, 3, 2]
    assert daily.gaps[0].tolist() == [0, 6, 0, 0, 0, 0, 0]
    weekly = waits(calendar, rows, days, [day + WEEKLY for day in days])
    assert weekly.longer[0].tolist() == daily.longer[0].tolist()
    assert not weekly.gaps.any()
    assert longest(calendar, rows, days, [day + DAILY for day in days]).tolist() == [6]


def test_a_way_that_nobody_holds_up_keeps_its_lead_time() -> None:
    rows = pl.DataFrame([{**ROW, "from_id": "bell", "lead_time_periods": 5}])
    found = waits(_calendar(acme=Days(frozenset({2}))), rows, [MONDAY], [MONDAY + WEEKLY])
    assert not found.longer.any()
    assert not found.gaps.any()


def test_a_way_is_its_sender_s_days_its_taker_s_and_the_lead_time_of_its_terms() -> None:
    holiday = Days(closed=frozenset({date(2024, 3, 5)}))
    tuesdays, fridays = Days(frozenset({2})), Days(frozenset({5}), frozenset({date(2024, 3, 8)}))
    calendar = SupplyCalendar(
        orders={"acme": tuesdays},
        works={"acme": fridays},
        cut_offs=frozenset({"acme", "DC"}),
        takes={"shop": fridays, "DC": fridays},
        everybody=holiday,
        days_a_period=7.0,
    )
    bought = calendar.way(ROW | {"lead_time_working_days": 4.0})
    assert bought == Way(tuesdays, fridays, fridays, 3.0, 4.0, is_missed=True)
    weekdays_only = Days(frozenset(range(1, 6)), holiday.closed)
    other = {"kind": "purchase", "from_id": "bell", "location_id": "hut", "lead_time_days": None}
    assert calendar.way(other) == Way(holiday, weekdays_only, holiday, 7.0)
    # a lane leaves on its own days, whatever day its place takes goods in; shut is shut
    moved = {"kind": "transfer", "from_id": "DC", "location_id": "shop", "lead_time_days": 1.0}
    lane = calendar.way(moved | {"departure_days": "mon", "lead_time_working_days": 4.0})
    assert lane == Way(Days(frozenset({1}), fridays.closed), weekdays_only, fridays, 1.0)
    assert calendar.way(moved).sends == Days(closed=fridays.closed)


COUNTS = st.lists(st.integers(-6, 30), min_size=3, max_size=3)


@given(COUNTS, COUNTS, st.lists(st.integers(0, 5), min_size=3, max_size=3), st.integers(1, 4))
def test_a_wait_is_no_longer_than_the_forecast_reaches_and_none_ends_before_it_begins(
    longer: list[int], gaps: list[int], lead: list[int], review: int
) -> None:
    horizon, lead_time = 12, np.array(lead)
    said = Waits(np.array(longer)[:, None], np.maximum(np.array(gaps), 0)[:, None])
    kept = said.within(lead_time, review, horizon)
    took = lead_time[:, None] + kept.longer
    assert (took >= 0).all() and (kept.gaps >= 0).all()
    assert (took + review + kept.gaps <= np.maximum(horizon, lead_time + review)[:, None]).all()
    until = lead_time[:, None] + np.maximum(said.longer, -lead_time[:, None])
    fits = until + review + said.gaps <= horizon
    assert (took[fits] == until[fits]).all() and (kept.gaps[fits] == said.gaps[fits]).all()
    # as much of the wait as there is room for, and then of the gap
    full = np.maximum(horizon - review, lead_time)[:, None]
    assert (took == np.minimum(until, full)).all()
    assert (kept.gaps == np.minimum(said.gaps, full - took)).all()
    counted = said.beyond(lead_time)
    assert (counted.longer == said.longer - lead_time[:, None]).all()
    assert counted.gaps is said.gaps


def test_rows_of_one_supplier_wait_each_by_its_own_lead_time_and_no_rows_for_nothing() -> None:
    rows = pl.DataFrame(
        [
            ROW | {"lead_time_periods": 3},
            ROW | {"lead_time_days": 10.0, "lead_time_periods": 5},
            ROW | {"lead_time_periods": None},
            ROW | {"lead_time_periods": -1},
            ROW | {"from_id": "bell", "lead_time_periods": 3},
        ]
    )
    calendar = _calendar(acme=Days(frozenset({2})))
    days = [MONDAY, MONDAY + DAILY]
    found = waits(calendar, rows, days, [day + DAILY for day in days])
    assert found.longer.tolist() == [[1, 0], [6, 5], [0, 0], [0, 0], [0, 0]]
    assert found.gaps.tolist() == [[0, 6], [0, 6], [0, 0], [0, 0], [0, 0]]
    assert found.leaves.tolist() == [[1, 0], [1, 0], [0, 0], [0, 0], [0, 0]]
    assert longest(calendar, rows, days, [day + DAILY for day in days]).tolist() == [6, 11, 0, 0, 0]
    assert longest(calendar, rows, [], []).tolist() == [0] * 5
    assert longest(calendar, rows.clear(), days, days).tolist() == []


def test_days_go_on_past_every_closed_one_and_end_where_none_is_open() -> None:
    never = Days(frozenset({1}), frozenset(MONDAY + 7 * k * DAILY for k in range(60)))
    with pytest.raises(ValueError, match="no day is open within 400 days of 2024-03-04"):
        never.first(MONDAY)
    assert Days(frozenset({1}), frozenset({MONDAY})).first(MONDAY) == MONDAY + WEEKLY
    last = Days(frozenset({1}), frozenset(MONDAY + 7 * k * DAILY for k in range(57)))
    assert last.first(MONDAY) == MONDAY + 57 * WEEKLY
    assert Days(frozenset({1, 3})).after(MONDAY, 0) == MONDAY
    assert Days(frozenset({1, 3})).after(MONDAY, 3) == MONDAY + 9 * DAILY
    assert Days().is_every_day and not Days(closed=frozenset({MONDAY})).is_every_day


@pytest.mark.parametrize(("days", "periods"), [(7.0, 1), (7.5, 2), (8.0, 2), (14.0, 2), (0.0, 0)])
def test_goods_are_there_in_the_period_after_they_arrive(days: float, periods: int) -> None:
    weekly = SupplyCalendar(days_a_period=7.0)
    assert weekly.periods(Way(ALWAYS, ALWAYS, ALWAYS, days), MONDAY) == periods


def _situation(gap: list[int]) -> Situation:
    random = np.random.default_rng(3)
    rows = len(gap)
    costs = Economics(np.full(rows, 0.1), np.full(rows, 2.0), np.ones(rows), np.zeros(rows))
    return Situation(
        on_hand=np.full(rows, 4.0),
        pipeline=np.zeros((rows, 2)),
        history=np.full((rows, 20), 5.0),
        paths=np.repeat(random.poisson(5, (1, 50, 20)).astype(float), rows, axis=0),
        lead_time=np.full(rows, 2),
        review=1,
        economics=costs,
        lead_time_paths=np.full((rows, 50), 2),
        gap=np.array(gap),
    )


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_a_row_with_a_gap_is_ordered_as_if_that_were_its_review_interval(name: str) -> None:
    mixed = _situation([0, 6, 0])
    longer = replace(_situation([0, 0, 0]), review=7, gap=np.zeros(0, dtype=np.int64))
    usual = replace(_situation([0, 0, 0]), gap=np.zeros(0, dtype=np.int64))
    ordered = POLICIES[name].order(mixed)
    assert ordered[1] == pytest.approx(POLICIES[name].order(longer)[1])
    assert ordered[[0, 2]] == pytest.approx(POLICIES[name].order(usual)[[0, 2]])


def test_costs_and_windows_of_rows_with_and_without_a_gap_stand_side_by_side() -> None:
    mixed = _situation([0, 6])
    longer = replace(_situation([0, 0]), review=7, gap=np.zeros(0, dtype=np.int64))
    tried = np.array([[10.0, 30.0], [10.0, 30.0]])
    assert expected_cost(mixed, tried)[1] == pytest.approx(expected_cost(longer, tried)[1])
    assert window_demand(mixed)[1] == pytest.approx(window_demand(longer)[1])


def test_what_a_situation_remembers_costs_what_it_costs_worked_out_anew() -> None:
    mixed = _situation([0, 6, 0, 2, 6])
    tried = np.random.default_rng(7).uniform(0, 60, (5, 3))
    known = remembering(mixed)
    assert np.array_equal(expected_cost(known, tried), expected_cost(mixed, tried))
    for rows in ([0, 3], [4, 1], [2], []):
        some = np.array(rows, dtype=np.int64)
        lost = np.linspace(1.0, 2.0, some.size)
        for view in (known, mixed):
            found = expected_cost(view, tried[some], some, shortage=lost)
            dearer = replace(mixed.economics, shortage=np.full(5, np.nan))
            dearer.shortage[some] = lost
            whole = expected_cost(replace(mixed, economics=dearer), tried)
            assert np.array_equal(found, whole[some])


def test_a_situation_remembers_nothing_that_other_costs_or_another_interval_would_change() -> None:
    known = remembering(_situation([0, 6, 0]))
    tried = np.full((3, 1), 30.0)
    expected_cost(known, tried)
    dearer = replace(known.economics, holding=known.economics.holding * 2)
    for changed in (replace(known, economics=dearer), replace(known, review=3)):
        anew = replace(changed, memo=None)
        assert np.array_equal(expected_cost(changed, tried), expected_cost(anew, tried))
        assert not np.array_equal(expected_cost(changed, tried), expected_cost(known, tried))


def test_what_customers_ordered_stands_in_place_of_its_forecast() -> None:
    paths = np.full((1, 2, 3), 5.0)
    asked = consumed(paths, np.array([[0.0, 3.0, 9.0]]), np.array([4.0]))
    assert asked[0].tolist() == [[9, 5, 9]] * 2
    assert consumed(paths, np.zeros((1, 3)), np.zeros(1)) is paths


@pytest.mark.parametrize("name", sorted(POLICIES))
def test_every_rule_orders_what_customers_wait_for_beyond_the_forecast(name: str) -> None:
    usual = _situation([0])
    # 30 are overdue, 3 are within what is expected of a period, 99 lie beyond the window
    waiting = replace(usual, customer_orders=np.array([[30.0, 0.0, 3.0, 0.0, 0.0, 99.0]]))
    plain = Terms.plain(np.array([-1]), np.ones(1))
    before, after = (decide(one, POLICIES[name], plain).quantity for one in (usual, waiting))
    assert after[0] >= before[0] + 26  # of the 30, the 4 in stock are theirs


def test_what_customers_wait_for_takes_stock_first_then_deliveries() -> None:
    few = replace(
        _situation([0]),
        pipeline=np.array([[3.0, 5.0]]),
        customer_orders=np.array([[9.0, 0.0]]),
    )
    left, lacking = set_aside(few)
    assert (left.on_hand[0], left.pipeline[0].tolist(), lacking[0]) == (0, [0, 3], 0)
    _, lacking = set_aside(replace(few, customer_orders=np.array([[20.0, 0.0]])))
    assert lacking[0] == 8
