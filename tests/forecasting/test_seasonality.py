"""The laws of the calendar in totals: what a weekday, a payday, a promotion and a closed day are
worth, and what they are not."""

import json
from datetime import date

import numpy as np
import polars as pl
import pytest
from demand_features import origin_frame

from models.forecasting.design_matrix import Plans
from models.forecasting.inputs import Panel, Spec
from models.forecasting.level_alignment import alignment
from models.forecasting.seasonality import CalendarTotals

FIRST = date(2025, 1, 6)
SPEC = Spec("day", 14, threads=1)
START = int(SPEC.index(pl.Series([FIRST]))[0])
CUT = 280
WEEK = np.array([0.9, 0.9, 0.9, 0.9, 1.1, 1.5, 1.3])
#: A promotion runs in the last days before the cutoff and ends there.
PROMOTED = (np.arange(CUT + 14) % 28 >= 20) & (np.arange(CUT + 14) < CUT)


def totals(scale: float = 1.0) -> tuple[pl.DataFrame, np.ndarray, Plans]:
    """Four groups of different size whose total is weekday x first days of the month x promotion,
    and noise of 2 %."""
    days = pl.Series(SPEC.starts(FIRST, CUT + 14))
    payday = np.where(days.dt.day().to_numpy() <= 10, 1.2, 1.0)
    shape = WEEK[np.arange(CUT + 14) % 7] * payday * np.where(PROMOTED, 1.5, 1.0)
    noise = np.exp(np.random.default_rng(0).normal(0, 0.02, (4, CUT + 14)))
    keys = pl.DataFrame({"item_id": [f"group{k}" for k in range(4)], "location_id": [""] * 4})
    plans = Plans(
        {"promotion_count": Panel(keys, START, np.tile(PROMOTED.astype(np.float32), (4, 1)))}
    )
    return (
        keys,
        (scale * np.array([[50], [200], [800], [3000]]) * shape * noise).astype(np.float32),
        plans,
    )


def forecast(keys: pl.DataFrame, demand: np.ndarray, plans: Plans, cut: int = CUT) -> np.ndarray:
    model = CalendarTotals.learn(Panel(keys, START, demand), plans, SPEC, START + cut)
    return model.forecast(origin_frame(keys, demand[:, :cut], FIRST, [cut], SPEC), plans)


def test_weekdays_paydays_and_promotions_are_told_apart():
    keys, demand, plans = totals()
    assert np.abs(forecast(keys, demand, plans) / demand[:, CUT:] - 1).mean() < 0.06


def test_a_promotion_that_just_ended_leaves_no_trace_in_the_level():
    keys, demand, plans = totals()
    assert forecast(keys, demand, plans).sum() == pytest.approx(demand[:, CUT:].sum(), rel=0.05)


@pytest.mark.parametrize("scale", [0.5, 40.0])
def test_totals_in_another_unit_are_forecast_the_same_in_that_unit(scale):
    keys, demand, plans = totals(10.0)
    np.testing.assert_allclose(
        forecast(keys, demand * np.float32(scale), plans),
        scale * forecast(keys, demand, plans),
        rtol=1e-3,
    )


def test_a_day_on_which_a_busy_group_was_closed_says_nothing_of_the_days_around():
    keys, demand, plans = totals()
    shut = demand.copy()
    shut[:, CUT - 3] = 0.0
    few = (np.s_[:], np.s_[:7])
    np.testing.assert_allclose(
        forecast(keys, shut, plans)[few].sum(), forecast(keys, demand, plans)[few].sum(), rtol=0.06
    )


def test_the_future_replaced_by_999_changes_no_total():
    keys, demand, plans = totals()
    changed = demand.copy()
    changed[:, CUT:] = 999
    np.testing.assert_array_equal(forecast(keys, changed, plans), forecast(keys, demand, plans))


def test_a_group_not_seen_before_has_the_calendar_of_all_groups():
    keys, demand, plans = totals()
    model = CalendarTotals.learn(Panel(keys, START, demand), plans, SPEC, START + CUT)
    here = origin_frame(keys, demand[:, :CUT], FIRST, [CUT], SPEC)
    fresh = model.forecast(here.with_columns(pl.lit("new").alias("item_id")), plans)
    np.testing.assert_allclose(
        fresh[:, :7].sum(axis=1), model.forecast(here, plans)[:, :7].sum(axis=1), rtol=0.25
    )


def test_a_total_of_which_nothing_is_known_moves_none_of_its_parts():
    factor = alignment(
        np.array([[np.nan, 30.0]], np.float32),
        np.zeros(2, np.int64),
        np.full((2, 2), 10.0, np.float32),
    )
    np.testing.assert_allclose(factor, [[1.0, 1.5], [1.0, 1.5]])


def test_what_was_learned_survives_being_written():
    keys, demand, plans = totals()
    model = CalendarTotals.learn(Panel(keys, START, demand), plans, SPEC, START + CUT)
    again = CalendarTotals.from_dict(json.loads(json.dumps(model.to_dict())))
    here = origin_frame(keys, demand[:, :CUT], FIRST, [CUT], SPEC)
    assert again.spec == SPEC
    np.testing.assert_array_equal(again.forecast(here, plans), model.forecast(here, plans))
