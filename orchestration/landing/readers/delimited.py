"""Delimited text: the quick way lets DuckDB parse; where it meets a line it cannot, the patient way
reads line by line in Python, so that one bad line spoils one row and not the file. Its encoding is
what the contract declares; `sniffing` guesses one for a contract that is still to be written.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestration.home.sql import literal, quote
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.world import Csv
from orchestration.landing.readers.rows import LONGEST_FIELD, Reject, text_table, unique_names

MOST_SHOWN = 2_000  # characters of a line that a person is shown
EMPTY = "''"
NUMERIC = re.compile(r"[-+.,:/\d ]*\d[-+.,:/\d ]*")


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
            # a header that is not what was declared spoils every row
            "".join(row or ()).encode("utf-8")
    except UnicodeError:
        raise _undecodable(where, options, "in its header", _marked(path)) from None
    except csv.Error as error:
        raise ContractError(f"has an unreadable header: {error}", where=where) from None
    if not row:
        raise ContractError(
            "has no header line",
            where=where,
            mend="is the file empty? a file without one needs `header: [names]`",
        )
    return unique_names(row, where)


def _codec(options: Csv) -> str:
    name = codecs.lookup(options.encoding).name
    return "utf-8-sig" if name == "utf-8" else name


def _undecodable(where: str, options: Csv, place: str, seen: str = "") -> ContractError:
    return ContractError(
        f"is not {options.encoding} {place}",
        where=where,
        mend=f"declare it: `csv: {{encoding: {seen or 'windows-1252'}}}`",
    )


def _marked(path: Path) -> str:
    """The encoding that the first bytes of a file state, or nothing."""
    with path.open("rb") as file:
        start = file.read(4)
    marks = {codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32"}
    marks |= {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    return next((name for mark, name in marks.items() if start.startswith(mark)), "")


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
    r"""DuckDB reads UTF-8 with \n or \r\n; anything else is decoded here first."""
    if codecs.lookup(options.encoding).name not in ("utf-8", "ascii") or options.newline == "\r":
        return True
    with path.open("rb") as file:
        start = file.read(1 << 16)
    return b"\r" in start and b"\n" not in start


def rewrite_csv(path: Path, target: Path, options: Csv, where: str) -> None:
    r"""The file as UTF-8 with \n line ends; undecodable bytes stop it, since the wrong encoding
    garbles every row."""
    try:
        with (
            path.open(encoding=_codec(options), newline=None) as source,
            target.open("w", encoding="utf-8", newline="") as sink,
        ):
            while chunk := source.read(1 << 20):
                sink.write(chunk)
    except UnicodeError as error:
        start = error.start if isinstance(error, UnicodeDecodeError) else 0
        raise _undecodable(where, options, f"at byte {start}", _marked(path)) from None


def csv_select(
    paths: Sequence[Path], names: Sequence[str], options: Csv, nulls: Sequence[str]
) -> str:
    """DuckDB's own reader, told everything and guessing nothing; rows with their number in the
    file."""
    columns = "{" + ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names) + "}"
    skip = options.skip_lines + (options.header is None)
    files = "[" + ", ".join(literal(str(path)) for path in paths) + "]"
    return (
        f'SELECT *, row_number() OVER () AS "b:n" FROM read_csv({files}, auto_detect=false, '
        f"columns={columns}, header=false, skip={skip},"
        f" delim={literal(options.delimiter)}, quote={literal(options.quote)}, "
        f"escape={literal(options.quote)},"
        f" nullstr=[{', '.join(literal(text) for text in nulls)}], strict_mode=true, "
        f"max_line_size={LONGEST_FIELD},"
        f" filename='b:source', encoding='utf-8')"
    )


def swallowed_rows(delimiter: str, width: int, names: Sequence[str]) -> str:
    """A condition on rows of `width` cells: over several lines, each of which is a row by itself,
    so a stray quote swallowed them."""
    if width < 2:
        return "false"
    text = (
        f"concat_ws({literal(delimiter)}, "
        f"{', '.join(f'coalesce({quote(name)}, {EMPTY})' for name in names)})"
    )
    cells = f"len(x) - len(replace(x, {literal(delimiter)}, ''))"
    return (
        f"(contains({text}, chr(10)) AND len(list_filter(string_split({text}, chr(10)), lambda x: "
        f"{cells} <> {width - 1})) = 0)"
    )


def has_sign(path: Path, sign: str) -> bool:
    """Whether a sign is anywhere in the file: without quotes no line can hide in a cell."""
    if not sign:
        return False
    with path.open("rb") as file:
        return any(sign.encode() in chunk for chunk in iter(lambda: file.read(1 << 20), b""))


def patient_csv(
    path: Path, names: Sequence[str], options: Csv, nulls: Sequence[str]
) -> tuple[pa.Table, list[Reject]]:
    """The same file line by line: good rows as a table of text, the others as rejects; no line is
    lost behind a stray quote."""
    rejects: list[Reject] = []
    empty = set(nulls)

    def rows() -> Iterator[list[Any]]:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
            number = 0 if options.header is None else 1
            for raw, row, why in _records(_body(text, options), options, len(names)):
                number += 1
                if number == 1:
                    continue
                if why or not row or any("\udc80" <= letter <= "\udcff" for letter in raw):
                    rejects.append(Reject(number - 1, _shown(raw), why or "is not UTF-8"))
                elif "\0" in raw:
                    rejects.append(Reject(number - 1, _shown(raw), "holds a NUL"))
                else:
                    yield [*(None if cell in empty else cell for cell in row), number - 1]

    return text_table(rows(), [*names, "_row"]), rejects


def _body(text: io.TextIOBase, options: Csv) -> Iterator[str]:
    lines = iter(text)
    for _ in range(options.skip_lines):
        next(lines, None)
    return lines


def _shown(raw: str) -> str:
    return (
        raw.rstrip("\r\n")[:MOST_SHOWN]
        .encode("utf-8", "surrogateescape")
        .decode("utf-8", "backslashreplace")
        .replace("\0", "\\x00")
    )


def _records(
    lines: Iterator[str], options: Csv, width: int
) -> Iterator[tuple[str, list[str], str]]:
    """Each record as its text, its cells and what is wrong with it.

    Where a record has several lines, `_are_rows` says whether a person wrote them as one cell. A
    quote that never closes, or closes lines later where no cell ends, is a stray sign of its own
    line: that line alone is bad, the next are read as they stand.
    """
    waiting: deque[str] = deque()
    shape: list[str] = []
    is_header = options.header is None
    while True:
        taken: list[str] = []
        reader = _csv_rows(_taking(lines, waiting, taken), options)
        try:
            row = next(reader)
            why = (
                ""
                if len(row) == width or is_header
                else f"has {len(row)} cells where the header has {width}"
            )
        except StopIteration:
            return
        except csv.Error as error:
            row, why = [], f"is no row of this file: {error}"
        if len(taken) > 1 and (why or _are_rows(taken, options, width, shape)):
            waiting.extendleft(reversed(taken[1:]))
            del taken[1:]
            row, why = [], "is no row of this file: a quote opens in it that no cell's end closes"
        if row or why:
            yield "".join(taken), row, why
            if len(taken) == 1 and not why and not is_header and not shape:
                shape = _shape(taken[0], options)
            is_header = False


def _taking(lines: Iterator[str], waiting: deque[str], taken: list[str]) -> Iterator[str]:
    while waiting:
        taken.append(waiting.popleft())
        yield taken[-1]
    for line in lines:
        taken.append(line)
        yield line


def _are_rows(taken: Sequence[str], options: Csv, width: int, shape: Sequence[str]) -> bool:
    """Whether every line of a record looks like a row: as many cells, numbers where the first good
    row has numbers."""
    lines = [_shape(line, options) for line in taken]
    return width > 1 and all(
        len(line) == width
        and all(a == b or not a or not b for a, b in zip(line, shape or line, strict=True))
        for line in lines
    )


def _shape(line: str, options: Csv) -> list[str]:
    """What kind of text stands in each cell of a line, quotes left out: a number or date, a word,
    or nothing."""
    cells = (cell.strip(options.quote + " \r\n") for cell in line.split(options.delimiter))
    return ["" if not cell else "9" if NUMERIC.fullmatch(cell) else "a" for cell in cells]
