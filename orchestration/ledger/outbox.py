"""The transactional outbox: a message is written in the transaction that decides it, and sent until
it is known to have arrived."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from time import monotonic
from typing import Any

import sqlalchemy as sa

from models.procurement.actors import SENDER
from models.procurement.codec import Delivery
from models.procurement.documents import CANCELLED, REFUSED, Document
from models.procurement.messages import MessageError, Order, OrderedLine
from models.safe_names import legible
from orchestration.ledger import approvals_and_limits, proof
from orchestration.ledger.partners import Partner, render
from orchestration.ledger.schema import documents, events, outbox
from orchestration.ledger.store import LedgerError, Store, Unit, canonical, stamp
from orchestration.ledger.transports import Envelope, TransportError, deliver

ATTEMPTS, FIRST_WAIT, LONGEST_WAIT = 8, timedelta(seconds=5), timedelta(hours=1)
CLAIM = timedelta(seconds=60)
#: Seconds of one sending that one partner may take; the rest of its messages waits for the next.
PATIENCE = 10.0

Deliver = Callable[[Envelope, Partner], None]


@dataclass(frozen=True)
class SendReport:
    """What a sending did. queued: new messages. sent: delivered now. waiting: to be tried again.
    dead: given up, a person must look.

    unaddressed: suppliers that no partner is known for. unwritable: orders the partner's format
    cannot say, and why. altered: documents and messages whose record was altered, and how; they
    stay here. is_stopped: the kill switch held something back.
    """

    queued: int = 0
    sent: int = 0
    waiting: int = 0
    dead: int = 0
    unaddressed: tuple[str, ...] = ()
    unwritable: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    is_stopped: bool = False


def to_order(
    lines: Sequence[Document],
    everyone: Sequence[Document],
    partner: Partner,
    revision: int,
    on: date,
) -> Order:
    """The message that lines of one order make: the order itself, or its n-th change; everyone is
    every line of that order, all sold in one currency."""
    currency = lines[0].sold.currency or partner.costs_in or partner.currency
    wording, location_id = partner.wording, lines[0].location_id
    return Order(
        lines[0].order_id,
        partner.partner_id,
        location_id,
        on,
        currency,
        revision,
        tuple(
            OrderedLine(
                d.line_id,
                d.item_id,
                d.sold.sold(d.quantity),
                d.sold.price(d.unit_cost),
                date.fromisoformat(d.due_on),
                _action(d, revision),
                d.sold.unit,
                wording.items.get(d.item_id, ""),
            )
            for d in sorted(lines, key=lambda d: int(d.line_id))
        ),
        is_whole=all(d.ended in (CANCELLED, REFUSED) for d in everyone if d.is_approved),
        supplier_name=wording.suppliers.get(partner.partner_id, ""),
        deliver_to=wording.locations.get(location_id, ""),
        terms="; ".join(_terms(partner)),
    )


def _terms(partner: Partner) -> Iterator[str]:
    days = partner.wording.payment_days.get(partner.partner_id)
    if days is not None:
        yield f"payment within {days:g} days"
    if partner.terms:
        yield partner.terms


def _action(document: Document, revision: int) -> Any:
    if document.ended == CANCELLED:
        return "cancel"
    if document.queued < 0:
        return "order" if revision == 0 else "add"
    return "change"


def queue(unit: Unit, partners: Mapping[str, Partner]) -> SendReport:
    """Write a message for every order a supplier has still to hear of; an order that cannot be
    written waits and is reported.

    A line whose record is not what its events say is left out, and is an exception of internal
    control.
    """
    orders, altered = _proved(unit)
    company: dict[str, list[Document]] = {}
    for document in unit.read_in(documents.c.order_id, list(orders)):
        company.setdefault(document.order_id, []).append(document)
    numbers = Numbers(unit.connection)
    unaddressed: set[str] = set()
    unwritable: list[str] = []
    messages: list[dict[str, Any]] = []
    for order_id, lines in orders.items():
        partner = partners.get(lines[0].from_id)
        if partner is None:
            unaddressed.add(lines[0].from_id)
            continue
        revision, control, message_id = numbers.next(order_id, partner.partner_id)
        order = to_order(lines, company[order_id], partner, revision, unit.now.date())
        try:
            body = render(order, partner, control, unit.now)
        except MessageError as error:
            whom = legible(partner.partner_id, 60)
            unwritable.append(f"order {order_id} to {whom} cannot be written: {error}")
            continue
        numbers.take(order_id, partner.partner_id)
        kind = partner.writer.document_type(order)
        messages.append(_message(unit, message_id, control, kind, order, body, lines))
    if messages:
        unit.connection.execute(sa.insert(outbox), messages)
    return SendReport(
        queued=len(messages),
        unaddressed=tuple(sorted(unaddressed)),
        unwritable=tuple(unwritable),
        altered=tuple(altered),
    )


def _proved(unit: Unit) -> tuple[dict[str, list[Document]], list[str]]:
    """The lines that wait for a message and are what their events say, by order; and what is wrong
    with the others."""
    waiting = unit.read(documents.c.awaits_sending)
    doubtful = proof.doubts(unit.connection, [document.document_id for document in waiting])
    orders: dict[str, list[Document]] = {}
    for document in waiting:
        if why := doubtful.get(document.document_id):
            proof.accuse(unit, "excepted", {"document_id": document.document_id, "reason": why})
        else:
            orders.setdefault(document.order_id, []).append(document)
    return orders, [f"document {name}: {why}" for name, why in doubtful.items()]


def _message(
    unit: Unit,
    message_id: int,
    control: int,
    kind: str,
    order: Order,
    body: bytes,
    lines: Sequence[Document],
) -> dict[str, Any]:
    """The outbox row of a message, and the event of it on every line it carries."""
    digest = hashlib.sha256(body).hexdigest()
    payload = {
        "message_id": message_id,
        "partner_id": order.supplier_id,
        "control": control,
        "document_type": kind,
        "sha256": digest,
    }
    for line in lines:
        unit.add(
            line,
            "queued",
            SENDER,
            payload | {"revision": line.revision, "order_revision": order.revision},
        )
    return {
        **payload,
        "order_id": order.order_id,
        "revision": order.revision,
        "body": body,
        "lines": canonical({line.document_id: line.revision for line in lines}),
        **_fresh(unit),
    }


def reply(unit: Unit, origin: Document, delivery: Delivery, partner: Partner) -> None:
    """Queue the receipts of what a partner sent, under the partner's next control numbers; origin:
    the document of the delivery."""
    numbers = Numbers(unit.connection)
    _, control, message_id = numbers.next(origin.document_id, partner.partner_id)
    rows = []
    for place, body in enumerate(delivery.receipts(control, unit.now, partner.usage)):
        payload = {
            "message_id": message_id + place,
            "partner_id": partner.partner_id,
            "control": control + place,
            "document_type": partner.reader.receipt_type,
            "sha256": hashlib.sha256(body).hexdigest(),
        }
        unit.add(origin, "replied", SENDER, payload | {"revision": place, "order_revision": place})
        row = {
            **payload,
            "order_id": origin.document_id,
            "revision": place,
            "body": body,
            "lines": canonical({}),
        }
        rows.append(row | _fresh(unit))
    if rows:
        unit.connection.execute(sa.insert(outbox), rows)


def _fresh(unit: Unit) -> dict[str, Any]:
    """The columns of a message that nobody has tried to send."""
    return {
        "status": "pending",
        "attempts": 0,
        "next_at": unit.recorded_at,
        "claimed_until": "",
        "last_error": "",
    }


class Numbers:
    """Order revisions and control numbers, each one more than the last one stored; the write lock
    makes them unique."""

    def __init__(self, connection: sa.Connection) -> None:
        by_order = sa.select(outbox.c.order_id, sa.func.max(outbox.c.revision)).group_by(
            outbox.c.order_id
        )
        by_partner = sa.select(outbox.c.partner_id, sa.func.max(outbox.c.control)).group_by(
            outbox.c.partner_id
        )
        self.revisions = {order_id: last for order_id, last in connection.execute(by_order)}
        self.controls = {partner_id: last for partner_id, last in connection.execute(by_partner)}
        self.message_id = (
            connection.scalar(sa.select(sa.func.coalesce(sa.func.max(outbox.c.message_id), 0))) or 0
        )

    def next(self, order_id: str, partner_id: str) -> tuple[int, int, int]:
        """The revision, control number and message id that come next; they stay free until
        taken."""
        return (
            self.revisions.get(order_id, -1) + 1,
            self.controls.get(partner_id, 0) + 1,
            self.message_id + 1,
        )

    def take(self, order_id: str, partner_id: str) -> None:
        """Use up what comes next."""
        self.revisions[order_id], self.controls[partner_id], self.message_id = self.next(
            order_id, partner_id
        )


def dispatch(
    store: Store, partners: Mapping[str, Partner], now: datetime, hand_over: Deliver = deliver
) -> SendReport:
    """Send what is due, oldest first; a message waits for the earlier ones of its order, and the
    switch is read before each one.

    Each message is proved against the events that queued it. A crash between sending and noting it
    down sends the same bytes under the same control number again, which a partner knows for a
    repeat. Any number of workers may run: each message is claimed before it is sent. A partner that
    does not answer, or takes longer than PATIENCE in all, rests until the next sending: no partner
    keeps another waiting for long.
    """
    ended = dict.fromkeys(("sent", "pending", "dead"), 0)
    altered: list[str] = []
    spent: dict[str, float] = {}
    while (
        message := _claim(store, now, [name for name, s in spent.items() if s > PATIENCE])
    ) is not None:
        if isinstance(message, str):
            return _report(ended, altered, is_stopped=True)
        began = monotonic()
        error = _hand_over(store, message, partners.get(message.partner_id), hand_over)
        took = PATIENCE + 1 if error and not error.is_final else monotonic() - began
        spent[message.partner_id] = spent.get(message.partner_id, 0.0) + took
        if isinstance(error, AlteredError):
            altered.append(str(error))
        ended[_settle(store, now, message, error)] += 1
    ended["pending"] += _resting(store, [name for name, s in spent.items() if s > PATIENCE])
    return _report(ended, altered)


def _report(
    ended: Mapping[str, int], altered: Sequence[str], is_stopped: bool = False
) -> SendReport:
    return SendReport(
        sent=ended["sent"],
        waiting=ended["pending"],
        dead=ended["dead"],
        altered=tuple(altered),
        is_stopped=is_stopped,
    )


class AlteredError(TransportError):
    """The message is not the one that was decided; it is never sent by itself."""


def _hand_over(
    store: Store, message: sa.Row[Any], partner: Partner | None, hand_over: Deliver
) -> TransportError | None:
    """Prove a message and hand it over; what kept it from arriving, None where it arrived."""
    try:
        with store.engine.connect() as connection:
            if why := proof.doubt_about(connection, message):
                raise AlteredError(f"message {message.message_id}: {why}", is_final=True)
        if partner is None:
            raise TransportError(f"no address is known for {legible(message.partner_id, 60)}")
        body = bytes(message.body)
        hand_over(Envelope(message.control, message.document_type, message.order_id, body), partner)
    except TransportError as error:
        return error
    return None


def _resting(store: Store, names: Sequence[str]) -> int:
    """How many messages were not tried because their partner rests."""
    wall = stamp(datetime.now(UTC))
    due = (outbox.c.status == "pending", outbox.c.next_at <= wall, outbox.c.partner_id.in_(names))
    return int(store.read(sa.select(sa.func.count()).where(*due))[0][0])


def due(connection: sa.Connection) -> str | None:
    """A text for the state in which a sending would find something to do: it changes with every
    event and attempt; None otherwise."""
    lines = sa.select(sa.func.count()).where(
        sa.or_(documents.c.awaits_sending, documents.c.stage == "requisition")
    )
    wall = stamp(datetime.now(UTC))
    messages = sa.select(sa.func.count()).where(
        outbox.c.status == "pending", outbox.c.next_at <= wall
    )
    if not (connection.scalar(lines) or connection.scalar(messages)):
        return None
    seq = connection.scalar(sa.select(sa.func.max(events.c.seq)))
    return (
        f"event {seq}, attempt {connection.scalar(sa.select(sa.func.sum(outbox.c.attempts))) or 0}"
    )


def _claim(store: Store, now: datetime, resting: Sequence[str]) -> sa.Row[Any] | str | None:
    """The next due message, claimed for this worker; 'stopped' where the switch holds one back;
    None where nothing is due.

    resting: partners whose messages wait for the next sending.
    """
    with store.writing(now) as unit:
        wall, far = unit.recorded_at, stamp(datetime.fromisoformat(unit.recorded_at) + LONGEST_WAIT)
        earlier = outbox.alias()
        blocked = sa.exists().where(
            earlier.c.order_id == outbox.c.order_id,
            earlier.c.revision < outbox.c.revision,
            earlier.c.status != "sent",
        )
        # the clock was set back: do not wait for its old future
        due = sa.or_(outbox.c.next_at <= wall, outbox.c.next_at > far)
        free = sa.or_(outbox.c.claimed_until <= wall, outbox.c.claimed_until > far)
        awake = outbox.c.partner_id.not_in(resting)
        query = (
            sa.select(outbox)
            .where(outbox.c.status == "pending", awake, due, free, ~blocked)
            .order_by(outbox.c.message_id)
            .limit(1)
        )
        message = unit.connection.execute(query).first()
        if message is None:
            return None
        if approvals_and_limits.is_stopped(unit.connection):
            return "stopped"
        until = stamp(datetime.fromisoformat(wall) + CLAIM)
        unit.connection.execute(
            sa.update(outbox)
            .where(outbox.c.message_id == message.message_id)
            .values(claimed_until=until)
        )
        return message


def _settle(store: Store, now: datetime, message: sa.Row[Any], error: TransportError | None) -> str:
    """Note down how a sending ended: sent, to be tried again after a growing wait, or given up."""
    with store.writing(now) as unit:
        current = unit.connection.execute(
            sa.select(outbox).where(outbox.c.message_id == message.message_id)
        ).one()
        if current.status != "pending":
            return str(current.status)  # another worker, or a resend after a crash, has been here
        attempts, status = current.attempts + 1, "sent"
        if error is not None:
            status = "dead" if error.is_final or attempts >= ATTEMPTS else "pending"
        if status != "pending":
            _tell(unit, current, status, error)
        wait = min(FIRST_WAIT * 2 ** (attempts - 1), LONGEST_WAIT)
        unit.connection.execute(
            sa.update(outbox)
            .where(outbox.c.message_id == message.message_id)
            .values(
                status=status,
                attempts=attempts,
                claimed_until="",
                last_error=legible(str(error or ""), 500),
                next_at=stamp(datetime.fromisoformat(unit.recorded_at) + wait)
                if error
                else current.next_at,
            )
        )
        return status


def _tell(unit: Unit, message: sa.Row[Any], status: str, error: TransportError | None) -> None:
    """The event of a sending on every line of the message, or on the delivery it replies to."""
    failed = {"message_id": message.message_id, "owner": "buyer", "reason": legible(str(error))}
    if isinstance(error, AlteredError):
        proof.accuse(unit, "undelivered", failed)
        return
    revisions = json.loads(message.lines) or {message.order_id: message.revision}
    for document in unit.read_in(documents.c.document_id, list(revisions)):
        if status == "sent":
            payload = {
                "message_id": message.message_id,
                "revision": revisions[document.document_id],
                "attempts": message.attempts + 1,
            }
            unit.add(document, "sent", SENDER, payload)
        else:
            unit.add(document, "undelivered", SENDER, failed)


def revive(unit: Unit, message_id: int, by: str) -> None:
    """Give a dead message another life, after a person looked: same bytes, same control number."""
    message = unit.connection.execute(
        sa.select(outbox).where(outbox.c.message_id == message_id, outbox.c.status == "dead")
    ).first()
    if message is None:
        raise LedgerError(f"message {message_id} is not in the dead letters")
    for document in unit.read_in(
        documents.c.document_id, list(json.loads(message.lines)) or [message.order_id]
    ):
        unit.add(document, "revived", by, {"message_id": message_id})
    change = sa.update(outbox).where(outbox.c.message_id == message_id)
    unit.connection.execute(
        change.values(
            status="pending", attempts=0, next_at=stamp(datetime.now(UTC)), claimed_until=""
        )
    )
