"""Delimited text: the quick way lets DuckDB parse; where it meets a line it cannot, the patient way reads line by line in Python,

so that one bad line spoils one row and not the file.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestration.home.sql import literal
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.world import Csv
from orchestration.landing.readers.rows import LONGEST_FIELD, Reject, text_table, unique_names


def csv_header(path: Path, options: Csv, where: str) -> list[str]:
    """The column names of a delimited file, decoded as declared."""
    if options.header is not None:
        return unique_names(options.header, where)
    try:
        newline = None if options.newline is None else ""
        with path.open(encoding=_codec(options), errors="surrogateescape", newline=newline) as text:
            lines = _lines(text, options)
            for _ in range(options.skip_lines):
                next(lines, None)
            row = next(_csv_rows(lines, options), None)
            "".join(row or ()).encode("utf-8")  # a header that is not what was declared spoils every row
    except UnicodeError:
        raise _undecodable(where, options, "in its header") from None
    except csv.Error as error:
        raise ContractError(f"has an unreadable header: {error}", where=where) from None
    if not row:
        raise ContractError("has no header line", where=where, mend="is the file empty? a file without one needs `header: [names]`")
    return unique_names(row, where)


def _codec(options: Csv) -> str:
    name = codecs.lookup(options.encoding).name
    return "utf-8-sig" if name == "utf-8" else name


def _undecodable(where: str, options: Csv, place: str) -> ContractError:
    return ContractError(f"is not {options.encoding} {place}", where=where, mend="declare it: `csv: {encoding: windows-1252}`")


def _lines(text: io.TextIOBase, options: Csv) -> Iterator[str]:
    if options.newline != "\r":
        yield from text
        return
    rest = ""
    while chunk := text.read(1 << 16):
        *whole, rest = (rest + chunk).split("\r")
        yield from (line + "\n" for line in whole)
    if rest:
        yield rest


def _csv_rows(lines: Iterator[str], options: Csv) -> Iterator[list[str]]:
    csv.field_size_limit(LONGEST_FIELD)
    if not options.quote:
        return csv.reader(lines, delimiter=options.delimiter, quoting=csv.QUOTE_NONE, strict=True)
    return csv.reader(lines, delimiter=options.delimiter, quotechar=options.quote, strict=True)


def csv_needs_rewriting(path: Path, options: Csv) -> bool:
    """DuckDB reads UTF-8 with \\n or \\r\\n; anything else is decoded here first."""
    if codecs.lookup(options.encoding).name not in ("utf-8", "ascii") or options.newline == "\r":
        return True
    with path.open("rb") as file:
        start = file.read(1 << 16)
    return b"\r" in start and b"\n" not in start


def rewrite_csv(path: Path, target: Path, options: Csv, where: str) -> None:
    """The file as UTF-8 with \\n line ends; undecodable bytes stop it, since the wrong encoding garbles every row."""
    try:
        with path.open(encoding=_codec(options), newline=None) as source, target.open("w", encoding="utf-8", newline="") as sink:
            while chunk := source.read(1 << 20):
                sink.write(chunk)
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        raise _undecodable(where, options, f"at byte {start}") from None


def csv_select(paths: Sequence[Path], names: Sequence[str], options: Csv, nulls: Sequence[str]) -> str:
    """DuckDB's own reader, told everything and guessing nothing; rows with their number in the file."""
    columns = "{" + ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names) + "}"
    skip = options.skip_lines + (options.header is None)
    files = "[" + ", ".join(literal(str(path)) for path in paths) + "]"
    return (
        f"SELECT *, row_number() OVER () AS _n FROM read_csv({files}, auto_detect=false, columns={columns}, header=false, skip={skip},"
        f" delim={literal(options.delimiter)}, quote={literal(options.quote)}, escape={literal(options.quote)},"
        f" nullstr=[{', '.join(literal(text) for text in nulls)}], strict_mode=true, max_line_size={LONGEST_FIELD},"
        f" filename='_path', encoding='utf-8')"
    )


def patient_csv(path: Path, names: Sequence[str], options: Csv, nulls: Sequence[str]) -> tuple[pa.Table, list[Reject]]:
    """The same file line by line: good rows as a table of text, the others as rejects."""
    rejects: list[Reject] = []
    empty = set(nulls)

    def rows() -> Iterator[list[Any]]:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            lines = iter(text)
            for _ in range(options.skip_lines):
                next(lines, None)
            reader = _csv_rows(lines, options)
            number = 0 if options.header is None else 1
            while True:
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    if number:
                        rejects.append(Reject(number, "", f"is no row of this file: {error}"))
                    number += 1
                    continue
                if not row:
                    continue
                number += 1
                if number == 1:
                    continue
                raw = options.delimiter.join(row)
                if any("\udc80" <= letter <= "\udcff" for letter in raw):
                    shown = raw.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                    rejects.append(Reject(number - 1, shown[:2000], "is not UTF-8"))
                elif len(row) != len(names):
                    rejects.append(Reject(number - 1, raw[:2000], f"has {len(row)} cells where the header has {len(names)}"))
                else:
                    yield [*(None if cell in empty else cell for cell in row), number - 1]

    return text_table(rows(), [*names, "_row"]), rejects
