"""A supplier whose system speaks UBL 2.1 through lxml, and the official schemas: somebody else's
reader, writer and judge on the other end of our own."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

from lxml import etree

from models.procurement.messages import Order

ROOM = "urn:oasis:names:specification:ubl:schema:xsd:"
SPACES = {
    "cac": f"{ROOM}CommonAggregateComponents-2",
    "cbc": f"{ROOM}CommonBasicComponents-2",
}
#: The elements that may stand at the top of each document that we write, in the standard's order.
SEQUENCES = {
    "Order": "UBLVersionID ID IssueDate IssueTime OrderTypeCode Note DocumentCurrencyCode "
    "LineCountNumeric BuyerCustomerParty SellerSupplierParty Delivery AnticipatedMonetaryTotal "
    "OrderLine",
    "OrderChange": "UBLVersionID ID IssueDate IssueTime SequenceNumberID Note DocumentCurrencyCode "
    "LineCountNumeric OrderReference BuyerCustomerParty SellerSupplierParty Delivery "
    "AnticipatedMonetaryTotal OrderLine",
    "OrderCancellation": "UBLVersionID ID IssueDate IssueTime Note CancellationNote OrderReference "
    "BuyerCustomerParty SellerSupplierParty",
}
#: What this supplier calls the units he sells (UN/ECE Recommendation 20, packages with an X).
UNITS = {"": "C62", "case": "XCS", "kg": "KGM", "dozen": "DZN", "ve": "ZZ"}
Said = tuple[str, Any]


@cache
def _schema(name: str) -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(str(files("peppol") / "schema" / name)))


def read(body: bytes) -> etree._Element:
    """A document of ours, every part of it valid by the official schemas of UBL 2.1."""
    top = etree.fromstring(body)
    common = _schema("common/UBL-CommonAggregateComponents-2.1.xsd")
    for part in top:
        common.assertValid(etree.fromstring(etree.tostring(part)))
    allowed = SEQUENCES[etree.QName(top).localname].split()
    places = [allowed.index(etree.QName(part).localname) for part in top]
    assert places == sorted(places), "the elements stand in another order than the standard's"
    return top


def texts(top: etree._Element, path: str) -> list[str]:
    """The texts at the end of a path."""
    return [str(node.text) for node in top.findall(path, SPACES)]


def wire(kind: str, said: list[Said]) -> bytes:
    """A document; an Invoice only if the official schema takes it."""
    top = etree.Element(f"{{{ROOM}{kind}-2}}{kind}", nsmap={None: f"{ROOM}{kind}-2", **SPACES})
    _fill(top, said)
    if kind == "Invoice":
        _schema("maindoc/UBL-Invoice-2.1.xsd").assertValid(top)
    return etree.tostring(top, xml_declaration=True, encoding="UTF-8")


def _fill(top: etree._Element, said: list[Said]) -> None:
    for name, inside in said:
        prefix = "cac" if isinstance(inside, list) else "cbc"
        node = etree.SubElement(top, f"{{{SPACES[prefix]}}}{name}")
        if isinstance(inside, list):
            _fill(node, inside)
        elif isinstance(inside, tuple):
            node.text = inside[0]
            node.set("currencyID" if name.endswith("Amount") else "unitCode", inside[1])
        else:
            node.text = inside


def _party(role: str, name: str) -> Said:
    return role, [("Party", [("PartyIdentification", [("ID", name)])])]


def _item(item_id: str) -> Said:
    return "Item", [("Name", item_id), ("BuyersItemIdentification", [("ID", item_id)])]


def answer(order: Order, day: str = "2026-01-25", **changed: tuple[str, float]) -> list[Said]:
    """An OrderResponse: every line taken, but for changed ones ({line_1: (status, units)})."""
    change = [("OrderDocumentReference", [("ID", "1"), ("DocumentTypeCode", "230")])]
    said: list[Said] = [
        ("UBLVersionID", "2.1"),
        ("ID", "A-1"),
        ("IssueDate", "2026-01-05"),
        ("IssueTime", "09:30:00"),
        ("OrderResponseCode", "CA" if changed else "AP"),
        ("DocumentCurrencyCode", order.currency),
        ("LineCountNumeric", str(len(order.lines))),
        ("OrderReference", [("ID", order.order_id)]),
        *(change if order.revision else []),
        _party("SellerSupplierParty", "S1"),
        _party("BuyerCustomerParty", "STOCKHOUSE"),
    ]
    for line in order.lines:
        status, units = changed.get(f"line_{line.line_id}", ("5", line.quantity))
        said.append(("OrderLine", [("LineItem", _answered(line, order, status, units, day))]))
    return said


def _answered(line: Any, order: Order, status: str, units: float, day: str) -> list[Said]:
    return [
        ("ID", line.line_id),
        ("LineStatusCode", status),
        ("Quantity", (number(units), UNITS[line.unit])),
        ("Delivery", [("PromisedDeliveryPeriod", [("EndDate", day)])]),
        ("Price", [("PriceAmount", (number(line.unit_cost), order.currency))]),
        _item(line.item_id),
    ]


def ship_notice(order: Order, shipment_id: str = "SHIP-1") -> list[Said]:
    """A DespatchAdvice of everything."""
    said: list[Said] = [
        ("ID", shipment_id),
        ("IssueDate", "2026-01-19"),
        ("OrderReference", [("ID", order.order_id)]),
        _party("DespatchSupplierParty", "S1"),
        _party("DeliveryCustomerParty", "STOCKHOUSE"),
        (
            "Shipment",
            [
                ("ID", "1"),
                ("Delivery", [("EstimatedDeliveryPeriod", [("EndDate", "2026-01-21")])]),
            ],
        ),
    ]
    for place, line in enumerate(order.lines, start=1):
        inside = [
            ("ID", str(place)),
            ("DeliveredQuantity", (number(line.quantity), UNITS[line.unit])),
            ("OrderLineReference", [("LineID", line.line_id)]),
            _item(line.item_id),
        ]
        said.append(("DespatchLine", inside))
    return said


def invoice(
    order: Order, invoice_id: str = "INV-1", freight: float = 0, tax: float = 0
) -> list[Said]:
    """An Invoice of everything, with freight and tax on top."""
    money = order.currency
    said: list[Said] = [
        ("ID", invoice_id),
        ("IssueDate", "2026-01-22"),
        ("InvoiceTypeCode", "380"),
        ("DocumentCurrencyCode", money),
        ("OrderReference", [("ID", order.order_id)]),
        _party("AccountingSupplierParty", "S1"),
        _party("AccountingCustomerParty", "STOCKHOUSE"),
    ]
    if freight:
        charge = [("ChargeIndicator", "true"), ("Amount", (f"{freight:.2f}", money))]
        said.append(("AllowanceCharge", charge))
    said.append(("TaxTotal", [("TaxAmount", (f"{tax:.2f}", money))]))
    amounts = [round(line.quantity * line.unit_cost + 1e-9, 2) for line in order.lines]
    total = f"{sum(amounts) + freight + tax:.2f}"
    sums = [
        ("LineExtensionAmount", (f"{sum(amounts):.2f}", money)),
        ("TaxInclusiveAmount", (total, money)),
        ("PayableAmount", (total, money)),
    ]
    said.append(("LegalMonetaryTotal", sums))
    for line, amount in zip(order.lines, amounts, strict=True):
        inside = [
            ("ID", line.line_id),
            ("InvoicedQuantity", (number(line.quantity), UNITS[line.unit])),
            ("LineExtensionAmount", (f"{amount:.2f}", money)),
            ("OrderLineReference", [("LineID", line.line_id)]),
            _item(line.item_id),
            ("Price", [("PriceAmount", (number(line.unit_cost), money))]),
        ]
        said.append(("InvoiceLine", inside))
    return said


def number(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
