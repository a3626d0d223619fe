"""Cells that name a customer replaced in the bytes of one delivery; every other cell, and every
broken piece, stays what it was.

Text is taken apart by the format's own rules and only the cells in question are written anew, so
that id 12 never changes 4123.
"""

from __future__ import annotations

import codecs
import json
import random
import re
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from orchestration.home.sql import literal, quote
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.world import Csv
from orchestration.landing.readers.json_document import (
    Number,
    decode_json,
    is_one_document,
    json_text,
)
from orchestration.landing.readers.rows import name_in_file, unique_names

Cells = tuple[str | None, ...]
LINE_END = re.compile(r"\r\n|\n|\r")
LINE = re.compile(r"[^\r\n]*(?:\r\n|\n|\r|\Z)")
JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Naming:
    """Columns that together say who bought, and what the cells of one customer become: old cells ->
    new cells, null for null."""

    columns: tuple[str, ...]
    becomes: dict[Cells, Cells]


@dataclass(frozen=True)
class StandIn:
    """A customer and who stands in for them."""

    customer: str
    name: str

    def in_words(self, text: str) -> str:
        """The id replaced where it stands alone, between signs that are neither letters nor
        digits."""
        return re.sub(
            rf"(?<![^\W_]){re.escape(self.customer)}(?![^\W_])", lambda _: self.name, text
        )

    def in_cells(self, cells: Cells) -> Cells:
        """The cells that say this customer, saying the stand-in: by whole words, else anywhere
        inside, else piece by piece."""

        def inside(cell: str) -> str:
            found = re.search(re.escape(self.customer), cell, re.IGNORECASE)
            return (
                cell
                if found is None
                else cell[: found.start()]
                + _in_case(self.name, found.group())
                + cell[found.end() :]
            )

        def piece(cell: str) -> str:
            at = self.customer.find(cell) if cell and len(self.name) == len(self.customer) else -1
            return cell if at < 0 else self.name[at : at + len(cell)]

        for change in (self.in_words, inside, piece):
            changed = tuple(None if cell is None else change(cell) for cell in cells)
            if changed != cells:
                return changed
        return cells


def _in_case(text: str, model: str) -> str:
    """The text in capitals or small letters, as the model has them."""
    return text.upper() if model.isupper() else text.lower() if model.islower() else text


def candidates(customer: str, wanted: int = 60) -> list[str]:
    """Random ids of the same shape (a digit for a digit, a letter for a letter), then longer ones
    in case all of those are taken."""
    chance = random.SystemRandom()

    def like(letter: str, first: bool) -> str:
        if letter.isdigit():
            return chance.choice("123456789" if first and letter != "0" else string.digits)
        if letter.isalpha():
            return chance.choice(
                string.ascii_uppercase if letter.isupper() else string.ascii_lowercase
            )
        return letter

    found: dict[str, None] = {}
    for length in range(6):
        longer = customer + (customer[-1] if customer[-1].isalnum() else "0") * length
        for _ in range(wanted):
            found["".join(like(letter, i == 0) for i, letter in enumerate(longer))] = None
    return [name for name in found if name.casefold() != customer.casefold()]


# --- text -----------------------------------------------------------------------------------------


def rewrite_delimited(
    raw: bytes,
    options: Csv,
    names: Sequence[str],
    namings: Sequence[Naming],
    nulls: Sequence[str],
    who: StandIn,
) -> bytes:
    """The file with the customer's cells replaced; records that are no rows of it have the id
    replaced where it stands alone."""
    name = codecs.lookup(options.encoding).name
    text = raw.decode(name, "surrogateescape")
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    text, at = text[len(mark) :], 0
    written = [mark]
    for _ in range(options.skip_lines):
        line = LINE.match(text, at)
        if line:
            written.append(who.in_words(line.group()))
            at = line.end()
    header = options.header is None
    for fields, end in _records(text, at, options):
        if header or fields == [""]:
            header = header and fields == [""]
            written.append(options.delimiter.join(fields) + end)
        elif len(fields) != len(names) or any(_is_broken(field, options.quote) for field in fields):
            written.append(who.in_words(options.delimiter.join(fields)) + end)
        else:
            cells = [_cell(field, options.quote) for field in fields]
            for i, new in _changes(dict(zip(names, cells, strict=True)), namings, nulls):
                fields[names.index(i)] = _field(new or "", fields[names.index(i)], options)
            written.append(options.delimiter.join(fields) + end)
    return "".join(written).encode(name, "surrogateescape")


