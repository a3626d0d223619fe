"""Amounts, quantities, prices and yes or no as the XML documents of UBL and UN/CEFACT state them:
the codes stand in attributes, and one that does not fit the document is refused by name."""

from __future__ import annotations

from decimal import Decimal

from models.procurement import exact_numbers
from models.procurement.messages import MessageError, OddLineError
from models.procurement.unit_codes import PIECE, unit_read
from models.procurement.xml_tree import Node


def amount(node: Node, currency: str | None, *path: str) -> Decimal | None:
    """An amount that is not negative, in this currency where one is told; None where there is
    none."""
    return _amount(node, currency, path, "")


def signed_amount(node: Node, currency: str | None, *path: str) -> Decimal:
    """A rounding, up or down; 0 where there is none."""
    sign = "-" if node.get(*path).startswith("-") else ""
    found = _amount(node, currency, path, sign) or Decimal(0)
    return -found if sign else found


def _amount(node: Node, currency: str | None, path: tuple[str, ...], sign: str) -> Decimal | None:
    found = node.first(*path)
    if found is None:
        return None
    code = found.attributes.get("currencyID", "")
    if currency and code not in ("", currency):
        raise MessageError(f"{path[-1]} is in {code[:20]}, the document in {currency[:20]}")
    return exact_numbers.exact(found.text.strip().removeprefix(sign), path[-1])


def unit_stated(node: Node, *path: str) -> str:
    """The unit of a quantity; empty where none is said."""
    found = node.first(*path)
    return "" if found is None else unit_read(found.attributes.get("unitCode", ""), "ubl")


def quantity(node: Node, *path: str) -> tuple[str, Decimal | None]:
    """A unit, empty where none is said, and how many of it; None where nobody says how many."""
    found = node.first(*path)
    number = None if found is None else exact_numbers.exact(found.text.strip(), path[-1])
    return unit_stated(node, *path), number


def net_price(price: Node, currency: str | None, unit: str, value: str, basis: str) -> Decimal:
    """The price of one of the line's units; value and basis: the elements that say how much so
    many cost. Raises OddLineError where they are of another unit."""
    priced, pieces = quantity(price, basis)
    if priced not in (unit, "") and (unit or priced != PIECE):
        counted = f"the line is in {unit or 'no unit'}"
        raise OddLineError(f"{basis} is in {priced[:20]}; {counted}")
    if pieces is not None and not pieces:
        raise MessageError(f"{basis} is 0: no price is for no piece")
    found = amount(price, currency, value)
    if found is None:
        raise MessageError(f"{price.name}/{value} is missing")
    return found / (pieces or 1)


def is_true(written: str, where: str) -> bool:
    """A yes or no as XML Schema writes it. Raises MessageError for anything else."""
    if written not in ("true", "1", "false", "0"):
        raise MessageError(f"{where} is '{written[:20]}', neither true nor false")
    return written in ("true", "1")
