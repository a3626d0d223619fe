"""A first contract for files that have none: what can be seen in them is written down, what cannot
is left as a question."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path, PurePosixPath

import polars as pl

from orchestration.landing.contract.canonical import ADDED_UP, CANONICAL, GRAINS
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.validation import event_column
from orchestration.landing.readers.drops import is_litter
from orchestration.landing.readers.sniffing import SAMPLE_BYTES, look, member_pattern
from orchestration.landing.readers.written_days import (
    FIRST_OF_MONTH,
    LAST_OF_MONTH,
    days_of,
    period_of,
    written,
)

#: Words people use in headers for what the house calls otherwise; the more special a column, the
#: earlier it chooses.
WORDS = {
    "lead_time_days": r"lead_?time(_?days)?|lieferzeit",
    "order_multiple": r"order_?multiple|multiple|lot_?size|ve|verpackungseinheit",
    "from_quantity": r"(from_?(quantity|qty|units))|((quantity|qty)_?from)|price_?break|tier",
    "moq": r"moq|minimum(_order(_quantity)?)?|mindest(bestell)?menge",
    "due_at": (
        r"(due|promised|expected|required)(_(on|at|by|date|day))?|eta|delivery_?date|liefertermin"
    ),
    "received_at": r"(received|arrived)(_(at|on|date))?",
    "payment_days": r"payment_?(days|terms)|zahlungsziel",
    "from_id": r"from(_location)?|origin|shipped_from",
    "to_id": r"to(_location)?|destination|shipped_to",
    "transfer_id": r"transfer(_?(no|id|number))?",
    "successor_id": r"successor|new_?(item|sku|article|part)|replaced_by|superseded_by|nachfolger",
    "substitute_id": r"substitut(e|ed_by)|alternative(_item)?|instead|ersatz(artikel)?",
    "part_id": r"part|component|child|komponente|ingredient|bestandteil|teil",
    "share": r"(supply_?|purchase_?)?share|quota|split|anteil|quote",
    "scrap_share": r"scrap(_(share|rate))?|waste|ausschuss",
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
        r"kit|parent|assembly|finished_good|old_?(item|sku|article|part)"
        r"|set|bundle|item|sku|product|article|artikel(_?(nr|nummer|code))?|stock_?code|material"
        r"|part(_?no|number)?"
        r"|dept|department"
    ),
    "country": r"country(_code)?|iso_?code|land",
    "region_id": r"region|province|bundesland",
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
        r"|(stich|beleg|bestell|buchungs|rechnungs|verkaufs)(tag|datum)"
        r"|valid_from|gueltig_(ab|von)|date|day|week|month|datum|monat|timestamp|time"
        r"|ordered|bestellt(_am)?|am|per|stand|woche|kw|week_?no|period"
    ),
    "starts_at": r"valid_from|gueltig_(ab|von)|starts?(_(on|at|date))?",
    "ends_at": r"valid_(to|until)|gueltig_bis|ends?(_(on|at|date))?",
    "unit_price": r"unit_?price|price|(einzel|stueck|verkaufs)?preis|vk",
    "price": r"(selling_|list_|unit_)?price|(verkaufs)?preis|vk",
    "unit_cost": r"unit_?cost|cost|einkaufspreis|ek|unit_?price|price|(einzel|stueck)?preis",
    "order_id": (
        r"order|po|(order|po)_?(no|id|number)|purchase_order|invoice|invoice_?no|document"
        r"|bestell(ung|ungs)?_?(nr|nummer)"
    ),
    "line_id": r"line|line_?(no|id|number)|position|pos",
    "customer_id": r"customer|client|kunde(n_?(nr|nummer))?",
    "supplier_id": r"(main_)?supplier|vendor|lieferant(en_?(nr|nummer))?",
    # of the fact, and not of what stands behind it, as in unit_price
    "unit": r"uo_?m|unit_of_measure|(mengen)?einheit|unit(?!_)",
    "day": r"day|date|datum|tag",
    "name": r"name|description|bezeichnung|title",
    "address": r"((delivery|postal)_?)?address|(liefer)?(anschrift|adresse)",
}
#: What a header may mean where nothing else of the file does: the number of a receipt is the
#: order's where no column has that.
LAST = {"order_id": r"receipt_?no|belegnr", "location_id": r"(stand|lager)?ort|lager"}
#: The tables a draft may be of, with what their files are often called; of equal guesses the first
#: counts.
CANDIDATES = {
    "sales": r"sale|invoice|till|pos|umsatz|umsaetze|verkauf|verkaeufe",
    "purchase_orders": r"purchase|po|bestellung(en)?",
    "receipts": r"receipt|received|goods_?in|wareneing(a|ae)nge?",
    "supplier_terms": r"terms|conditions|konditionen",
    "stock": r"stock|count|inventory|best(a|ae)nde?",
    "transfers": r"transfer|umlagerung",
    "adjustments": r"adjustment|difference|shrink",
    "prices": r"price|preis",
    "items": r"item|article|product|artikel",
    "suppliers": r"supplier|vendor|lieferant(en)?",
    "locations": r"location|store|branch|filialen?",
    "exchange_rates": r"rate|fx|currency|kurse?",
    "components": r"bom|component|kit",
    "bills_of_materials": r"bills?_of_materials?|recipe|stuecklisten?",
    "substitutes": r"substitutes?|alternative_items?|ersatz",
    "successions": r"success(ion|or)|supersession|replacement|nachfolge",
    "customer_orders": r"customer_order|open_order|backorder",
    "item_units": r"units?|uom|packaging|einheit(en)?",
    "holidays": r"holiday|feiertag|closing_day",
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
#: How German spells its umlauts in ASCII.
SPELT_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss"})
#: A header of the number that a system gives each of its rows.
ROW_NUMBER = r"(.*_)?(id|no|nr|number|nummer|key|beleg(_?nr)?|bon(_?nr)?|ticket|receipt)"
#: What one company has one of, where no column says which: a constant stands in, with a question.
ONE_OF_ALL = {"item_id": "all", "location_id": "main"}
#: The facts that are counted at a time, which a constant may complete.
COUNTED = ("sales", "stock", "receipts", "purchase_orders")
TIMES = ("event_at", "due_at", "received_at")
BOUNDS = ("starts_at", "ends_at", "day")
#: What tells one row of a fact from another, as far as the file has it.
NATURAL = (
    *("order_id", "transfer_id", "line_id", "item_id", "location_id", "supplier_id"),
    *("from_quantity", "event_at"),
)
#: From so many columns on that are all days, or all numbers beside one day, a sheet is wide.
WIDE = 8
#: What of two tables only a person can say which it is, by their column that names the whole.
WHICH = dict.fromkeys(
    ("components", "bills_of_materials"),
    "put together when sold: components; made before: bills_of_materials",
)
#: What is asked of sales whose days are all the first, or all the last, of a month.
PERIODS = {
    FIRST_OF_MONTH: "every sale is of the first of a month: are these totals of months?",
    LAST_OF_MONTH: "every sale is of the last of a month: are these totals of months?",
}
#: What a draft asks for, though a header may say it too.
ASKED = {"purchase_orders": ("location_id", "event_at")}


def suggest(files: Sequence[Path]) -> str:
    """The text of a draft world.yml for these files, and for those in folders; every guess is a
    comment away from being questioned.

    Paths are written from the folder that all of them lie in, where world.yml belongs. Files of one
    shape whose names differ in a number alone, such as one a month, are one source.
    """
    found = [file for path in files for file in _files_in(path)]
    if not found:
        raise ContractError("no files to look at", mend="stockhouse check --suggest FILE...")
    root = Path(os.path.commonpath([file.absolute().parent for file in found]))
    drafts = _alike([_draft(path, root) for path in found], root)
    sales = [draft for draft in drafts if draft.table == "sales"]
    whole = ", whole_units: true" if sales and all(draft.is_whole for draft in sales) else ""
    periods = {draft.period for draft in sales}
    one = periods.pop() if len(periods) == 1 else ""
    asked = PERIODS.get(one, f"every sale is of a {one}: does its week begin there, or end?")
    head = [
        "world: my-company                # give it a name",
        "currency: EUR                    # the currency of every amount",
        "timezone: UTC                    # in which the systems write their times",
        f"plan: {{{_rhythm(one)}, absent_sales: zero, lead_time_days: 14{whole}}}   "
        "# please check each word",
        *([f"# {asked}"] if one else []),
        "sources:",
    ]
    aside = _aside(drafts)
    told = [draft.text(aside.get(draft.path, ""), period=one) for draft in drafts]
    return "\n".join([*head, *told]) + "\n"


def _rhythm(period: str) -> str:
    """The words of the plan for sales that are totals of a period, or of days."""
    if period in PERIODS:
        return "grain: month, review: monthly"
    return (
        f"grain: week, week_starts_on: {period}, review: weekly"
        if period
        else "grain: day, review: weekly"
    )


def _files_in(path: Path) -> list[Path]:
    """The file itself, or those of a folder that somebody meant to hand over."""
    if not path.is_dir():
        return [path]
    return [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file()
        and file.name != "world.yml"
        and not is_litter(str(file.relative_to(path)))
    ]


def _alike(drafts: Sequence[Draft], root: Path) -> list[Draft]:
    """The drafts, with those that read the same of files numbered alike as one: the last of them,
    by a pattern for all."""
    groups: dict[object, list[Draft]] = {}
    for draft in drafts:
        form = re.sub(r",? ?encoding: [\w-]+", "", draft.form)
        of = (_pattern(draft.path), form, draft.table, *sorted(draft.mapping.items()))
        groups.setdefault(of, []).append(draft)
    told = []
    for group in groups.values():
        pattern, last = _pattern(group[0].path), max(group, key=lambda draft: draft.path)
        others = [draft.path for draft in drafts if draft not in group]
        form = _form_of_all(group, root)
        if len(group) == 1 or not form or any(PurePosixPath(one).match(pattern) for one in others):
            told += group
            continue
        changed = len({tuple(draft.frame.columns) for draft in group}) > 1
        extra = ["    drift: evolve                # their columns differ"] if changed else []
        stem = PurePosixPath(pattern).stem.replace("*", " ").strip(" -_.")
        extra = [*last.extra, *extra]
        name = _source_name(stem)
        told.append(replace(last, path=pattern, name=name, form=form, extra=extra))
    return told


def _form_of_all(group: Sequence[Draft], root: Path) -> str:
    """The format that reads every file of a group: one encoding, where the others are plain ASCII;
    empty where there is none."""
    forms = {draft.form for draft in group}
    special = {form for form in forms if "encoding:" in form} or forms
    if len(special) > 1:
        return ""
    plain = [draft.path for draft in group if draft.form not in special]
    for path in plain:
        with (root / path).open("rb") as file:
            if not file.read(SAMPLE_BYTES).isascii():
                return ""
    return special.pop()


def _pattern(path: str) -> str:
    """A file's path with `*` for each number of its name; an archive's as it is."""
    place = PurePosixPath(path)
    if "!" in path:
        return path
    return str(place.with_name(re.sub(r"\d+(?:[-_.]\d+)*", "*", place.stem) + place.suffix))


def _aside(drafts: Sequence[Draft]) -> dict[str, str]:
    """The files that stand as comments until a person answers, by path: those with an open
    question, and a second source of sales, which could be the same ones told again."""
    whole = [draft for draft in drafts if not draft.lacking]
    if not whole:
        return {}
    asked = {
        draft.path: f"not loaded until somebody says: {', '.join(draft.lacking)}"
        for draft in drafts
        if draft.lacking
    }
    sales = [draft for draft in whole if draft.table == "sales"]
    if not sales:
        return asked
    first = next((draft for draft in sales if _is_named("sales", draft.name)), sales[0])
    return asked | {
        draft.path: f"not loaded: are these other sales than those of {first.path}?"
        for draft in sales
        if draft is not first
    }


@dataclass(frozen=True)
class Draft:
    """What was seen of one file: its table, which of its columns are that table's, and what only a
    person can say."""

    path: str
    name: str
    form: str
    extra: list[str]
    frame: pl.DataFrame
    table: str
    mapping: dict[str, str]
    questions: dict[str, str]  # column of the table -> why a constant or a guess stands in

    @property
    def lacking(self) -> list[str]:
        """Columns that the table cannot do without and nothing stands in for."""
        spec = CANONICAL[self.table]
        needed = [*spec.required, *ASKED.get(self.table, ())]
        needed += [
            group[0] for group in spec.one_of if not any(name in self.mapping for name in group)
        ]
        return [name for name in dict.fromkeys(needed) if name not in self.mapping]

    @property
    def period(self) -> str:
        """What everything in the file is a total of by its days: see `written_days.period`."""
        column = self.mapping.get("event_at")
        return period_of(self.frame[column]) if column in self.frame.columns else ""

    @property
    def is_whole(self) -> bool:
        """Whether every quantity that was seen is a whole number."""
        column = self.mapping.get("quantity")
        if column not in self.frame.columns:
            return False
        said = self.frame[column].drop_nulls().str.strip_chars()
        return len(said) > 0 and bool(said.str.contains(r"^-?\d+([.,]0+)?$").all())

    def text(self, aside: str = "", *, period: str) -> str:
        """The source as YAML. aside: why it stands as a comment until somebody answers."""
        dates, key = _dates(self.frame, self.mapping), _key(self.frame, self.mapping)
        lines = [
            f"  {self.name}:",
            "    silo: erp                    # the system it comes from",
            f"    path: {_yaml(self.path)}",
            f"    format: {self.form}",
            *self.extra,
            *([dates] if dates else []),
            f"    key: [{', '.join(_yaml(name) for name in key)}]"
            if key
            else "    identity: row                # no columns identify a row",
            self._known(period),
            "    into:",
            f"      - {self.table}:",
            *self._columns(),
        ]
        used = {*self.mapping.values(), *key}
        unused = [name for name in self.frame.columns if name not in used]
        if unused:
            lines.append(f"    # columns not used yet: {', '.join(unused)}")
        if aside:
            lines = [f"  # {self.path} is {aside}", *(f"  #{line[1:]}" for line in lines)]
        return "\n".join(lines)

    def _columns(self) -> Iterator[str]:
        for name in CANONICAL[self.table].columns:
            if name in self.questions:
                said = self.mapping[name]
                said = _yaml(said) if said in self.frame.columns else said
                yield f"          {name}: {said}   # {self.questions[name]}"
            elif name in self.mapping:
                yield f"          {name}: {_yaml(self.mapping[name])}"
            elif name in self.lacking:
                what = "which column? a constant is written \"'main'\""
                yield f"          {name}: ???          # {what}"
        if several := self._several():
            yield f"          # several: sum   # {several}: parts of one? or versions, newest?"

    def _several(self) -> str:
        """How many rows of the sample share a grain, whose rows may be parts of one thing."""
        if self.table not in ADDED_UP:
            return ""
        columns = [self.mapping[name] for name in GRAINS[self.table] if name in self.mapping]
        grain = [name for name in columns if name in self.frame.columns]
        shared = self.frame.select(grain).is_duplicated().sum() if grain else 0
        return f"{shared:,} rows share {', '.join(grain)}" if shared else ""

    def _known(self, period: str) -> str:
        if event_column(self.table) not in self.mapping and "order_id" not in self.mapping:
            return "    known_at: date '1970-01-01'  # since when has this been known?"
        told = "31 days" if period in PERIODS else "7 days"
        lag = told if period and self.table in ("sales", "stock") else "1 day "
        return f"    known_after: {lag}          # when could you have known? or known_at: a column"


def _source_name(stem: str) -> str:
    """What the contract calls the source of a file."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_").lower() or "source"