def _records(text: str, at: int, options: Csv) -> Iterator[tuple[list[str], str]]:
    """Each record as its fields, still quoted, and the line end after it."""
    sign, plain = re.escape(options.quote), rf"[^{re.escape(options.delimiter)}\r\n]*"
    quoted = (
        rf"{sign}(?:[^{sign}]|{sign}{sign})*+{sign}(?=[{re.escape(options.delimiter)}\r\n]|\Z)|"
        if options.quote
        else ""
    )
    field = re.compile(quoted + plain)
    fields: list[str] = []
    while at < len(text) or fields:
        found = field.match(text, at)
        fields.append(found.group() if found else "")
        at = found.end() if found else at
        if text[at : at + 1] == options.delimiter:
            at += 1
            continue
        ended = LINE_END.match(text, at)
        yield fields, ended.group() if ended else ""
        fields, at = [], ended.end() if ended else len(text)


def _cell(field: str, sign: str) -> str:
    is_quoted = sign and len(field) > 1 and field[0] == field[-1] == sign
    return field[1:-1].replace(sign * 2, sign) if is_quoted else field


def _is_broken(field: str, sign: str) -> bool:
    """Whether a field makes its record none: text after a closing quote, bytes of no encoding, a
    NUL. Landing set such a record aside."""
    is_quoted = sign and len(field) > 1 and field[0] == field[-1] == sign
    is_odd = any("\udc80" <= letter <= "\udcff" or letter == "\0" for letter in field)
    return is_odd or bool(sign and field.startswith(sign) and not is_quoted)


def _field(cell: str, before: str, options: Csv) -> str:
    """The cell as a field, quoted if it was or has to be."""
    sign = options.quote
    if sign and (
        before[:1] == sign
        or any(letter in cell for letter in (sign, options.delimiter, "\n", "\r"))
    ):
        return sign + cell.replace(sign, sign * 2) + sign
    return cell


def _changes(
    row: dict[str, str | None], namings: Sequence[Naming], nulls: Sequence[str]
) -> Iterator[tuple[str, str | None]]:
    """The columns of one row that have to change, with their new cells."""
    for naming in namings:
        cells = tuple(row.get(name) for name in naming.columns)
        known = tuple(None if cell in nulls else cell for cell in cells)
        for name, old, new in zip(
            naming.columns, cells, naming.becomes.get(known, known), strict=True
        ):
            if new is not None and new != old:
                yield name, new


def rewrite_json(
    raw: bytes, records: str | None, namings: Sequence[Naming], nulls: Sequence[str], who: StandIn
) -> bytes:
    """The document or the lines with the customer's values replaced; lines without them are not
    touched."""
    text = raw.decode("utf-8-sig", "surrogateescape")
    if records is not None or text.lstrip()[:1] == "[" or is_one_document(text):
        document = decode_json(text)
        rows = document
        for step in records.split(".") if records else ():
            rows = rows[step]
        _rewrite_objects(rows if isinstance(rows, list) else [rows], namings, nulls, who)
        return _encode(document).encode()
    lines = text.split("\n")
    entries: list[Any] = []
    for line in lines:
        try:
            entries.append(decode_json(line))
        except (ValueError, RecursionError):
            entries.append(None)
    changed = _rewrite_objects(entries, namings, nulls, who)
    for i, line in enumerate(lines):
        if i in changed:
            lines[i] = _encode(entries[i]) + ("\r" if line.endswith("\r") else "")
        elif not isinstance(entries[i], dict):
            lines[i] = who.in_words(line)
    return (("\ufeff" if raw.startswith(codecs.BOM_UTF8) else "") + "\n".join(lines)).encode(
        "utf-8", "surrogateescape"
    )


