"""Proof before anything is approved or leaves: a document is what its chained events add up to, a
message what its events queued."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from models.procurement.actors import SENDER
from models.procurement.documents import APPLY, Document, Event
from orchestration.ledger.schema import documents, events
from orchestration.ledger.store import CHUNK, GENESIS, Unit, canonical, chain, projection

#: An event with the hash before it, its payload as stored, and its hash.
Happened = tuple[Event, str, str, str]
#: The desk's own document about records that were altered, and who looks into it.
INTEGRITY, CONTROL = "INTEGRITY", "internal control"


def doubts(connection: sa.Connection, document_ids: Collection[str]) -> dict[str, str]:
    """Why a document is not to be trusted, for those whose chain is broken or whose state is not
    what its events add up to."""
    names, reasons = sorted(set(document_ids)), {}
    for start in range(0, len(names), CHUNK):
        part = names[start : start + CHUNK]
        reasons.update(_compared(connection, part, list(_events(connection, part))))
    return reasons


def _compared(
    connection: sa.Connection, names: Sequence[str], happened: Iterable[Happened]
) -> dict[str, str]:
    """What is wrong with documents, given all their events."""
    folded, broken = _folded(happened)
    query = sa.select(documents).where(documents.c.document_id.in_(names))
    stored = {row[0]: row for row in connection.execute(query)}
    reasons = {}
    for name in names:
        if name in broken:
            reasons[name] = broken[name]
        elif (
            name not in folded
            or name not in stored
            or projection(*folded[name]) != stored[name]._asdict()
        ):
            reasons[name] = "its state is not what its events add up to"
    return reasons


def _folded(
    happened: Iterable[Happened],
) -> tuple[dict[str, tuple[Document, int, str]], dict[str, str]]:
    """Documents with version and head, folded from their events; and what is wrong with the chains
    that are broken."""
    folded: dict[str, tuple[Document, int, str]] = {}
    broken: dict[str, str] = {}
    for event, previous, text, digest in happened:
        name = event.document_id
        document, version, head = folded.get(name, (None, 0, GENESIS))
        document = document or Document(name)
        if event.version != version + 1 or previous != head:
            broken.setdefault(name, f"its chain is broken at version {event.version}")
        elif chain(previous, event, text) != digest:
            broken.setdefault(name, f"its version {event.version} was altered")
        if name in broken:
            continue
        try:
            APPLY[event.kind](document, event._replace(payload=json.loads(text)))
        except (KeyError, TypeError, ValueError) as error:
            broken[name] = f"its version {event.version} cannot happen: {error!r}"
        folded[name] = (document, event.version, digest)
    return folded, broken


def _events(connection: sa.Connection, names: Collection[str]) -> Iterator[Happened]:
    """The events of these documents in order, each with the hash before it, its payload as stored,
    and its hash."""
    columns = [events.c[field] for field in (*Event._fields, "previous_hash", "hash")]
    query = sa.select(*columns).where(events.c.document_id.in_(names)).order_by(events.c.seq)
    for *fields, text, previous, digest in connection.execute(query):
        yield Event._make([*fields, {}]), previous, text, digest


def doubt_about(connection: sa.Connection, message: sa.Row[Any]) -> str:
    """Why a message of the outbox must not be sent; empty where it is, byte for byte, what the
    events of its documents queued."""
    if hashlib.sha256(bytes(message.body)).hexdigest() != message.sha256:
        return "its body was altered"
    lines = json.loads(message.lines)
    carried = lines or {message.order_id: message.revision}
    names = sorted(carried)
    happened = list(_events(connection, names))
    if why := _compared(connection, names, happened):
        return "; ".join(f"document {name}: {reason}" for name, reason in sorted(why.items()))
    kind = "queued" if lines else "replied"
    fields = {
        "message_id": message.message_id,
        "partner_id": message.partner_id,
        "control": message.control,
        "document_type": message.document_type,
        "sha256": message.sha256,
        "order_revision": message.revision,
    }
    queued = {
        event.document_id
        for event, _, text, _ in happened
        if event.kind == kind
        and json.loads(text) == fields | {"revision": carried[event.document_id]}
    }
    query = sa.select(documents.c.order_id).where(documents.c.document_id.in_(list(lines)))
    orders = set(connection.scalars(query)) if lines else {message.order_id}
    if queued != carried.keys() or orders != {message.order_id}:
        return "it is not the message that its events queued"
    return ""


def accuse(unit: Unit, kind: str, payload: dict[str, Any]) -> None:
    """Raise an exception about an altered record, once, on a document of its own: the altered one
    is left as it was found."""
    payload = {**payload, "owner": CONTROL}
    before = sa.select(events.c.seq).where(
        events.c.document_id == INTEGRITY, events.c.payload == canonical(payload)
    )
    if unit.connection.scalar(before.limit(1)) is None:
        unit.add(unit.open(INTEGRITY), kind, SENDER, payload)
