"""CSV: orders and changes out, one line a row; answers, ship notices and invoices in, each row by a
contract that says which of its columns means what."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from models.procurement import exact_numbers
from models.procurement.codec import Delivery, check_size
from models.procurement.invoice_totals import Bill, BilledLine
from models.procurement.messages import (
    BUYER,
    DENIED,
    EDI_DESK,
    PROMISED,
    AcknowledgedLine,
    Acknowledgement,
    Message,
    MessageError,
    Odd,
    Order,
    Party,
    ShipNotice,
    ShippedLine,
)
from models.procurement.unit_codes import PIECE, unit_named

#: How a text begins that a spreadsheet does not show but reckon.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
#: What an order's row says; the last three are for the supplier to fill in and send back.
COLUMNS = (
    *("order", "change", "line", "action", "item", "quantity", "unit cost", "currency", "due on"),
    *("deliver to", "confirmed", "promised on", "remark"),
)
#: With a column for the unit, where a line of the order is counted in one of the supplier's own.
WITH_UNITS = (*COLUMNS[:6], "unit", *COLUMNS[6:])
SIGNS = ("delimiter", "encoding", "decimal", "day")
MOST_ROWS, MOST_COLUMNS = 100_000, 200
#: What each kind of row has to say, and what it may say.
NEEDED = {
    "answers": ("order_id", "quantity"),
    "shipments": ("shipment_id", "order_id", "quantity"),
    "invoices": ("invoice_id", "order_id", "quantity", "unit_cost", "invoiced_on", "total"),
}
MAY = {
    "answers": (
        "line_id",
        "item_id",
        "code",
        "unit_cost",
        "due_on",
        "reason",
        "currency",
        "change",
        "unit",
    ),
    "shipments": ("line_id", "item_id", "due_on", "unit"),
    "invoices": ("line_id", "item_id", "currency", "charges", "credits", "unit"),
}
#: How orders of ours come back when their last columns are filled in.
OURS = {
    "order_id": "order",
    "change": "change",
    "line_id": "line",
    "item_id": "item",
    "quantity": "confirmed",
    "unit_cost": "unit cost",
    "currency": "currency",
    "due_on": "promised on",
    "reason": "remark",
}


@dataclass(frozen=True)
class Cell:
    """Where a word of ours stands in a row: under a column, its values translated where a table of
    them is given."""

    column: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rows:
    """One kind of row: its words by column, and what a column must say for a row to be one."""

    kind: str
    cells: Mapping[str, Cell]
    when: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> set[str]:
        """The supplier's columns that such a row needs."""
        return {cell.column for cell in self.cells.values()} | set(self.when)


@dataclass(frozen=True)
class Contract:
    """How a supplier's CSV is read: its signs, its days, and its kinds of rows, the first that fits
    counting."""

    rows: tuple[Rows, ...]
    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    day: str = "%Y-%m-%d"

    @classmethod
    def of(cls, values: Any) -> Contract:
        """The contract as partners.yml words it: {delimiter, encoding, decimal, day, answers:
        {word: column, …}, shipments: …, invoices: …}. Raises MessageError for what is not
        understood."""
        if not isinstance(values, Mapping):
            raise MessageError(f"{values!r} is no contract: map answers, shipments or invoices")
        signs = {
            key: values[key] for key in ("delimiter", "encoding", "decimal", "day") if key in values
        }
        if unknown := set(values) - set(NEEDED) - set(signs):
            words = ", ".join((*NEEDED, *SIGNS))
            raise MessageError(f"{', '.join(map(str, unknown))} is not understood; words: {words}")
        rows = tuple(_rows(kind, values[kind]) for kind in NEEDED if kind in values)
        made = cls(rows or DEFAULT.rows, **signs)
        made.check()
        return made

    def check(self) -> None:
        """Raise MessageError where a delimiter, decimal sign, encoding or form of days cannot be
        used."""
        signs = (self.delimiter, self.decimal)
        if not all(isinstance(sign, str) and len(sign) == 1 for sign in signs) or (
            self.decimal not in (".", ",")
        ):
            raise MessageError("delimiter is one sign, decimal is '.' or ','")
        try:
            "".encode(self.encoding)
            datetime.strptime(datetime(2026, 1, 5).strftime(self.day), self.day)
        except (LookupError, TypeError, ValueError) as error:
            raise MessageError(f"encoding or day is not understood: {error}") from error


