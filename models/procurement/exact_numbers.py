"""Numbers as partners write them: read exactly, bounded, and refused with the place they stand
in."""

from __future__ import annotations

import re
from decimal import Decimal

from models.procurement.messages import MessageError

#: What a number in a message may be at most, and how many signs it may have.
LARGEST, LONGEST = Decimal(10) ** 12, 40
#: Of a number that we write, the zero before the point included.
DIGITS = 15
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[Ee][+-]?[0-9]{1,3})?")


def exact(written: str, where: str) -> Decimal:
    """A decimal number as written, neither negative nor beyond what anybody orders. Raises
    MessageError for anything else."""
    if len(written) > LONGEST:
        raise MessageError(f"{where} is {written[:LONGEST]}…, {len(written):,} signs long")
    if not NUMBER.fullmatch(written):
        raise MessageError(f"{where} is '{written}', no number")
    number = Decimal(written)
    if number < 0:
        raise MessageError(f"{where} is {written}, below zero")
    if number > LARGEST or (number and number.adjusted() < -LONGEST):
        raise MessageError(f"{where} is {written}, beyond any quantity or price")
    return number


def whole(written: str, where: str, digits: int = 15) -> int:
    """A whole number of at most so many digits. Raises MessageError for anything else."""
    if not (written.isascii() and written.isdecimal()):
        raise MessageError(f"{where} is '{written[:LONGEST]}', no whole number")
    if len(written.lstrip("0")) > digits:
        raise MessageError(f"{where} has {len(written):,} digits, more than {digits}")
    return int(written)


def stated(value: float) -> float:
    """The nearest number a message can state, for what is reckoned: a third of a case, a price at
    the rate of the day. What `text` takes stays as it is."""
    exactly = Decimal(repr(float(value)))
    places = DIGITS - max(1, exactly.adjusted() + 1)
    return float(round(exactly, max(0, places)))


def text(value: float | Decimal) -> str:
    """A number as messages write it: the shortest decimal text, never an exponent, at most 15
    digits."""
    exactly = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    decimal = format(exactly, "f")
    decimal = decimal.rstrip("0").rstrip(".") if "." in decimal else decimal
    if len(decimal.replace("-", "").replace(".", "")) > DIGITS:
        raise MessageError(f"{value!r} has more than the {DIGITS} digits a number may have")
    return decimal


def expect(what: str, stated: object, counted: object) -> None:
    """Hold a control total against what was counted. Raises MessageError where they differ."""
    if stated != counted:
        raise MessageError(f"wrong control total: {what} says {stated}, it should be {counted}")
