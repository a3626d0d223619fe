"""In which unit and currency each supplier sells each item, where that is not the stock unit and
the company's currency."""

from __future__ import annotations

import polars as pl

from models.procurement.supplier_sale_terms import Sale

#: How suppliers count and in which money they ask, where it is not the item's unit and the world's
#: currency; sold_rate: what one unit of theirs is worth.
SOLD_BY = """
    select
        item_id, supplier_id as from_id, any_value(sold_unit) as sold_unit,
        any_value(sold_unit_quantity) as sold_unit_quantity,
        any_value(sold_currency) as sold_currency,
        any_value(unit_cost * sold_unit_quantity / sold_price) filter (sold_price > 0) as sold_rate
    from marts.dim_supplier_terms
    where is_current and (sold_unit_quantity <> 1 or sold_currency is not null)
    group by item_id, supplier_id
"""


def sales_of(sold: pl.DataFrame) -> dict[tuple[str, str], Sale]:
    """The terms by (item, supplier), from what SOLD_BY reads. A price in another currency that no
    rate is known for is said in the company's, as the plan reckons with it."""
    found = {}
    for row in sold.iter_rows(named=True):
        holds, rate = row["sold_unit_quantity"], row["sold_rate"]
        has_rate = bool(row["sold_currency"] and rate)
        found[row["item_id"], row["from_id"]] = Sale(
            unit=row["sold_unit"] if holds != 1 else "",
            holds=holds,
            currency=row["sold_currency"] if has_rate else "",
            rate=float(rate) if has_rate else 1.0,
        )
    return found
