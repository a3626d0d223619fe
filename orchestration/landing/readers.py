"""Files to one DuckDB relation of source rows: text columns as delivered, with _d (which delivery), _file and _row.

The quick way lets DuckDB parse; where it meets a line it cannot, the patient way reads line by line in Python, so that one bad
line spoils one row and not the file.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from orchestration.landing.contract import Csv, Source, Xlsx
from orchestration.landing.errors import ContractError
from orchestration.landing.expressions import literal, quote
from orchestration.landing.files import check_inflated

LONGEST_FIELD = 2_000_000  # characters
DEEPEST_JSON = 64
MOST_COLUMNS = 4_000
CHUNK = 50_000  # rows


@dataclass(frozen=True)
class Reject:
    """A piece of a file that is no row: where it stood, its text and why."""

    row_no: int
    raw_text: str
    reason: str


def unique_names(names: Sequence[str], where: str) -> list[str]:
    """Header names as DuckDB can hold them: blanks are numbered, a repeated name gets `(2)`."""
    if len(names) > MOST_COLUMNS:
        raise ContractError(f"has {len(names):,} columns", where=where, mend=f"at most {MOST_COLUMNS:,}")
    seen: dict[str, int] = {}
    found = []
    for i, raw in enumerate(names, start=1):
        name = raw.strip() or f"column_{i}"
        if name in ("_file", "_row", "_d"):
            name = f"{name} (delivered)"
        seen[name.lower()] = seen.get(name.lower(), 0) + 1
        found.append(name if seen[name.lower()] == 1 else f"{name} ({seen[name.lower()]})")
    return found


# --- delimited text ---------------------------------------------------------------------------------------------------------


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

    return _table(rows(), [*names, "_row"]), rejects


def _table(rows: Iterable[list[Any]], names: Sequence[str]) -> pa.Table:
    """Rows of text (the last column a number) as an Arrow table, built in pieces."""
    schema = pa.schema([*((name, pa.string()) for name in names[:-1]), (names[-1], pa.int64())])
    batches, piece = [], []
    for row in rows:
        piece.append(row)
        if len(piece) == CHUNK:
            batches.append(_batch(piece, schema))
            piece = []
    if piece:
        batches.append(_batch(piece, schema))
    return pa.Table.from_batches(batches, schema)


def _batch(piece: list[list[Any]], schema: pa.Schema) -> pa.RecordBatch:
    columns = list(zip(*piece, strict=True))
    return pa.record_batch([pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)], schema=schema)


# --- JSON -------------------------------------------------------------------------------------------------------------------


def _json_text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, _Number):
        return str(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


class _Number(str):
    """A JSON number exactly as it was written."""

    __slots__ = ()


def _decode(text: str) -> Any:
    """JSON whose numbers stay as written; NaN and Infinity are not JSON, and depth is bounded."""
    depth = deepest = 0
    if text.count("[") + text.count("{") > DEEPEST_JSON:
        inside = escaped = False
        for letter in text:
            if escaped:
                escaped = False
            elif letter == "\\":
                escaped = inside
            elif letter == '"':
                inside = not inside
            elif not inside and letter in "[{":
                depth += 1
                deepest = max(deepest, depth)
            elif not inside and letter in "]}":
                depth -= 1
        if deepest > DEEPEST_JSON:
            raise ValueError(f"is nested more than {DEEPEST_JSON} deep")
    return json.loads(text, parse_float=_Number, parse_int=_Number, parse_constant=_refuse)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def json_table(path: Path, records: str | None, nulls: Sequence[str], where: str) -> tuple[pa.Table, list[str], list[Reject]]:
    """Objects as rows of text: a whole document with a list, or one object a line; nested values stay JSON text."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if records is not None or raw.lstrip()[:1] == b"[":
            raise ContractError(f"is not UTF-8 at byte {error.start}", where=where) from None
        text = raw.decode("utf-8", "surrogateescape")
    rejects: list[Reject] = []
    objects: list[tuple[int, dict[str, Any]]] = []
    if records is not None or text.lstrip()[:1] == "[" or _is_one_document(text):
        entries: Iterable[tuple[int, Any]] = enumerate(_document(text, records, where), start=1)
    else:
        entries = _json_lines(text, rejects)
    for number, entry in entries:
        if isinstance(entry, dict):
            objects.append((number, entry))
        else:
            rejects.append(Reject(number, json.dumps(entry, default=str)[:2000], "is no object"))
    names: dict[str, None] = {}
    for _, entry in objects:
        names.update(dict.fromkeys(entry))
    keys = list(names)
    columns = unique_names(keys, where)
    empty = set(nulls)

    def cells(entry: dict[str, Any]) -> list[str | None]:
        texts = (_json_text(entry.get(key)) for key in keys)
        return [None if text is None or text in empty else str(text) for text in texts]

    return _table(([*cells(entry), number] for number, entry in objects), [*columns, "_row"]), columns, rejects


def _is_one_document(text: str) -> bool:
    """A pretty-printed single object: the first line alone is no JSON."""
    first = text.lstrip().partition("\n")[0].strip()
    return first in ("{", "")


def _document(text: str, records: str | None, where: str) -> list[Any]:
    try:
        found = _decode(text)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"is no JSON document: {error}", where=where, mend="is it cut short? ask for the file again") from None
    for step in records.split(".") if records else ():
        if not isinstance(found, dict) or step not in found:
            raise ContractError(f"has no `{records}`", where=where, mend="`records` is the dotted way to the list of rows")
        found = found[step]
    return found if isinstance(found, list) else [found]