def _rows(kind: str, mapping: Any) -> Rows:
    """One kind of row as partners.yml words it: word: column, or word: {column: …, values: …}."""
    if not isinstance(mapping, Mapping):
        raise MessageError(f"{kind}: {mapping!r} does not map words to columns")
    words, when = {k: v for k, v in mapping.items() if k != "when"}, mapping.get("when", {})
    allowed = (*NEEDED[kind], *MAY[kind])
    missing = [word for word in NEEDED[kind] if word not in words]
    unknown = [word for word in words if word not in allowed]
    if missing or unknown or not isinstance(when, Mapping):
        raise MessageError(
            f"{kind}: {', '.join(map(str, missing or unknown or ['when']))} is "
            f"{'missing' if missing else 'not understood'}; words: {', '.join(allowed)}, when"
        )
    if not {"line_id", "item_id"} & words.keys():
        raise MessageError(f"{kind}: line_id or item_id is missing: a row is of a line")
    cells = {word: _cell(f"{kind}.{word}", value) for word, value in words.items()}
    return Rows(kind, cells, {str(column): str(value) for column, value in when.items()})


def _cell(where: str, value: Any) -> Cell:
    if isinstance(value, Mapping) and set(value) <= {"column", "values"} and "column" in value:
        values = value.get("values") or {}
        if isinstance(values, Mapping):
            return Cell(str(value["column"]), {str(k): str(v) for k, v in values.items()})
    if isinstance(value, str):
        return Cell(value)
    raise MessageError(f"{where} is a column, or {{column: …, values: {{theirs: ours}}}}")


DEFAULT = Contract((_rows("answers", OURS | {"unit": "unit"}), _rows("answers", OURS)))


@dataclass(frozen=True)
class Row:
    """One row of a supplier's file under its contract; number counts from 1, the header."""

    number: int
    kind: Rows
    values: Mapping[str, str]
    contract: Contract

    def get(self, word: str) -> str:
        """What the row says under a word; empty where it says nothing."""
        cell = self.kind.cells.get(word)
        found = self.values[cell.column].strip() if cell else ""
        if cell and cell.values and found:
            if found not in cell.values:
                raise MessageError(
                    f"{self.where(word)} is '{found[:40]}', which stands for nothing"
                )
            return cell.values[found]
        return _unshown(found)

    def need(self, word: str) -> str:
        """What the row says under a word. Raises MessageError where that is nothing."""
        if not (found := self.get(word)):
            raise MessageError(f"{self.where(word)} is empty")
        return found

    def where(self, word: str) -> str:
        """The row's number and the supplier's own column, for messages about a word."""
        return f"row {self.number}, {self.kind.cells[word].column}"

    def exact(self, word: str) -> Decimal:
        """A number without rounding, read by the agreed decimal sign. Raises MessageError where it
        is none."""
        found, decimal = self.need(word), self.contract.decimal
        if decimal != "." and "." in found:
            raise MessageError(f"{self.where(word)} is '{found[:40]}', agreed is a decimal comma")
        return exact_numbers.exact(found.replace(decimal, "."), self.where(word))

    def given_back(self, word: str) -> Decimal:
        """A number of a credit note, whose figures may say with a sign what is given back."""
        unsigned = {self.kind.cells[word].column: self.need(word).removeprefix("-")}
        return replace(self, values={**self.values, **unsigned}).exact(word)

    def on(self, word: str) -> date:
        """A day in the agreed form. Raises MessageError where it is none."""
        try:
            return datetime.strptime(self.need(word), self.contract.day).date()
        except ValueError as error:
            raise MessageError(
                f"{self.where(word)} is '{self.get(word)[:40]}', no day as {self.contract.day}"
            ) from error