def _draft(path: Path, root: Path) -> Draft:
    form, frame, extra = look(path)
    frame, unpivot = _long(frame.select(name for name in frame.columns if name))
    name = _source_name(path.stem)
    table, mapping = _mapping(frame, path.stem)
    questions: dict[str, str] = {}
    for column, one in ONE_OF_ALL.items():
        if column in mapping or table not in COUNTED or "event_at" not in mapping:
            continue
        free = [name for name in frame.columns if name not in mapping.values()]
        ids = [name for name in free if re.fullmatch(r"(.*_)?(id|idx|code|key)", _plain(name))]
        if column == "item_id" and ids:
            mapping[column] = _yaml(ids[0])
            questions[column] = "is it this column that tells one item from another?"
        else:
            mapping[column] = f"\"'{one}'\""
            which = f": or is it one of {', '.join(free[:3])}?" if free else "?"
            questions[column] = f"no column says which, so all are one{which}"
    if table in WHICH and mapping:
        questions["item_id" if "item_id" in mapping else next(iter(mapping))] = WHICH[table]
    member = member_pattern(path)
    below = path.absolute().relative_to(root).as_posix()
    place = f"{below}!{member}" if member else below
    return Draft(place, name, form, [*extra, *unpivot], frame, table, mapping, questions)


