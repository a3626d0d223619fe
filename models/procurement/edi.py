"""X12 4010: orders (850), changes (860) and receipts (997) out; answers (855, 865), ship notices, invoices and receipts in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal

from models.names import LONGEST, name_of
from models.procurement import x12
from models.procurement.messages import (
    AcknowledgedLine,
    Acknowledgement,
    Invoice,
    InvoicedLine,
    Message,
    MessageError,
    Order,
    Received,
    ShipNotice,
    ShippedLine,
)
from models.procurement.x12 import Interchange, Party, Segment, TransactionSet

#: Line codes that promise goods, and those that promise none.
PROMISED, DENIED = ("IA", "IQ", "IP", "IC", "IB", "DR", "IS"), ("IR", "ID")
#: Of several codes on one line, the one a buyer must hear of first.
GRAVEST = ("IR", "ID", "IB", "IS", "IQ", "IP", "IC", "DR", "IA")


def write(order: Order, sender: Party, receiver: Party, control: int, at: datetime, usage: str = "P") -> str:
    """The order as an 850, or its change as an 860, in its envelope. Raises MessageError where X12 cannot say it."""
    code, group, body = ("850", "PO", _order) if order.revision == 0 else ("860", "PC", _change)
    return x12.write(code, group, body(order), sender, receiver, control, at, usage)


def _order(order: Order) -> Iterator[Segment]:
    yield ["BEG", "00", "SA", order.order_id, "", x12.day(order.ordered_on)]
    yield ["CUR", "BY", order.currency]
    yield ["DTM", "002", x12.day(min(line.due_on for line in order.lines))]
    place = order.location_id
    if not x12.is_plain(place) or len(place) > LONGEST:
        place = name_of(place)
    yield ["N1", "ST", place[:60], "92", place]
    for line in order.lines:
        yield ["PO1", line.line_id, x12.number(line.quantity), "EA", x12.number(line.unit_cost), "", "VP", line.item_id]
        yield ["DTM", "002", x12.day(line.due_on)]
    yield ["CTT", str(len(order.lines)), x12.number(sum(line.quantity for line in order.lines))]


def _change(order: Order) -> Iterator[Segment]:
    is_cancelled = order.is_whole and all(line.action == "cancel" for line in order.lines)
    yield ["BCH", "01" if is_cancelled else "04", "SA", order.order_id, "", str(order.revision), x12.day(order.ordered_on)]
    yield ["CUR", "BY", order.currency]
    lines = () if is_cancelled else order.lines
    for line in lines:
        code = {"add": "AI", "cancel": "DI"}.get(line.action, "CA")
        number = x12.number(line.quantity)
        yield ["POC", line.line_id, code, number, number, "EA", x12.number(line.unit_cost), "", "VP", line.item_id]
        if line.action != "cancel":
            yield ["DTM", "002", x12.day(line.due_on)]
    yield ["CTT", str(len(lines))]


def receipts(interchange: Interchange, control: int, at: datetime, usage: str) -> Iterator[str]:
    """What says that an interchange arrived and could be read: a 997 for each of its groups, from `control` on; a 997 gets none."""
    groups: dict[int, list[TransactionSet]] = {}
    for transaction in interchange.sets:
        groups.setdefault(transaction.group_control, []).append(transaction)
    answered = [(group, sets) for group, sets in groups.items() if sets[0].code != "997"]
    for number, (group, sets) in enumerate(answered, start=control):
        count = str(len(sets))
        body = [["AK1", GROUPS[sets[0].code], str(group)], ["AK9", "A", count, count, count]]
        yield x12.write("997", GROUPS["997"], body, interchange.receiver, interchange.sender, number, at, usage)


def read(body: bytes) -> tuple[Interchange, tuple[Message, ...]]:
    """An interchange and everything it says. Raises MessageError naming the segment and element that is wrong; nothing is guessed."""
    interchange = x12.read(body)
    messages: list[Message] = [_taken(segment) for segment in interchange.receipts]
    for transaction in interchange.sets:
        if transaction.code not in READERS:
            raise MessageError(f"transaction set {transaction.code} is none of {', '.join(READERS)}")
        messages += READERS[transaction.code](transaction)
    return interchange, tuple(messages)


def _acknowledgement(transaction: TransactionSet) -> list[Message]:
    head, change = transaction.segments[0], transaction.code == "865"
    _begins(transaction, "BCA" if change else "BAK")
    loops = _loops(transaction.segments, "POC" if change else "PO1")
    _count(transaction, len(loops))
    lines = tuple(_answer(loop, change) for loop in loops)
    return [Acknowledgement(x12.value(head, 3), x12.value(head, 2), _currency(transaction), lines, change)]


def _answer(loop: Sequence[Segment], change: bool) -> AcknowledgedLine:
    """A line's ACK segments as one answer: promised units added up, the gravest code, the last day."""
    line, shift = loop[0], 1 if change else 0
    unit = x12.value(line, 5 if change else 3)
    acks = [segment for segment in loop if segment[0] == "ACK"]
    if not acks:
        raise MessageError(f"line {x12.value(line, 1)} has no ACK segment")
    for ack in acks:
        if x12.value(ack, 1) not in PROMISED + DENIED:
            raise MessageError(f"line {x12.value(line, 1)}: ACK01 is {ack[1]}, no answer this house knows")
        if x12.value(ack, 3, needed=False) not in ("", unit):
            raise MessageError(f"line {x12.value(line, 1)}: ACK03 is {ack[3]}, the line is in {unit}")
    promised = [x12.quantity(ack, 2) for ack in acks if ack[1] in PROMISED and x12.value(ack, 2, needed=False)]
    days = [x12.on(ack, 5) for ack in acks if x12.value(ack, 5, needed=False)]
    wanted = x12.quantity(line, 2 + shift)
    _base(line, unit)
    code = min((ack[1] for ack in acks), key=GRAVEST.index)
    unsaid = any(ack[1] in PROMISED and not x12.value(ack, 2, needed=False) for ack in acks)
    reason = "; ".join(x12.value(segment, 3, needed=False) for segment in loop if segment[0] == "REF" and segment[1] == "ZZ")
    price = x12.quantity(line, 6 if change else 4) if x12.value(line, 6 if change else 4, needed=False) else None
    total = wanted if unsaid or code == "IB" else sum(promised)
    return AcknowledgedLine(x12.value(line, 1), _item(line), code, total, price, max(days, default=None), reason)


