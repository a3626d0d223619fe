"""The folders we share with a partner: opened once by descriptor, no link in them followed, every
file whole or not there.

Whoever may write into such a folder may put anything there, also while we look: a name is looked at
only through the open folder, and a file only through its own open descriptor.
"""

from __future__ import annotations

import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: Where the partner puts what it says, where we keep it once heard, what we send, and what we would
#: send.
IN, TAKEN, OUT, DRY_RUN = "in", "taken", "out", "dry_run"


@contextmanager
def opened(place: Path, kind: str, make: bool = False) -> Iterator[int]:
    """A descriptor of one of the folders in a partner's place. Raises OSError where it is not
    there, or is a link."""
    folder = place / kind
    if make and not os.path.lexists(folder):
        place.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=stat.S_IMODE(place.stat().st_mode), exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def names(place: Path, kind: str) -> list[str]:
    """The names in a folder, in order, that are neither folders nor begin with a dot (still being
    written); none without it."""
    try:
        with opened(place, kind) as handle, os.scandir(handle) as entries:
            is_folder = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
    except FileNotFoundError:
        return []
    return sorted(n for n, folder in is_folder.items() if not folder and not n.startswith("."))


def read(handle: int, name: str, most: int) -> bytes:
    """The bytes of a plain file in an open folder, at most so many. Raises OSError for a link, a
    pipe or what may not be read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, dir_fd=handle), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            raise OSError(f"{name} is a link or no plain file; it was not read")
        return file.read(most)


def write(place: Path, kind: str, name: str, body: bytes) -> None:
    """Write a file into a folder others read, all of it or none; whoever may read the folder may
    read it. Raises OSError."""
    with opened(place, kind, make=True) as handle:
        unfinished = f".{uuid.uuid4().hex}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(unfinished, flags, 0o600, dir_fd=handle), "wb") as file:
                file.write(body)
                file.flush()
                os.fchmod(file.fileno(), stat.S_IMODE(os.fstat(handle).st_mode) & 0o666)
                os.fsync(file.fileno())
            os.replace(unfinished, name, src_dir_fd=handle, dst_dir_fd=handle)
            os.fsync(handle)  # who is told that it lies here deletes it there
        except OSError:
            with suppress(OSError):
                os.unlink(unfinished, dir_fd=handle)
            raise


def keep(place: Path, handle: int, name: str) -> None:
    """Move a file that was heard out of the open `in` folder into `taken` beside it."""
    with opened(place, TAKEN, make=True) as taken:
        os.replace(name, name, src_dir_fd=handle, dst_dir_fd=taken)


def clear(place: Path, kind: str) -> None:
    """Delete every file and link in a folder of ours, where there is one."""
    for name in names(place, kind):
        with opened(place, kind) as handle:
            os.unlink(name, dir_fd=handle)
