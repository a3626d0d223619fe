"""What suppliers say in X12 (855, 865, 856, 810, 997, TA1), as messages: a line that is odd is
named, and the lines beside it are taken.

Every segment that could mean something is read, or named as unread for a person; nothing is
guessed, nothing is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import TypeVar

from models.procurement import x12
from models.procurement.codec import each_line
from models.procurement.currencies import HUNDREDTH, rounded
from models.procurement.invoice_totals import rounding_of, unit_of
from models.procurement.messages import (
    BUYER,
    DENIED,
    GRAVEST,
    PAYABLES,
    PROMISED,
    AcknowledgedLine,
    Acknowledgement,
    Invoice,
    InvoicedLine,
    Message,
    MessageError,
    Odd,
    OddLineError,
    Received,
    ShipNotice,
    ShippedLine,
)
from models.procurement.unit_codes import unit_read
from models.procurement.x12 import Segment, TransactionSet

Line = TypeVar("Line")

#: Line codes that only a person can answer (X12 element 668), in words.
FOR_A_PERSON = {
    "AC": "accepted and shipped",
    "AR": "accepted and released for shipment",
    "BP": "accepted in part, the balance is backordered",
    "IE": "accepted, price pending",
    "IF": "on hold, the description is incomplete",
    "IH": "on hold",
    "IW": "on hold, waiting for a waiver",
    "R1": "rejected, no contract item",
    "R2": "rejected, invalid item number",
    "R3": "rejected, invalid unit",
    "R4": "rejected, contract item not available",
    "R5": "rejected, reorder item",
    "R6": "rejected, see the other items",
    "R7": "rejected, not sold to you",
    "R8": "rejected, no price",
    "SP": "accepted, its day is pending",
}
#: What the head of an answer says of the order as a whole (X12 element 587): all of it, none of it,
#: or more than we can take.
TAKEN_WHOLE, REFUSED_WHOLE = ("AC", "AD", "AE", "AK", "AT"), ("RD", "RJ")
#: Purposes (X12 element 353) of a message that stands by itself; any other takes back or replaces
#: an earlier one.
ORIGINAL = ("", "00", "06", "07")
#: The kinds of bill that take back of an invoice.
CREDITS = ("CN", "CR")
#: Which days of a DTM or ACK say when goods arrive, when they leave, and which say nothing about
#: that.
ARRIVES = ("002", "017", "067", "069", "070", "074", "371")
LEAVES = ("010", "011", "068", "071", "079")
OTHER_DAYS = ("003", "004", "009", "097", "137")

_PARTIES = (
    "REF",
    "PER",
    "N1",
    "N2",
    "N3",
    "N4",
    "CUR",
    "CTT",
    "FOB",
    "ITD",
    "TD1",
    "TD3",
    "TD4",
    "TD5",
    "PID",
    "AMT",
)
#: The segments of each transaction set that are read here, or say nothing about goods, days or
#: money.
SEGMENTS = {
    "855": {"BAK", "PO1", "ACK", "DTM", *_PARTIES},
    "865": {"BCA", "POC", "ACK", "DTM", *_PARTIES},
    "856": {"BSN", "HL", "PRF", "LIN", "SN1", "DTM", "MAN", "PO4", "PKG", "MEA", *_PARTIES},
    "810": {"BIG", "IT1", "DTM", "TDS", "TXI", "SAC", "CAD", "ISS", "PO4", *_PARTIES},
}


def read(transaction: TransactionSet) -> list[Message]:
    """Everything one transaction set says. Raises MessageError where it is none, or nothing in it
    can be read."""
    if transaction.fault:
        raise MessageError(transaction.fault)
    if transaction.code not in READERS:
        raise MessageError(f"transaction set {transaction.code} is none of {', '.join(READERS)}")
    messages = READERS[transaction.code](transaction)
    unread = [s for s in transaction.segments if s[0] not in SEGMENTS.get(transaction.code, {s[0]})]
    if unread:
        owner = PAYABLES if transaction.code == "810" else BUYER
        texts = "; ".join(_text(segment) for segment in unread[:5])
        more = f" and {len(unread) - 5} more" if len(unread) > 5 else ""
        messages.append(
            Odd(
                _order_of(messages), "", f"it also says what is not read here: {texts}{more}", owner
            )
        )
    return messages


def taken(segment: Segment) -> Received:
    """A TA1: note 025 says that this interchange is there already, which is what a resend hopes to
    hear."""
    status, note = x12.value(segment, 4), x12.value(segment, 5)
    is_accepted = status in ("A", "E") or note == "025"
    return Received(x12.integer(segment, 1, 9), is_accepted, f"TA1 {status} {note}")


def _acknowledgement(transaction: TransactionSet) -> list[Message]:
    change = transaction.code == "865"
    head = _begins(transaction, "BCA" if change else "BAK")
    loops = _loops(transaction.segments, "POC" if change else "PO1")
    _count(transaction, len(loops))
    order_id, status = x12.value(head, 3), x12.value(head, 2)
    if (purpose := x12.value(head, 1, needed=False)) not in ORIGINAL:
        return [
            Odd(
                order_id,
                "",
                f"the answer's purpose is {purpose}: it takes back or replaces another",
                BUYER,
            )
        ]
    before = [
        s
        for s in transaction.segments[: len(transaction.segments) - sum(map(len, loops))]
        if s[0] == "DTM"
    ]
    day = _day(before)
    lines, odd = each_line(_numbered(loops, partial(_answer, change=change)), order_id, BUYER)
    lines = [replace(line, due_on=line.due_on or day) for line in lines]
    if not loops and status not in TAKEN_WHOLE + REFUSED_WHOLE:
        reason = f"the answer as a whole is {status}, and it names no line"
        return [Odd(order_id, "", reason, BUYER)]
    is_of_all = not loops or status == "AE"  # AE lists the exceptions alone
    rest = ("IR" if status in REFUSED_WHOLE else "IA") if is_of_all else ""
    named = tuple(x12.value(loop[0], 1, needed=False) for loop in loops)
    currency = _currency(transaction)
    return [Acknowledgement(order_id, currency, tuple(lines), change, rest, named, day), *odd]


def _answer(loop: Sequence[Segment], change: bool) -> AcknowledgedLine:
    """A line's ACK segments as one answer: promised units added up, the gravest code, the last
    day."""
    line, shift = loop[0], 1 if change else 0
    unit = x12.value(line, 3 + 2 * shift)
    acks = [segment for segment in loop if segment[0] == "ACK"]
    if not acks:
        raise OddLineError("it has no ACK segment")
    codes = [x12.value(ack, 1) for ack in acks]
    for code in codes:
        if code not in PROMISED + DENIED:
            what = FOR_A_PERSON.get(code, "no answer this house knows")
            raise OddLineError(f"ACK01 is {code}, {what}: {'; '.join(map(_text, acks))}")
    for ack in acks:
        if x12.value(ack, 3, needed=False) not in ("", unit):
            raise OddLineError(f"ACK03 is {ack[3]}, the line is in {unit}")
    goods = [ack for ack, code in zip(acks, codes, strict=True) if code in PROMISED]
    promised = [x12.quantity(ack, 2) for ack in goods if x12.value(ack, 2, needed=False)]
    ordered = x12.quantity(line, 2 + shift)
    code = min(codes, key=GRAVEST.index)
    reason = "; ".join(
        text
        for s in loop
        if s[0] == "REF" and x12.value(s, 1, needed=False) == "ZZ"
        if (text := x12.value(s, 3, needed=False) or x12.value(s, 2, needed=False))
    )
    priced = 4 + 2 * shift
    price = x12.quantity(line, priced) if x12.value(line, priced, needed=False) else None
    total = ordered if len(promised) < len(goods) or code == "IB" else sum(promised)
    days = [x12.on(ack, 5) for ack in acks if x12.value(ack, 5, needed=False)]
    due = [*days, *filter(None, [_day([s for s in loop if s[0] == "DTM"])])]
    line_id, item_id = x12.value(line, 1, needed=False), _item(line)
    day = max(due, default=None)
    named = unit_read(unit, "x12")
    return AcknowledgedLine(line_id, item_id, code, total, price, day, reason, named)


def _ship_notice(transaction: TransactionSet) -> list[Message]:
    head = _begins(transaction, "BSN")
    shipment_id = x12.value(head, 2)
    if (purpose := x12.value(head, 1, needed=False)) not in ORIGINAL:
        reason = f"the ship notice's purpose is {purpose}: it takes back or replaces another"
        return [Odd("", "", f"shipment {shipment_id}: {reason}", BUYER)]
    due = _day(
        segment
        for segment in transaction.segments
        if segment[0] == "DTM" and x12.value(segment, 1) not in LEAVES
    )
    order_id, loops = "", list[tuple[str, Segment, Segment]]()
    item: Segment = ()
    for segment in transaction.segments:
        if segment[0] == "PRF":
            order_id, item = x12.value(segment, 1), ()
        elif segment[0] == "LIN":
            item = segment
        elif segment[0] == "SN1":
            loops.append((order_id, item, segment))
    levels = sum(segment[0] == "HL" for segment in transaction.segments)
    _count(transaction, levels, len(loops))
    messages: list[Message] = []
    lines: list[ShippedLine] = []
    for name in dict.fromkeys(order for order, _, _ in loops):
        mine = [loop for loop in loops if loop[0] == name]
        numbered = [(_number(loop[-1]), partial(_shipped, loop)) for loop in mine]
        shipped, odd = each_line(numbered, name, BUYER)
        lines += shipped
        messages += odd
    return [ShipNotice(shipment_id, due, tuple(lines)), *messages]


def _shipped(loop: tuple[str, Segment, Segment]) -> ShippedLine:
    order_id, item, goods = loop
    line_id = x12.value(goods, 1, needed=False) or (
        x12.value(item, 1, needed=False) if item else ""
    )
    if not order_id or not item:
        raise MessageError("SN1 stands outside an order and item: PRF or LIN is missing before it")
    unit, item_id = unit_read(x12.value(goods, 3), "x12"), _item(item)
    if not item_id:
        raise OddLineError(
            f"{x12.quantity(goods, 2):g} units of an item that only {_text(item)} names are "
            "on the way"
        )
    return ShippedLine(order_id, line_id, item_id, x12.quantity(goods, 2), unit)


def _unsigned(transaction: TransactionSet) -> TransactionSet:
    """A credit note whose figures say without a sign what is given back, as most write them."""
    signed = {"IT1": 2, "TDS": 1, "TXI": 2}
    segments = [list(segment) for segment in transaction.segments]
    for segment in segments:
        place = signed.get(segment[0], 0)
        if place and len(segment) > place:
            segment[place] = segment[place].removeprefix("-")
    return replace(transaction, segments=tuple(segments))


def _invoice(transaction: TransactionSet) -> list[Message]:
    if x12.value(_begins(transaction, "BIG"), 7, needed=False) in CREDITS:
        transaction = _unsigned(transaction)
    head, loops = _begins(transaction, "BIG"), _loops(transaction.segments, "IT1")
    _count(transaction, len(loops))
    invoice_id, order_id = x12.value(head, 2), x12.value(head, 4, needed=False)
    invoiced_on = x12.on(head, 1)
    kind, purpose = (x12.value(head, place, needed=False) for place in (7, 8))
    if purpose not in ORIGINAL:
        what = f"invoice {invoice_id} is of purpose {purpose}; it was not taken"
        return [Odd(order_id, "", what, PAYABLES)]
    credits = _credited(transaction) if kind in CREDITS else None
    added, difference = _added(transaction), Decimal(0)
    try:
        goods = [x12.exact(loop[0], 2) * x12.exact(loop[0], 4) for loop in loops]
        difference = _difference(transaction, goods, added)
    except OddLineError as error:
        raise MessageError(str(error)) from error
    except MessageError as error:
        if "TDS" in str(error) or len(loops) == 1:
            raise
        goods = []  # a line has no figures: the total cannot be held against the others
    messages: list[Message] = []
    by_order: dict[str, list[list[Segment]]] = {}
    for loop in loops:
        by_order.setdefault(_order_in(loop) or order_id, []).append(loop)
    for place, (name, mine) in enumerate(by_order.items()):
        about = f"invoice {invoice_id}: "
        lines, odd = each_line(_numbered(mine, _billed), name, PAYABLES, about)
        messages += odd
        if not name:
            messages.append(
                Odd(
                    "",
                    "",
                    f"invoice {invoice_id} names no order for {len(lines)} of its lines",
                    PAYABLES,
                )
            )
        elif lines:
            amounts = (added, difference) if place == 0 else (Decimal(0), Decimal(0))
            money = _currency(transaction)
            bill = Invoice(invoice_id, name, invoiced_on, money, tuple(lines), *amounts, credits)
            messages.append(bill)
    if not goods and loops:
        messages.append(
            Odd(
                order_id,
                "",
                f"invoice {invoice_id}: its total cannot be checked, a line has no figures",
                PAYABLES,
            )
        )
    return messages


def _billed(loop: Sequence[Segment]) -> InvoicedLine:
    item = loop[0]
    units, cost = x12.quantity(item, 2), x12.quantity(item, 4)
    unit = unit_read(x12.value(item, 3), "x12")
    named = next(
        (x12.value(s, 2) for s in loop if s[0] == "REF" and x12.value(s, 1, needed=False) == "LI"),
        "",
    )
    line_id = named or _pairs(item).get("PL") or x12.value(item, 1, needed=False)
    return InvoicedLine(line_id, _item(item), units, cost, unit)


def _credited(transaction: TransactionSet) -> str:
    """The invoice that a credit note takes back of: the first that REF names, before its lines."""
    for segment in transaction.segments:
        if segment[0] == "IT1":
            break
        if segment[0] == "REF" and x12.value(segment, 1, needed=False) in ("OI", "IV", "I5"):
            return x12.value(segment, 2)
    return ""


def _difference(transaction: TransactionSet, goods: Sequence[Decimal], added: Decimal) -> Decimal:
    """What the total is more than its lines, in the invoice's currency. X12 writes totals in
    hundredths whatever the currency. Raises MessageError where rounding does not make it."""
    totals = [segment for segment in transaction.segments if segment[0] == "TDS"]
    if len(totals) != 1:
        raise MessageError(f"{len(totals)} TDS segments; an invoice has one total")
    total = x12.integer(totals[0], 1) * HUNDREDTH
    return rounding_of("TDS01", total, added, goods, _currency(transaction), HUNDREDTH)


def _added(transaction: TransactionSet) -> Decimal:
    """Charges less allowances, and taxes, in the invoice's currency."""
    signs, added = {"C": 1, "A": -1, "N": 0}, Decimal(0)
    unit = unit_of(_currency(transaction))
    for segment in transaction.segments:
        if segment[0] == "SAC" and x12.value(segment, 5, needed=False):
            sign = signs.get(x12.value(segment, 1), 0)
            added += sign * x12.integer(segment, 5) * HUNDREDTH
        elif segment[0] == "TXI" and x12.value(segment, 2, needed=False):
            added += rounded(x12.exact(segment, 2), unit)
    return added