def _ship_notice(transaction: TransactionSet) -> list[Message]:
    _begins(transaction, "BSN")
    order_id, lines, line_id, item_id = "", [], "", ""
    due = [x12.on(s, 2) for s in transaction.segments if s[0] == "DTM" and x12.value(s, 1) in ("017", "067", "002")]
    for segment in transaction.segments:
        if segment[0] == "PRF":
            order_id = x12.value(segment, 1)
        elif segment[0] == "LIN":
            line_id, item_id = x12.value(segment, 1, needed=False), _item(segment)
        elif segment[0] == "SN1":
            _base(segment, x12.value(segment, 3))
            if not order_id or not item_id:
                raise MessageError("SN1 stands outside an order and item: PRF or LIN is missing before it")
            lines.append(ShippedLine(order_id, x12.value(segment, 1, needed=False) or line_id, item_id, x12.quantity(segment, 2)))
    _count(transaction, sum(segment[0] == "HL" for segment in transaction.segments), len(lines))
    return [ShipNotice(x12.value(transaction.segments[0], 2), max(due, default=None), tuple(lines))]


def _invoice(transaction: TransactionSet) -> list[Message]:
    _begins(transaction, "BIG")
    head, items = transaction.segments[0], [s for s in transaction.segments if s[0] == "IT1"]
    _count(transaction, len(items))
    for item in items:
        _base(item, x12.value(item, 3))
    lines = tuple(InvoicedLine(x12.value(s, 1), _item(s), x12.quantity(s, 2), x12.quantity(s, 4)) for s in items)
    totals = [segment for segment in transaction.segments if segment[0] == "TDS"]
    if len(totals) != 1:
        raise MessageError(f"{len(totals)} TDS segments; an invoice has one total")
    goods = sum(_cents(Decimal(str(line.quantity)) * Decimal(str(line.unit_cost))) for line in lines)
    signs = {"C": 1, "A": -1, "N": 0}
    added = 0
    for segment in transaction.segments:
        if segment[0] == "SAC":
            added += signs.get(x12.value(segment, 1), 0) * (x12.integer(segment, 5) if x12.value(segment, 5, needed=False) else 0)
        elif segment[0] == "TXI" and x12.value(segment, 2, needed=False):
            added += _cents(Decimal(str(x12.quantity(segment, 2))))
    x12.expect("TDS01", x12.integer(totals[0], 1), goods + added)
    return [
        Invoice(x12.value(head, 2), x12.value(head, 4), x12.on(head, 1), _currency(transaction), lines, added, goods + added)
    ]  # fmt: skip


