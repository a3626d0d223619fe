"""What suppliers say, taken into the ledger: every original kept, every fact once, everything odd
an exception with an owner."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from models.procurement.codec import Delivery
from models.procurement.documents import (
    ANSWER,
    CANCELLED,
    CLOSED,
    REFUSED,
    Document,
    beyond_its_invoice,
    is_order_doubtful,
    is_overtaken,
    is_repeat,
)
from models.procurement.formats import reader_of
from models.procurement.matching import Tolerance
from models.procurement.messages import (
    BUYER,
    DENIED,
    EDI_DESK,
    PAYABLES,
    AcknowledgedLine,
    Acknowledgement,
    Invoice,
    InvoicedLine,
    Message,
    MessageError,
    Odd,
    Received,
    ShipNotice,
    ShippedLine,
)
from models.procurement.supplier_sale_terms import Sale
from models.procurement.unit_codes import PIECE, is_same
from models.safe_names import legible
from orchestration.ledger.invoice_matching import settle
from orchestration.ledger.outbox import reply
from orchestration.ledger.partners import Partner
from orchestration.ledger.schema import documents, inbox, outbox
from orchestration.ledger.store import LedgerError, Store, Unit, UnkeptError

Part = TypeVar("Part", ShippedLine, InvoicedLine)


@dataclass(frozen=True)
class Reception:
    """What became of one delivery from a partner: taken, rejected (and why) or repeated; facts and
    exceptions it made."""

    status: str
    reason: str = ""
    facts: int = 0
    exceptions: int = 0


@dataclass(frozen=True)
class Told:
    """What a partner said, as a person of the company heard it and hands it in."""

    messages: tuple[Message, ...]
    by: str


class Receiver:
    """One delivery on its way into the ledger, inside one transaction. by: who hands it in, where
    it does not come from the partner itself."""

    def __init__(
        self, unit: Unit, partner: Partner, digest: str, tolerance: Tolerance, by: str = ""
    ) -> None:
        self.unit, self.partner, self.digest, self.tolerance = unit, partner, digest, tolerance
        self.by = by
        self.origin = unit.open(f"IN-{digest[:24]}")
        self.said = Delivery(())
        self.facts = self.exceptions = 0

    def read(self, body: bytes) -> tuple[tuple[Message, ...], str]:
        """What a delivery says, or why it cannot be taken; nothing is recorded yet."""
        try:
            said = reader_of(body, self.partner.reader).read(body)
            self._check_envelope(said)
        except MessageError as error:
            return (), legible(str(error))
        self.said = said
        return said.messages, ""

    def reject(self, reason: str) -> Reception:
        """Keep a delivery that nobody can take, and have a person look at it."""
        self._heard("rejected", reason)
        self.object(self.origin, EDI_DESK, f"the delivery was rejected: {reason}")
        return Reception("rejected", reason, 0, self.exceptions)

    def receive(self, messages: Sequence[Message]) -> Reception:
        """Take everything a delivery says."""
        self._heard("taken", "")
        if self.partner.receipts:
            reply(self.unit, self.origin, self.said, self.partner)
        for message in messages:
            self._take(message)
        return Reception("taken", "", self.facts, self.exceptions)

    def _heard(self, status: str, reason: str) -> None:
        said = {
            "sha256": self.digest,
            "partner_id": self.partner.partner_id,
            "status": status,
            "reason": reason,
        } | ({"handed_in_by": self.by} if self.by else {})
        self.unit.add(self.origin, "heard", self.partner.partner_id, said)

    def _check_envelope(self, said: Delivery) -> None:
        """Refuse what an envelope says to be between others, or a test where none was agreed."""
        partner = self.partner
        ends = ((said.sender, partner.their), (said.receiver, partner.ours))
        if any(named and agreed not in named for named, agreed in ends):
            named = " to ".join(end[0].id if end else "nobody named" for end, _ in ends)
            raise MessageError(
                f"the envelope runs from {named}, not from {partner.their.id} to {partner.ours.id}"
            )
        if said.is_test not in (None, partner.usage == "T"):
            raise MessageError(
                f"the envelope says {'test' if said.is_test else 'production'}, agreed is "
                f"{partner.usage}"
            )

    def object(self, document: Document, owner: str, reason: str) -> None:
        """Raise an exception that a person owns."""
        self.exceptions += 1
        self.unit.add(
            document,
            "excepted",
            self.partner.partner_id,
            {"owner": owner, "reason": reason, "delivery": self.digest},
        )

    def note(self, document: Document, kind: str, payload: Mapping[str, Any]) -> bool:
        """Record a fact once; False where the document has heard exactly this before."""
        if is_repeat(document, kind, payload):
            return False
        self.facts += 1
        self.unit.add(document, kind, self.partner.partner_id, {**payload, "delivery": self.digest})
        return True

    def lines(self, order_id: str) -> dict[str, Document]:
        """The lines of an order with this partner by line id; empty, and an exception, where there
        is none."""
        found = self.unit.read(
            documents.c.order_id == order_id,
            documents.c.from_id == self.partner.partner_id,
            documents.c.order_id != "",
        )
        if not found:
            self.object(
                self.origin,
                BUYER,
                legible(f"order {order_id} is unknown to {self.partner.partner_id}'s account"),
            )
        return {document.line_id: document for document in found if document.is_approved}

    def line(
        self, lines: Mapping[str, Document], order_id: str, line_id: str, item_id: str
    ) -> Document | None:
        """One line of an order; None, and an exception, where it is unknown or another item."""
        document = lines.get(line_id)
        # the line is not numbered: its item tells it, if it is one
        if document is None and not line_id and item_id:
            of_item = [d for d in lines.values() if d.item_id == item_id]
            document = of_item[0] if len(of_item) == 1 else None
        if document is None:
            self.object(
                self.origin, BUYER, legible(f"order {order_id} has no line {line_id or item_id}")
            )
        elif item_id and item_id != document.item_id:
            what = (
                f"line {line_id} of order {order_id} is {document.item_id}, the message says "
                f"{item_id}"
            )
            self.object(document, BUYER, legible(what))
            return None
        return document

    def _take(self, message: Message) -> None:
        if isinstance(message, Acknowledgement):
            self._acknowledged(message)
        elif isinstance(message, ShipNotice):
            self._shipped(message)
        elif isinstance(message, Invoice):
            self._invoiced(message)
        elif isinstance(message, Odd):
            self._left_to_people(message)
        else:
            self._receipted(message)

    def _left_to_people(self, said: Odd) -> None:
        """What nobody here can take: an exception on the line it is about, else on the delivery."""
        mine = (
            documents.c.order_id == said.order_id,
            documents.c.from_id == self.partner.partner_id,
        )
        lines = (
            {d.line_id: d for d in self.unit.read(*mine) if d.is_approved} if said.order_id else {}
        )
        about = lines.get(said.line_id)
        where = f"order {said.order_id}, " if said.order_id and about is None else ""
        self.object(about or self.origin, said.owner, legible(where + said.reason, 600))

    def _acknowledged(self, said: Acknowledgement) -> None:
        lines = self.lines(said.order_id)
        if not lines or not self._in_currency(
            said.currency, next(iter(lines.values())), said.order_id
        ):
            return
        rest = (d for d in lines.values() if said.rest and d.line_id not in said.named)
        others = (
            AcknowledgedLine(
                d.line_id, d.item_id, said.rest, d.sold.sold(d.quantity), None, said.due_on
            )
            for d in rest
        )
        for stated in (*said.lines, *others):
            document = self.line(lines, said.order_id, stated.line_id, stated.item_id)
            sale = self._sale(document, stated.unit, BUYER)
            if document is None or sale is None:
                continue
            answer = _in_stock_units(stated, document, sale)
            if said.is_change:
                self._change_answered(document, answer)
            elif document.revision and answer.code not in DENIED:
                # it crossed our change in the mail: an 865 will answer that
                self.note(
                    document,
                    "taken",
                    {
                        "control": self.said.control,
                        "code": answer.code,
                        "reason": answer.reason,
                    },
                )
            else:
                self._answered(document, answer)

    def _answered(self, document: Document, answer: AcknowledgedLine) -> None:
        """The answer to a line as it stands: it counts unless overtaken, and what a buyer must know
        becomes an exception."""
        promised = (
            0.0
            if answer.code in DENIED
            else document.quantity
            if answer.code == "IB"
            else answer.quantity
        )
        price = document.unit_cost if answer.unit_cost is None else answer.unit_cost
        units, due_on = (
            min(promised, document.quantity),
            answer.due_on.isoformat() if answer.due_on else "",
        )
        payload = {
            "code": answer.code,
            "quantity": units,
            "unit_cost": price,
            "due_on": due_on,
        } | self._when()
        before, was = document.acknowledgement, document.ended
        if was == REFUSED and promised and self._stands_in(document):
            self.object(
                document,
                BUYER,
                "the supplier accepts what it refused, and the need has been ordered again since",
            )
            return
        is_late, is_unclear = is_overtaken(before, payload), is_order_doubtful(before, payload)
        if not self.note(document, "acknowledged", payload):
            return
        if is_late and is_unclear and any(before[name] != payload[name] for name in ANSWER):
            self.object(document, BUYER, self._which_counts(before, payload))
        if is_late:
            return
        odd = (
            (
                before and (before["code"], before["quantity"]) != (answer.code, units),
                "answered before with {before}, now with {now}",
            ),
            (promised and was in (CANCELLED, CLOSED), "{now} for a line that is {was}"),
            (
                promised > document.quantity,
                "{promised:g} units are confirmed, {asked:g} were ordered",
            ),
            (price != document.unit_cost, "the supplier's price is {price:g}, ordered at {cost:g}"),
            (answer.code == "IB" or promised < document.quantity, "{now} of {asked:g}. {why}"),
        )
        said = {
            "before": f"{before.get('code')} {before.get('quantity')}",
            "now": f"{answer.code} {units:g}",
            "was": was,
            "promised": promised,
            "asked": document.quantity,
            "price": price,
            "cost": document.unit_cost,
            "why": answer.reason,
        }
        for applies, reason in odd:
            if applies:
                self.object(document, BUYER, reason.format(**said).strip())

    def _when(self) -> dict[str, Any]:
        """What tells the newer of two answers."""
        return {"control": self.said.control, "written_at": self.said.written_at}

    def _which_counts(self, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
        first, second = (
            (
                f"{said['code']} {said['quantity']:g} (number {said['control']}, "
                f"{said.get('written_at') or 'no time'})"
            )
            for said in (before, now)
        )
        return (
            f"answered {first}, and now {second}: which one is newer cannot be told, the first one "
            "stands"
        )

    def _change_answered(self, document: Document, answer: AcknowledgedLine) -> None:
        """An 865 line: the answer to our change or cancellation."""
        denied = answer.code in DENIED
        if document.ended == CANCELLED:
            if denied:
                self.note(
                    document,
                    "taken",
                    {
                        "control": self.said.control,
                        "code": answer.code,
                        "reason": answer.reason,
                    },
                )
            else:
                self.object(
                    document,
                    BUYER,
                    (
                        f"the cancellation was not accepted ({answer.code} {answer.quantity:g}): "
                        f"{answer.reason}"
                    ),
                )
        elif denied:
            self.object(
                document, BUYER, f"the change was not accepted: {answer.reason or answer.code}"
            )
        else:
            self._answered(document, answer)

    def _stands_in(self, document: Document) -> bool:
        """Whether another live document has taken over this one's need."""
        return any(
            d.is_live
            for d in self.unit.read(documents.c.intent_key == document.intent_key)
            if d is not document
        )

    def _shipped(self, said: ShipNotice) -> None:
        for order_id in dict.fromkeys(line.order_id for line in said.lines):
            lines = self.lines(order_id)
            wanted = [line for line in said.lines if line.order_id == order_id] if lines else []
            for parts in _by_line(wanted):
                document = self.line(lines, order_id, parts[0].line_id, parts[0].item_id)
                sales = [self._sale(document, line.unit, BUYER) for line in parts]
                if document is None or None in sales:
                    continue
                units, due_on = (
                    _total(document, [line.quantity for line in parts], sales),
                    said.due_on.isoformat() if said.due_on else "",
                )
                known = document.shipments.get(said.shipment_id)
                if known is not None and known != units:
                    reason = (
                        f"shipment {said.shipment_id} came again with {units:g} units, {known:g} "
                        "before; the first stands"
                    )
                    self.object(document, BUYER, legible(reason))
                if not self.note(
                    document,
                    "shipped",
                    {"shipment_id": said.shipment_id, "quantity": units, "due_on": due_on},
                ):
                    continue
                total = sum(document.shipments.values())
                if total > document.quantity:
                    self.object(
                        document,
                        BUYER,
                        f"{total:g} units are on the way, {document.quantity:g} were ordered",
                    )
                if document.ended:
                    self.object(
                        document, BUYER, f"goods are on the way for a line that is {document.ended}"
                    )

    def _invoiced(self, said: Invoice) -> None:
        lines = self.lines(said.order_id)
        if not lines or not self._in_currency(
            said.currency, next(iter(lines.values())), said.order_id
        ):
            return
        first = next(iter(lines.values()))
        rate, money = self._money(first, said.currency)
        if abs(float(said.rounding)) * rate * 100 > self.tolerance.value:
            beside = f"{said.rounding:+,.2f}{money} beside its lines"
            reason = f"invoice {said.invoice_id}: its total is {beside}"
            self.object(first, PAYABLES, legible(reason))
        if said.charges:
            added = f"{said.charges:,.2f}{money} in charges"
            self.object(first, PAYABLES, f"invoice {said.invoice_id} adds {added} to its lines")
        for parts in _by_line(said.lines):
            document = self.line(lines, said.order_id, parts[0].line_id, parts[0].item_id)
            sales = [self._sale(document, line.unit, PAYABLES, said.currency) for line in parts]
            if document is None or None in sales:
                continue
            units = _total(document, [line.quantity for line in parts], sales)
            costs = [
                sale.cost(line.unit_cost, document.unit_cost)
                for line, sale in zip(parts, sales, strict=True)
                if sale is not None
            ]
            cost = costs[0]
            if len(parts) > 1 and units:
                spent = zip(parts, sales, costs, strict=True)
                cost = sum(s.holds * line.quantity * c for line, s, c in spent if s) / units
            if said.credits is None:
                self._billed(document, said, units, cost)
            else:
                self._credited(document, said, units, cost)

    def _billed(self, document: Document, said: Invoice, units: float, cost: float) -> None:
        """One line of an invoice."""
        payload = {
            "invoice_id": said.invoice_id,
            "quantity": units,
            "unit_cost": cost,
            "invoiced_on": said.invoiced_on.isoformat(),
        }
        if said.rounding:
            payload["rounding"] = str(said.rounding)
        known = document.invoices.get(said.invoice_id)
        if known and (known["quantity"], known["unit_cost"]) != (units, cost):
            reason = f"invoice {said.invoice_id} came again with other figures; the first one"
            self.object(document, PAYABLES, f"{reason} stands")
        elif self.note(document, "invoiced", payload):
            if why := beyond_its_invoice(document, said.invoice_id):
                about = f"a credit note of invoice {legible(said.invoice_id)} {why}"
                self.object(document, PAYABLES, about)
            settle(self.unit, document, self.tolerance)

    def _credited(self, document: Document, said: Invoice, units: float, cost: float) -> None:
        """One line of a credit note: it takes back of the invoice it names, or of the only one
        there is. What is more than was billed is not taken; what is of an invoice that has not come
        yet waits for it."""
        names = list(document.invoices)
        name = said.credits or (names[0] if len(names) == 1 else "")
        about = f"credit note {legible(said.invoice_id)}"
        known = document.credits.get(said.invoice_id)
        if known and (known["quantity"], known["unit_cost"]) != (units, cost):
            self.object(document, PAYABLES, f"{about} came again with other figures")
            return
        if known:
            return
        if not name:
            which = f"which of {', '.join(names)}" if names else "of which invoice"
            self.object(document, PAYABLES, f"{about} does not say {which} it is; it was not taken")
            return
        credit: dict[str, Any] = {"credit_id": said.invoice_id, "invoice_id": name}
        credit |= {"quantity": units, "unit_cost": cost}
        if why := beyond_its_invoice(document, name, credit):
            self.object(document, PAYABLES, f"{about} {why}; it was not taken")
            return
        invoice = document.invoices.get(name)
        self.note(document, "credited", credit | {"invoiced_on": said.invoiced_on.isoformat()})
        if invoice is None:
            self.object(document, PAYABLES, f"{about} is of invoice {legible(name)}, not here yet")
        elif invoice["status"] == "payment_proposed":
            reason = f"takes {units * cost:,.2f} back of invoice {legible(name)}, whose payment is"
            self.object(document, PAYABLES, f"{about} {reason} proposed already: set it off")
        settle(self.unit, document, self.tolerance)

    def _receipted(self, said: Received) -> None:
        """A 997 or TA1: the partner's translator took or refused one of our messages."""
        query = sa.select(outbox.c.lines).where(
            outbox.c.partner_id == self.partner.partner_id, outbox.c.control == said.control
        )
        carried = self.unit.connection.scalar(query)
        if carried is None:
            self.object(
                self.origin,
                EDI_DESK,
                f"control number {said.control} was never sent to {self.partner.partner_id}",
            )
            return
        for document in self.unit.read_in(documents.c.document_id, list(json.loads(carried))):
            if said.is_accepted:
                self.note(
                    document, "taken", {"control": said.control, "code": "A", "reason": said.note}
                )
            else:
                self.object(
                    document,
                    EDI_DESK,
                    f"the partner's translator refused message {said.control}: {said.note}",
                )

    def _sale(
        self, document: Document | None, unit: str, owner: str, currency: str | None = None
    ) -> Sale | None:
        """How a message counts and prices a line; None, and an exception, where it is in another
        unit than was ordered. Pieces are stock units whatever was ordered."""
        if document is None:
            return None
        sold = document.sold
        if currency is not None and currency != (sold.currency or currency):
            sold = replace(sold, currency="", rate=1.0)  # our own books' bill, in our money
        if is_same(unit, sold.name):
            return sold
        if unit == PIECE:
            return replace(sold, unit="", holds=1.0)
        line = f"line {document.line_id} of order {document.order_id}"
        reason = f"{line} is in '{unit}', it was ordered in '{sold.name}'; the line was not taken"
        self.object(document, owner, legible(reason))
        return None

    def _money(self, document: Document, currency: str | None) -> tuple[float, str]:
        """What one unit of a message's money is worth in ours, and its name where it is not
        ours."""
        sold = document.sold
        if not sold.currency or currency not in (None, sold.currency):
            return 1.0, ""
        return sold.rate, f" {sold.currency}"

    def _in_currency(self, currency: str | None, document: Document, order_id: str) -> bool:
        own = self.partner.costs_in or self.partner.currency
        ours = document.sold.currency or own
        if currency is None or currency == ours or (self.by and currency == own):
            return True
        self.object(
            document,
            BUYER,
            (
                f"order {order_id} is in {ours}, the message in {legible(currency, 9)}; it was not "
                "taken"
            ),
        )
        return False


