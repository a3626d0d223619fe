"""A supplier whose system speaks EDIFACT D.96A through pydifact: somebody else's reader and writer
on the other end of our own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydifact import Segment, Serializer
from pydifact.segmentcollection import Interchange

from models.procurement.messages import Order

Said = Sequence[tuple[str, Sequence[Any]]]

#: What this supplier calls the units he sells (UN/ECE Recommendation 20).
UNITS = {"": "PCE", "case": "CS", "kg": "KGM", "dozen": "DZN", "ve": "ZZ"}


def read(body: bytes) -> dict[str, list[list[Any]]]:
    """The segments of the one message in an interchange, by tag, as pydifact reads them."""
    text = body.decode("utf-8" if b"UNOW" in body[:40] else "latin-1")
    (message,) = Interchange.from_str(text).get_messages()
    said: dict[str, list[list[Any]]] = {"type": [[message.type]]}
    for segment in message.segments:
        said.setdefault(segment.tag, []).append(list(segment.elements))
    return said


def wire(
    name: str,
    body: Said,
    control: str = "5",
    ends: Sequence[str] = ("S1", "STOCKHOUSE"),
    at: datetime = datetime(2026, 1, 5, 9, 30),
    usage: str = "P",
    version: Sequence[str] = ("D", "96A", "UN"),
) -> bytes:
    """An interchange with one message."""
    head = [["UNOC", "3"], *([end, "ZZZ"] for end in ends), [f"{at:%y%m%d}", f"{at:%H%M}"], control]
    test = ["", "", "", "", "", "1"] if usage == "T" else []
    segments = [
        ("UNB", [*head, *test]),
        ("UNH", ["1", [name, *version]]),
        *body,
        ("UNT", [str(len(body) + 2), "1"]),
        ("UNZ", ["1", control]),
    ]
    written = [Segment(tag, *elements) for tag, elements in segments]
    return Serializer().serialize(written, break_lines=True).encode("utf-8")


def answer(order: Order, day: str = "20260125", **changed: tuple[str, float]) -> Said:
    """An ORDRSP: every line taken as it is, but for changed ones ({line id: (action, units)})."""
    said: list[tuple[str, Sequence[Any]]] = [
        ("BGM", ["231", "A-1", "4" if changed else "29"]),
        ("DTM", [["137", "20260105", "102"]]),
        ("RFF", [["ON", order.order_id]]),
        *([("RFF", [["PP", f"{order.order_id}-{order.revision}"]])] if order.revision else []),
        ("NAD", ["SU", ["S1", "", "92"]]),
        ("CUX", [["2", order.currency, "9"]]),
    ]
    for line in order.lines:
        action, units = changed.get(f"line_{line.line_id}", ("5", line.quantity))
        said += [
            ("LIN", [line.line_id, action, [line.item_id, "SA"]]),
            ("QTY", [["21", _number(line.quantity), UNITS[line.unit]]]),
            ("QTY", [["113", _number(units), UNITS[line.unit]]]),
            ("DTM", [["69", day, "102"]]),
            ("PRI", [["AAA", _number(line.unit_cost)]]),
        ]
    return [*said, ("UNS", ["S"]), ("CNT", [["2", str(len(order.lines))]])]


def ship_notice(order: Order, shipment_id: str = "SHIP-1") -> Said:
    """A DESADV of everything, in one consignment."""
    said: list[tuple[str, Sequence[Any]]] = [
        ("BGM", ["351", shipment_id, "9"]),
        ("DTM", [["137", "20260119", "102"]]),
        ("DTM", [["17", "20260121", "102"]]),
        ("CPS", ["1"]),
    ]
    for place, line in enumerate(order.lines, start=1):
        said += [
            ("LIN", [str(place), "", [line.item_id, "SA"]]),
            ("QTY", [["12", _number(line.quantity), UNITS[line.unit]]]),
            ("RFF", [["ON", order.order_id, line.line_id]]),
        ]
    return [*said, ("CNT", [["2", str(len(order.lines))]])]


def invoice(order: Order, invoice_id: str = "INV-1", freight: float = 0, tax: float = 0) -> Said:
    """An INVOIC of everything, with freight and tax on top."""
    said: list[tuple[str, Sequence[Any]]] = [
        ("BGM", ["380", invoice_id, "9"]),
        ("DTM", [["137", "20260122", "102"]]),
        ("RFF", [["ON", order.order_id]]),
        ("CUX", [["2", order.currency, "4"]]),
    ]
    if freight:
        said += [("ALC", ["C", "", "", "", "FC"]), ("MOA", [["23", f"{freight:.2f}"]])]
    goods = 0.0
    for line in order.lines:
        amount = round(line.quantity * line.unit_cost + 1e-9, 2)
        goods += amount
        said += [
            ("LIN", [line.line_id, "", [line.item_id, "SA"]]),
            ("QTY", [["47", _number(line.quantity), UNITS[line.unit]]]),
            ("MOA", [["203", f"{amount:.2f}"]]),
            ("PRI", [["AAA", _number(line.unit_cost)]]),
        ]
    total = goods + freight + tax
    return [
        *said,
        ("UNS", ["S"]),
        ("CNT", [["2", str(len(order.lines))]]),
        ("MOA", [["77", f"{total:.2f}"]]),
        ("MOA", [["79", f"{goods:.2f}"]]),
        ("MOA", [["124", f"{tax:.2f}"]]),
    ]


def _number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
