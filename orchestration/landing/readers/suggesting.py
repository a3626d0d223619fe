"""A first contract for files that have none: what can be seen in them is written down, what cannot
is left as a question."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

import polars as pl

from orchestration.landing.contract.canonical import CANONICAL
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.world import Source, Xlsx
from orchestration.landing.readers.json_document import json_table
from orchestration.landing.readers.sheets import workbook_table

SAMPLE_BYTES = 1 << 20
SAMPLE_ROWS = 2_000
DATE_FORMATS = (
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%b-%y",
    "%Y%m%d",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
)
#: Words people use in headers for what the house calls otherwise; the more special a column, the
#: earlier it chooses.
WORDS = {
    "lead_time_days": r"lead_?time(_?days)?|lieferzeit",
    "order_multiple": r"order_?multiple|multiple|lot_?size",
    "from_quantity": r"(from_?(quantity|qty|units))|((quantity|qty)_?from)|price_?break|tier",
    "moq": r"moq|minimum(_order(_quantity)?)?",
    "due_at": (
        r"(due|promised|expected|required)(_(on|at|by|date|day))?|eta|delivery_?date|liefertermin"
    ),
    "received_at": r"(received|arrived)(_(at|on|date))?",
    "payment_days": r"payment_?(days|terms)",
    "from_id": r"from(_location)?|origin|shipped_from",
    "to_id": r"to(_location)?|destination|shipped_to",
    "transfer_id": r"transfer(_?(no|id|number))?",
    "successor_id": r"successor|new_?(item|sku|article|part)|replaced_by|superseded_by|nachfolger",
    "part_id": r"part|component|child|komponente",
    "lead_time_working_days": r"(lead_?time_)?work(ing)?_?days|arbeitstage",
    "order_days": r"order_?days?|bestelltage?",
    "order_until": r"cut_?off(_time)?|order_until|bestellschluss",
    "delivered_quantity": r"(delivered|shipped|fulfilled)_?(qty|quantity)",
    "reserved": r"reserved|allocated|reserviert",
    "status": r"status|state|zustand",
    "expires_at": r"expir(es|y)(_(on|at|date))?|best_before|mhd",
    "lot": r"lot|batch|charge",
    "bin": r"bin|shelf|lagerplatz",
    "currency": r"currency|cur|curr|waehrung",
    "rate": r"(exchange_?)?rate|kurs",
    "item_id": (
        r"kit|parent|assembly|old_?(item|sku|article|part)"
        r"|item|sku|product|article|artikel(_?nr)?|stock_?code|material|part(_?no|number)?"
    ),
    "location_id": (
        r"store|location|warehouse|site|branch|country|plant|filiale|shop|depot"
        r"|deliver_?to|ship_?to"
    ),
    "delta": r"difference|delta|adjustment|correction",
    "on_hand": r"on_?hand|stock|inventory|bestand|counted|count",
    "quantity": (
        r"qty|quantity|units|pieces|pcs|amount|menge|anzahl|sold|sales|volume|received_quantity"
    ),
    "event_at": (
        r"(sold|ordered|received|counted|booked|shipped|dispatched|posted|invoiced)_(at|on)|(order|invoice|receipt|posting|count)_?date"
        r"|valid_from|date|day|week|datum|timestamp|time"
    ),
    "starts_at": r"valid_from|starts?(_(on|at|date))?",
    "unit_price": r"unit_?price|price|preis",
    "price": r"(selling_|list_|unit_)?price|preis",
    "unit_cost": r"unit_?cost|cost|einkaufspreis|unit_?price|price",
    "order_id": (
        r"order|po|(order|po)_?(no|id|number)|purchase_order|invoice|invoice_?no|document"
        r"|receipt_?no|belegnr"
    ),
    "line_id": r"line|line_?(no|id|number)|position|pos",
    "customer_id": r"customer|client|kunde",
    "supplier_id": r"(main_)?supplier|vendor|lieferant",
    "name": r"name|description|bezeichnung|title",
}
#: The tables a draft may be of, with what their files are often called; of equal guesses the first
#: counts.
CANDIDATES = {
    "sales": r"sale|invoice|till|pos|umsatz",
    "purchase_orders": r"purchase|po|bestellung",
    "receipts": r"receipt|received|goods_?in|wareneingang",
    "supplier_terms": r"terms|conditions|konditionen",
    "stock": r"stock|count|inventory|bestand",
    "transfers": r"transfer|umlagerung",
    "adjustments": r"adjustment|difference|shrink",
    "prices": r"price|preis",
    "items": r"item|article|product|artikel",
    "suppliers": r"supplier|vendor|lieferant",
    "locations": r"location|store|branch|filiale",
    "exchange_rates": r"rate|fx|currency|kurs",
    "components": r"bom|component|kit|recipe",
    "successions": r"success(ion|or)|supersession|replacement|nachfolge",
    "customer_orders": r"customer_order|open_order|backorder",
}
#: Columns without which a table of this kind would say nothing, though its grammar can do without.
TELLING = {
    "purchase_orders": "supplier_id",
    "supplier_terms": "lead_time_days",
    "stock": "on_hand",
    "items": "name",
    "suppliers": "name",
    "customer_orders": "delivered_quantity",
}
#: What a draft asks for, though a header may say it too.
ASKED = {"purchase_orders": ("location_id", "event_at")}


def suggest(files: Sequence[Path]) -> str:
    """The text of a draft world.yml for these files; every guess is a comment away from being
    questioned."""
    if not files:
        raise ContractError("no files to look at", mend="stockhouse check --suggest FILE...")
    sources = [_source(path) for path in files]
    head = [
        "world: my-company                # give it a name",
        "currency: EUR                    # the currency of every amount",
        "timezone: UTC                    # in which the systems write their times",
        (
            "plan: {grain: day, review: weekly, absent_sales: zero, lead_time_days: 14}   # please "
            "check each word"
        ),
        "sources:",
    ]
    return "\n".join([*head, *sources]) + "\n"


def _source(path: Path) -> str:
    form, frame, extra = _look(path)
    columns = [name for name in frame.columns if name]
    table, mapping = _mapping(columns, path.stem)
    dates = _dates(frame, mapping)
    lines = [
        f"  {re.sub(r'[^A-Za-z0-9_-]+', '_', path.stem).strip('_').lower() or 'source'}:",
        "    silo: erp                    # the system it comes from",
        f"    path: {_yaml(path.name)}",
        f"    format: {form}",
        *extra,
    ]
    if dates:
        lines.append(f'    dates: "{dates}"')
    key = _key(frame, columns)
    lines.append(
        f"    key: [{', '.join(_yaml(name) for name in key)}]"
        if key
        else "    identity: row                # no columns identify a row"
    )
    lines.append(
        "    known_after: 1 day           # when could you have known? or known_at: a column"
    )
    lines.append("    into:")
    lines.append(f"      - {table}:")
    spec = CANONICAL[table]
    for name in spec.columns:
        if name in mapping:
            lines.append(f"          {name}: {_yaml(mapping[name])}")
        elif name in (*spec.required, *ASKED.get(table, ())) or any(
            name in group and not any(n in mapping for n in group) for group in spec.one_of
        ):
            lines.append(
                f"          {name}: ???          # which column? a constant is written \"'main'\""
            )
    unused = [name for name in columns if name not in mapping.values()]
    if unused:
        lines.append(f"    # columns not used yet: {', '.join(unused)}")
    return "\n".join(lines)


def _look(path: Path) -> tuple[str, pl.DataFrame, list[str]]:
    """(format as YAML, a sample as text, further lines of the contract)."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return (
                "parquet",
                pl.read_parquet(path, n_rows=SAMPLE_ROWS).cast(pl.String, strict=False),
                [],
            )
        if suffix in (".xlsx", ".ods"):
            return _look_at_workbook(path)
        if suffix in (".json", ".jsonl"):
            return suffix.removeprefix("."), _json_sample(path), []
        with path.open("rb") as file:
            return _look_at_text(file.read(SAMPLE_BYTES), path)
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        raise ContractError(f"cannot be read: {error}", where=path.name) from None