def _rewrite_objects(
    entries: list[Any], namings: Sequence[Naming], nulls: Sequence[str], who: StandIn
) -> set[int]:
    """Replace inside the objects of a list, in place; which of them changed."""
    keys = list(dict.fromkeys(key for entry in entries if isinstance(entry, dict) for key in entry))
    names = unique_names(keys, "")
    key_of, changed = dict(zip(names, keys, strict=True)), set()
    for i, entry in enumerate(entries):
        if isinstance(entry, dict):
            row = {name: json_text(entry.get(key)) for name, key in key_of.items()}
            for name, new in _changes(row, namings, nulls):
                entry[key_of[name]] = _valued(new or "", entry[key_of[name]])
                changed.add(i)
        elif (
            entry is not None
            and (said := json_text(entry)) is not None
            and who.in_words(said) != said
        ):
            entries[i] = who.in_words(said)
            changed.add(i)
    return changed


def _valued(text: str, before: Any) -> Any:
    """The text of a cell as the kind of value it was."""
    if isinstance(before, Number):
        return Number(text) if JSON_NUMBER.fullmatch(text) else text
    return text if isinstance(before, str) else decode_json(text)


def _encode(value: Any) -> str:
    """JSON whose numbers are written as they were."""

    def marked(part: Any) -> Any:
        if isinstance(part, Number):
            return f"\0{part}\0"
        if isinstance(part, dict):
            return {key: marked(entry) for key, entry in part.items()}
        return [marked(entry) for entry in part] if isinstance(part, list) else part

    return re.sub(r'"\\u0000([-+.0-9eE]+)\\u0000"', r"\1", json.dumps(marked(value)))


# --- Parquet --------------------------------------------------------------------------------------


def rewrite_parquet(
    con: duckdb.DuckDBPyConnection,
    old: Path,
    new: Path,
    kinds: dict[str, str],
    namings: Sequence[Naming],
) -> None:
    """The file with the customer's cells replaced, its columns, types and row order as they
    were."""
    cases: dict[str, str] = {}
    for naming in namings:
        for before, after in naming.becomes.items():
            same = " AND ".join(
                (
                    f"CAST({quote(name_in_file(name))} AS VARCHAR) IS NOT DISTINCT FROM "
                    f"{'NULL' if cell is None else literal(cell)}"
                )
                for name, cell in zip(naming.columns, before, strict=True)
                if name in kinds
            )
            for name, cell, was in zip(naming.columns, after, before, strict=True):
                if cell is not None and cell != was:
                    cases[name] = (
                        cases.get(name, "")
                        + f" WHEN {same} THEN CAST({literal(cell)} AS {kinds[name]})"
                    )
    own = {name: quote(name_in_file(name)) for name in kinds}
    columns = ", ".join(
        f"CASE{cases[name]} ELSE {own[name]} END AS {own[name]}" if name in cases else own[name]
        for name in kinds
    )
    con.execute(
        f"COPY (SELECT {columns} FROM read_parquet({literal(str(old))})) TO {literal(str(new))} "
        "(FORMAT parquet)"
    )


# --- workbooks ------------------------------------------------------------------------------------


def refuse_format(where: str, what: str) -> ContractError:
    """A workbook is more than its cells, and a format of a company's own is not known here; what
    else in it says who bought nobody can tell."""
    return ContractError(
        f"is {what}, a format in which no customer can be forgotten; nothing was changed",
        where=where,
        mend=(
            "hand its rows over as CSV from now on, and take this delivery out of the source's "
            "history with your administrator"
        ),
    )