def _functional(transaction: TransactionSet) -> list[Message]:
    head, last = _begins(transaction, "AK1"), transaction.segments[-1]
    if last[0] != "AK9":
        raise MessageError("AK9 is missing")
    refused = [
        s
        for s in transaction.segments
        if s[0] in ("AK3", "AK4") or (s[0] == "AK5" and x12.value(s, 1) not in ("A", "E"))
    ]
    note = "; ".join(" ".join(part for part in segment if part) for segment in refused)
    return [Received(x12.integer(head, 2, 9), x12.value(last, 1) in ("A", "E"), note)]


READERS: dict[str, Callable[[TransactionSet], list[Message]]] = {
    "855": _acknowledgement,
    "865": _acknowledgement,
    "856": _ship_notice,
    "810": _invoice,
    "997": _functional,
}


def _numbered(
    loops: Sequence[Sequence[Segment]], read_one: Callable[[Sequence[Segment]], Line]
) -> list[tuple[str, Callable[[], Line]]]:
    return [(_number(loop[0]), partial(read_one, loop)) for loop in loops]


def _number(segment: Segment) -> str:
    return x12.value(segment, 1, needed=False)


def _begins(transaction: TransactionSet, tag: str) -> Segment:
    if not transaction.segments or transaction.segments[0][0] != tag:
        raise MessageError(f"a {transaction.code} begins with {tag}")
    return transaction.segments[0]


