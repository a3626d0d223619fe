"""What receipts teach: survival of open orders, on time in full, and a stranger's risk."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from models.procurement.documents import Event, fold
from models.procurement.scorecard import OBSERVATIONS, observe, scorecard


def rows(*said):
    base = (
        "S1",
        "DC",
        "mug",
        date(2026, 1, 1),
        10.0,
        8.0,
        False,
        100.0,
        100.0,
        0.0,
        2.0,
        2.0,
        False,
    )
    return pl.DataFrame(
        [
            tuple(change.get(k, v) for k, v in zip(OBSERVATIONS, base, strict=True))
            for change in said
        ],
        schema=OBSERVATIONS,
        orient="row",
    )


def test_the_scorecard_of_a_mixed_supplier():
    card = scorecard(
        rows(
            {},
            {"elapsed_days": 12.0},  # late
            {"received": 80.0, "rejected": 20.0},  # short, a fifth turned down
            # overdue
            {"is_open": True, "elapsed_days": 15.0, "received": 0.0, "invoiced_price": None},
            # not due yet: no verdict
            {"is_open": True, "elapsed_days": 3.0, "received": 0.0, "invoiced_price": 2.2},
            {"is_refused": True, "received": 0.0, "invoiced_price": None},
        )
    ).row(0, named=True)
    assert (card["lines"], card["open_count"], card["otif"]) == (6, 2, 0.25)
    assert card["fill_rate"] == pytest.approx(280 / 400)
    assert card["rejection_share"] == pytest.approx(20 / 300)
    assert card["price_variance"] == pytest.approx(0.025)
    assert card["refusal_share"] == pytest.approx(1 / 6)
    assert card["risk"] == pytest.approx(5 / 7)


def test_a_supplier_without_a_due_line_is_at_one_half_and_has_no_lead_time():
    card = scorecard(
        rows({"is_open": True, "elapsed_days": 1.0, "received": 0.0, "invoiced_price": None})
    ).row(0, named=True)
    assert (card["risk"], card["otif"], card["lead_time_p50_days"]) == (0.5, None, None)


def test_documents_become_observations():
    need = {
        "world": "w",
        "kind": "purchase",
        "intent_key": "k",
        "item_id": "mug",
        "location_id": "DC",
        "review_period": "2026-01-05",
        "from_id": "S1",
        "quantity": 10.0,
        "due_on": "2026-01-20",
        "unit_cost": 2.0,
        "reason": "",
        "run_id": "r",
    }
    happened = [
        ("requested", need),
        ("approved", {"order_id": "SHP1", "line_id": "1"}),
        (
            "acknowledged",
            {
                "code": "IA",
                "quantity": 10.0,
                "unit_cost": 2.0,
                "due_on": "2026-01-25",
                "control": 1,
            },
        ),
        (
            "received",
            {
                "receipt_id": "GR1",
                "quantity": 9.0,
                "rejected": 1.0,
                "received_at": "2026-01-22T08:00:00",
            },
        ),
    ]
    at = "2026-01-05T00:00:00.000000"
    events = [
        Event(i, "R1", i, kind, "a" if i == 1 else "b", at, at, payload)
        for i, (kind, payload) in enumerate(happened, start=1)
    ]
    (row,) = observe(fold(events).values(), date(2026, 2, 1)).to_dicts()
    assert (row["promised_days"], row["elapsed_days"], row["is_open"], row["rejected"]) == (
        15.0,
        27.0,
        True,
        1.0,
    )