def _long(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """A wide sheet as the rows it means, with the contract's words for that: a column for each day,
    or a day and a column for each item."""
    days = [name for name in frame.columns if re.fullmatch(r"\d{4}-\d{2}-\d{2}", name)]
    few = frame.head(50)
    if len(days) >= WIDE:
        kept = [name for name in frame.columns if name not in days]
        values = few.unpivot(days)["value"].drop_nulls().str.to_lowercase()
        value = "in_stock" if values.is_in(["true", "false"]).all() else "quantity"
        words = f"{{keep: [{', '.join(map(_yaml, kept))}], name: day, value: {value}}}"
        long = few.unpivot(days, index=kept, variable_name="day", value_name=value)
        return long, [f"    unpivot: {words}   # a column for each day"]
    dated = [name for name in few.columns if days_of(few[name]).null_count() == 0]
    items = [name for name in few.columns if name not in dated]
    if len(dated) == 1 and len(items) >= WIDE and _are_items(few.select(items)):
        words = f"{{keep: [{_yaml(dated[0])}], name: item, value: quantity}}"
        long = few.unpivot(items, index=dated, variable_name="item", value_name="quantity")
        return long, [f"    unpivot: {words}   # a column for each item"]
    return frame, []


def _are_items(frame: pl.DataFrame) -> bool:
    """Whether columns hold nothing but numbers and none is called by a word that tables know."""
    numbers = frame.select(pl.all().cast(pl.Float64, strict=False))
    known = any(
        re.fullmatch(rf"({words})", _plain(name))
        for name in frame.columns
        for words in WORDS.values()
    )
    return not known and numbers.null_count().rows() == frame.null_count().rows()


def _mapping(frame: pl.DataFrame, stem: str) -> tuple[str, dict[str, str]]:
    """The likeliest table, by its columns and the file's name, and which of the file's columns are
    its."""
    days = {name for name in frame.columns if days_of(frame[name]).drop_nulls().len()}
    guesses = {table: _columns_of(table, frame.columns, days) for table in CANDIDATES}
    table = max(CANDIDATES, key=lambda name: _likelihood(name, guesses[name], stem))
    return table, guesses[table]


def _columns_of(table: str, columns: Sequence[str], days: Collection[str]) -> dict[str, str]:
    """What each column of a canonical table is called in the file; a header that is the word itself
    goes before one that holds it. `days` are the columns that hold times."""
    found = {"is_in_stock": "in_stock"} if table == "stock" and "in_stock" in columns else {}
    exact, loose = r"({})", r"(?:.*_)?({})(?:_.*)?"
    for pattern, asked in ((exact, WORDS), (loose, WORDS), (exact, LAST)):
        for name, words in asked.items():
            if name not in CANONICAL[table].columns or name in found:
                continue
            free = (
                column
                for column in columns
                if column not in found.values() and (name not in TIMES or column in days)
            )
            match = next(
                (column for column in free if re.fullmatch(pattern.format(words), _plain(column))),
                None,
            )
            if match:
                found[name] = match
    if table == "locations" and "location_id" not in found and "country" in found:
        found["location_id"] = found.pop("country")  # whose places are countries
    return {name: found[name] for name in ("is_in_stock", *WORDS) if name in found}


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
    if "is_in_stock" in found:
        missing.remove("on_hand")
    stood_in = [name for name in missing if name in ONE_OF_ALL and table in COUNTED]
    is_named = _is_named(table, stem)
    return len(found) - 3 * len(missing) + 2 * len(stood_in) + 3 * is_named


def _is_named(table: str, stem: str) -> bool:
    """Whether a file is called as files of this table often are."""
    return re.search(rf"(^|_)({CANDIDATES[table]})s?(_|$)", _plain(stem)) is not None


def _plain(column: str) -> str:
    """A header in small ASCII letters, its words joined by `_`: umlauts are spelt out, other
    accents go."""
    words = re.sub(r"(?<=[a-zäöüß])(?=[A-ZÄÖÜ])", "_", unicodedata.normalize("NFC", column))
    spelt = words.lower().translate(SPELT_OUT)
    letters = unicodedata.normalize("NFKD", spelt).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "_", letters).strip("_")


