"""In which unit and currency each supplier sells each item, where that is not the stock unit and
the company's currency."""

from __future__ import annotations

import polars as pl

from models.procurement.sale import Sale
from orchestration.facts.planning_inputs import SOLD_BY

__all__ = ["SOLD_BY", "sales_of"]


def sales_of(sold: pl.DataFrame) -> dict[tuple[str, str], Sale]:
    """The terms by (item, supplier), from what SOLD_BY reads. A price in another currency that no
    rate is known for is said in the company's, as the plan reckons with it."""
    found = {}
    for row in sold.iter_rows(named=True):
        holds = row["sold_unit_quantity"] or 1.0
        has_rate = bool(row["sold_currency"] and row["sold_rate"])
        sale = Sale(
            unit=(row["sold_unit"] or "") if holds != 1 else "",
            holds=holds if row["sold_unit"] else 1.0,
            currency=row["sold_currency"] if has_rate else "",
            rate=float(row["sold_rate"]) if has_rate else 1.0,
        )
        found[row["item_id"], row["from_id"]] = sale
    return found
