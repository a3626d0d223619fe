"""A study as it is kept: of one scenario for two places, with names that pages trip over."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl

from orchestration.reports.study_report import TOTALS

EVIL = "<b>x</b> & \"y\" '{z}'"


def study() -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    """A study of one scenario for two places, with names that pages trip over."""
    figures = ("before", "after", "difference", "lower", "upper", "mean_lower", "mean_upper")
    totals = {name: dict.fromkeys(figures, 1.5) for name in TOTALS}
    measure = dict.fromkeys(("units", "premium", "cost", "mean_lower", "mean_upper"), 2.0)
    measure |= {"order_lines": 3, "is_worth_it": True, "fill_rate": 0.9, "sales_saved": 1.0}
    answer = {
        "scenario": "s",
        "title": EVIL,
        "outside": [
            {"kind": "hub_blocked", "word": "after", "days": 1.5, "day": "2024-01-05"}
            | {"words": EVIL}
        ],
        "totals": totals,
        "turn_unprofitable": [],
        "places": [
            {"location_id": EVIL, "noticed": 0.5, "survives": None, "recovers": 2.0, "not_over": 0}
        ],
        "best_measure": "expedite",
        "measures": [{**measure, "measure": name} for name in ("do_nothing", "expedite")],
        "policies": {},
    }
    said = {
        "study_id": "a",
        "world": EVIL,
        "currency": "GBP",
        "run_id": "r",
        "as_of": "2024-01-01",
        "first_period": "2024-01-01",
        "grain": "day",
        "periods": 5,
        "shelf_life": EVIL,
        "shelf_stock": {"dated": 1234.0, "units": 4321.0},
        "waiting_share": 0.0,
        "futures": 2,
        "seed": 1,
        "policy": "p",
        "version": "1",
        "scenarios": [answer],
        "robustness": [],
        "trust": {
            "is_trusted": False,
            "words": EVIL,
            "classes": [
                {"item_class": "AX", "location_id": EVIL, "counts": 2, "error": 0.4, "bias": 0.1}
                | {"counted": 20.0, "is_trusted": False}
            ],
        },
    }
    lanes = {
        "item_id": [EVIL],
        "location_id": ["A"],
        "from_id": ["DC"],
        "margin_difference": [-3.0],
    }
    lanes |= {"item_class": ["AX"], "is_trusted": [False], "turns_unprofitable": [True]} | {
        name: [1.0]
        for name in (
            "margin_before",
            "margin_after",
            "lower",
            "upper",
            *(f"margin_{when}_{end}" for when in ("before", "after") for end in ("lower", "upper")),
            *(
                f"unit_{kind}_{when}"
                for kind in ("margin", "cost_to_serve")
                for when in ("before", "after")
            ),
        )
    }
    days = [date(2024, 1, 1) + timedelta(days=k) for k in range(5)]
    stock = pl.DataFrame({"period_start": days, "location_id": EVIL}).with_columns(
        pl.lit(4.0).alias(f"{word}{end}")
        for word in ("before", "after")
        for end in ("", "_lower", "_upper")
    )
    flow = {"from_id": ["S", "DC"], "location_id": ["DC", EVIL], "kind": ["purchase", "transfer"]}
    spoiled = {"item_id": [EVIL], "location_id": [EVIL]}
    spoiled |= {name: [1.5] for name in ("before", "after", "difference", "lower", "upper")}
    order = {"item_id": [EVIL], "location_id": [EVIL], "from_id": ["DC"], "ordered_on": days[:1]}
    order |= {name: [1.5] for name in ("before", "after", "difference", "lower", "upper")}
    survival = {"node_id": [EVIL], "periods": [2.0], "lower": [1.0], "upper": [4.0]}
    return said, {
        "s_lanes": pl.DataFrame(lanes),
        "s_stock": stock,
        "s_flows": pl.DataFrame(flow | {"before": [9.0, 8.0], "after": [9.0, 2.0]}),
        "s_spoilage": pl.DataFrame(spoiled),
        "s_orders": pl.DataFrame(order | {"differs": [0.5]}),
        "time_to_survive": pl.DataFrame(survival),
    }