def _json_lines(text: str, rejects: list[Reject]) -> Iterator[tuple[int, Any]]:
    number = 0
    for line in text.split("\n"):
        if not line.strip():
            continue
        number += 1
        try:
            if len(line) > LONGEST_FIELD:
                raise ValueError(f"has {len(line):,} characters")
            line.encode("utf-8")
            yield number, _decode(line)
        except (ValueError, RecursionError) as error:
            why = "is not UTF-8" if isinstance(error, UnicodeEncodeError) else str(error)
            shown = line[:2000].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            rejects.append(Reject(number, shown, f"is no JSON object: {why}"))


# --- workbooks --------------------------------------------------------------------------------------------------------------


def workbook_table(path: Path, options: Xlsx, source: Source, where: str) -> tuple[pa.Table, list[str]]:
    """One sheet as text, parsed in a child process with bounded memory and time."""
    place = f"{where} sheet {options.sheet}"
    try:
        with zipfile.ZipFile(path) as book:
            infos = book.infolist()
            check_inflated(where, sum(info.file_size for info in infos), path.stat().st_size, len(infos))
    except (zipfile.BadZipFile, OSError) as error:
        raise ContractError(f"is no readable workbook: {error}", where=place, mend="is it cut short? ask for the file again") from None
    heads = options.header_row if isinstance(options.header_row, list) else [options.header_row]
    locale = {"decimal": source.decimal, "date_format": source.dates[0] if source.dates else None}
    arguments = [str(path), str(options.sheet), json.dumps(heads), json.dumps(options.until), json.dumps(locale)]
    child = Path(__file__).with_name("workbook.py")
    try:
        done = subprocess.run([sys.executable, "-I", str(child), *arguments], capture_output=True, timeout=180, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise ContractError("takes too long to read", where=place, mend="hand it over as CSV") from None
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip() or f"the reader ended with {done.returncode}"
        raise ContractError(f"cannot be read: {said}", where=place, mend="check the sheet's name and that the file is whole")
    lines = done.stdout.decode("utf-8").splitlines()
    if not lines:
        raise ContractError(f"has no header in row {heads[-1]}", where=place)
    heads_found = json.loads(lines[0])
    body = [json.loads(line) for line in lines[1:]]
    widest = max((len(cells) for _, cells in body), default=0)
    names = unique_names([*heads_found, *([""] * (widest - len(heads_found)))], place)
    empty = set(source.nulls)

    def rows() -> Iterator[list[Any]]:
        for number, cells in body:
            padded = [*cells, *([None] * len(names))][: len(names)]
            yield [*(None if cell in empty else cell for cell in padded), number]

    return _table(rows(), [*names, "_row"]), names


# --- Parquet ----------------------------------------------------------------------------------------------------------------


def parquet_columns(con: duckdb.DuckDBPyConnection, path: Path, where: str) -> dict[str, str]:
    """Columns and types of a Parquet file; ContractError where it is none."""
    try:
        rows = con.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
    except duckdb.Error as error:
        raise ContractError(
            f"is no readable Parquet file: {str(error).splitlines()[0]}", where=where, mend="ask for the file again"
        ) from None
    return {str(name): str(kind) for name, kind, *_ in rows}


def null_text(name: str, kind: str, nulls: Sequence[str]) -> str:
    """A column of a typed file, its declared null words made null."""
    column = quote(name)
    if kind != "VARCHAR" or not nulls:
        return column
    return f"CASE WHEN {column} NOT IN ({', '.join(literal(text) for text in nulls)}) THEN {column} END AS {column}"
