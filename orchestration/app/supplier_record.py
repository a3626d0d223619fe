"""How suppliers deliver: the one record of each, which desk, command and approval read."""

from __future__ import annotations

import polars as pl

from models.procurement.scorecard import failure_risk
from orchestration.app.procurement import Desk, company_record, published_facts

#: Who supplies what nobody is known to supply (dbt variable implicit_supplier): no one to write to.
NOBODY = "implicit supplier"
_TEXT, _COUNT, _NUMBER = pl.String, pl.Int64, pl.Float64
#: What the record says of a supplier, null where it is not known. lines, open_count, due_lines,
#: otif and lead times: of the last year in the company's systems, which hold what this ledger
#: ordered before the last run too; of this ledger alone where they hold none. price_variance,
#: rejection_share and refusal_share: of what this ledger ordered. risk: that the next line is late,
#: short or refused, as the approval matrix reads it.
RECORD = {
    "supplier_id": _TEXT,
    "name": _TEXT,
    "lines": _COUNT,
    "open_count": _COUNT,
    "due_lines": _COUNT,
    "otif": _NUMBER,
    "lead_time_mean_days": _NUMBER,
    "lead_time_p90_days": _NUMBER,
    "price_variance": _NUMBER,
    "rejection_share": _NUMBER,
    "refusal_share": _NUMBER,
    "risk": _NUMBER,
}
#: What is of the company's systems, or of this ledger where they know nothing.
_OF_ONE = tuple(list(RECORD)[2:8])
#: A lead time is only known once something has come: the age of what is still open is none.
_COMPANY = f"""
select coalesce(kept.supplier_id, supplier.supplier_id) as supplier_id,
    coalesce(supplier.name, kept.supplier_id) as name,
    order_lines as lines, open_lines as open_count, due_lines, otif_share as otif,
    if(order_lines > open_lines, lead_time_mean_days, null) as lead_time_mean_days,
    if(order_lines > open_lines, lead_time_p90_days, null) as lead_time_p90_days
from metrics.kpi_supplier_performance as kept
full join (select * from marts.dim_suppliers where is_current) as supplier
    on supplier.supplier_id = kept.supplier_id
where coalesce(kept.supplier_id, supplier.supplier_id) <> '{NOBODY}'
"""


def supplier_record(desk: Desk) -> pl.DataFrame:
    """Every supplier that is known or was ordered from, who has most lines first; columns
    RECORD."""
    company = {row["supplier_id"]: row for row in published_facts(desk.home, _COMPANY).to_dicts()}
    own = {row["supplier_id"]: row for row in desk.ledger.scorecard(desk.now).to_dicts()}
    kept = company_record(desk)
    rows = []
    for name in company.keys() | own.keys():
        told, here = company.get(name, {"name": name}), own.get(name, {})
        counted = told if told.get("lines") else here
        risk = failure_risk(*kept[name]) if name in kept else here.get("risk")
        said = {**here, **{column: counted.get(column) for column in _OF_ONE}, "risk": risk}
        rows.append(said | {"supplier_id": name, "name": told["name"]})
    found = pl.DataFrame(rows, schema=RECORD) if rows else pl.DataFrame(schema=RECORD)
    return found.sort("lines", "supplier_id", descending=[True, False], nulls_last=True)
