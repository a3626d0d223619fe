"""Workbooks, parsed in a child process, and Parquet files, which DuckDB reads itself."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from orchestration.home.sql import literal, quote
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.world import Source, Xlsx
from orchestration.landing.readers.drops import check_inflated
from orchestration.landing.readers.rows import name_in_file, text_table, unique_names

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # how .xls begins, and any workbook under a password
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
#: What an .ods says of its members: which of them are under a password.
MANIFEST = "META-INF/manifest.xml"
MOST_OF_DIRECTORY = 64 << 20
MOST_OF_MANIFEST = 1 << 20
MOST_ROWS_UNASKED = 1_000_000  # rows a Parquet file may have, whatever its size
ROWS_A_BYTE = 50  # and a longer one for each of its bytes


def workbook_table(
    path: Path, options: Xlsx, source: Source, where: str
) -> tuple[pa.Table, list[str], list[str]]:
    """One sheet as text, parsed in a child process with bounded memory and time; its columns, and
    what of it is hidden and read all the same."""
    place = f"{where} sheet {options.sheet}"
    with path.open("rb") as file:
        start = file.read(MOST_OF_DIRECTORY)
    if start.startswith(OLE):
        if ENCRYPTED in start:
            raise _locked(place)
        return _sheet(path, options, source, place)  # .xls of Excel 97 to 2003 is packed in no zip
    try:
        with zipfile.ZipFile(path) as book:
            infos = book.infolist()
            if MANIFEST in book.namelist():
                with book.open(MANIFEST) as told:
                    is_locked = b"encryption-data" in told.read(MOST_OF_MANIFEST)
                if is_locked:
                    raise _locked(place)
            check_inflated(
                where, sum(info.file_size for info in infos), path.stat().st_size, len(infos)
            )
    except (zipfile.BadZipFile, OSError) as error:
        raise _no_workbook(start, error, place) from None
    return _sheet(path, options, source, place)


def _locked(place: str) -> ContractError:
    return ContractError("is encrypted with a password", where=place, mend="save it without one")


def _no_workbook(start: bytes, error: Exception, place: str) -> ContractError:
    """What a file that is no workbook is by its first bytes, which its name hides; many systems
    export a web page or plain text and call it .xls."""
    begins = start.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if begins == b"<":
        what = "is no workbook but a web page or XML under a workbook's name"
        return ContractError(what, where=place, mend="open it and save it as .xlsx")
    if not start.startswith(b"PK") and start and b"\0" not in start:
        what = "is no workbook but plain text under a workbook's name"
        return ContractError(what, where=place, mend="declare it: `format: csv`")
    return ContractError(
        f"is no readable workbook: {error}",
        where=place,
        mend="is it cut short? ask for the file again",
    )


def _sheet(
    path: Path, options: Xlsx, source: Source, place: str
) -> tuple[pa.Table, list[str], list[str]]:
    heads = options.header_row if isinstance(options.header_row, list) else [options.header_row]
    locale = {"decimal": source.decimal, "date_format": source.dates[0] if source.dates else None}
    arguments = [
        str(path),
        str(options.sheet),
        json.dumps(heads),
        json.dumps(options.until),
        json.dumps(locale),
    ]
    child = Path(__file__).with_name("workbook.py")
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-I", str(child), *arguments],
            capture_output=True,
            timeout=180,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ContractError(
            "takes too long to read", where=place, mend="hand it over as CSV"
        ) from None
    if done.returncode != 0:
        said = (
            done.stderr.decode("utf-8", "replace").strip()
            or f"the reader ended with {done.returncode}"
        )
        raise ContractError(
            f"cannot be read: {said}",
            where=place,
            mend="check the sheet's name and that the file is whole",
        )
    lines = done.stdout.decode("utf-8").splitlines()
    if not lines:
        raise ContractError(f"has no header in row {heads[-1]}", where=place)
    heads_found = json.loads(lines[0])
    hidden = json.loads(lines[-1])
    body = [json.loads(line) for line in lines[1:-1]]
    widest = max((len(cells) for _, cells in body), default=0)
    names = unique_names([*heads_found, *([""] * (widest - len(heads_found)))], place)
    empty = set(source.nulls)

    def rows() -> Iterator[list[Any]]:
        for number, cells in body:
            padded = [*cells, *([None] * len(names))][: len(names)]
            yield [*(None if cell in empty else cell for cell in padded), number]

    return text_table(rows(), [*names, "_row"]), names, _hidden_words(hidden, place)


def _hidden_words(hidden: dict[str, list[Any]], place: str) -> list[str]:
    """What a person who opens the sheet does not see of it."""
    found = []
    if rows := hidden["rows"]:
        some = ", ".join(map(str, rows[:5])) + (", …" if len(rows) > 5 else "")
        what = "row is" if len(rows) == 1 else "rows are"
        found.append(
            f"{place}: {len(rows)} {what} hidden ({some}) and read like the others: is a filter "
            "still on? Delete what does not count"
        )
    if columns := hidden["columns"]:
        what = "column is" if len(columns) == 1 else "columns are"
        found.append(f"{place}: {len(columns)} {what} hidden: {', '.join(map(str, columns[:5]))}")
    return found


def parquet_columns(con: duckdb.DuckDBPyConnection, path: Path, where: str) -> dict[str, str]:
    """Columns and types of a Parquet file; ContractError where it is none."""
    try:
        rows = con.execute("DESCRIBE SELECT * FROM read_parquet(?)", [str(path)]).fetchall()
        told = con.execute("SELECT num_rows FROM parquet_file_metadata(?)", [str(path)]).fetchone()
    except duckdb.Error as error:
        said = str(error).splitlines()[0].replace(str(path), where)
        raise ContractError(
            f"is no readable Parquet file: {said}",
            where=where,
            mend="ask for the file again",
        ) from None
    many = int(told[0]) if told else 0
    if many > MOST_ROWS_UNASKED and many > ROWS_A_BYTE * path.stat().st_size:
        raise ContractError(
            f"says it has {many:,} rows in {path.stat().st_size:,} bytes",
            where=where,
            mend="is it a bomb? hand it over as CSV",
        )
    kinds = {str(name): str(kind) for name, kind, *_ in rows}
    return dict(zip(unique_names(list(kinds), where), kinds.values(), strict=True))


def null_text(name: str, kind: str, nulls: Sequence[str]) -> str:
    """A column of a typed file, its declared null words made null."""
    column = quote(name_in_file(name))
    if kind != "VARCHAR" or not nulls:
        return f"{column} AS {quote(name)}"
    return (
        f"CASE WHEN {column} NOT IN ({', '.join(literal(text) for text in nulls)}) THEN {column} "
        f"END AS {quote(name)}"
    )
