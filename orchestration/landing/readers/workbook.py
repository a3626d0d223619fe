"""One sheet of a workbook as JSON lines on standard output; run as a child process, so that a
hostile file harms nobody else.

Usage: python workbook.py FILE SHEET HEADER_ROWS UNTIL OPTIONS. The first line holds the column
names, every further line [row number, [cells]], the last one what the sheet hides. Typed cells are
written in the source's declared locale. Exit code 3 with one sentence on standard error where the
sheet cannot be read.
"""

from __future__ import annotations

import datetime
import html
import json
import math
import os
import re
import resource
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

MEMORY = 3 << 30  # bytes of address space, at most
LEAST_MEMORY = 192 << 20  # what the reader itself takes is in it
MEMORY_A_BYTE = 200  # and this many bytes more for each byte of the file
LEAST_TEXT = 16 << 20  # characters a sheet may say, whatever the size of its file
TEXT_A_BYTE = 100  # and this many more for each byte of the file
SECONDS = 120  # of processor time
MOST_CELLS = 50_000_000
Cell = Any
ERROR_CELL = re.compile(rb'<c\b([^>]*\bt="e"[^>]*)>(.*?)</c>', re.DOTALL)
PLACE = re.compile(rb'\br="([A-Z]+)(\d+)"')
VALUE = re.compile(rb"<v>([^<]*)</v>")
HIDDEN = re.compile(rb"<(?:\w+:)?(?:row|col)\b[^>]*\bhidden=[^>]*>")
MOST_COLUMNS = 16_384  # of a sheet


