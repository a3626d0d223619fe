"""What a file looks like to whoever has no contract for it: its format, encoding, delimiter and
decimal sign, and a sample of its rows as text."""

from __future__ import annotations

import csv
import io
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

import polars as pl

from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.locales import SUMS
from orchestration.landing.contract.world import Source, Xlsx
from orchestration.landing.readers.drops import ARCHIVES, is_litter
from orchestration.landing.readers.json_document import json_table
from orchestration.landing.readers.sheets import workbook_table

SAMPLE_BYTES = 1 << 20
SAMPLE_ROWS = 2_000


def member_pattern(path: Path) -> str:
    """The pattern of the files inside an archive; empty for a file that is none."""
    if not path.name.lower().endswith(ARCHIVES):
        return ""
    first = PurePosixPath(_first_member(path)[0])
    return str(first.with_name(f"*{first.suffix}"))


def _first_member(path: Path) -> tuple[str, bytes]:
    """The name of the first file in an archive that is no litter, and its first bytes."""
    if path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                if not name.endswith("/") and not is_litter(name):
                    with archive.open(name) as stream:
                        return name, stream.read(SAMPLE_BYTES)
    else:
        with tarfile.open(path) as packed:
            for info in packed:
                if info.isreg() and not is_litter(info.name) and (file := packed.extractfile(info)):
                    return info.name, file.read(SAMPLE_BYTES)
    raise ContractError("has no file in it", where=path.name)


def look(path: Path) -> tuple[str, pl.DataFrame, list[str]]:
    """(format as YAML, a sample as text, further lines of the contract)."""
    if path.name.lower().endswith(ARCHIVES):
        name, content = _first_member(path)
        with tempfile.TemporaryDirectory(prefix="stockhouse-suggest-") as folder:
            first = Path(folder) / PurePosixPath(name).name
            first.write_bytes(content)
            return look(first)
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return (
                "parquet",
                pl.read_parquet(path, n_rows=SAMPLE_ROWS).cast(pl.String, strict=False),
                [],
            )
        if suffix in (".xlsx", ".ods"):
            return _look_at_workbook(path)
        if suffix in (".json", ".jsonl"):
            return suffix.removeprefix("."), _json_sample(path), []
        with path.open("rb") as file:
            return _look_at_text(file.read(SAMPLE_BYTES), path)
    except OSError as error:
        raise ContractError(f"cannot be read: {error.strerror or error}", where=path.name) from None
    except (ValueError, pl.exceptions.PolarsError) as error:
        raise ContractError(f"cannot be read: {error}", where=path.name) from None


def _json_sample(path: Path) -> pl.DataFrame:
    table, names, _ = json_table(path, None, [""], path.name)
    frame = pl.from_arrow(table.select(names).slice(0, SAMPLE_ROWS))
    return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()


def _look_at_workbook(path: Path) -> tuple[str, pl.DataFrame, list[str]]:
    source = Source.model_validate(
        {"silo": "x", "path": "x", "identity": "row", "into": [{"items": {}}]}
    )
    best: tuple[int, int, pl.DataFrame] | None = None
    for row in range(1, 11):
        try:
            table, names, _ = workbook_table(path, Xlsx(header_row=row), source, path.name)
        except ContractError:
            continue
        frame = pl.from_arrow(table.select(names))
        named = sum(not name.startswith("column_") for name in names)
        if isinstance(frame, pl.DataFrame) and (best is None or named > best[0]):
            best = (named, row, frame)
    if best is None:
        raise ContractError("has no sheet that can be read", where=path.name)
    return f"{{xlsx: {{sheet: 1, header_row: {best[1]}}}}}", best[2].head(SAMPLE_ROWS), []


def _look_at_text(raw: bytes, path: Path) -> tuple[str, pl.DataFrame, list[str]]:
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    try:
        text = raw.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        if error.start > len(raw) - 4:
            text = raw[: error.start].decode(encoding)
        else:
            encoding, text = "windows-1252", raw.decode("windows-1252", "replace")
    if len(raw) == SAMPLE_BYTES:
        text = text[: max(text.rfind("\n"), text.rfind("\r"))]
    lines = re.split(r"\r\n|\n|\r", text)
    delimiter = max(
        ",;\t|", key=lambda sign: min((line.count(sign) for line in lines[:20] if line), default=0)
    )
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))[: SAMPLE_ROWS + 1]
    rows = [row for row in rows if row]
    if not rows:
        raise ContractError("is empty", where=path.name)
    options = [f"delimiter: {delimiter!r}"] if delimiter != "," else []
    options += [f"encoding: {encoding}"] if encoding != "utf-8" else []
    form = f"{{csv: {{{', '.join(options)}}}}}".replace("'\\t'", '"\\t"') if options else "csv"
    width = len(rows[0])
    body = [row for row in rows[1:] if len(row) == width and not _is_beside(row, rows[0])]
    frame = pl.DataFrame(
        {name: [row[i] or None for row in body] for i, name in enumerate(rows[0])}, strict=False
    )
    return (
        form,
        frame.cast(pl.String),
        _signs({cell for row in body[:200] for cell in row}, delimiter),
    )


def _is_beside(row: Sequence[str], head: Sequence[str]) -> bool:
    """Whether a row is no record: the header once more, or a sum."""
    said = {cell.strip().lower().rstrip(" :") for cell in row}
    return list(row) == list(head) or not said.isdisjoint(SUMS)


def _signs(cells: Collection[str], delimiter: str) -> list[str]:
    """The contract's words for the signs in numbers, as far as a cell shows them."""
    both = next(
        (cell for cell in cells if re.fullmatch(r"-?\d{1,3}([., ]\d{3})+[.,]\d+", cell)), ""
    )
    if both and (thousands := re.sub(r"[-\d]", "", both))[0] != thousands[-1]:
        decimal = [f'    decimal: "{thousands[-1]}"'] if thousands[-1] == "," else []
        return [*decimal, f'    thousands: "{thousands[0]}"']
    comma = any(re.fullmatch(r"-?\d+,\d+", cell) for cell in cells)
    return ['    decimal: ","'] if comma and delimiter != "," else []
