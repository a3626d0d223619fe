"""A watched folder as a stream: a file of JSON or JSON lines that has been dropped and left alone
becomes a delivery."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from pathlib import Path

from orchestration.intake.deliveries import write_delivery
from orchestration.intake.options import Folder, resolve

EXTENSIONS = (".jsonl", ".json", ".ndjson")


def sweep(source_id: str, options: Folder, inbox: Path, *, where: str = "") -> list[str]:
    """Move every settled file of the watched folder into the source's inbox; the names of new
    deliveries.

    The dropped file is removed after its delivery is durable; the same bytes dropped again are the
    same delivery. Hidden files, links and other extensions are left where they are.
    """
    folder = (
        inbox / source_id / "drop"
        if options.folder == "drop"
        else Path(resolve(options.folder, where))
    )
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in EXTENSIONS:
            continue
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode) or time.time() - found.st_mtime < options.settle_seconds:
            continue
        try:
            name = write_delivery(inbox, source_id, _lines(path, found.st_mtime_ns))
        except _StillWritten:
            continue  # the next sweep takes it
        path.unlink()
        if name is not None:
            written.append(name)
    return written


class _StillWritten(Exception):
    """The file changed while it was read."""


def _lines(path: Path, modified: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            yield line.removesuffix(b"\n")
    if path.lstat().st_mtime_ns != modified:
        raise _StillWritten
