"""Writers whose bytes depend on nothing but their rows: no clock, no library's own time stamps, one
newline."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook

_STAMP = "2011-12-09T21:00:00Z"


def write_csv(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows as CSV, columns in the order of the first row; None is an empty cell."""
    listed = list(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(listed[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(listed)


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows as JSON lines, one object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())


def write_json(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows as one JSON array, an object a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        ("[\n" + ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n]\n").encode()
    )


def write_workbook(path: Path, book: Workbook) -> None:
    """A workbook with its time stamps fixed; parts are stored, not deflated, so that no zlib
    version shows in the bytes."""
    drawn = io.BytesIO()
    book.save(drawn)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(drawn) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as target:
        for name in sorted(source.namelist()):
            body = source.read(name)
            if name == "docProps/core.xml":
                body = re.sub(
                    rb"(<dcterms:(?:created|modified)[^>]*>)[^<]*",
                    rb"\g<1>" + _STAMP.encode(),
                    body,
                )
            target.writestr(zipfile.ZipInfo(name, (2011, 12, 9, 21, 0, 0)), body)
