"""Tryton, the company's own ERP: orders become draft purchases there, and what becomes of them
comes back as the supplier's answers and bills."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import httpx

from models.procurement.csv_format import shown, written_lines
from models.procurement.unit_codes import PIECE
from models.safe_names import name_of
from orchestration.ledger import folders
from orchestration.ledger.partners import Partner
from orchestration.ledger.transports import base
from orchestration.ledger.transports.base import Envelope, TransportError
from orchestration.ledger.transports.tryton_session import Tryton, plain, session

T = TypeVar("T")
Values = dict[str, Any]

#: Of a supplier's purchases, so many of the newest are looked at for news.
NEWEST = 500
#: What comes of an answer of another shape than Tryton's: of somebody else behind the address.
ODD = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
PRICE = Decimal("0.0001")  # Tryton's prices have four digits
#: Columns of what is put into `in`: answers to lines, and lines of bills (see partners.ERP).
ANSWERS = (
    *("order", "change", "line", "item", "confirmed", "unit cost", "currency", "promised on"),
    "remark",
)
BILLS = ("invoice", "order", "line", "item", "quantity", "unit cost", "currency", "invoiced on")
TOTALS = ("total", "charges")


class Erp:
    """The transport of partners whose address is tryton+http(s)://user@host/database.

    An order is one purchase, told by our order number in its reference, and each line by our line
    number in its sequence. Whatever was cut short is looked for by these before anything is
    written, and one call writes all of it or nothing: however often an order is handed over, there
    is one.
    """

    def deliver(self, envelope: Envelope, partner: Partner) -> None:
        """Make the draft purchase, or bring a draft up to a change. What is no draft any more is
        not touched: that, and what Tryton does not know, is final."""
        lines = written_lines(envelope.body)
        _run(lambda: _deliver(envelope.order_id, lines, partner), partner)

    def fetch(self, partner: Partner) -> None:
        """Put what Tryton has decided about our purchases into the partner's folder `in`, each
        thing it says once."""
        _run(lambda: _fetch(partner), partner)


def _run(work: Callable[[], Awaitable[T]], partner: Partner) -> T:
    """Work with Tryton, in its time; every failure there is a TransportError."""
    try:
        return base.in_time(work, partner)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransportError(f"{partner.address}: {error or type(error).__name__}") from error
    except ODD as error:
        why = f"its answer is not understood ({type(error).__name__}: {error})"
        raise TransportError(f"{partner.address}: {why[:300]}") from error


async def _deliver(order_id: str, lines: Sequence[Mapping[str, str]], partner: Partner) -> None:
    async with session(partner) as tryton:
        found = await _purchases(tryton, order_id, partner)
        if not found:
            if any(line["action"] != "order" for line in lines):
                gone = f"{order_id} is not in Tryton any more, so it cannot be changed there"
                raise TransportError(gone, is_final=True)
            await _make(tryton, order_id, lines, partner)
            found = await _purchases(tryton, order_id, partner)
        if not found:
            raise TransportError(f"{order_id} was written in Tryton and is not there")
        _check_ours(order_id, lines, found)
        first = await _only_one(tryton, found)
        if any(line["action"] != "order" for line in lines):
            await _change(tryton, first, lines)


async def _purchases(tryton: Tryton, order_id: str, partner: Partner) -> list[Values]:
    """The purchases of an order, the oldest first; more than one where a call that was taken for
    lost came through late."""
    whose = [["reference", "=", order_id], ["party.code", "=", partner.partner_id]]
    fields = ["state", "number", "lines.sequence", "lines.product.code"]
    return await tryton.read("purchase.purchase", whose, fields)


def _check_ours(order_id: str, lines: Sequence[Mapping[str, str]], found: Sequence[Values]) -> None:
    """Refuse a purchase that has our number and none of our lines: another home orders there too,
    and ours would be taken for made."""
    ours = {(int(line["line"]), line["item"]) for line in lines if line["action"] == "order"}
    for purchase in found:
        there = {
            (line["sequence"], (line["product."] or {}).get("code")) for line in purchase["lines."]
        }
        if ours and there and not ours & there:
            other = f"purchase {purchase['number'] or purchase['id']} in Tryton has the reference"
            raise TransportError(f"{other} {order_id} and is another order", is_final=True)


async def _only_one(tryton: Tryton, found: Sequence[Values]) -> Values:
    """The purchase that stands; drafts beside it are deleted.

    One that somebody has taken up stands; a second such is a case for a person.
    """
    drafts = [purchase for purchase in found if purchase["state"] == "draft"]
    taken_up = [purchase for purchase in found if purchase["state"] not in ("draft", "cancelled")]
    if len(taken_up) > 1:
        numbers = ", ".join(str(purchase["number"]) for purchase in taken_up)
        raise TransportError(f"purchases {numbers} in Tryton are one order twice", is_final=True)
    stands = next(iter([*taken_up, *drafts, *found]))
    doubled = [purchase["id"] for purchase in drafts if purchase is not stands]
    if doubled:
        await tryton.call("purchase.purchase.cancel", doubled)
        await tryton.call("purchase.purchase.delete", doubled)
    return stands


async def _make(
    tryton: Tryton, order_id: str, lines: Sequence[Mapping[str, str]], partner: Partner
) -> None:
    """Write the whole purchase in one call."""
    party = await tryton.one("party.party", "code", partner.partner_id)
    currency = await tryton.one("currency.currency", "code", lines[0]["currency"])
    place = await tryton.one("stock.location", "code", lines[0]["deliver to"])
    head: Values = {"company": tryton.company, "currency": currency["id"], "party": party["id"]}
    usual = await tryton.call("purchase.purchase.on_change", head | {"lines": []}, ["party"])
    about = ("invoice_party", "invoice_address", "payment_term", "invoice_method")
    head |= {name: usual[name] for name in about if usual.get(name) is not None}
    head |= {"reference": order_id, "warehouse": place["id"]}
    head |= {"lines": [["create", [await _line(tryton, line) for line in lines]]]}
    await tryton.call("purchase.purchase.create", [head])


async def _line(tryton: Tryton, line: Mapping[str, str]) -> Values:
    """A line of a purchase, in the unit that Tryton buys the product in."""
    if line.get("unit", PIECE) != PIECE:
        unit = f"line {line['line']} is in {line['unit']}; Tryton is told of pieces alone"
        raise TransportError(unit, is_final=True)
    about = ["default_uom", "account_category.supplier_taxes_used"]
    product = await tryton.one("product.product", "code", line["item"], about)
    taxes = (product.get("account_category.") or {}).get("supplier_taxes_used")
    return {
        "type": "line",
        "product": product["id"],
        "unit": product["default_uom"],
        "sequence": int(line["line"]),
        **({"taxes": [["add", taxes]]} if taxes else {}),
        **_figures(line),
    }


def _figures(line: Mapping[str, str]) -> Values:
    """What a change may change of a line."""
    price, day = Decimal(line["unit cost"]).quantize(PRICE), date.fromisoformat(line["due on"])
    return {
        "quantity": float(line["quantity"]),
        "unit_price": {"__class__": "Decimal", "decimal": str(price)},
        "delivery_date_edit": True,
        "delivery_date_store": {
            "__class__": "date",
            "year": day.year,
            "month": day.month,
            "day": day.day,
        },
    }


async def _change(tryton: Tryton, purchase: Values, lines: Sequence[Mapping[str, str]]) -> None:
    """Bring a draft to what the lines say, in one call; what is so already stays so."""
    there = {line["sequence"]: line["id"] for line in purchase["lines."]}
    cancelled = [int(line["line"]) for line in lines if line["action"] == "cancel"]
    off = [there[number] for number in cancelled if number in there]
    is_off = len(cancelled) == len(lines) and (purchase["state"] == "cancelled" or not off)
    if is_off:
        return
    if purchase["state"] != "draft":
        said = f"purchase {purchase['number'] or purchase['id']} is {purchase['state']} in Tryton"
        raise TransportError(f"{said}: it has to be changed there", is_final=True)
    if len(cancelled) == len(lines) and len(off) == len(there):
        await tryton.call("purchase.purchase.cancel", [purchase["id"]])
        return
    steps: list[Any] = []
    for line in lines:
        known = there.get(int(line["line"]))
        if line["action"] == "cancel":
            steps += [["delete", [known]]] if known else []
        elif known:
            steps.append(["write", [known], _figures(line)])
        else:
            steps.append(["create", [await _line(tryton, line)]])
    await tryton.call("purchase.purchase.write", [purchase["id"]], {"lines": steps})


async def _fetch(partner: Partner) -> None:
    if partner.place is None:
        return
    async with session(partner) as tryton:
        ours = [["reference", "like", "SHP%"], ["party.code", "=", partner.partner_id]]
        fields = [
            "reference",
            "number",
            "state",
            "currency.code",
            *(f"lines.{name}" for name in LINE),
        ]
        by_order: dict[str, list[Values]] = {}
        for purchase in await tryton.read("purchase.purchase", ours, fields, NEWEST):
            by_order.setdefault(purchase["reference"], []).append(purchase)
        for order_id, found in by_order.items():
            purchase = await _only_one(tryton, found)
            if purchase["state"] in DECIDED:
                _say(partner.place, f"{order_id}-answer", ANSWERS, _answers(purchase))
        bills = await tryton.read("account.invoice.line", _billed(partner), BILL_FIELDS, NEWEST)
        for (number, order_id), lines in _by_bill(bills).items():
            name = f"{order_id}-bill-{name_of(number)}"
            _say(partner.place, name, (*BILLS, *TOTALS), _bill(number, order_id, lines))


#: States in which a purchase is an answer.
DECIDED = ("confirmed", "processing", "done", "cancelled")
LINE = ("sequence", "quantity", "unit_price", "delivery_date", "product.code")


def _answers(purchase: Values) -> list[list[str]]:
    """The answer to each line of a purchase: what its buyers made of it in Tryton."""
    is_off = purchase["state"] == "cancelled"
    return [
        [
            purchase["reference"],
            "",
            str(line["sequence"]),
            line["product."]["code"],
            "0" if is_off else plain(line["quantity"]),
            plain(line["unit_price"]),
            purchase["currency."]["code"],
            "" if is_off else plain(line["delivery_date"]),
            "cancelled in Tryton" if is_off else "",
        ]
        for line in purchase["lines."]
        if line["sequence"] is not None and line["product."]
    ]


def _billed(partner: Partner) -> list[Any]:
    """Lines of posted bills for purchases of ours."""
    return [
        ["invoice.type", "=", "in"],
        ["invoice.state", "in", ["posted", "paid"]],
        ["invoice.party.code", "=", partner.partner_id],
        ["origin.purchase.reference", "like", "SHP%", "purchase.line"],
    ]


BILL_FIELDS = [
    *("quantity", "unit_price", "product.code", "origin.sequence", "origin.purchase.reference"),
    *("invoice.number", "invoice.reference", "invoice.invoice_date", "invoice.currency.code"),
    *("invoice.total_amount", "invoice.lines", "amount"),
]


def _by_bill(lines: Sequence[Values]) -> dict[tuple[str, str], list[Values]]:
    """The lines of each bill, an order at a time; a bill has the number that the supplier gave it,
    where somebody wrote that down."""
    found: dict[tuple[str, str], list[Values]] = {}
    for line in lines:
        invoice = line["invoice."]
        number = invoice["reference"] or invoice["number"] or str(invoice["id"])
        found.setdefault((number, line["origin."]["purchase."]["reference"]), []).append(line)
    return found


def _bill(number: str, order_id: str, lines: Sequence[Values]) -> list[list[str]]:
    """The rows of a bill; what it asks beyond its lines (tax) are charges, where all its lines are
    of one order."""
    invoice = lines[0]["invoice."]
    goods = sum((Decimal(plain(line["amount"])) for line in lines), Decimal(0))
    is_whole = len(invoice["lines"]) == len(lines)
    total = Decimal(plain(invoice["total_amount"])) if is_whole else goods
    return [
        [
            number,
            order_id,
            str(line["origin."]["sequence"]),
            line["product."]["code"],
            plain(line["quantity"]),
            plain(line["unit_price"]),
            invoice["currency."]["code"],
            plain(invoice["invoice_date"]),
            str(total),
            str(total - goods),
        ]
        for line in lines
    ]


def _say(place: Path, name: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Put rows into `in` as a file named by what it says, unless it was put there before."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *(shown(row) for row in rows)])
    body = text.getvalue().encode()
    file = f"{name}-{hashlib.sha256(body).hexdigest()[:8]}.csv"
    heard = {*folders.names(place, folders.IN), *folders.names(place, folders.TAKEN)}
    if rows and file not in heard:
        base.keep(place, folders.IN, file, body)