def _in_stock_units(answer: AcknowledgedLine, document: Document, sale: Sale) -> AcknowledgedLine:
    """A supplier's answer counted in stock units, at the cost of one in our money."""
    price = answer.unit_cost
    return replace(
        answer,
        quantity=sale.counted(answer.quantity, document.quantity),
        unit_cost=None if price is None else sale.cost(price, document.unit_cost),
    )


def _by_line(said: Iterable[Part]) -> list[list[Part]]:
    """What a message says of each line of an order; a line that it does not number is told by its
    item."""
    parts: dict[tuple[str, str], list[Part]] = {}
    for line in said:
        key = (line.line_id, "" if line.line_id else line.item_id)
        parts.setdefault(key, []).append(line)
    return list(parts.values())


def _total(document: Document, said: Sequence[float], sales: Sequence[Sale | None]) -> float:
    """What several lines of a message about one line of an order come to in stock units."""
    counted = [
        sale.counted(units, document.quantity)
        for units, sale in zip(said, sales, strict=True)
        if sale is not None
    ]
    return counted[0] if len(counted) == 1 else sum(counted)


def receive(
    store: Store, body: bytes, partner: Partner, now: datetime, tolerance: Tolerance
) -> Reception:
    """Take what lay in one file, each interchange in it as a delivery of its own, and a transaction
    of its own.

    What is wrong with one of them, foreseen or not, rejects that one: it is kept with the reason,
    and nothing waits for it. A rejected delivery may be offered again, when what was wrong is
    mended on our side. Raises LedgerError where the ledger itself cannot be written: then nothing
    has been said about the delivery.
    """
    pieces = reader_of(body, partner.reader).split(body)
    return _together([_interchange(store, piece, partner, now, tolerance) for piece in pieces])


