"""An invoice as any format states it, held against its own total before anything of it is taken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from models.procurement.currencies import HUNDREDTH, minor_unit, rounded
from models.procurement.exact_numbers import expect
from models.procurement.messages import (
    PAYABLES,
    Invoice,
    InvoicedLine,
    Message,
    MessageError,
    Odd,
    OddLineError,
)


@dataclass(frozen=True)
class BilledLine:
    """One line of an invoice: units, the net price of one, the amount where it is stated, and the
    unit where it is said."""

    order_id: str
    line_id: str
    item_id: str
    units: Decimal
    price: Decimal
    amount: Decimal | None = None
    unit: str = ""


@dataclass(frozen=True)
class Bill:
    """The head of an invoice. order_id: for lines that name none. total: what is to be paid. added:
    charges less allowances, and tax; all in the invoice's currency (hundredths where unsaid).
    credits: of a credit note, the invoice that it takes back of."""

    invoice_id: str
    order_id: str
    invoiced_on: date
    currency: str | None
    total: Decimal
    added: Decimal
    credits: str | None = None

    def messages(self, readers: Sequence[tuple[str, Callable[[], BilledLine]]]) -> list[Message]:
        """One invoice for each order on the bill, and what of it only people can take.

        readers: (line id, what reads the line). Raises MessageError where the total is not what the
        lines make, or where no line can be read.
        """
        lines: list[BilledLine] = []
        said: list[Message] = []
        broken: list[MessageError] = []
        for line_id, read in readers:
            try:
                lines.append(read())
            except MessageError as error:
                broken.append(error)
                unread = "" if isinstance(error, OddLineError) else " cannot be read"
                said.append(self._odd(f"line {line_id}{unread}: {error}", line_id))
        if broken and not lines:
            raise broken[0]
        rounding = Decimal(0)
        if broken:
            said.append(self._odd("its total cannot be checked, a line has no figures"))
        else:
            rounding = self._rounding(lines)
        return [*self._by_order(lines, rounding), *said]

    def _by_order(self, lines: Sequence[BilledLine], rounding: Decimal) -> list[Message]:
        orders: dict[str, list[BilledLine]] = {}
        for line in lines:
            orders.setdefault(line.order_id or self.order_id, []).append(line)
        said: list[Message] = []
        added = self.added
        for name, mine in orders.items():
            if not name:
                said.append(self._odd(f"it names no order for {len(mine)} of its lines"))
                continue
            taken = tuple(
                InvoicedLine(
                    line.line_id, line.item_id, float(line.units), float(line.price), line.unit
                )
                for line in mine
            )
            head = (self.invoice_id, name, self.invoiced_on, self.currency)
            said.append(Invoice(*head, taken, added, rounding, self.credits))
            added = rounding = Decimal(0)
        return said

    def _rounding(self, lines: Sequence[BilledLine]) -> Decimal:
        """What the total is more than its lines: what rounding may make, half a minor unit a line.
        Raises MessageError where it is more: then something of the invoice is lost or wrong."""
        smallest = unit_of(self.currency)
        for line in lines:
            made = line.units * line.price
            if line.amount is not None and abs(line.amount - made) > smallest:
                expect(f"the amount of line {line.line_id}", line.amount, made)
        amounts = [
            line.units * line.price if line.amount is None else line.amount for line in lines
        ]
        return rounding_of("the total", self.total, self.added, amounts, self.currency)

    def _odd(self, reason: str, line_id: str = "") -> Odd:
        return Odd(self.order_id, line_id, f"invoice {self.invoice_id}: {reason}", PAYABLES)


def unit_of(currency: str | None) -> Decimal:
    """The smallest amount of an invoice's currency; hundredths where it names none."""
    return minor_unit(currency) if currency else HUNDREDTH


def rounding_of(
    what: str,
    total: Decimal,
    added: Decimal,
    amounts: Sequence[Decimal],
    currency: str | None,
    step: Decimal = Decimal(0),
) -> Decimal:
    """What an invoice's total is more than its lines, each rounded to the currency's minor unit.

    what: where the total stands. added: charges less allowances, and tax. step: the smallest amount
    in which the format can write a total, where that is more than the minor unit. Raises
    MessageError where it is more than rounding makes, half a minor unit a line: then something of
    the invoice is lost or wrong.
    """
    smallest = unit_of(currency)
    reckoned = added + sum(rounded(amount, smallest) for amount in amounts)
    most = max(smallest * max(1, (len(amounts) + 1) // 2), step)
    if abs(total - reckoned) > most:
        expect(what, total, reckoned)
    return total - reckoned


def billed_total(
    where: str,
    due: Decimal | None,
    *,
    paid: Decimal | None,
    whole: Decimal | None,
    rounding: Decimal,
    currency: str,
) -> Decimal:
    """What an invoice comes to, payments before it included; its own sums must agree.

    where: what says how much is due. whole: its lines with tax, before rounding; None where it does
    not say. Raises MessageError where nothing is said to be due, or the sums differ by more than
    the currency's minor unit, which may be rounded away.
    """
    if due is None:
        raise MessageError(f"{where} is missing: an invoice has one total")
    total = due + (paid or Decimal(0))
    if whole is not None and abs(total - whole - rounding) > unit_of(currency):
        expect(f"{where} and what is paid", total, whole + rounding)
    return total
