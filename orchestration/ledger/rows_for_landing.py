"""What the next run should know: the ledger's orders, receipts and limits of plans as canonical raw
rows, every version with its time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from models.procurement.documents import Document, Event, apply
from orchestration.ledger.approvals_and_limits import LIMITS
from orchestration.ledger.receipts_and_reminders import FROM_ERP
from orchestration.ledger.store import canonical

SOURCE = "ledger"
_TIME, _UNSIGNED = pl.Datetime("us"), pl.UInt64
_LINEAGE: dict[str, Any] = {
    "known_at": _TIME,
    "known_lag": pl.Duration("us"),
    "handed_over_at": _TIME,
    "row_key": _UNSIGNED,
    "row_hash": _UNSIGNED,
    "source_id": pl.String,
    "delivery": pl.String,
    "row_no": pl.Int64,
    "part": pl.String,
}
SCHEMAS: dict[str, dict[str, Any]] = {
    "purchase_orders": {
        "order_id": pl.String,
        "item_id": pl.String,
        "location_id": pl.String,
        "quantity": pl.Float64,
        "event_at": _TIME,
        "line_id": pl.String,
        "due_at": _TIME,
        "supplier_id": pl.String,
        "unit_cost": pl.Float64,
    },
    "transfers": {
        "transfer_id": pl.String,
        "item_id": pl.String,
        "from_id": pl.String,
        "to_id": pl.String,
        "quantity": pl.Float64,
        "event_at": _TIME,
        "due_at": _TIME,
        "received_at": _TIME,
    },
    "receipts": {
        "item_id": pl.String,
        "location_id": pl.String,
        "quantity": pl.Float64,
        "event_at": _TIME,
        "order_id": pl.String,
        "line_id": pl.String,
        "supplier_id": pl.String,
    },
    "constraints": {"name": pl.String, "scope": pl.String, "value": pl.Float64},
}


def canonical_rows(
    events: Iterable[tuple[Event, str]], timezone: str = "UTC", newest: datetime | None = None
) -> dict[str, pl.DataFrame]:
    """The canonical rows of a ledger, of orders from firming or approval onward: {purchase_orders,
    transfers, receipts, constraints}; the last are what two people set for plans.

    events: (event, its hash) in order of seq. timezone: of the business days that orders are due
    on; due_at is the UTC time of such a day's midnight, as for every other source. newest: how far
    the home's facts are believed; nothing was recorded later than that, nor later than what was
    recorded after it, whatever a wrong year once made of Now. A new version of an order appears
    whenever its open quantity, day or price changed; one that was called off has the quantity that
    came, so nothing of it stays open. known_at is the home's Now when it was recorded; versions
    known at the same Now are told apart by handed_over_at, where the sequence number stands as
    microseconds. delivery is the event's hash, row_no its sequence number, part its kind.
    """
    documents: dict[str, Document] = {}
    said: dict[str, tuple[Any, ...]] = {}
    ordered_at: dict[str, datetime] = {}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in SCHEMAS}
    planned: dict[str, float] = {}
    for (event, head), known_at in _timed(events, newest):
        if event.document_id == LIMITS and event.kind == "limits_set":
            then = event.payload.get("plan", {})
            anew = {said: size for said, size in then.items() if planned.get(said) != size}
            rows["constraints"] += _limits(event, head, known_at, anew)
            planned |= anew
        document = documents.setdefault(event.document_id, Document(event.document_id))
        receipts_before = len(document.receipts)
        apply(document, event)
        if not document.order_id:
            continue
        ordered_at.setdefault(event.document_id, known_at)
        lineage = _lineage(event, head, known_at)
        is_receipt = document.kind == "purchase" and len(document.receipts) > receipts_before
        if is_receipt and not event.payload["receipt_id"].startswith(FROM_ERP):
            rows["receipts"].append(
                _receipt(document, event)
                | lineage("receipts", document, event.payload["receipt_id"])
            )
        table, facts = _order(document, ordered_at[event.document_id], ZoneInfo(timezone))
        if said.get(event.document_id) != (version := tuple(facts.values())):
            said[event.document_id] = version
            rows[table].append(facts | lineage(table, document, ""))
    return {
        name: pl.DataFrame(rows[name], schema=schema | _LINEAGE, orient="row")
        for name, schema in SCHEMAS.items()
    }


def _timed(
    events: Iterable[tuple[Event, str]], newest: datetime | None
) -> list[tuple[tuple[Event, str], datetime]]:
    """Each event with the time it is believed to have been recorded at, which never goes back."""
    found: list[tuple[tuple[Event, str], datetime]] = []
    after = newest
    for entry in reversed([*events]):
        recorded = datetime.fromisoformat(entry[0].known_at)
        after = min(after, recorded) if after else recorded
        found.append((entry, after))
    return found[::-1]


def _order(document: Document, ordered_at: datetime, zone: ZoneInfo) -> tuple[str, dict[str, Any]]:
    due_at = (
        datetime.fromisoformat(document.due_on[:10])
        .replace(tzinfo=zone)
        .astimezone(UTC)
        .replace(tzinfo=None)
    )
    quantity = document.received if document.ended else document.ordered
    if document.kind == "purchase":
        return "purchase_orders", {
            "order_id": document.order_id,
            "item_id": document.item_id,
            "location_id": document.location_id,
            "quantity": quantity,
            "event_at": ordered_at,
            "line_id": document.line_id,
            "due_at": due_at,
            "supplier_id": document.from_id,
            "unit_cost": document.unit_cost,
        }
    is_in = bool(document.received) and document.received >= quantity
    return "transfers", {
        "transfer_id": f"{document.order_id}/{document.line_id}",
        "item_id": document.item_id,
        "from_id": document.from_id,
        "to_id": document.location_id,
        "quantity": max(quantity, document.received),
        "event_at": ordered_at,
        "due_at": due_at,
        "received_at": datetime.fromisoformat(document.arrived_at) if is_in else None,
    }


def _limits(
    event: Event, head: str, known_at: datetime, anew: Mapping[str, float]
) -> list[dict[str, Any]]:
    """The limits of plans that an event sets anew, one that is for everything without a scope."""
    found: list[dict[str, Any]] = []
    for row_no, (said, size) in enumerate(sorted(anew.items())):
        name, _, scope = said.partition(" ")
        identity = f"constraints|{name}|{scope}"
        found.append(
            {
                "name": name,
                "scope": None if scope == "all" else scope,
                "value": float(size),
                "known_at": known_at,
                "known_lag": None,
                "handed_over_at": known_at + timedelta(microseconds=event.seq),
                "row_key": _number(identity),
                "row_hash": _number(f"{identity}|{size}|{event.seq}"),
                "source_id": SOURCE,
                "delivery": head,
                "row_no": event.seq,
                "part": f"{event.kind} {row_no}",
            }
        )
    return found


def _receipt(document: Document, event: Event) -> dict[str, Any]:
    return {
        "item_id": document.item_id,
        "location_id": document.location_id,
        "quantity": float(event.payload["quantity"]),
        "event_at": datetime.fromisoformat(event.payload["received_at"]),
        "order_id": document.order_id,
        "line_id": document.line_id,
        "supplier_id": document.from_id,
    }


def _lineage(event: Event, head: str, known_at: datetime) -> Any:
    def of(table: str, document: Document, part: str) -> dict[str, Any]:
        identity = f"{table}|{document.order_id}|{document.line_id}|{part}"
        return {
            "known_at": known_at,
            "known_lag": None,
            "handed_over_at": known_at + timedelta(microseconds=event.seq),
            "row_key": _number(identity),
            "row_hash": _number(identity + canonical(event.payload) + event.kind),
            "source_id": SOURCE,
            "delivery": head,
            "row_no": event.seq,
            "part": event.kind,
        }

    return of


def _number(text: str) -> int:
    """64 bits of a text, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
