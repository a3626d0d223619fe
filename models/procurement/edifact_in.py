"""What suppliers say in EDIFACT D.96A (ORDRSP, DESADV, INVOIC, CONTRL), as messages: a line that is
odd is named, and the lines beside it are taken.

Every segment that could mean something is read, or named as unread for a person; nothing is
guessed, nothing is passed over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import TypeVar

from models.procurement import exact_numbers
from models.procurement.answer_codes import AMENDED, REFUSED, TAKEN
from models.procurement.codec import each_line
from models.procurement.edifact_wire import EdiMessage, Segment
from models.procurement.invoice_totals import Bill, BilledLine
from models.procurement.messages import (
    BUYER,
    PAYABLES,
    AcknowledgedLine,
    Acknowledgement,
    Message,
    MessageError,
    Odd,
    OddLineError,
    Received,
    ShipNotice,
    ShippedLine,
)
from models.procurement.unit_codes import PIECE, unit_read

Line = TypeVar("Line")
Loop = Sequence[Segment]

#: The directory whose messages are read.
VERSION = "D:96A"
#: Message functions (1225) that stand by themselves; any other takes back or replaces an earlier
#: message.
ORIGINAL = ("", "4", "6", "7", "9", "11", "27", "28", "29", "30")
TAKEN_WHOLE, REFUSED_WHOLE = "29", "27"
#: Which days (2005) say when goods arrive, what we asked for, when they leave, and which say
#: nothing about that.
ARRIVES, ASKED = ("17", "63", "67", "69", "76", "132", "191", "358"), ("2",)
LEAVES = ("10", "11", "38", "79", "81", "110", "111")
OTHER_DAYS = ("3", "4", "7", "9", "13", "35", "36", "131", "137", "140", "143", "157", "171", "263")
#: How a day is written (2379), and which end of a span counts.
DAYS = {
    "101": (6, "%y%m%d"),
    "102": (8, "%Y%m%d"),
    "201": (10, "%y%m%d%H%M"),
    "203": (12, "%Y%m%d%H%M"),
    "204": (14, "%Y%m%d%H%M%S"),
}
SPAN = "718"
#: Whose number of the item (7143) is ours: the supplier's article, the vendor's, the buyer's.
OUR_ITEM = ("SA", "VP", "IN", "BP", "")
#: Prices (5125) without allowances and charges still to come.
NET = ("AAA", "CAL", "INV", "CT", "CON")

_SILENT = {
    *("BGM", "NAD", "LOC", "FII", "RFF", "CTA", "COM", "CUX", "FTX", "IMD", "PIA", "PAT", "TOD"),
    *("TDT", "DOC", "PAI", "ALI", "CNT", "UNS", "DTM", "LIN", "QTY", "MEA", "PAC", "PCI", "GIN"),
    *("GIR", "QVR", "SCC", "HAN", "EQD", "SEL", "CPS", "DGS"),
}
#: The segments of each message that are read here, or say nothing about goods, days or money.
SEGMENTS = {
    "ORDRSP": _SILENT | {"PRI", "MOA", "TAX"},
    "DESADV": _SILENT,
    "INVOIC": _SILENT | {"PRI", "MOA", "TAX", "ALC", "PCD", "RNG", "INP", "APR"},
}


def read(message: EdiMessage) -> list[Message]:
    """Everything one message says. Raises MessageError where it is none, or nothing in it can be
    read."""
    if message.fault:
        raise MessageError(message.fault)
    if message.name not in READERS:
        raise MessageError(f"message '{message.name[:20]}' is none of {', '.join(READERS)}")
    if message.name != "CONTRL" and message.version != VERSION:
        raise MessageError(f"{message.name} is of {message.version[:20]}, {VERSION} is read here")
    messages = READERS[message.name](message)
    allowed = SEGMENTS.get(message.name)
    unread = [s for s in message.segments if allowed is not None and s.tag not in allowed]
    if unread:
        owner = PAYABLES if message.name == "INVOIC" else BUYER
        texts = "; ".join(str(segment) for segment in unread[:5])
        more = f" and {len(unread) - 5} more" if len(unread) > 5 else ""
        reason = f"it also says what is not read here: {texts}{more}"
        messages.append(Odd(_reference(message.segments, "ON"), "", reason, owner))
    return messages


def _answer(message: EdiMessage) -> list[Message]:
    head, loops = _parts(message)
    order_id = _reference(head, "ON", needed=True)
    function = _begins(head).get(3)
    if function not in ORIGINAL:
        reason = f"the answer's function is {function}: it takes back or replaces another"
        return [Odd(order_id, "", reason, BUYER)]
    if not loops and function not in (TAKEN_WHOLE, REFUSED_WHOLE):
        reason = f"the answer as a whole is {function or 'unsaid'}, and it names no line"
        return [Odd(order_id, "", reason, BUYER)]
    day, unread = _day_of_all(head, order_id)
    lines, odd = each_line(_numbered(loops, partial(_answered, day=day)), order_id, BUYER)
    rest = "" if loops else "IA" if function == TAKEN_WHOLE else "IR"
    named = tuple(loop[0].get(1) for loop in loops)
    is_change = bool(_reference(head, "PP"))
    currency = _currency(head)
    said = Acknowledgement(order_id, currency, tuple(lines), is_change, rest, named, day)
    return [said, *unread, *odd]


def _answered(loop: Loop, day: date | None) -> AcknowledgedLine:
    """A line's answer: what was asked for (QTY 21), what will come (113) and what comes later
    (83)."""
    line = loop[0]
    action, item_id = line.get(2), _item(loop)
    line_id = line.get(1)
    due = _day(segment for segment in loop if segment.tag == "DTM") or day
    reason = "; ".join(_free_text(segment) for segment in loop if segment.tag == "FTX")
    unit = _unit(loop, "21", "113", "83")
    price = _price(loop, unit)
    cost = None if price is None else float(price)
    if action in REFUSED:
        return AcknowledgedLine(line_id, item_id, REFUSED[action], 0.0, cost, due, reason)
    if action not in (*TAKEN, *AMENDED):
        raise OddLineError(f"LIN02.1 is {action[:5]}, no answer that is read here: {line}")
    asked, coming, later = (_quantity(loop, kind) for kind in ("21", "113", "83"))
    promised = coming if coming is not None else asked
    if promised is None:
        raise MessageError(f"QTY 113 or 21 is missing behind {line}")
    ordered = promised if asked is None else asked
    if later:
        return AcknowledgedLine(line_id, item_id, "IB", float(ordered), cost, due, reason, unit)
    code = "IQ" if promised != ordered else "IA" if action in TAKEN else "DR" if due else "IC"
    return AcknowledgedLine(line_id, item_id, code, float(promised), cost, due, reason, unit)


def _ship_notice(message: EdiMessage) -> list[Message]:
    head, loops = _parts(message)
    begin = _begins(head)
    shipment_id, order_id = begin.need(2), _reference(head, "ON")
    if begin.get(3) not in ORIGINAL:
        reason = f"its function is {begin.get(3)}: it takes back or replaces another"
        return [Odd(order_id, "", f"shipment {shipment_id}: {reason}", BUYER)]
    heard = [s for s in head if s.tag == "DTM" and s.get(1) not in (*LEAVES, *ASKED)]
    due, unread = _day_of_all(heard, order_id)
    by_order: dict[str, list[Loop]] = {}
    for loop in loops:
        by_order.setdefault(_reference(loop, "ON") or order_id, []).append(loop)
    messages: list[Message] = [*unread]
    lines: list[ShippedLine] = []
    for name, mine in by_order.items():
        shipped, odd = each_line(_numbered(mine, partial(_shipped, order_id=name)), name, BUYER)
        lines += shipped
        messages += odd
    return [ShipNotice(shipment_id, due, tuple(lines)), *messages]


def _shipped(loop: Loop, order_id: str) -> ShippedLine:
    units, item_id = _quantity(loop, "12"), _item(loop)
    if units is None:
        raise MessageError(f"QTY 12 is missing behind {loop[0]}")
    if not order_id:
        raise MessageError(f"RFF ON is missing before and behind {loop[0]}")
    if not item_id:
        raise OddLineError(f"{units:g} units of an item that only {loop[0]} names are coming")
    unit = _unit(loop, "12")
    return ShippedLine(order_id, _order_line(loop), item_id, float(units), unit)


def _invoice(message: EdiMessage) -> list[Message]:
    head, loops = _parts(message)
    begin = _begins(head)
    invoice_id, order_id = begin.need(2), _reference(head, "ON")
    kind, function = begin.get(1), begin.get(3)
    if kind not in ("380", "381") or function not in ("", "9", "7"):
        what = f"of kind {kind} and function {function}"
        return [Odd(order_id, "", f"invoice {invoice_id} is {what}; it was not taken", PAYABLES)]
    issued = [s for s in head if s.tag == "DTM" and s.get(1) in ("137", "3")]
    if not issued:
        raise MessageError("DTM 137 is missing: an invoice has a day")
    summary = _behind(message.segments, "UNS")
    bill = Bill(
        invoice_id,
        order_id,
        _on(issued[0]),
        _currency(head),
        _total(summary),
        _charges(message.segments) + _tax(message.segments, summary),
        _reference(head, "IV") if kind == "381" else None,
    )
    return bill.messages(_numbered(loops, _billed))


def _billed(loop: Loop) -> BilledLine:
    unit = _unit(loop, "47")
    units, price = _quantity(loop, "47"), _price(loop, unit)
    if units is None or price is None:
        raise MessageError(f"QTY 47 or a net PRI is missing behind {loop[0]}")
    has_charges = any(segment.tag == "ALC" for segment in loop)
    amount = None if has_charges else _amount(loop, "203")
    order_id = _reference(loop, "ON")
    return BilledLine(order_id, _order_line(loop), _item(loop), units, price, amount, unit)


def _total(summary: Loop) -> Decimal:
    """What is to be paid: the invoice's own total, under one of the codes in use for it."""
    for kind in ("77", "9", "86", "39"):
        if (found := _amount(summary, kind)) is not None:
            return found
    raise MessageError("MOA 77 is missing: an invoice has one total")


