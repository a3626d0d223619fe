"""JSON documents and JSON lines as rows of text: numbers stay as they were written, depth is
bounded, NaN is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestration.landing.contract.errors import ContractError
from orchestration.landing.readers.rows import (
    LONGEST_FIELD,
    MOST_COLUMNS,
    Reject,
    text_table,
    unique_names,
)

DEEPEST_JSON = 64
LEAST_CELLS = 5_000_000  # of a table made of one document, whatever its size
CELLS_A_BYTE = 2  # and this many more for each of its bytes


def json_text(value: Any) -> str | None:
    """A JSON value as the text of a cell; null stays null."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Number):
        return str(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


class Number(str):
    """A JSON number exactly as it was written."""

    __slots__ = ()


def decode_json(text: str) -> Any:
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
    return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=_refuse)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def json_table(
    path: Path, records: str | None, nulls: Sequence[str], where: str
) -> tuple[pa.Table, list[str], list[Reject]]:
    """Objects as rows of text: a whole document with a list, or one object a line, which may have a
    list too; nested values stay JSON text."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if records is not None or raw.lstrip()[:1] == b"[":
            raise ContractError(f"is not UTF-8 at byte {error.start}", where=where) from None
        text = raw.decode("utf-8", "surrogateescape")
    rejects: list[Reject] = []
    objects: list[tuple[int, dict[str, Any]]] = []
    if not text.strip():
        entries: Iterable[tuple[int, Any]] = ()
    elif records is not None and _is_documents(text):
        entries = enumerate(_lines_of_documents(text, records, rejects), start=1)
    elif records is not None or text.lstrip()[:1] == "[" or is_one_document(text):
        entries = enumerate(_document(text, records, where), start=1)
    else:
        entries = _json_lines(text, rejects)
    is_odd = re.search(r"\\u(0000|d[89a-f])", text, re.IGNORECASE) is not None
    for number, entry in entries:
        if is_odd and (why := _unwritable(entry)):
            rejects.append(Reject(number, json.dumps(entry, default=str)[:2000], why))
        elif isinstance(entry, dict) and entry:
            objects.append((number, entry))
        else:
            why = "is no object" if entry != {} else "is an object of nothing"
            rejects.append(Reject(number, json.dumps(entry, default=str)[:2000], why))
    names: dict[str, None] = {}
    cells_to_be = 0
    for _, entry in objects:
        names.update(dict.fromkeys(entry))
        cells_to_be += len(names)
        if len(names) > MOST_COLUMNS or cells_to_be > LEAST_CELLS + CELLS_A_BYTE * len(raw):
            raise ContractError(
                f"has objects of {len(names):,} different keys",
                where=where,
                mend=f"at most {MOST_COLUMNS:,}; are values written as keys?",
            )
    keys = list(names)
    columns = unique_names(keys, where)
    empty = set(nulls)

    def cells(entry: dict[str, Any]) -> list[str | None]:
        texts = (json_text(entry.get(key)) for key in keys)
        return [None if text is None or text in empty else str(text) for text in texts]

    return (
        text_table(([*cells(entry), number] for number, entry in objects), [*columns, "_row"]),
        columns,
        rejects,
    )


def _unwritable(entry: Any) -> str:
    """What is in an object that no database takes as text; empty where nothing is."""
    said = json.dumps(entry, ensure_ascii=False, default=str)
    try:
        said.encode("utf-8")
    except UnicodeEncodeError:
        return "holds half a letter (a lone surrogate)"
    return "holds a NUL" if "\\u0000" in said else ""


def is_one_document(text: str) -> bool:
    """A pretty-printed single object: the first line alone is no JSON."""
    first = text.lstrip().partition("\n")[0].strip()
    return first in ("{", "")


def _document(text: str, records: str | None, where: str) -> list[Any]:
    try:
        found = decode_json(text)
    except (ValueError, RecursionError) as error:
        raise ContractError(
            f"is no JSON document: {error}",
            where=where,
            mend="is it cut short? ask for the file again",
        ) from None
    try:
        return list(_rows(found, records.split(".") if records else [], {}))
    except KeyError:
        raise ContractError(
            f"has no `{records}`",
            where=where,
            mend="`records` is the dotted way to the list of rows",
        ) from None


def _is_documents(text: str) -> bool:
    """Whether a document stands in each line: the first line is one, and not all of the text."""
    first, _, rest = text.lstrip().partition("\n")
    try:
        return bool(rest.strip()) and isinstance(decode_json(first), dict)
    except (ValueError, RecursionError):
        return False


def _lines_of_documents(text: str, records: str, rejects: list[Reject]) -> list[Any]:
    """The rows in the documents of all lines; a document that is none, or has no such list, is
    set aside alone."""
    found: list[Any] = []
    for number, document in _json_lines(text, rejects):
        try:
            found += _rows(document, records.split("."), {})
        except KeyError:
            shown = json.dumps(document, ensure_ascii=False, default=str)[:2000]
            rejects.append(Reject(number, shown, f"has no `{records}`"))
    return found


def _rows(found: Any, way: list[str], above: dict[str, Any]) -> Iterator[Any]:
    """The objects at the end of the way, each with what the documents around it say of it; KeyError
    where the way ends early.

    A line's own word goes before its document's.
    """
    if isinstance(found, list):
        for one in found:
            yield from _rows(one, way, above)
    elif not way:
        yield {**above, **found} if isinstance(found, dict) else found
    elif isinstance(found, dict):
        said = {key: value for key, value in found.items() if key != way[0]}
        own = {key: value for key, value in said.items() if not isinstance(value, list)}
        yield from _rows(found[way[0]], way[1:], {**above, **own})
    else:
        raise KeyError(way[0])


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
            yield number, decode_json(line)
        except (ValueError, RecursionError) as error:
            why = "is not UTF-8" if isinstance(error, UnicodeEncodeError) else str(error)
            shown = (
                line[:2000].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
            )
            rejects.append(Reject(number, shown, f"is no JSON object: {why}"))
