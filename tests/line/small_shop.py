"""A small company whose whole line runs in seconds: three articles, one place, one supplier."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np

WORLD = """
world: shop
currency: EUR
plan: {grain: day, review: weekly, lead_time_days: 7, absent_sales: zero}
sources:
  till:
    silo: erp
    path: till.csv
    key: [day, article]
    known_after: 0 days
    into: [sales: {item_id: article, location_id: "'main'", event_at: day, quantity: pieces}]
  counts:
    silo: erp
    path: counts.csv
    key: [day, article]
    known_after: 0 days
    into: [stock: {item_id: article, location_id: "'main'", event_at: day, on_hand: pieces}]
  suppliers:
    silo: sheets
    path: suppliers.csv
    key: [supplier]
    known_at: date '2024-01-01'
    into: [suppliers: {supplier_id: supplier, name: name}]
  terms:
    silo: sheets
    path: terms.csv
    key: [article]
    known_at: date '2024-01-01'
    into: [supplier_terms: {item_id: article, supplier_id: supplier, lead_time_days: 7, unit_cost: cost}]
"""
BUDGET = """
  limits:
    silo: sheets
    path: limits.csv
    key: [limit]
    known_at: date '2024-01-01'
    into: [constraints: {name: '"limit"', scope: "cast(null as varchar)", value: value}]
"""
#: The last day before the first run ends a week: the next plan is of the same review.
FIRST, DAYS, ARTICLES = date(2024, 1, 1), 140, ("mug", "cup", "jug")


def write_world(folder: Path, days: int, budget: int | None = None) -> Path:
    """The company after so many days; the days before are the same whatever comes after. budget:
    what its planner may spend in a review."""
    random = np.random.default_rng(5)
    sales, counts = ["day,article,pieces"], ["day,article,pieces"]
    for k in range(days):
        day = FIRST + timedelta(days=k)
        sales += [f"{day},{name},{random.poisson(6)}" for name in ARTICLES]
        counts += [f"{day},{name},{4 + k % 3}" for name in ARTICLES]
    files = {
        "till.csv": sales,
        "counts.csv": counts,
        "suppliers.csv": ["supplier,name", "S1,Potter"],
        "terms.csv": ["article,supplier,cost", *(f"{name},S1,4" for name in ARTICLES)],
        "world.yml": [WORLD],
    }
    if budget is not None:
        files |= {
            "limits.csv": ["limit,value", f"budget,{budget}"],
            "world.yml": [WORLD + BUDGET],
        }
    folder.mkdir(exist_ok=True)
    for name, lines in files.items():
        (folder / name).write_text("\n".join(lines) + "\n", "utf-8")
    return folder
