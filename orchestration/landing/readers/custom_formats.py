"""A format that only this company has: rows from a reader that an extension offers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestration.home import extensions
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.readers.rows import text_table, unique_names


def own_table(path: Path, reader: str, where: str) -> tuple[pa.Table, list[str]]:
    """The rows of a file as text, by a reader's name; its first row says the columns.

    Raises ContractError where nobody offers the reader, and with the reader's own words where it
    raises ValueError.
    """
    readers = extensions.named("readers")
    if reader not in readers:
        raise ContractError(
            f"there is no reader called `{reader}`",
            where=where,
            mend=f"name the extension that offers it in {extensions.VARIABLE}; "
            f"offered: {', '.join(readers) or 'none'}",
        )
    try:
        rows: list[Mapping[str, Any]] = list(readers[reader](path))
    except ValueError as error:
        raise ContractError(f"cannot be read: {error}", where=where) from error
    keys = list(rows[0]) if rows else []
    for number, row in enumerate(rows, start=1):
        if list(row) != keys:
            raise ContractError(f"has other columns in row {number} than in the first", where=where)
    columns = unique_names(keys, where)
    cells = (
        [*(None if row[key] is None else str(row[key]) for key in keys), number]
        for number, row in enumerate(rows, start=1)
    )
    return text_table(cells, [*columns, "_row"]), columns
