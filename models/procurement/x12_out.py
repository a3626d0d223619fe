"""X12 4010: orders (850), changes (860) and receipts (997) out; answers (855, 865), ship notices,
invoices and receipts in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from models.procurement import x12, x12_in
from models.procurement.codec import Delivery, each
from models.procurement.messages import Acknowledgement, Message, Order, Party
from models.procurement.unit_codes import code_of
from models.procurement.x12 import Interchange, Segment, TransactionSet
from models.safe_names import LONGEST, name_of

#: The functional group in which each transaction set that comes in travels.
GROUPS = {"855": "PR", "865": "CA", "856": "SH", "810": "IN", "997": "FA"}


def write(
    order: Order, sender: Party, receiver: Party, control: int, at: datetime, usage: str = "P"
) -> str:
    """The order as an 850, or its change as an 860, in its envelope. Raises MessageError where X12
    cannot say it."""
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
        yield [
            "PO1",
            line.line_id,
            x12.number(line.quantity),
            code_of(line.unit, "x12"),
            x12.number(line.unit_cost),
            "",
            "VP",
            line.item_id,
        ]
        yield ["DTM", "002", x12.day(line.due_on)]
    yield [
        "CTT",
        str(len(order.lines)),
        x12.number(sum(line.quantity for line in order.lines)),
    ]


def _change(order: Order) -> Iterator[Segment]:
    is_cancelled = order.is_whole and all(line.action == "cancel" for line in order.lines)
    yield [
        "BCH",
        "01" if is_cancelled else "04",
        "SA",
        order.order_id,
        "",
        str(order.revision),
        x12.day(order.ordered_on),
    ]
    yield ["CUR", "BY", order.currency]
    lines = () if is_cancelled else order.lines
    for line in lines:
        code = {"add": "AI", "cancel": "DI"}.get(line.action, "CA")
        number = x12.number(line.quantity)
        yield [
            "POC",
            line.line_id,
            code,
            number,
            number,
            code_of(line.unit, "x12"),
            x12.number(line.unit_cost),
            "",
            "VP",
            line.item_id,
        ]
        if line.action != "cancel":
            yield ["DTM", "002", x12.day(line.due_on)]
    yield ["CTT", str(len(lines))]


def write_answer(
    answer: Acknowledgement,
    sender: Party,
    receiver: Party,
    control: int,
    at: datetime,
    usage: str = "P",
) -> str:
    """A supplier's answer as its own system would send it: an 855 to an order, an 865 to a change.

    Raises MessageError where X12 cannot say it.
    """
    code = "865" if answer.is_change else "855"
    body = _answer(answer, at)
    return x12.write(code, GROUPS[code], body, sender, receiver, control, at, usage)


def _answer(answer: Acknowledgement, at: datetime) -> Iterator[Segment]:
    head = ["BCA" if answer.is_change else "BAK", "00", "AC", answer.order_id]
    yield [*head, "", "", x12.day(at)] if answer.is_change else [*head, x12.day(at)]
    if answer.currency:
        yield ["CUR", "BY", answer.currency]
    for line in answer.lines:
        price = "" if line.unit_cost is None else x12.number(line.unit_cost)
        units = x12.number(line.quantity)
        unit = code_of(line.unit, "x12")
        goods = [unit, price, "", "VP", line.item_id]
        if answer.is_change:
            yield ["POC", line.line_id, "CA", units, units, *goods]
        else:
            yield ["PO1", line.line_id, units, *goods]
        if line.reason:
            yield ["REF", "ZZ", "", " ".join(line.reason.split())[:80]]
        day = [] if line.due_on is None else ["002", x12.day(line.due_on)]
        yield ["ACK", line.code, units, unit, *day]
    yield ["CTT", str(len(answer.lines))]


def receipts(interchange: Interchange, control: int, at: datetime, usage: str) -> Iterator[str]:
    """What says that an interchange arrived and could be read: a 997 for each of its groups, from
    `control` on; a 997 gets none."""
    groups: dict[int, list[TransactionSet]] = {}
    for transaction in interchange.sets:
        groups.setdefault(transaction.group_control, []).append(transaction)
    answered = [(group, sets) for group, sets in groups.items() if sets[0].code != "997"]
    for number, (group, sets) in enumerate(answered, start=control):
        code = next((GROUPS[one.code] for one in sets if one.code in GROUPS), "")
        refused = [one for one in sets if one.fault or one.code not in GROUPS]
        body = [["AK1", code, str(group)]]
        for one in refused:
            body += [["AK2", one.code, one.control], ["AK5", "R"]]
        count, taken = len(sets), len(sets) - len(refused)
        verdict = "R" if not taken else "P" if refused else "A"
        body.append(["AK9", verdict, str(count), str(count), str(taken)])
        yield x12.write(
            "997", GROUPS["997"], body, interchange.receiver, interchange.sender, number, at, usage
        )


def read(body: bytes) -> tuple[Interchange, tuple[Message, ...]]:
    """An interchange and everything it says; a transaction set that cannot be read is odd, the
    others are read.

    Raises MessageError naming the segment and element that is wrong where nothing of it can be
    read; nothing is guessed.
    """
    interchange = x12.read(body)
    taken = [x12_in.taken(segment) for segment in interchange.receipts]
    sets = [partial(x12_in.read, transaction) for transaction in interchange.sets]
    return interchange, each(sets, "transaction set", taken)


@dataclass(frozen=True)
class X12:
    """X12 4010 as a document format."""

    suffix: str = "edi"
    media_type: str = "application/edi-x12"
    receipt_type: str = "997"

    def document_type(self, order: Order) -> str:
        """860 for a change of an order, 850 for an order."""
        return "860" if order.revision else "850"

    def write(
        self, order: Order, ours: Party, theirs: Party, control: int, at: datetime, usage: str
    ) -> bytes:
        """The order as one 850 or 860 in an interchange of its own. Raises MessageError where X12
        cannot say it."""
        return write(order, ours, theirs, control, at, usage).encode()

    def split(self, body: bytes) -> list[bytes]:
        """The interchanges of one file, in order; put together again they are the body."""
        return x12.split(body)

    def read(self, body: bytes) -> Delivery:
        """What an interchange's 855, 865, 856, 810 and 997 say, with the receipt (997) it is
        answered by. Raises MessageError where nothing can be read."""
        interchange, messages = read(body)

        def answered(control: int, at: datetime, usage: str) -> Iterable[bytes]:
            return (text.encode() for text in receipts(interchange, control, at, usage))

        return Delivery(
            messages,
            (interchange.sender,),
            (interchange.receiver,),
            interchange.is_test,
            interchange.control,
            interchange.written_at,
            answered,
        )
