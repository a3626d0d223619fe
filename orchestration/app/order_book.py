"""The order book: every line that is proposed or under way, by the one id that trace and approve
take, and what needs a person."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from models.domain import need_id
from models.procurement.currencies import coin
from models.procurement.documents import Document
from orchestration.app.procurement import Desk, published_facts
from orchestration.facts import decisions

#: Decimals of a quantity that is listed: what packs and weights divide into, and no more.
UNITS = 4
_TEXT, _NUMBER = pl.String, pl.Float64
#: A line of the book. id: the need's. value: quantity at its price, money in `currency`.
BOOK = {
    "id": _TEXT,
    "status": _TEXT,
    "kind": _TEXT,
    "item_id": _TEXT,
    "item": _TEXT,
    "location_id": _TEXT,
    "from_id": _TEXT,
    "quantity": _NUMBER,
    "value": _NUMBER,
    "currency": _TEXT,
    "due_on": _TEXT,
    "document_id": _TEXT,
    "order_id": _TEXT,
    "reason": _TEXT,
}
#: What needs a person. value_at_risk: the price of the demand expected until the next order's goods
#: are used up; null where unknown.
CASES = {
    "id": _TEXT,
    "severity": _TEXT,
    "kind": _TEXT,
    "item_id": _TEXT,
    "item": _TEXT,
    "location_id": _TEXT,
    "value_at_risk": _NUMBER,
    "currency": _TEXT,
    "reason": _TEXT,
}
VALUE_AT_RISK = (
    "select item_id, location_id, cast(price as double) as price from marts.dim_item_locations"
)
NAMES = "select item_id, name from marts.dim_items where is_current and name is not null"


def order_book(desk: Desk, statuses: Sequence[str] = ()) -> pl.DataFrame:
    """Every line the ledger holds that has not ended, or those of the given statuses, the largest
    value first; columns BOOK.

    A status is a document's stage: requisition, approved, sent, and so on. Raises ValueError for
    one that no line of the ledger has.
    """
    lines = desk.ledger.lines()
    known = sorted({line.stage for line in lines})
    if unknown := [status for status in statuses if status not in known]:
        raise ValueError(
            f"no line is '{unknown[0]}'; lines are "
            f"{', '.join(known) or 'not there yet: run the line first'}"
        )
    kept = [line for line in lines if (line.stage in statuses if statuses else not line.ended)]
    names = dict(published_facts(desk.home, NAMES).iter_rows())
    book = pl.DataFrame(
        [_entry(line, names, desk.currency) for line in kept], schema=BOOK, orient="row"
    )
    return book.sort("value", "id", descending=[True, False])


def _entry(line: Document, names: dict[str, str], currency: str) -> tuple[object, ...]:
    return (
        need_id(line.intent_key),
        line.stage,
        line.kind,
        line.item_id,
        names.get(line.item_id, line.item_id),
        line.location_id,
        line.from_id,
        round(line.quantity, UNITS),
        round(line.quantity * line.unit_cost, decimals(currency)),
        currency,
        line.due_on[:10],
        line.document_id,
        line.order_id,
        line.reason,
    )


def decimals(currency: str) -> int:
    """How many decimals its money is listed with: those of its smallest coin."""
    return -int(coin(currency).as_tuple().exponent)


def open_cases(desk: Desk) -> pl.DataFrame:
    """What the last plan holds up for a person, with the money at risk, the most first; columns
    CASES.

    id is that of the line proposed for the same item and location; empty where there is none.
    """
    exceptions = decisions.latest(desk.home.decisions, "exceptions")
    if exceptions is None or exceptions.is_empty():
        return pl.DataFrame(schema=CASES)
    key = ["item_id", "location_id"]
    targets = decisions.latest(desk.home.decisions, "targets")
    demand = (
        pl.DataFrame(schema={"item_id": _TEXT, "location_id": _TEXT, "expected_demand": _NUMBER})
        if targets is None
        else targets
    )
    prices, names = (
        published_facts(desk.home, VALUE_AT_RISK),
        published_facts(desk.home, NAMES).rename({"name": "item"}),
    )
    book = (
        order_book(desk)
        .filter(pl.col("status") == "requisition")
        .unique(key, keep="first", maintain_order=True)
    )
    cases = (
        exceptions.join(demand.select(*key, "expected_demand").unique(key), on=key, how="left")
        .join(prices, on=key, how="left")
        .join(names, on="item_id", how="left")
        .join(book.select(*key, "id"), on=key, how="left")
        .with_columns(
            value_at_risk=pl.col("expected_demand") * pl.col("price"),
            currency=pl.lit(desk.currency),
            item=pl.coalesce("item", "item_id"),
        )
    )
    return cases.select(pl.col(name).cast(kind) for name, kind in CASES.items()).sort(
        "value_at_risk", descending=True, nulls_last=True
    )