def _functional(transaction: TransactionSet) -> list[Message]:
    _begins(transaction, "AK1")
    last = transaction.segments[-1]
    if last[0] != "AK9":
        raise MessageError("AK9 is missing")
    refused = [s for s in transaction.segments if s[0] in ("AK3", "AK4", "AK5") and (s[0] != "AK5" or x12.value(s, 1) not in ("A", "E"))]
    note = "; ".join(" ".join(part for part in segment if part) for segment in refused)
    return [Received(x12.integer(transaction.segments[0], 2), x12.value(last, 1) in ("A", "E"), note)]


def _taken(segment: Segment) -> Received:
    """A TA1: note 025 says that this interchange is there already, which is what a resend hopes to hear."""
    status, note = x12.value(segment, 4), x12.value(segment, 5)
    return Received(x12.integer(segment, 1), status in ("A", "E") or note == "025", f"TA1 {status} {note}")


READERS: dict[str, Callable[[TransactionSet], list[Message]]] = {
    "855": _acknowledgement, "865": _acknowledgement, "856": _ship_notice, "810": _invoice, "997": _functional,
}  # fmt: skip


#: The functional group each of them travels in.
GROUPS = {"855": "PR", "865": "CA", "856": "SH", "810": "IN", "997": "FA"}


def _begins(transaction: TransactionSet, tag: str) -> None:
    if not transaction.segments or transaction.segments[0][0] != tag:
        raise MessageError(f"a {transaction.code} begins with {tag}")


def _loops(segments: Sequence[Segment], tag: str) -> list[list[Segment]]:
    loops: list[list[Segment]] = []
    for segment in segments:
        if segment[0] == tag:
            loops.append([segment])
        elif loops and segment[0] != "CTT":
            loops[-1].append(segment)
    return loops


def _count(transaction: TransactionSet, *counted: int) -> None:
    """CTT01 counts lines; in a ship notice suppliers count either its levels or its items."""
    for segment in transaction.segments:
        if segment[0] == "CTT" and (said := x12.integer(segment, 1)) not in counted:
            x12.expect("CTT01", said, counted[0])


def _currency(transaction: TransactionSet) -> str | None:
    return next((x12.value(segment, 2) for segment in transaction.segments if segment[0] == "CUR"), None)


def _item(segment: Segment) -> str:
    """The item under the qualifier VP (the vendor's part number) or BP (the buyer's)."""
    first = {"LIN": 2, "POC": 8}.get(segment[0], 6)
    pairs = dict(zip(segment[first::2], segment[first + 1 :: 2], strict=False))
    return pairs.get("VP") or pairs.get("BP") or ""


def _base(segment: Segment, unit: str) -> None:
    if unit != "EA":
        raise MessageError(f"{segment[0]} of line {x12.value(segment, 1, needed=False)} is in {unit}; orders are in EA")


def _cents(amount: Decimal) -> int:
    return int((amount * 100).to_integral_value(ROUND_HALF_UP))