def _interchange(
    store: Store, body: bytes, partner: Partner, now: datetime, tolerance: Tolerance
) -> Reception:
    try:
        with store.writing(now) as unit:
            return take(unit, body, partner, tolerance)
    except Exception as error:
        # whatever poison it is, it must not stand in the way of what lies behind it
        if isinstance(error, (LedgerError, OSError)) and not isinstance(error, UnkeptError):
            raise  # nobody's message is at fault: the ledger cannot be written
        why = f"it could not be taken: {type(error).__name__}: {legible(str(error), 200)}"
        with store.writing(now) as unit:
            return take(unit, body, partner, tolerance, why)


def _together(receptions: Sequence[Reception]) -> Reception:
    """What became of a whole file: taken where anything in it was, rejected where nothing was news
    and something was wrong."""
    if len(receptions) == 1:
        return receptions[0]
    known = {reception.status for reception in receptions}
    status = next(status for status in ("taken", "rejected", "repeated") if status in known)
    wrong = [(place, r.reason) for place, r in enumerate(receptions, start=1) if r.reason]
    reason = "; ".join(f"interchange {place} of {len(receptions)}: {why}" for place, why in wrong)
    facts, exceptions = sum(r.facts for r in receptions), sum(r.exceptions for r in receptions)
    return Reception(status, reason, facts, exceptions)