@dataclass(frozen=True)
class Table:
    """CSV as a document format. contract: how what the supplier sends is read."""

    contract: Contract = DEFAULT
    suffix: str = "csv"
    media_type: str = "text/csv"
    receipt_type: str = ""

    def document_type(self, order: Order) -> str:
        """`change` for a change of an order, else `order`."""
        return "change" if order.revision else "order"

    def write(
        self, order: Order, ours: Party, theirs: Party, control: int, at: datetime, usage: str
    ) -> bytes:
        """The order as CSV, one line a row; columns for the supplier's answer stay empty."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(WITH_UNITS if order.has_units else COLUMNS)
        for line in order.lines:
            units, cost = exact_numbers.text(line.quantity), exact_numbers.text(line.unit_cost)
            head = (order.order_id, str(order.revision), line.line_id, line.action)
            unit = (line.unit or PIECE,) if order.has_units else ()
            goods = (line.item_id, units, *unit, cost, order.currency, line.due_on.isoformat())
            rows.writerow(shown((*head, *goods, order.location_id, "", "", "")))
        return text.getvalue().encode()

    def split(self, body: bytes) -> list[bytes]:
        """The file itself: a CSV is one delivery."""
        return [body]

    def read(self, body: bytes) -> Delivery:
        """What the rows say: answers, shipments and invoices. A row that cannot be read is a
        message of its own. Raises MessageError where no row says anything."""
        rows, messages = _read(body, self.contract)
        by_kind = {kind: [row for row in rows if row.kind.kind == kind] for kind in NEEDED}
        messages += _answers(by_kind["answers"])
        messages += _shipments(by_kind["shipments"])
        messages += _invoices(by_kind["invoices"])
        if not messages:
            raise MessageError("no row of it says anything")
        return Delivery(tuple(messages))


def written_lines(body: bytes) -> list[dict[str, str]]:
    """The lines of an order that `Table.write` wrote, by column, as they were before a spreadsheet
    might have reckoned them; for whoever hands an order on in another way."""
    rows = csv.reader(io.StringIO(body.decode(), newline=""))
    header = next(rows)
    return [dict(zip(header, map(_unshown, cells), strict=True)) for cells in rows]


def _unshown(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith(FORMULA) else cell


def shown(cells: Sequence[str]) -> list[str]:
    """Cells as a spreadsheet may be given them: what it would reckon as a formula begins with an
    apostrophe."""
    return [f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells]


def _read(body: bytes, contract: Contract) -> tuple[list[Row], list[Message]]:
    """The rows of a file by their kinds, and those that are of none, for a person."""
    check_size(body)
    try:
        text = body.decode("utf-8-sig" if contract.encoding == "utf-8" else contract.encoding)
    except UnicodeDecodeError as error:
        raise MessageError(f"byte {error.start} is no {contract.encoding} text") from error
    if "\x00" in text:
        raise MessageError("it has a NUL in it, which no text has")
    rows: list[Row] = []
    odd: list[Message] = []
    lines = _lines(text, contract)
    header = next(lines, [])
    kinds = [kind for kind in contract.rows if kind.columns <= set(header)]
    if not kinds or len(set(header)) < len(header) or len(header) > MOST_COLUMNS:
        named = "; or ".join(", ".join(sorted(kind.columns)) for kind in contract.rows)
        raise MessageError(f"its header does not have the agreed columns, each once: {named}")
    for number, cells in enumerate(lines, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if number > MOST_ROWS:
            raise MessageError(f"it has more than {MOST_ROWS:,} rows")
        values = dict(zip(header, cells, strict=False))
        fits = (k for k in kinds if all(values.get(c) == v for c, v in k.when.items()))
        kind = next(fits, None)
        if kind is None or len(cells) != len(header):
            reason = f"row {number} is of no agreed kind or has another number of cells"
            odd.append(Odd("", "", reason, EDI_DESK))
        else:
            rows.append(Row(number, kind, values, contract))
    return rows, odd


def _lines(text: str, contract: Contract) -> Iterator[list[str]]:
    try:
        yield from csv.reader(
            io.StringIO(text, newline=""), delimiter=contract.delimiter, strict=True
        )
    except csv.Error as error:
        raise MessageError(f"it is no CSV: {error}") from error


def _each(
    rows: Sequence[Row], read_one: Callable[[Row], Message], owner: str
) -> tuple[list[Any], list[Message]]:
    """What rows say one by one, and those that cannot be read. Raises MessageError where none
    can."""
    messages: list[Any] = []
    odd: list[Message] = []
    for row in rows:
        try:
            messages.append(read_one(row))
        except MessageError as error:
            if len(rows) == 1:
                raise
            odd.append(Odd(_safe(row, "order_id"), _safe(row, "line_id"), str(error), owner))
    return messages, odd


def _safe(row: Row, word: str) -> str:
    try:
        return row.get(word)
    except MessageError:
        return ""


def _answers(rows: Sequence[Row]) -> list[Message]:
    """One answer for each order, and each of its changes, that the rows speak of."""
    filled = [row for row in rows if _safe(row, "quantity")]
    replies, odd = _each(filled, _answer, BUYER)
    whole: dict[tuple[str, str, str], list[AcknowledgedLine]] = {}
    for key, line in replies:
        whole.setdefault(key, []).append(line)
    answers = [
        Acknowledgement(order_id, currency or None, tuple(lines), change not in ("", "0"))
        for (order_id, change, currency), lines in whole.items()
    ]
    return [*answers, *odd]


def _answer(row: Row) -> Any:
    units = row.exact("quantity")
    code = row.get("code") or ("IA" if units else "IR")
    if code not in (*PROMISED, *DENIED):
        raise MessageError(f"{row.where('code')} is '{code[:20]}', no answer that is read here")
    price = float(row.exact("unit_cost")) if row.get("unit_cost") else None
    day = row.on("due_on") if row.get("due_on") else None
    promised = 0.0 if code in DENIED else float(units)
    about = (row.get("line_id"), row.get("item_id"), code, promised, price, day, row.get("reason"))
    key = (row.need("order_id"), row.get("change"), row.get("currency"))
    return key, AcknowledgedLine(*about, _unit(row))


def _unit(row: Row) -> str:
    """The unit a row is counted in; empty where it says none."""
    return unit_named(row.get("unit"))


def _shipments(rows: Sequence[Row]) -> list[Message]:
    shipped, odd = _each(rows, _shipped, BUYER)
    whole: dict[str, list[tuple[date | None, ShippedLine]]] = {}
    for shipment_id, day, line in shipped:
        whole.setdefault(shipment_id, []).append((day, line))
    notices = [
        ShipNotice(
            shipment_id,
            max((day for day, _ in lines if day is not None), default=None),
            tuple(line for _, line in lines),
        )
        for shipment_id, lines in whole.items()
    ]
    return [*notices, *odd]


def _shipped(row: Row) -> Any:
    day = row.on("due_on") if row.get("due_on") else None
    about = (row.need("order_id"), row.get("line_id"), row.get("item_id"))
    return (
        row.need("shipment_id"),
        day,
        ShippedLine(*about, float(row.exact("quantity")), _unit(row)),
    )


def _invoices(rows: Sequence[Row]) -> list[Message]:
    """One bill for each invoice number; its rows must agree on its head and its total."""
    whole: dict[str, list[Row]] = {}
    for row in rows:
        whole.setdefault(row.need("invoice_id"), []).append(row)
    messages: list[Message] = []
    for invoice_id, mine in whole.items():
        first = mine[0]
        for word in ("invoiced_on", "total", "currency", "charges", "credits"):
            if len({row.get(word) for row in mine}) > 1:
                raise MessageError(f"invoice {invoice_id}: its rows differ in {word}")
        amount = first.given_back if first.get("credits") else first.exact
        charges = amount("charges") if first.get("charges") else Decimal(0)
        bill = Bill(
            invoice_id,
            first.need("order_id"),
            first.on("invoiced_on"),
            first.get("currency") or None,
            amount("total"),
            charges,
            first.get("credits") or None,
        )
        messages += bill.messages([(_safe(row, "line_id"), partial(_billed, row)) for row in mine])
    return messages


def _billed(row: Row) -> BilledLine:
    about = (row.need("order_id"), row.get("line_id"), row.get("item_id"))
    units = row.given_back("quantity") if row.get("credits") else row.exact("quantity")
    price = row.exact("unit_cost")
    return BilledLine(*about, units, price, unit=_unit(row))