def _charges(segments: Loop) -> Decimal:
    """Charges less allowances, of the invoice and of its lines."""
    sign, added = 0, Decimal(0)
    for segment in segments:
        if segment.tag == "ALC":
            sign = {"C": 1, "A": -1}.get(segment.get(1), 0)
            if not sign:
                raise MessageError(f"{segment} is neither an allowance nor a charge")
        elif segment.tag == "MOA" and segment.get(1) in ("8", "23", "204"):
            added += sign * _money(segment)
        elif segment.tag in ("LIN", "UNS", "TAX"):
            sign = 0
    return added


def _tax(segments: Loop, summary: Loop) -> Decimal:
    """The invoice's tax: its total in the summary, else the sum of its rates, else of its lines."""
    before = summary[: next((i for i, s in enumerate(summary) if s.tag == "TAX"), len(summary))]
    for kind in ("176", "124"):
        if (found := _amount(before, kind)) is not None:
            return found
    for place in (summary, segments):
        taxes = [s for s in place if s.tag == "MOA" and s.get(1) == "124"]
        if taxes:
            return sum((_money(segment) for segment in taxes), Decimal(0))
    return Decimal(0)


def _control(message: EdiMessage) -> list[Message]:
    """A CONTRL: our interchange arrived, and was taken or refused, as a whole or in a message."""
    head = next((s for s in message.segments if s.tag == "UCI"), None)
    if head is None:
        raise MessageError("UCI is missing")
    refused = [s for s in message.segments if s.tag == "UCM" and s.get(3) == "4"]
    action = head.get(4)
    if action not in ("4", "7", "8"):
        raise MessageError(f"UCI04.1 is '{action[:5]}', neither 4, 7 nor 8")
    faults = [s for s in message.segments if s.tag in ("UCS", "UCD")]
    is_taken = action != "4" and not refused
    note = "" if is_taken else "; ".join(str(segment) for segment in (head, *refused, *faults))
    return [Received(head.whole(1, digits=9), is_taken, note[:300])]