def _text(cell: Cell, decimal: str, date_format: str | None) -> str | None:
    """A cell as the text a person of the source's locale would have typed; blanks are null."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        if math.isfinite(cell) and cell == int(cell) and abs(cell) < 1e15:
            return str(int(cell))
        return repr(cell).replace(".", decimal)
    if isinstance(cell, datetime.datetime | datetime.date):
        if date_format:
            return cell.strftime(date_format)
        return cell.isoformat(sep=" ") if isinstance(cell, datetime.datetime) else cell.isoformat()
    return str(cell)


def _names(upper: list[str | None], lower: list[str | None]) -> list[str | None]:
    """Two header rows as one: a merged upper cell speaks for the blank cells to its right."""
    last, names = None, []
    for i, below in enumerate(lower):
        above = upper[i] if i < len(upper) else None
        last = above or last
        names.append(" ".join(part for part in (last, below) if part) if below else above)
    return names


def _trimmed(cells: list[str | None]) -> list[str | None]:
    end = max((i + 1 for i, cell in enumerate(cells) if cell is not None), default=0)
    return cells[:end]


def _markup(path: str, sheet: str) -> bytes:
    """A sheet of an .xlsx as it lies in the file; nothing of any other format."""
    if not zipfile.is_zipfile(path):
        return b""
    with zipfile.ZipFile(path) as book:
        part = _part_of(book, sheet)
        return book.read(part) if part else b""


def _hidden(text: bytes) -> tuple[set[int], set[int]]:
    """The rows and columns, from 1 on, that a sheet hides: calamine reads them like all others."""
    rows, columns = set[int](), set[int]()
    for tag in HIDDEN.findall(text):
        words = _attributes(tag)
        if words.get("hidden") not in ("1", "true"):
            continue
        if "min" in words:
            columns |= set(range(int(words["min"]), min(int(words["max"]), MOST_COLUMNS) + 1))
        elif "r" in words:
            rows.add(int(words["r"]))
    return rows, columns


def _errors(text: bytes) -> dict[int, dict[int, str]]:
    """Cells of an .xlsx whose formula failed (#N/A, #REF!), by row and column: calamine hands them
    over as blank ones."""
    found: dict[int, dict[int, str]] = {}
    for cell in ERROR_CELL.finditer(text) if b't="e"' in text else ():
        at, value = PLACE.search(cell[1]), VALUE.search(cell[2])
        if at and value:
            column = 0
            for letter in at[1].decode():
                column = column * 26 + ord(letter) - 64
            found.setdefault(int(at[2]), {})[column - 1] = value[1].decode("utf-8", "replace")
    return found


def _part_of(book: zipfile.ZipFile, sheet: str) -> str | None:
    """The member of an .xlsx that holds a sheet."""
    if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= set(book.namelist()):
        return None
    relation = ""
    for tag in re.findall(rb"<(?:\w+:)?sheet\b[^>]*>", book.read("xl/workbook.xml")):
        words = _attributes(tag)
        if words.get("name") == sheet:
            relation = next((value for key, value in words.items() if key.endswith(":id")), "")
    for tag in re.findall(
        rb"<(?:\w+:)?Relationship\b[^>]*>", book.read("xl/_rels/workbook.xml.rels")
    ):
        words = _attributes(tag)
        if relation and words.get("Id") == relation:
            target = words.get("Target", "").lstrip("/")
            part = target if target.startswith("xl/") else f"xl/{target}"
            return part if part in book.namelist() else None
    return None


def _attributes(tag: bytes) -> dict[str, str]:
    found = re.findall(r"([\w:]+)\s*=\s*\"([^\"]*)\"", tag.decode("utf-8", "replace"))
    return {key: html.unescape(value) for key, value in found}


@dataclass
class Hidden:
    """The rows and columns of a sheet, from 1 on, that its readers do not see."""

    rows: set[int] = field(default_factory=set)
    columns: set[int] = field(default_factory=set)


def _rows(
    path: str, sheet: str, decimal: str, date_format: str | None, hidden: Hidden
) -> Iterator[list[str | None]]:
    # after the limits are set
    from python_calamine import CalamineWorkbook, SheetVisibleEnum  # noqa: PLC0415

    book = CalamineWorkbook.from_path(path)
    names = book.sheet_names
    if sheet.isdigit() and sheet not in names:
        shown = [
            one.name for one in book.sheets_metadata if one.visible == SheetVisibleEnum.Visible
        ]
        if not 1 <= int(sheet) <= len(shown):
            unseen = (
                f" (and hidden ones: {', '.join(name for name in names if name not in shown)})"
                if len(shown) < len(names)
                else ""
            )
            raise LookupError(f"has {len(shown)} sheets, not {sheet}{unseen}")
        sheet = shown[int(sheet) - 1]
    if sheet not in names:
        raise LookupError(f"has no sheet `{sheet}`, only {', '.join(names)}")
    table = book.get_sheet_by_name(sheet)
    if table.total_height * table.total_width > MOST_CELLS:
        raise LookupError(
            f"has {table.total_height} rows by {table.total_width} columns: too many cells"
        )
    text = _markup(path, sheet)
    errors, (rows, columns) = _errors(text), _hidden(text)
    hidden.rows |= rows
    hidden.columns |= columns
    for number, row in enumerate(table.to_python(skip_empty_area=False), start=1):
        for column, error in errors.get(number, {}).items():
            row[column] = error
        yield [
            None if text is None or not text.strip() else text
            for text in (_text(cell, decimal, date_format) for cell in row)
        ]


def main(path: str, sheet: str, header_rows: str, until: str, options: str) -> None:
    """Write the sheet's table; the header rows are 1-based, one or two of them."""
    size = os.path.getsize(path)
    memory = min(LEAST_MEMORY + MEMORY_A_BYTE * size, MEMORY)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    locale = json.loads(options)
    heads = json.loads(header_rows)
    stop = json.loads(until)
    left = LEAST_TEXT + TEXT_A_BYTE * size
    upper: list[str | None] = []
    names: list[str | None] = []
    hidden, read = Hidden(), list[int]()
    for number, cells in enumerate(
        _rows(path, sheet, locale["decimal"], locale["date_format"], hidden), start=1
    ):
        left -= sum(len(cell) for cell in cells if cell)
        if left < 0:
            raise LookupError(
                f"says far more than a file of {size:,} bytes can mean: is it a bomb?"
            )
        if number in heads:
            found = _trimmed([cell.strip() if cell else None for cell in cells])
            names = _names(upper, found) if number != heads[0] else found
            upper = found
            if number == heads[-1]:
                names = [name or f"column_{i}" for i, name in enumerate(names, start=1)]
                sys.stdout.write(json.dumps(names) + "\n")
        elif number > heads[-1] and any(cell is not None for cell in cells):
            if stop is not None and any(
                cell is not None and cell.strip().casefold() == stop.casefold() for cell in cells
            ):
                break
            sys.stdout.write(json.dumps([number - heads[-1], _trimmed(cells)]) + "\n")
            read += [number] if number in hidden.rows else []
    away = [name for place, name in enumerate(names, start=1) if place in hidden.columns]
    sys.stdout.write(json.dumps({"rows": read, "columns": away}) + "\n")
    if not names:
        raise LookupError(f"has no header in row {heads[-1]}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except MemoryError:
        sys.stderr.write("needs more memory than a sheet may")
        sys.exit(3)
    except Exception as error:
        sys.stderr.write(str(error).split("\n")[0][:300])
        sys.exit(3)
