"""What receipts teach: survival of open orders, on time in full, and a stranger's risk."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.procurement.documents import Event, fold
from models.procurement.scorecard import OBSERVATIONS, lead_times, observe, scorecard


def test_kaplan_meier_on_a_textbook_case():
    """Events at 6, 10 and 13 of seven subjects, censored at 9, 11 and twice at 16: S = 6/7, 24/35, 16/35."""
    times = lead_times(np.array([6.0, 9, 10, 11, 13, 16, 16]), np.array([0, 1, 0, 1, 0, 1, 1]))
    np.testing.assert_allclose(1 - times.cdf, [6 / 7, 24 / 35, 16 / 35])
    assert (times.quantile(0.5), times.observed, times.censored) == (13, 3, 4)
    assert times.quantile(0.9) == float("inf")


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_without_open_orders_it_is_the_empirical_distribution(days):
    array = np.array(days, dtype=float)
    times = lead_times(array, np.zeros(array.size))
    np.testing.assert_allclose(times.cdf, [(array <= day).mean() for day in times.days])
    assert times.mean == pytest.approx(array.mean())


@given(st.lists(st.integers(0, 40), min_size=1, max_size=40), st.lists(st.integers(0, 40), max_size=20))
def test_open_orders_never_make_a_supplier_look_faster(days, waiting):
    array = np.array(days, dtype=float)
    both = np.concatenate((array, np.array(waiting, dtype=float)))
    alone, with_open = lead_times(array, np.zeros(array.size)), lead_times(both, np.arange(both.size) >= array.size)
    assert np.all(with_open.cdf <= alone.cdf + 1e-12)


def test_receipts_before_their_order_are_refused():
    with pytest.raises(ValueError, match="before their order"):
        lead_times(np.array([-1.0]), np.array([0.0]))


def rows(*said):
    base = ("S1", "DC", "mug", date(2026, 1, 1), 10.0, 8.0, False, 100.0, 100.0, 0.0, 2.0, 2.0, False)
    return pl.DataFrame(
        [tuple(change.get(k, v) for k, v in zip(OBSERVATIONS, base, strict=True)) for change in said], schema=OBSERVATIONS, orient="row"
    )


def test_the_scorecard_of_a_mixed_supplier():
    card = scorecard(
        rows(
            {},
            {"elapsed_days": 12.0},  # late
            {"received": 80.0, "rejected": 20.0},  # short, a fifth turned down
            {"is_open": True, "elapsed_days": 15.0, "received": 0.0, "invoiced_price": None},  # overdue
            {"is_open": True, "elapsed_days": 3.0, "received": 0.0, "invoiced_price": 2.2},  # not due yet: no verdict
            {"is_refused": True, "received": 0.0, "invoiced_price": None},
        )
    ).row(0, named=True)
    assert (card["lines"], card["open_count"], card["otif"]) == (6, 2, 0.25)
    assert card["fill_rate"] == pytest.approx(280 / 400)
    assert card["rejection_share"] == pytest.approx(20 / 300)
    assert card["price_variance"] == pytest.approx(0.025)
    assert card["refusal_share"] == pytest.approx(1 / 6)
    assert card["risk"] == pytest.approx(5 / 7)


def test_a_supplier_without_a_due_line_is_at_one_half():
    card = scorecard(rows({"is_open": True, "elapsed_days": 1.0, "received": 0.0, "invoiced_price": None})).row(0, named=True)
    assert (card["risk"], card["otif"], card["lead_time_p50_days"]) == (0.5, None, float("inf"))


def test_documents_become_observations():
    need = {
        "world": "w", "kind": "purchase", "intent_key": "k", "item_id": "mug", "location_id": "DC", "review_period": "2026-01-05",
        "from_id": "S1", "quantity": 10.0, "due_on": "2026-01-20", "unit_cost": 2.0, "reason": "", "run_id": "r",
    }  # fmt: skip
    happened = [
        ("requested", need),
        ("approved", {"order_id": "SHP1", "line_id": "1"}),
        ("acknowledged", {"code": "IA", "quantity": 10.0, "unit_cost": 2.0, "due_on": "2026-01-25", "control": 1}),
        ("received", {"receipt_id": "GR1", "quantity": 9.0, "rejected": 1.0, "received_at": "2026-01-22T08:00:00"}),
    ]
    at = "2026-01-05T00:00:00.000000"
    events = [Event(i, "R1", i, kind, "a" if i == 1 else "b", at, at, payload) for i, (kind, payload) in enumerate(happened, start=1)]
    (row,) = observe(fold(events).values(), date(2026, 2, 1)).to_dicts()
    assert (row["promised_days"], row["elapsed_days"], row["is_open"], row["rejected"]) == (15.0, 27.0, True, 1.0)