def _loops(segments: Sequence[Segment], tag: str) -> list[list[Segment]]:
    """The lines, each with what follows it, up to the totals."""
    loops: list[list[Segment]] = []
    is_open = False
    for segment in segments:
        if segment[0] == tag:
            loops.append([segment])
            is_open = True
        elif segment[0] in ("CTT", "TDS"):
            is_open = False
        elif is_open:
            loops[-1].append(segment)
    return loops


def _count(transaction: TransactionSet, *counted: int) -> None:
    """CTT01 counts lines; in a ship notice suppliers count either its levels or its items."""
    for segment in transaction.segments:
        if segment[0] == "CTT" and (stated := x12.integer(segment, 1)) not in counted:
            x12.expect("CTT01", stated, counted[0])


def _day(segments: Iterable[Segment]) -> date | None:
    """The last day these DTM segments name for arrival, else for leaving; raises for a kind of day
    nobody here knows."""
    days: dict[str, list[date]] = {}
    for segment in segments:
        kind = x12.value(segment, 1)
        if kind not in ARRIVES + LEAVES + OTHER_DAYS:
            raise OddLineError(f"{_text(segment)} names a kind of day that is not read here")
        days.setdefault(kind, []).append(x12.on(segment, 2))
    arrives, leaves = (
        [day for kind in kinds for day in days.get(kind, ())] for kinds in (ARRIVES, LEAVES)
    )
    return max(arrives or leaves, default=None)


def _currency(transaction: TransactionSet) -> str | None:
    return next(
        (x12.value(segment, 2) for segment in transaction.segments if segment[0] == "CUR"),
        None,
    )


def _pairs(segment: Segment) -> dict[str, str]:
    first = {"LIN": 2, "POC": 8}.get(segment[0], 6)
    return dict(zip(segment[first::2], segment[first + 1 :: 2], strict=False))


def _item(segment: Segment) -> str:
    """The item under the qualifier VP (the vendor's part number) or BP (the buyer's)."""
    pairs = _pairs(segment)
    return pairs.get("VP") or pairs.get("BP") or ""


def _order_in(loop: Sequence[Segment]) -> str:
    """The order that one line of an invoice names for itself."""
    named = next(
        (x12.value(s, 2) for s in loop if s[0] == "REF" and x12.value(s, 1, needed=False) == "PO"),
        "",
    )
    return named or _pairs(loop[0]).get("PO", "")


def _order_of(said: Sequence[Message]) -> str:
    return next(
        (
            message.order_id
            for message in said
            if isinstance(message, (Acknowledgement, Invoice, Odd))
        ),
        "",
    )


def _text(segment: Segment) -> str:
    """A segment as people may read it."""
    return " ".join(part for part in segment if part)[:120]
