"""What a supplier says on its own page: written as the 855 its system would have sent, and heard
through the same door."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from models.procurement import x12, x12_out
from models.procurement.documents import Document
from models.procurement.messages import AcknowledgedLine, Acknowledgement, Party
from models.safe_names import name_of
from orchestration.app import event_replan
from orchestration.app.home_context import world_of
from orchestration.app.procurement import Desk
from orchestration.home import Home
from orchestration.ledger import Partner, Reception

#: An order that is out is answered until its goods are here.
ANSWERABLE = ("sent", "acknowledged")


@dataclass(frozen=True)
class Reply:
    """A supplier's answer to one line: what it will deliver of the unit that was ordered (0 refuses
    the line), and when."""

    line_id: str
    quantity: float
    due_on: date | None
    reason: str = ""


def open_lines(desk: Desk, supplier: str) -> list[Document]:
    """The purchase lines a supplier may still answer, by order and line."""
    lines = [
        line
        for line in desk.ledger.lines()
        if line.from_id == supplier and line.kind == "purchase" and line.stage in ANSWERABLE
    ]
    return sorted(lines, key=lambda line: (line.order_id, line.line_id))


def answer(desk: Desk, supplier: str, order_id: str, replies: Collection[Reply]) -> list[Reception]:
    """Hear a supplier's answer to an order: an 855, or an 865 for lines that were changed since.

    Raises ValueError for a line that is not theirs to answer, or an answer that cannot be meant.
    """
    lines = {d.line_id: d for d in open_lines(desk, supplier) if d.order_id == order_id}
    if not lines or not replies:
        raise ValueError(f"order {order_id} has no line that can still be answered")
    answers = [_line(lines, reply, desk.now.date()) for reply in replies]
    partner = _addressed(desk.partners[supplier])
    received = []
    for is_change in (False, True):
        meant = tuple(a for a in answers if bool(lines[a.line_id].revision) == is_change)
        if not meant:
            continue
        written_at = datetime.now(UTC).replace(tzinfo=None)
        body = x12_out.write_answer(
            Acknowledgement(
                order_id, lines[meant[0].line_id].sold.currency or None, meant, is_change
            ),
            partner.their,
            partner.ours,
            desk.ledger.age()[0] + 1,
            written_at,
            partner.usage,
        )
        received.append(desk.ledger.receive(body.encode(), partner, desk.now))
    return received


def _line(lines: dict[str, Document], reply: Reply, today: date) -> AcknowledgedLine:
    line = lines.get(reply.line_id)
    if line is None:
        raise ValueError(f"line {reply.line_id} is not on this order, or is answered elsewhere")
    sale = line.sold
    ordered = sale.sold(line.quantity)
    if not 0 <= reply.quantity <= ordered:
        raise ValueError(
            f"line {reply.line_id}: {reply.quantity:g} is not between 0 and the {ordered:g} that "
            "were ordered"
        )
    asked = date.fromisoformat(line.asked_on[:10])
    day = reply.due_on or asked
    if day < today:
        raise ValueError(f"line {reply.line_id}: {day} is over; today is {today}")
    if not reply.quantity:
        code = "IR"
    elif reply.quantity < ordered:
        code = "IQ"
    else:
        code = "IA" if day == asked else "DR"
    price = sale.price(line.unit_cost)
    about = (line.line_id, line.item_id, code, reply.quantity, price, day, reply.reason)
    return AcknowledgedLine(*about, sale.unit)


def _addressed(partner: Partner) -> Partner:
    """The partner as one that answers in X12, under an id that fits on an envelope; one whose own
    system speaks another format has no part in that: neither its codes nor its receipts count."""
    fits = x12.fits_envelope(partner.their.id)
    party = partner.their if fits else Party(name_of(partner.partner_id)[:15])
    if partner.form == "x12":
        return replace(partner, party=party)
    return Partner(
        partner.partner_id,
        partner.address,
        partner.currency,
        party=Party(party.id),
        costs_in=partner.costs_in,
    )


def react(home: Home) -> str:
    """Re-plan what the news concerns, as the sensor does after every delivery; says what came of
    it."""
    done = event_replan.replan(home, world_of(home))
    if done is None:
        return "nothing has happened that was not answered"
    return f"{done.items} items planned again: {'; '.join(done.reasons) or 'what happened is over'}"
