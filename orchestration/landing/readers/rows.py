"""What every reader hands on: Arrow tables of text, names that DuckDB can hold, and the pieces that
are no rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from orchestration.landing.contract.errors import ContractError

LONGEST_FIELD = 2_000_000  # characters
MOST_COLUMNS = 4_000
RESERVED = frozenset({"_file", "_row", "_d"})  # and a letter with a colon, such as `v:quantity`
DELIVERED = " (delivered)"
CHUNK = 50_000  # rows


@dataclass(frozen=True)
class Reject:
    """A piece of a file that is no row: where it stood, its text and why."""

    row_no: int
    raw_text: str
    reason: str


def is_reserved(name: str) -> bool:
    """Whether landing calls a column of its own so; DuckDB tells no capital from a small letter."""
    return name.lower() in RESERVED or (name[1:2] == ":" and name[0].isalpha())


def name_in_file(name: str) -> str:
    """A column's name as its file has it."""
    own = name.removesuffix(DELIVERED)
    return own if is_reserved(own) else name


def unique_names(names: Sequence[str], where: str) -> list[str]:
    """Header names as DuckDB can hold them: blanks are numbered, a repeated name gets `(2)`."""
    if len(names) > MOST_COLUMNS:
        raise ContractError(
            f"has {len(names):,} columns", where=where, mend=f"at most {MOST_COLUMNS:,}"
        )
    seen: dict[str, int] = {}
    found = []
    for i, raw in enumerate(names, start=1):
        if "\0" in raw:
            raise ContractError(
                f"has a NUL in the name of column {i}",
                where=where,
                mend="is it text at all? ask for the file again",
            )
        name = raw.strip() or f"column_{i}"
        name = name + DELIVERED if is_reserved(name) else name
        seen[name.lower()] = seen.get(name.lower(), 0) + 1
        found.append(name if seen[name.lower()] == 1 else f"{name} ({seen[name.lower()]})")
    return found


def text_table(rows: Iterable[list[Any]], names: Sequence[str]) -> pa.Table:
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
    return pa.record_batch(
        [pa.array(column, kind) for column, kind in zip(columns, schema.types, strict=True)],
        schema=schema,
    )