def _json_sample(path: Path) -> pl.DataFrame:
    table, names, _ = json_table(path, None, [""], path.name)
    frame = pl.from_arrow(table.select(names).slice(0, SAMPLE_ROWS))
    return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()


def _look_at_workbook(path: Path) -> tuple[str, pl.DataFrame, list[str]]:
    source = Source.model_validate(
        {"silo": "x", "path": "x", "identity": "row", "into": [{"items": {}}]}
    )
    best: tuple[int, int, pl.DataFrame] | None = None
    for row in range(1, 11):
        try:
            table, names = workbook_table(path, Xlsx(header_row=row), source, path.name)
        except ContractError:
            continue
        frame = pl.from_arrow(table.select(names))
        named = sum(not name.startswith("column_") for name in names)
        if isinstance(frame, pl.DataFrame) and (best is None or named > best[0]):
            best = (named, row, frame)
    if best is None:
        raise ContractError("has no sheet that can be read", where=path.name)
    return f"{{xlsx: {{sheet: 1, header_row: {best[1]}}}}}", best[2].head(SAMPLE_ROWS), []


def _look_at_text(raw: bytes, path: Path) -> tuple[str, pl.DataFrame, list[str]]:
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        text = raw.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        if error.start > len(raw) - 4:
            text = raw[: error.start].decode(encoding)
        else:
            encoding, text = "windows-1252", raw.decode("windows-1252", "replace")
    if len(raw) == SAMPLE_BYTES:
        text = text[: max(text.rfind("\n"), text.rfind("\r"))]
    lines = re.split(r"\r\n|\n|\r", text)
    delimiter = max(
        ",;\t|", key=lambda sign: min((line.count(sign) for line in lines[:20] if line), default=0)
    )
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))[: SAMPLE_ROWS + 1]
    rows = [row for row in rows if row]
    if not rows:
        raise ContractError("is empty", where=path.name)
    options = [f"delimiter: {delimiter!r}"] if delimiter != "," else []
    options += [f"encoding: {encoding}"] if encoding != "utf-8" else []
    form = f"{{csv: {{{', '.join(options)}}}}}".replace("'\\t'", '"\\t"') if options else "csv"
    width = len(rows[0])
    body = [row for row in rows[1:] if len(row) == width]
    frame = pl.DataFrame(
        {name: [row[i] or None for row in body] for i, name in enumerate(rows[0])}, strict=False
    )
    comma = any(re.fullmatch(r"-?\d+,\d+", cell or "") for row in body[:200] for cell in row)
    return form, frame.cast(pl.String), ['    decimal: ","'] if comma and delimiter != "," else []


