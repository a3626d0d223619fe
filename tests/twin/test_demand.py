"""Laws of demand that is not the forecast's: it keeps what it is made of, and a seed is one luck."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.twin.demand import Pattern, drawn_from_history

LEVEL = np.array([40.0, 5.0, 0.0])
share = st.floats(0.0, 0.9)
PATTERNS = st.builds(
    Pattern,
    trend=st.floats(-0.5, 2.0),
    season=share,
    season_periods=st.floats(2.0, 40.0),
    promotion=st.floats(0.5, 4.0),
    promotion_every=st.floats(5.0, 30.0),
    promotion_periods=st.floats(0.0, 4.0),
    intermittent=st.floats(0.0, 0.8),
    variation=st.floats(0.0, 1.5),
    correlation=share,
)


@given(pattern=PATTERNS, seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_synthetic_demand_has_the_mean_it_says_in_whole_units(pattern: Pattern, seed: int) -> None:
    drawn = pattern.drawn(LEVEL, 400, 28, seed)
    assert drawn.shape == (3, 400, 28) and (drawn >= 0).all() and (drawn % 1 == 0).all()
    assert (drawn == pattern.drawn(LEVEL, 400, 28, seed)).all()
    assert (drawn[2] == 0).all(), "what nobody buys nobody buys"
    expected = LEVEL[:2] * pattern.mean(28).sum()
    by_path = drawn[:2].sum(axis=2)
    error = by_path.std(axis=1) / np.sqrt(400)
    # an item's own luck and the luck of a day average out over paths
    assert (np.abs(by_path.mean(axis=1) - expected) < 6 * error + 0.02 * expected).all()


@given(pattern=PATTERNS, more=st.floats(0.0, 3.0))
@settings(max_examples=40, deadline=None)
def test_more_growth_or_surges_never_take_from_a_future(pattern: Pattern, more: float) -> None:
    """One seed is one luck, so two patterns are compared on it pair by pair."""
    before = pattern.drawn(LEVEL, 20, 28, 1)
    for change in ({"trend": pattern.trend + more}, {"surge": 1 + more, "surge_chance": 0.3}):
        assert (replace(pattern, **change).drawn(LEVEL, 20, 28, 1) >= before).all()


def test_what_is_said_of_chance_is_seen() -> None:
    many = np.full(200, 20.0)
    calm = Pattern(variation=0.3, correlation=0.8, intermittent=0.4)
    drawn = calm.drawn(many, 30, 30, 5)
    assert np.mean(drawn == 0) == pytest.approx(0.4, abs=0.01)
    sold = np.where(drawn > 0, drawn, np.nan).reshape(200, -1)
    by_day = np.nanmean(sold, axis=0).std() / np.nanstd(sold)
    assert by_day == pytest.approx(np.sqrt(0.8), abs=0.05), "a day is good for all items"
    surged = Pattern(variation=0.0, surge=5.0, surge_chance=0.1).drawn(many, 30, 30, 5)
    assert np.mean(surged == 100.0) == pytest.approx(0.1, abs=0.01)


@given(
    weeks=st.integers(4, 30),
    extra=st.integers(0, 6),
    periods=st.integers(1, 40),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_a_future_out_of_the_past_is_whole_weeks_of_all_items(
    weeks: int, extra: int, periods: int, seed: int
) -> None:
    days = np.arange(extra + 7 * weeks)
    history = np.stack([days, 1000 + days]).astype(float)
    drawn = drawn_from_history(history, 7, 9, periods, seed)
    assert drawn.shape == (2, 9, periods)
    assert (drawn[1] - drawn[0] == 1000).all(), "the same days of every item"
    assert (drawn[0] >= extra).all() and (drawn[0] <= days[-1]).all()
    assert ((drawn[0] - extra) % 7 == np.arange(periods) % 7).all(), "weekdays keep their places"


def test_an_unknown_day_of_the_past_is_a_usual_one_and_too_short_a_past_is_refused() -> None:
    history = np.full((1, 28), 3.0)
    history[0, ::2] = np.nan
    assert (drawn_from_history(history, 7, 5, 10, 0) == 3.0).all()
    with pytest.raises(ValueError, match="needs four"):
        drawn_from_history(history[:, :27], 7, 5, 10, 0)