READERS: dict[str, Callable[[EdiMessage], list[Message]]] = {
    "ORDRSP": _answer,
    "DESADV": _ship_notice,
    "INVOIC": _invoice,
    "CONTRL": _control,
}


def _numbered(
    loops: Sequence[Loop], read_one: Callable[[Loop], Line]
) -> list[tuple[str, Callable[[], Line]]]:
    return [(loop[0].get(1), partial(read_one, loop)) for loop in loops]


def _parts(message: EdiMessage) -> tuple[Loop, list[Loop]]:
    """What stands before the first line, and the lines, each with what follows it, up to the
    summary; every count in the summary is checked."""
    head: list[Segment] = []
    loops: list[list[Segment]] = []
    target: list[Segment] | None = head
    for segment in message.segments:
        if segment.tag == "LIN":
            target = [segment]
            loops.append(target)
        elif segment.tag in ("UNS", "CNT") or (segment.tag == "CPS" and loops):
            target = None
        elif target is not None:
            target.append(segment)
    _count(message.segments, loops)
    return head, list(loops)


def _count(segments: Loop, loops: Sequence[Loop]) -> None:
    """CNT 2 counts the lines; CNT 1 adds up one kind of quantity, whichever, or all of them."""
    for segment in segments:
        if segment.tag != "CNT":
            continue
        stated = exact_numbers.exact(segment.need(1, 2), segment.name(1, 2))
        if segment.get(1) == "2":
            exact_numbers.expect("CNT 2", stated, Decimal(len(loops)))
        elif segment.get(1) == "1":
            added: dict[str, Decimal] = {}
            for quantity in (s for loop in loops for s in loop if s.tag == "QTY"):
                units = exact_numbers.exact(quantity.need(1, 2), quantity.name(1, 2))
                for kind in (quantity.get(1), "all"):
                    added[kind] = added.get(kind, Decimal(0)) + units
            if stated not in added.values():
                exact_numbers.expect("CNT 1", stated, added.get("all", Decimal(0)))