def _mapping(columns: Sequence[str], stem: str) -> tuple[str, dict[str, str]]:
    """The likeliest table, by its columns and the file's name, and which of the file's columns are
    its."""
    guesses = {table: _columns_of(table, columns) for table in CANDIDATES}
    table = max(CANDIDATES, key=lambda name: _likelihood(name, guesses[name], stem))
    return table, guesses[table]


def _columns_of(table: str, columns: Sequence[str]) -> dict[str, str]:
    """What each column of a canonical table is called in the file; a header that is the word itself
    goes before one that holds it."""
    found: dict[str, str] = {}
    for pattern in (r"({})", r"(?:.*_)?({})(?:_.*)?"):
        for name, words in WORDS.items():
            if name not in CANONICAL[table].columns or name in found:
                continue
            free = (column for column in columns if column not in found.values())
            match = next(
                (column for column in free if re.fullmatch(pattern.format(words), _plain(column))),
                None,
            )
            if match:
                found[name] = match
    return {name: found[name] for name in WORDS if name in found}


def _likelihood(table: str, found: dict[str, str], stem: str) -> int:
    """How well a file fits a table: every column it explains counts, every one the table cannot do
    without counts against it."""
    spec, telling = CANONICAL[table], TELLING.get(table)
    missing = [
        name
        for name in (*spec.required, *ASKED.get(table, ()), *([telling] if telling else []))
        if name not in found
    ]
    missing += ["one of" for group in spec.one_of if not any(name in found for name in group)]
    is_named = re.search(rf"(^|_)({CANDIDATES[table]})s?(_|$)", _plain(stem)) is not None
    return len(found) - 3 * len(missing) + 3 * is_named


def _plain(column: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", column).lower()).strip(
        "_"
    )


def _dates(frame: pl.DataFrame, mapping: dict[str, str]) -> str | None:
    """The strptime format of the event's column where it is not ISO."""
    column = mapping.get("event_at")
    if column is None or not frame.height:
        return None
    values = frame[column].drop_nulls()
    for form in DATE_FORMATS:
        kind = pl.Datetime if "%H" in form else pl.Date
        if values.len() and values.str.strptime(kind, form, strict=False).null_count() == 0:
            return None if form.startswith("%Y-%m-%d") else form
    return None


def _key(frame: pl.DataFrame, columns: Iterable[str]) -> list[str]:
    """The smallest set of columns that tells all sampled rows apart."""
    names = [name for name in columns if frame[name].null_count() == 0][:12]
    for size in (1, 2, 3):
        for chosen in combinations(names, size):
            if frame.height > 1 and frame.select(chosen).is_unique().all():
                return [*chosen]
    return []


def _yaml(name: str) -> str:
    return (
        name
        if re.fullmatch(r"[A-Za-z_][\w ./()-]*", name)
        and name.lower() not in ("yes", "no", "on", "off", "null", "true", "false")
        else f"'{name}'"
    )
