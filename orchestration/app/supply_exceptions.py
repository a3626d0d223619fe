"""What has happened since the last run and is not over: lines late, short or refused, and what the
stream brought."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import get_args

import polars as pl

from models.procurement.disruptions import Disruption, Kind, read
from models.procurement.documents import REFUSED, Document
from models.procurement.messages import MessageError
from models.replenishment.agreed_shares import lanes_of
from orchestration.facts.timeline import Timeline
from orchestration.home import Home
from orchestration.intake.inbox import FILE


@dataclass(frozen=True)
class SupplyException:
    """One thing that happened and is not over: since when it is known (UTC), in words, and whose
    demand or supply it moves."""

    occasion: str
    reason: str
    received_at: str
    items: frozenset[str] = frozenset()
    disruption: Disruption | None = None


def supply_exceptions(
    home: Home, timeline: Timeline, lines: Iterable[Document], received_at: Mapping[str, str]
) -> list[SupplyException]:
    """Everything that happened and is not over: lines late, short or refused, and what the stream
    brought.

    received_at: when the ledger last heard of a document from outside, by document id.
    """
    exceptions = []
    for line in lines:
        if why := trouble(line):
            occasion = hashlib.sha256(f"{line.document_id} {why}".encode()).hexdigest()[:12]
            exceptions.append(
                SupplyException(
                    occasion, why, received_at.get(line.document_id, ""), frozenset({line.item_id})
                )
            )
    return exceptions + disruptions(home.inbox, timeline.local_day(timeline.now_at))


def trouble(line: Document) -> str | None:
    """What is wrong with an approved purchase, in words; None where it will come as asked."""
    if line.kind != "purchase" or not line.is_approved or (line.ended and line.ended != REFUSED):
        return None
    name = f"{line.item_id} of order {line.order_id}"
    if line.ended:
        return f"{name} was refused: {line.quantity:g} units will not come"
    if line.received >= line.ordered:
        return None
    shipped = sum(line.shipments.values())
    if shipped and shipped < line.ordered:
        return f"{name} was shipped short: {shipped:g} of {line.ordered:g}, due {line.due_on}"
    if line.confirmed is not None and line.confirmed < line.quantity:
        return (
            f"{name} was confirmed short: {line.confirmed:g} of {line.quantity:g}, due "
            f"{line.due_on}"
        )
    return (
        f"{name} is late: due {line.due_on}, asked for {line.asked_on}"
        if line.due_on > line.asked_on
        else None
    )


def disruptions(inbox: Path, today: date) -> list[SupplyException]:
    """What any stream has brought in the words of a disruption and is not over; one that cannot be
    read is an exception without a reach."""
    if not (inbox / FILE).exists():
        return []
    with closing(
        sqlite3.connect(f"file:{inbox / FILE}?mode=ro", uri=True, timeout=30)
    ) as connection:
        rows = connection.execute(
            "SELECT source, message_id, received_at, body FROM messages ORDER BY id"
        ).fetchall()
    exceptions = []
    for source, message_id, received_at, body in rows:
        if b'"kind"' not in bytes(body):
            continue
        try:
            message = json.loads(bytes(body))
        except (ValueError, RecursionError):
            continue  # no JSON at all: what is wrong with it is said where it lands
        if not isinstance(message, dict) or message.get("kind") not in get_args(Kind):
            continue
        name = hashlib.sha256(f"{source}/{message_id}".encode()).hexdigest()[:12]
        at = received_at.replace(" ", "T")
        try:
            event = read(message, name)
        except MessageError as error:
            exceptions.append(
                SupplyException(
                    name, f"message {message_id} of {source} cannot be acted on: {error}", at
                )
            )
        else:
            exceptions += (
                [SupplyException(name, event.reason, at, disruption=event)]
                if event.ends_on >= today
                else []
            )
    return exceptions


def moves(exception: SupplyException, row: pl.DataFrame, item: str) -> bool:
    """Whether it moves the demand or supply of this row, an item at a place."""
    return (
        item in exception.items
        if exception.disruption is None
        else bool(exception.disruption.rows(lanes_of(row)).any())
    )


def affected(nodes: pl.DataFrame, happened: Sequence[SupplyException]) -> set[str]:
    """The items that what happened concerns. nodes: the planned rows, with their other sources."""
    nodes = lanes_of(nodes)
    items = {item for exception in happened for item in exception.items}
    for exception in happened:
        if exception.disruption is not None:
            items |= set(nodes.filter(exception.disruption.rows(nodes))["item_id"])
    return items
