"""EDIFACT D.96A: orders (ORDERS), changes (ORDCHG) and receipts (CONTRL) out; answers (ORDRSP),
ship notices (DESADV), invoices (INVOIC) and receipts in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial

from models.procurement import edifact_in, edifact_wire, exact_numbers
from models.procurement.codec import Delivery, each
from models.procurement.currencies import money
from models.procurement.edifact_wire import Elements, Interchange
from models.procurement.messages import MessageError, Order, OrderedLine, Party
from models.procurement.unit_codes import code_of
from models.safe_names import legible

Written = tuple[str, Elements]

#: What is asked of a line in a change (1229).
ACTIONS = {"add": "1", "cancel": "2", "change": "3"}
LONGEST_ID, LONGEST_PLACE, LONGEST_ADDRESS = 35, 17, 5 * 35


def _order(order: Order, ours: Party, theirs: Party) -> Iterator[Written]:
    """The body of an ORDERS, or of an ORDCHG, which names what it changes and its own number."""
    is_cancelled = order.is_whole and all(line.action == "cancel" for line in order.lines)
    if order.revision:
        number = _fits(f"{order.order_id}-{order.revision}", LONGEST_ID)
        yield "BGM", ["230", number, "1" if is_cancelled else "4"]
    else:
        yield "BGM", ["220", _fits(order.order_id, LONGEST_ID), "9"]
    lines = () if order.revision and is_cancelled else order.lines
    yield "DTM", [("137", _day(order.ordered_on), "102")]
    if lines:
        yield "DTM", [("2", _day(min(line.due_on for line in lines)), "102")]
    if order.revision:
        yield "RFF", [("ON", order.order_id)]
        yield "RFF", [("PP", number)]
    yield "NAD", ["BY", (_fits(ours.id, LONGEST_PLACE), "", "92")]
    yield "NAD", ["SU", (_fits(theirs.id, LONGEST_PLACE), "", "92")]
    yield "NAD", ["DP", *_place(order.location_id)]
    yield "CUX", [("2", order.currency, "9")]
    for line in lines:
        yield from _line(line, order)
    yield "UNS", ["S"]
    total = sum((_value(line, order.currency) for line in lines), Decimal(0))
    yield "MOA", [("79", exact_numbers.text(total))]
    yield "CNT", [("1", exact_numbers.text(sum(Decimal(repr(line.quantity)) for line in lines)))]
    yield "CNT", [("2", str(len(lines)))]


def _line(line: OrderedLine, order: Order) -> Iterator[Written]:
    action = ACTIONS.get(line.action, "") if order.revision else ""
    yield "LIN", [line.line_id, action, (_fits(line.item_id, LONGEST_ID), "SA")]
    unit = code_of(line.unit, "edifact")
    yield "QTY", [("21", exact_numbers.text(line.quantity), unit)]
    yield "DTM", [("2", _day(line.due_on), "102")]
    yield "MOA", [("203", exact_numbers.text(_value(line, order.currency)))]
    price = ("AAA", exact_numbers.text(line.unit_cost))
    yield "PRI", [(*price, "", "", "1", unit) if line.unit else price]


def _value(line: OrderedLine, currency: str) -> Decimal:
    return money(Decimal(repr(line.quantity)) * Decimal(repr(line.unit_cost)), currency)


def _place(location_id: str) -> Elements:
    """Where goods go: under its code where that fits, else as an address of up to five rows."""
    if len(location_id) <= LONGEST_PLACE:
        return [(location_id, "", "92")]
    name = _fits(location_id, LONGEST_ADDRESS)
    return ["", [name[start : start + 35] for start in range(0, len(name), 35)]]


def _fits(text: str, most: int) -> str:
    if len(text) > most:
        raise MessageError(
            f"'{legible(text, 60)}' has {len(text)} signs, EDIFACT has room for {most}"
        )
    return text


def _day(value: date) -> str:
    return f"{value:%Y%m%d}"


def receipts(interchange: Interchange, control: int, at: datetime, usage: str) -> Iterator[bytes]:
    """What says that an interchange arrived: a CONTRL that names what of it was refused; a CONTRL
    gets none."""
    messages = [message for message in interchange.messages if message.name != "CONTRL"]
    if not messages:
        return
    refused = [m for m in messages if m.fault or m.name not in edifact_in.READERS]
    ends = [(p.id, "" if p.qualifier == "ZZ" else p.qualifier) for p in _ends(interchange)]
    action = "4" if len(refused) == len(messages) else "7"
    body: list[Written] = [("UCI", [interchange.reference, *ends, action])]
    body += [("UCM", [message.reference, message.identifier, "4"]) for message in refused]
    yield edifact_wire.write(
        "CONTRL",
        body,
        interchange.receiver,
        interchange.sender,
        control,
        at,
        usage,
        version="2:2:UN",
    )


def _ends(interchange: Interchange) -> tuple[Party, Party]:
    return interchange.sender, interchange.receiver


@dataclass(frozen=True)
class Edifact:
    """UN/EDIFACT D.96A as a document format."""

    suffix: str = "edifact"
    media_type: str = "application/edifact"
    receipt_type: str = "CONTRL"

    def document_type(self, order: Order) -> str:
        """ORDCHG for a change of an order, ORDERS for an order."""
        return "ORDCHG" if order.revision else "ORDERS"

    def write(
        self, order: Order, ours: Party, theirs: Party, control: int, at: datetime, usage: str
    ) -> bytes:
        """The order as one ORDERS or ORDCHG in an interchange of its own. Raises MessageError where
        EDIFACT cannot say it."""
        body = _order(order, ours, theirs)
        name = self.document_type(order)
        return edifact_wire.write(name, body, ours, theirs, control, at, usage)

    def split(self, body: bytes) -> list[bytes]:
        """The interchanges of one file, in order; put together again they are the body."""
        return edifact_wire.split(body)

    def read(self, body: bytes) -> Delivery:
        """What an interchange's messages say, with the CONTRL it is answered by. Raises
        MessageError where nothing can be read."""
        interchange = edifact_wire.read(body)
        documents = [partial(edifact_in.read, message) for message in interchange.messages]
        return Delivery(
            each(documents, "message"),
            (interchange.sender,),
            (interchange.receiver,),
            interchange.is_test,
            interchange.control,
            interchange.written_at,
            partial(receipts, interchange),
        )
