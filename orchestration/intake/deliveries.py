"""Deliveries that intake writes: JSON lines in `<inbox>/<source_id>/<name>.jsonl`, whole from the
moment they appear."""

from __future__ import annotations

import fcntl
import hashlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

from orchestration.home.files import flush

# an empty file in the place of rows that have been landed and need not come again
LANDED = ".landed"


def stamped(wanted: bool) -> dict[str, str]:
    """What a pull adds to every row: `_pulled_at`, if the contract asks for it."""
    return (
        {
            "_pulled_at": datetime.now(UTC)
            .replace(tzinfo=None)
            .isoformat(" ", timespec="microseconds")
        }
        if wanted
        else {}
    )


def write_delivery(
    inbox: Path, source_id: str, lines: Iterable[str | bytes], name: str | None = None
) -> str | None:
    """Write lines aside, fsync, rename; the path under the inbox, or None if there was no line or
    this very file is there already.

    Without a name the file is called by the hash of its bytes, so the same rows handed over twice
    are one file.
    """
    folder = inbox / source_id
    folder.mkdir(parents=True, exist_ok=True)
    aside, digest, count = folder / ".aside", hashlib.sha256(), 0
    with _alone(folder), aside.open("wb", buffering=1 << 20) as file:
        for line in lines:
            data = (line.encode() if isinstance(line, str) else line) + b"\n"
            digest.update(data)
            file.write(data)
            count += 1
        target = folder / f"{name or 'rows-' + digest.hexdigest()[:24]}.jsonl"
        if count == 0 or (
            name is None and (target.exists() or target.with_suffix(LANDED).exists())
        ):
            return None
        file.flush()
        os.fsync(file.fileno())
        os.replace(aside, target)
        flush(folder)
        return target.relative_to(inbox).as_posix()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One writer a source at a time, so that the file aside is never another's; a killed writer
    lets go, the next overwrites it."""
    with (folder / ".writing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def json_line(row: Mapping[Any, Any]) -> str:
    """One row as one line: times in ISO form, decimals as the digits they have, bytes in hex; what
    JSON cannot say becomes text."""
    return json.dumps(
        {str(name): _plain(value) for name, value in row.items()}, ensure_ascii=False, default=_text
    )


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _text(value: Any) -> str:
    if isinstance(value, (datetime, date, time)):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    return str(value)


def decode(body: bytes | str) -> Any:
    """JSON whose decimal numbers are kept as the text they were written in; NaN and Infinity are
    refused (ValueError)."""
    return json.loads(body, parse_float=str, parse_constant=_refuse)


def _refuse(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
