"""UBL 2.1: orders (Order), changes (OrderChange, OrderCancellation) out; answers (OrderResponse,
OrderResponseSimple), ship notices (DespatchAdvice) and invoices (Invoice) in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from models.procurement import exact_numbers, ubl_in, xml_tree
from models.procurement.codec import Delivery
from models.procurement.currencies import money
from models.procurement.messages import MessageError, Order, OrderedLine, Party
from models.procurement.unit_codes import code_of
from models.procurement.xml_tree import Element, element

#: What is asked of a line in a change (UNCL 1229).
ACTIONS = {"add": "1", "cancel": "2", "change": "3"}
TEST = "TEST: this is no order"


def _document(order: Order, ours: Party, theirs: Party, at: datetime, usage: str) -> Element:
    kind = _kind(order)
    number = f"{order.order_id}-{order.revision}" if order.revision else order.order_id
    inside = [
        element("cbc:UBLVersionID", "2.1"),
        element("cbc:ID", number),
        element("cbc:IssueDate", order.ordered_on.isoformat()),
        element("cbc:IssueTime", f"{at:%H:%M:%S}"),
    ]
    test = [element("cbc:Note", TEST)] if usage == "T" else []
    buyer, seller = _party("Buyer", "Customer", ours), _party("Seller", "Supplier", theirs)
    reference = element("cac:OrderReference", [element("cbc:ID", order.order_id)])
    if kind == "OrderCancellation":
        why = element("cbc:CancellationNote", f"Order {order.order_id} is cancelled as a whole.")
        inside += [*test, why, reference, buyer, seller]
    else:
        is_change = kind == "OrderChange"
        sequence = element("cbc:SequenceNumberID", str(order.revision))
        inside += [sequence] if is_change else [element("cbc:OrderTypeCode", "220")]
        inside += [
            *test,
            element("cbc:DocumentCurrencyCode", order.currency),
            element("cbc:LineCountNumeric", str(len(order.lines))),
            *([reference] if is_change else []),
            *(buyer, seller),
            *_goods(order),
        ]
    top = f"urn:oasis:names:specification:ubl:schema:xsd:{kind}-2"
    spaces = {"xmlns": top, "xmlns:cac": ubl_in.CAC, "xmlns:cbc": ubl_in.CBC}
    return element(kind, inside, **spaces)


def _kind(order: Order) -> str:
    if not order.revision:
        return "Order"
    is_cancelled = order.is_whole and all(line.action == "cancel" for line in order.lines)
    return "OrderCancellation" if is_cancelled else "OrderChange"


def _goods(order: Order) -> Iterator[Element]:
    """Where the goods go, what they are worth, and the lines."""
    place = element("cac:DeliveryLocation", [element("cbc:ID", order.location_id)])
    day = min(line.due_on for line in order.lines)
    yield element("cac:Delivery", [place, _requested(day)])
    total = sum((_value(line, order.currency) for line in order.lines), Decimal(0))
    worth = [
        _amount("cbc:LineExtensionAmount", total, order.currency),
        _amount("cbc:PayableAmount", total, order.currency),
    ]
    yield element("cac:AnticipatedMonetaryTotal", worth)
    for line in order.lines:
        yield _line(line, order)


def _line(line: OrderedLine, order: Order) -> Element:
    status = ACTIONS.get(line.action) if order.revision else None
    unit = code_of(line.unit, "ubl")
    price = [
        element("cbc:PriceAmount", exact_numbers.text(line.unit_cost), currencyID=order.currency),
        *([element("cbc:BaseQuantity", "1", unitCode=unit)] if line.unit else []),
    ]
    inside = [
        element("cbc:ID", line.line_id),
        *([element("cbc:LineStatusCode", status)] if status else []),
        element("cbc:Quantity", exact_numbers.text(line.quantity), unitCode=unit),
        _amount("cbc:LineExtensionAmount", _value(line, order.currency), order.currency),
        element("cac:Delivery", [_requested(line.due_on)]),
        element("cac:Price", price),
        element(
            "cac:Item",
            [
                element("cbc:Name", line.item_id),
                element("cac:BuyersItemIdentification", [element("cbc:ID", line.item_id)]),
            ],
        ),
    ]
    return element("cac:OrderLine", [element("cac:LineItem", inside)])


def _requested(day: date) -> Element:
    return element("cac:RequestedDeliveryPeriod", [element("cbc:EndDate", day.isoformat())])


def _party(role: str, side: str, party: Party) -> Element:
    scheme = {} if party.qualifier == "ZZ" else {"schemeID": party.qualifier}
    known = element("cac:PartyIdentification", [element("cbc:ID", party.id, **scheme)])
    endpoint = [element("cbc:EndpointID", party.id, **scheme)] if scheme else []
    return element(f"cac:{role}{side}Party", [element("cac:Party", [*endpoint, known])])


def _value(line: OrderedLine, currency: str) -> Decimal:
    return money(Decimal(repr(line.quantity)) * Decimal(repr(line.unit_cost)), currency)


def _amount(name: str, amount: Decimal, currency: str) -> Element:
    return element(name, exact_numbers.text(amount), currencyID=currency)


@dataclass(frozen=True)
class Ubl:
    """UBL 2.1 as a document format; a file is one document, and no receipt is known to it."""

    suffix: str = "xml"
    media_type: str = "application/xml"
    receipt_type: str = ""

    def document_type(self, order: Order) -> str:
        """`order`, `change` or `cancel`, as UBL has a document for each."""
        return {"Order": "order", "OrderChange": "change", "OrderCancellation": "cancel"}[
            _kind(order)
        ]

    def write(
        self, order: Order, ours: Party, theirs: Party, control: int, at: datetime, usage: str
    ) -> bytes:
        """The order as a UBL Order, OrderChange or OrderCancellation. Raises MessageError for an
        order without lines."""
        if not order.lines:
            raise MessageError(f"order {order.order_id} has no line, and UBL has no order without")
        return xml_tree.write(_document(order, ours, theirs, at, usage))

    def split(self, body: bytes) -> list[bytes]:
        """The document itself: UBL has one to a file."""
        return [body]

    def read(self, body: bytes) -> Delivery:
        """What a document says. Raises MessageError, naming the element, where nothing of it can be
        read."""
        return ubl_in.read(body)
