"""What people decided, kept as one JSON object a line: lines are added and never changed, and one
cut off by a crash was never acknowledged and does not count."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

Append = Callable[[Mapping[str, Any]], None]
Value = TypeVar("Value")


def read(path: Path) -> bytes:
    """The whole lines of a journal, nothing where there is none yet."""
    return _whole(path.read_bytes()) if path.exists() else b""


class Folded(Generic[Value]):
    """What a journal adds up to, added up again only once it has changed."""

    def __init__(self, path: Path, fold: Callable[[bytes], Value]) -> None:
        self.path, self.fold = path, fold
        self.kept: tuple[tuple[int, int, int] | None, Value] | None = None

    def now(self) -> Value:
        """What the journal adds up to now; nobody changes it."""
        try:
            found = self.path.stat()
            stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
        except FileNotFoundError:
            stamp = None
        if self.kept is None or self.kept[0] != stamp:
            self.kept = (stamp, self.fold(read(self.path)))
        return self.kept[1]


@contextmanager
def appending(path: Path) -> Iterator[tuple[bytes, Append]]:
    """The whole lines on record, and a way to add one; two writers at once wait for each other, and
    what is added is on disk or absent. The file is its owner's alone."""
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND
    with os.fdopen(os.open(path, flags, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        content = _whole(file.read())

        def append(event: Mapping[str, Any]) -> None:
            line = json.dumps(event, default=lambda value: value.isoformat())
            file.truncate(len(content))
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

        yield content, append


def _whole(content: bytes) -> bytes:
    return content[: content.rfind(b"\n") + 1]