def _begins(head: Loop) -> Segment:
    if not head or head[0].tag != "BGM":
        raise MessageError("it does not begin with BGM")
    return head[0]


def _behind(segments: Loop, tag: str) -> Loop:
    place = next((i for i, s in enumerate(segments) if s.tag == tag), len(segments))
    return segments[place:]


def _reference(segments: Iterable[Segment], kind: str, needed: bool = False) -> str:
    """What RFF names under a qualifier, empty where it names nothing."""
    found = next((s for s in segments if s.tag == "RFF" and s.get(1) == kind), None)
    if found is None and needed:
        raise MessageError(f"RFF {kind} is missing")
    return found.need(1, 2) if found is not None else ""


def _order_line(loop: Loop) -> str:
    """The order's own number of a line: where RFF names it, else the line's in this message."""
    for segment in loop:
        if segment.tag == "RFF" and segment.get(1) in ("ON", "LI") and segment.get(1, 3):
            return segment.get(1, 3)
    return loop[0].get(1)


def _item(loop: Loop) -> str:
    """The item under a qualifier that is ours, on its LIN or a PIA; empty where only others name
    it."""
    line = loop[0]
    names = [(line.get(3, 2), line.get(3))]
    for segment in loop:
        if segment.tag == "PIA":
            names += [(segment.get(n, 2), segment.get(n)) for n in range(2, 7)]
    return next((name for kind in OUR_ITEM for k, name in names if k == kind and name), "")


def _quantity(loop: Loop, kind: str) -> Decimal | None:
    """The units under a qualifier, added up; None where there are none."""
    found = [s for s in loop if s.tag == "QTY" and s.get(1) == kind]
    units = [exact_numbers.exact(s.need(1, 2), s.name(1, 2)) for s in map(_pointed, found)]
    return sum(units, Decimal(0)) if units else None


