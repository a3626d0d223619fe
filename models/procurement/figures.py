"""Numbers as partners write them: read exactly, bounded, and refused with the place they stand
in."""

from __future__ import annotations

import re
from decimal import Decimal

from models.procurement.messages import MessageError

#: What a number in a message may be at most, and how many signs it may have.
LARGEST, LONGEST = Decimal(10) ** 12, 40
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[Ee][+-]?[0-9]{1,3})?")


def exact(found: str, where: str) -> Decimal:
    """A decimal number as written, neither negative nor beyond what anybody orders. Raises
    MessageError for anything else."""
    if len(found) > LONGEST:
        raise MessageError(f"{where} is {found[:LONGEST]}…, {len(found):,} signs long")
    if not NUMBER.fullmatch(found):
        raise MessageError(f"{where} is '{found}', no number")
    said = Decimal(found)
    if said < 0:
        raise MessageError(f"{where} is {found}, below zero")
    if said > LARGEST or (said and said.adjusted() < -LONGEST):
        raise MessageError(f"{where} is {found}, beyond any quantity or price")
    return said


def whole(found: str, where: str, digits: int = 15) -> int:
    """A whole number of at most so many digits. Raises MessageError for anything else."""
    if not (found.isascii() and found.isdecimal()):
        raise MessageError(f"{where} is '{found[:LONGEST]}', no whole number")
    if len(found.lstrip("0")) > digits:
        raise MessageError(f"{where} has {len(found):,} digits, more than {digits}")
    return int(found)


def text(value: float | Decimal) -> str:
    """A number as messages write it: the shortest decimal text, never an exponent, at most 15
    digits."""
    exactly = value if isinstance(value, Decimal) else Decimal(repr(float(value)))
    said = format(exactly, "f")
    said = said.rstrip("0").rstrip(".") if "." in said else said
    if len(said.replace("-", "").replace(".", "")) > 15:
        raise MessageError(f"{value!r} has more than the 15 digits a number may have")
    return said


def expect(what: str, said: object, counted: object) -> None:
    """Hold a control total against what was counted. Raises MessageError where they differ."""
    if said != counted:
        raise MessageError(f"wrong control total: {what} says {said}, it should be {counted}")
