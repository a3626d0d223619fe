"""What has become of every order line, as the ledger has it, for BI: requisition, approval, order,
answer, receipt, invoice and payment, with days and money."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from models.domain import need_id
from models.procurement.documents import PARTS, Document
from orchestration.facts.display_names import named
from orchestration.home import Home
from orchestration.home.sql import literal, quote
from orchestration.ledger import Ledger

_TEXT, _UNITS, _TIME, _DAY = pl.String, pl.Float64, pl.Datetime("us"), pl.Date
_AMOUNT, _UNIT_MONEY = pl.Decimal(38, 4), pl.Decimal(38, 12)

SCHEMA, TABLE = "ledger", "order_states"
ABOUT = "Every order line the ledger holds, as it stood when this was published: one row a line."
#: The columns: what each holds, and what it says.
COLUMNS: dict[str, tuple[pl.DataType | type[pl.DataType], str]] = {
    "need_id": (_TEXT, "The id that trace and approve take."),
    "document_id": (_TEXT, "The line's document in the ledger."),
    "status": (
        _TEXT,
        "Where the line stands: requisition, approved, sent, acknowledged, shipped, "
        "partially_received, received, closed; or withdrawn, rejected, cancelled, refused.",
    ),
    "kind": (_TEXT, "purchase from a supplier, or transfer between locations."),
    "item_id": (_TEXT, "The thing that is ordered."),
    "item_name": (_TEXT, "What people call the item."),
    "location_id": (_TEXT, "Where the goods go."),
    "from_id": (_TEXT, "Where the goods come from: a supplier, or the location that ships."),
    "from_name": (_TEXT, "What people call the supplier; of a transfer, the location that ships."),
    "review_period": (_DAY, "The first day of the review the line belongs to."),
    "order_id": (_TEXT, "The order, as its supplier reads it; null before it is approved."),
    "line_id": (_TEXT, "The line within its order; null before it is approved."),
    "quantity": (_UNITS, "Units asked for."),
    "confirmed_quantity": (_UNITS, "Units the supplier promised; null before any answer."),
    "shipped_quantity": (_UNITS, "Units on ship notices."),
    "received_quantity": (_UNITS, "Units accepted."),
    "invoiced_quantity": (_UNITS, "Units billed, less what credit notes took back."),
    "open_quantity": (_UNITS, "Units still to come of what is firm or approved."),
    "unit_cost": (_UNIT_MONEY, "What one unit costs."),
    "currency": (_TEXT, "What the money of the row is in, by its ISO 4217 code."),
    "value": (_AMOUNT, "The quantity as it will be billed."),
    "invoiced_value": (_AMOUNT, "What invoices ask for, less what credit notes took back."),
    "payment_value": (_AMOUNT, "What was handed to accounts payable."),
    "held_value": (_AMOUNT, "Budget held: approved, and neither invoiced nor called off."),
    "requested_at": (_TIME, "The Now at which the need was proposed, UTC."),
    "approved_at": (_TIME, "The Now at which it was approved, UTC; null before."),
    "sent_at": (_TIME, "The Now at which the supplier's door took it, UTC; null before."),
    "acknowledged_at": (_TIME, "The Now at which the supplier first answered, UTC; null before."),
    "shipped_at": (_TIME, "The Now at which the first ship notice came, UTC; null before."),
    "received_at": (_TIME, "The Now at which the first goods were booked in, UTC; null before."),
    "invoiced_at": (_TIME, "The Now at which the first invoice came, UTC; null before."),
    "payment_proposed_at": (
        _TIME,
        "The Now at which the first invoice went to accounts payable, UTC; null before.",
    ),
    "approver": (_TEXT, "Who approved it: a person, or the approval matrix."),
    "asked_on": (_DAY, "The local day it was asked for."),
    "due_on": (_DAY, "The local day it should come, as last heard."),
    "exceptions": (pl.Int64, "What went otherwise than it should, as often as it did."),
    "reason": (_TEXT, "Why it was proposed, in words."),
}
#: The events that give a line its days.
DATED = (
    "requested",
    "approved",
    "sent",
    "acknowledged",
    "shipped",
    "received",
    "invoiced",
    "payment_proposed",
)


def load(con: duckdb.DuckDBPyConnection, home: Home) -> None:
    """Make ledger.order_states of the warehouse say what the ledger says now."""
    lines: list[Document] = []
    first: dict[str, dict[str, str]] = {}
    if home.has_ledger:
        ledger = Ledger.of(home)
        try:
            lines, first = ledger.lines(), ledger.first_times(DATED)
        finally:
            ledger.close()
    rows = [_row(line, first.get(line.document_id, {})) for line in lines]
    made = pl.DataFrame(rows, schema={name: kind for name, (kind, _) in COLUMNS.items()})
    con.register("order_states_now", named(con, made).select(list(COLUMNS)).to_arrow())
    con.execute(f"create schema if not exists {SCHEMA}")
    con.execute(f"create or replace table {SCHEMA}.{TABLE} as from order_states_now")
    con.unregister("order_states_now")
    con.execute(f"comment on table {SCHEMA}.{TABLE} is {literal(ABOUT)}")
    for name, (_, said) in COLUMNS.items():
        con.execute(f"comment on column {SCHEMA}.{TABLE}.{quote(name)} is {literal(said)}")


def _row(line: Document, first: Mapping[str, str]) -> dict[str, Any]:
    """One line as it stands; first: the Now of the first event of each kind, ISO text."""
    text = {
        "need_id": need_id(line.intent_key),
        "status": line.stage,
        "order_id": line.order_id or None,
        "line_id": line.line_id or None,
        "approver": line.approver or None,
    }
    units = {
        "confirmed_quantity": line.confirmed,
        "shipped_quantity": float(sum(line.shipments.values())),
        "received_quantity": line.received,
        "invoiced_quantity": line.invoiced,
    }
    money = {
        "value": line.worth_of(line.quantity),
        "invoiced_value": sum(map(line.payable, line.invoices)),
        "payment_value": sum(bill.get("amount", 0) for bill in line.invoices.values()),
        "held_value": line.encumbered,
    }
    same = ("document_id", "kind", "item_id", "location_id", "from_id", "quantity", "open_quantity")
    return {
        **{name: getattr(line, name) for name in (*same, "exceptions", "reason")},
        **text,
        **units,
        **{name: Decimal(parts) / PARTS for name, parts in money.items()},
        "unit_cost": Decimal(repr(line.unit_cost)),
        "currency": line.currency or None,
        **{f"{kind}_at": _moment(first.get(kind)) for kind in DATED},
        **{name: _day(getattr(line, name)) for name in ("review_period", "asked_on", "due_on")},
    }


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _day(text: str) -> date | None:
    return date.fromisoformat(text[:10]) if text else None