def take(
    unit: Unit,
    body: bytes,
    partner: Partner,
    tolerance: Tolerance,
    why: str = "",
    told: Told | None = None,
) -> Reception:
    """Take one delivery into the ledger, or reject it at once where `why` says so.

    The same bytes again change nothing, unless they were rejected and are not any more, or for
    another reason. told: what the bytes say, where they are in no format of the partner's.
    """
    digest = hashlib.sha256(body).hexdigest()
    known = unit.connection.execute(sa.select(inbox).where(inbox.c.sha256 == digest)).first()
    if known is not None and known.status != "rejected":
        return Reception("repeated")
    receiver = Receiver(unit, partner, digest, tolerance, told.by if told else "")
    if told is not None:
        messages = told.messages
    else:
        messages, why = receiver.read(body) if not why else ((), why)
    if known is not None and (known.partner_id, known.reason) == (partner.partner_id, why):
        return Reception("repeated", why)
    reception = receiver.reject(why) if why else receiver.receive(messages)
    row = {
        "sha256": digest,
        "partner_id": partner.partner_id,
        "recorded_at": unit.recorded_at,
        "body": body,
        "status": reception.status,
        "reason": reception.reason,
    }
    if known is None:
        unit.connection.execute(sa.insert(inbox), [row])
    else:
        unit.connection.execute(sa.update(inbox).where(inbox.c.sha256 == digest).values(row))
    return reception
