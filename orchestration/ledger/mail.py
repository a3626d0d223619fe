"""An order as an e-mail for people: its lines as CSV, and on paper as PDF."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime

from models.procurement import exact_numbers
from models.procurement.csv_format import shown
from models.procurement.currencies import cost
from models.procurement.messages import Order, Party
from models.procurement.unit_codes import PIECE
from models.safe_names import name_of
from orchestration.ledger.order_paper import paper

UNIT_AT = 4  # where the supplier's own unit stands, if a line has one
COLUMNS = ("line", "action", "item", "quantity", "unit cost", "value", "due on")


@dataclass(frozen=True)
class Mail:
    """Orders as e-mails to one mailbox; buyer: who orders, as people read it."""

    mailbox: str
    sender: str
    buyer: str
    suffix: str = "eml"
    media_type: str = "message/rfc822"

    def document_type(self, order: Order) -> str:
        """`email`, for an order and for a change of one."""
        return "email"

    def write(
        self, order: Order, ours: Party, theirs: Party, control: int, at: datetime, usage: str
    ) -> bytes:
        """The order as a mail of ours to theirs, its lines attached as CSV and as PDF."""
        return _mail(order, self, ours, control, at)


def _mail(order: Order, ends: Mail, ours: Party, control: int, at: datetime) -> bytes:
    title = f"Purchase order {order.order_id}" + (
        f", change {order.revision}" if order.revision else ""
    )
    mail = EmailMessage()
    mail["Subject"], mail["To"] = title, ends.mailbox
    mail["From"], mail["Date"] = ends.sender, format_datetime(at)
    mail["Message-ID"] = f"<{order.order_id}.{control}@{name_of(ours.id).lower()}>"
    lines = f"{len(order.lines)} line{'' if len(order.lines) == 1 else 's'}"
    mail.set_content(
        f"{title}: {lines}, {order.currency}. Please answer with this number and the line "
        "numbers.\n"
    )
    mail.add_attachment(
        table(order).encode(), maintype="text", subtype="csv", filename=f"{order.order_id}.csv"
    )
    mail.add_attachment(
        paper(order, title, ends.buyer),
        maintype="application",
        subtype="pdf",
        filename=f"{order.order_id}.pdf",
    )
    mail.set_boundary(f"{order.order_id}-{control}")
    return mail.as_bytes()


def columns(order: Order) -> tuple[str, ...]:
    """What stands over the lines: with the supplier's unit where he has one of his own."""
    unit = ("unit",) if order.has_units else ()
    return (*COLUMNS[:UNIT_AT], *unit, *COLUMNS[UNIT_AT:])


def rows(order: Order) -> Iterator[tuple[str, ...]]:
    """The lines as people read them."""
    for line in order.lines:
        value = str(cost(line.quantity, line.unit_cost, order.currency))
        yield (
            line.line_id,
            line.action,
            line.item_id,
            exact_numbers.text(line.quantity),
            *((line.unit or PIECE,) if order.has_units else ()),
            exact_numbers.text(line.unit_cost),
            value,
            line.due_on.isoformat(),
        )


def table(order: Order) -> str:
    """The order as CSV, one line a row; a text that a spreadsheet would reckon as a formula begins
    with an apostrophe."""
    text = io.StringIO()
    safe = (shown(row) for row in rows(order))
    csv.writer(text, lineterminator="\n").writerows([columns(order), *safe])
    return text.getvalue()
