"""Which approved lines their supplier has not heard of, and why: what a sending would say, without
one event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from models.procurement.documents import Document
from models.procurement.messages import MessageError
from models.safe_names import legible
from orchestration.ledger.outbox import Numbers, to_order
from orchestration.ledger.partners import Partner, render
from orchestration.ledger.schema import documents, outbox
from orchestration.ledger.store import Store


def unsent(store: Store, partners: Mapping[str, Partner], now: datetime) -> dict[str, str]:
    """Why approved lines stay unsent until a person does something, by document id: the order
    cannot be written in the supplier's format, nobody knows the supplier's address, or its message
    was given up.

    A message that is only tried again later is not among them.
    """
    return {**_unwritten(store, partners, now), **_given_up(store)}


def _unwritten(store: Store, partners: Mapping[str, Partner], now: datetime) -> dict[str, str]:
    waiting: dict[str, list[Document]] = {}
    for line in store.lines(documents.c.awaits_sending):
        waiting.setdefault(line.order_id, []).append(line)
    company: dict[str, list[Document]] = {}
    for line in store.lines(documents.c.order_id.in_(list(waiting))):
        company.setdefault(line.order_id, []).append(line)
    with store.engine.connect() as connection:
        numbers = Numbers(connection)
    found: dict[str, str] = {}
    for order_id, lines in waiting.items():
        name = lines[0].from_id
        why = _why(partners.get(name), order_id, lines, company[order_id], numbers, now)
        if why:
            whom = f"order {order_id} to {legible(name, 60)}"
            found |= dict.fromkeys((line.document_id for line in lines), f"{whom} {why}")
    return found


def _why(
    partner: Partner | None,
    order_id: str,
    lines: list[Document],
    everyone: list[Document],
    numbers: Numbers,
    now: datetime,
) -> str:
    """What keeps an order from being written; empty where nothing does."""
    if partner is None:
        return "has no address: name the partner in state/partners/partners.yml"
    revision, control, _ = numbers.next(order_id, partner.partner_id)
    try:
        render(to_order(lines, everyone, partner, revision, now.date()), partner, control, now)
    except MessageError as error:
        return f"cannot be written: {error}"
    return ""


def _given_up(store: Store) -> dict[str, str]:
    columns = (outbox.c.message_id, outbox.c.order_id, outbox.c.lines, outbox.c.last_error)
    query = sa.select(*columns).where(outbox.c.status == "dead").order_by(outbox.c.message_id)
    return {
        document_id: f"message {message_id} of order {order_id} did not arrive and is given up: "
        f"{error}; once that is mended, `stockhouse order revive {message_id}` sends it again"
        for message_id, order_id, lines, error in store.read(query)
        for document_id in json.loads(lines)
    }