def _unit(loop: Loop, *kinds: str) -> str:
    """The one unit of a line's quantities; empty where none is said."""
    found = [s for s in loop if s.tag == "QTY" and s.get(1) in kinds and s.get(1, 3)]
    units = {unit_read(segment.get(1, 3), "edifact") for segment in found}
    if len(units) > 1:
        raise OddLineError(f"its quantities are in several units: {'; '.join(map(str, found))}")
    return units.pop() if units else ""


def _price(loop: Loop, unit: str) -> Decimal | None:
    """The net price of one of the line's units; None where no price is named."""
    prices = [segment for segment in loop if segment.tag == "PRI"]
    net = next((segment for segment in prices if segment.get(1) in NET), None)
    if net is None:
        if prices:
            raise OddLineError(f"{prices[0]} is no net price")
        return None
    priced = unit_read(net.get(1, 6), "edifact")
    if priced not in (unit, "") and (unit or priced != PIECE):
        counted = f"the line is in {unit or 'no unit'}"
        raise OddLineError(f"{net} is a price for {net.get(1, 6)}; {counted}")
    net = _pointed(net)
    basis = exact_numbers.exact(net.get(1, 5) or "1", net.name(1, 5))
    if not basis:
        raise MessageError(f"{net.name(1, 5)} is 0: no price is for no piece")
    return exact_numbers.exact(net.need(1, 2), net.name(1, 2)) / basis


def _amount(segments: Iterable[Segment], kind: str) -> Decimal | None:
    """The first amount under a qualifier; None where there is none."""
    found = next((s for s in segments if s.tag == "MOA" and s.get(1) == kind), None)
    return None if found is None else _money(found)


def _money(segment: Segment) -> Decimal:
    pointed = _pointed(segment)
    return exact_numbers.exact(pointed.need(1, 2), pointed.name(1, 2))


def _pointed(segment: Segment) -> Segment:
    """A segment whose numbers have a point where ISO 9735 also allows a comma."""
    first = tuple(part.replace(",", ".") for part in segment.elements[0])
    return Segment(segment.tag, (first, *segment.elements[1:]))


def _currency(head: Loop) -> str | None:
    return next((s.need(1, 2) for s in head if s.tag == "CUX"), None)


def _free_text(segment: Segment) -> str:
    return " ".join(filter(None, (segment.get(4, n) for n in range(1, 6)))) or segment.get(3)


def _day_of_all(head: Iterable[Segment], order_id: str) -> tuple[date | None, list[Odd]]:
    """The day that holds for every line which says none, and the days before the lines that only a
    person can read: they keep no line back."""
    days = [segment for segment in head if segment.tag == "DTM"]
    strange = [s for s in days if s.get(1) not in (*ARRIVES, *ASKED, *LEAVES, *OTHER_DAYS)]
    odd = [
        Odd(order_id, "", f"{s} names a kind of day that is not read here", BUYER) for s in strange
    ]
    return _day(segment for segment in days if segment not in strange), odd


def _day(segments: Iterable[Segment]) -> date | None:
    """The last day these DTM name for arrival, else the one asked for, else for leaving; raises for
    a kind of day nobody here knows."""
    days: dict[str, list[date]] = {}
    for segment in segments:
        kind = segment.get(1)
        if kind not in (*ARRIVES, *ASKED, *LEAVES, *OTHER_DAYS):
            raise OddLineError(f"{segment} names a kind of day that is not read here")
        if kind not in OTHER_DAYS:
            days.setdefault(kind, []).append(_on(segment))
    for kinds in (ARRIVES, ASKED, LEAVES):
        if found := [day for kind in kinds for day in days.get(kind, ())]:
            return max(found)
    return None


def _on(segment: Segment) -> date:
    text, form = segment.need(1, 2), segment.get(1, 3) or "102"
    if form == SPAN and len(text.partition("-")[2] or text[8:]) == 8:
        text, form = text[-8:], "102"
    size, pattern = DAYS.get(form, (0, ""))
    try:
        if len(text) != size or not text.isdecimal():
            raise ValueError(text)
        return datetime.strptime(text, pattern).date()
    except ValueError as error:
        raise MessageError(
            f"{segment.name(1, 2)} is '{text[:40]}', no day of format {form[:5]}"
        ) from error