def _dates(frame: pl.DataFrame, mapping: dict[str, str]) -> str:
    """The contract's word for how the columns that hold times are written, where it is not ISO, and
    the question where they can be read in two ways."""
    column = next((mapping[name] for name in (*TIMES, *BOUNDS) if name in mapping), None)
    found = written(frame[column]) if column is not None and frame.height else []
    if not found or not found[0][0]:
        return ""
    (form, days), *others = found
    other = next((said for said, read in others if said and not read.equals(days)), "")
    asked = f"   # or {other}? every day can be read as both" if other else ""
    return f'    dates: "{form}"{asked}'


def _key(frame: pl.DataFrame, mapping: Mapping[str, str]) -> list[str]:
    """What tells all sampled rows apart: the columns that name the thing and its time, and as few
    others as will do. A sample of one shop must not make a key without the shop."""
    full = [name for name in frame.columns if frame[name].null_count() == 0]
    names = (*NATURAL, "currency") if "rate" in mapping else NATURAL
    natural = [mapping[name] for name in names if mapping.get(name) in full]
    line = [mapping[name] for name in ("order_id", "line_id") if mapping.get(name) in full]
    if frame.height > 1 and len(line) == 2 and frame.select(line).is_unique().all():
        return line  # a line of a document is one, whatever else changes of it
    if "order_id" not in mapping:
        # a row's own number outlasts the sample: two sales of one item on one day will come
        for name in full:
            is_free = name not in mapping.values() and re.fullmatch(ROW_NUMBER, _plain(name))
            if frame.height > 1 and is_free and frame[name].is_unique().all():
                return [name]
    others = [name for name in full if name not in natural][:12]
    for size in (0, 1, 2) if natural else (1, 2, 3):
        for more in combinations(others, size):
            chosen = [*natural, *more]
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
