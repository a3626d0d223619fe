"""How a file comes to be: whole and on the disk, or not at all, also through a kill or a power
cut."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path beside `target` to write to; what stands there on leaving takes target's place in one
    step, and survives a power cut.

    Yields a path that does not exist yet; a file or a folder may be made of it. After an error
    nothing is replaced and nothing is left. A folder takes the place of a folder by two renames,
    for no system has one.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex}.aside")
    try:
        yield aside
        if aside.is_dir() and not aside.is_symlink():
            _move_folder(aside, target)
        else:
            flush(aside)
            os.replace(aside, target)
        flush(target.parent)
    finally:
        _remove(aside)


def write(target: Path, content: str | bytes, *, mode: int = 0o666) -> None:
    """Replace a file by this text (UTF-8) or these bytes: a reader, or a crash, sees the old ones
    or the new ones, whole.

    mode: who may read and write it, less what the process's umask takes; the file never exists with
    more.
    """
    with (
        replacing(target) as aside,
        os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode), "wb") as file,
    ):
        file.write(content.encode() if isinstance(content, str) else content)


def sweep(folder: Path) -> None:
    """Remove what writers that were killed left in a folder; for the holder of the lock that keeps
    other writers out."""
    for left in (*folder.glob(".*.aside"), *folder.glob(".*.old")):
        _remove(left)


def flush(path: Path) -> None:
    """Make what was written to a file, or renamed in a folder, survive a power cut; a link has
    nothing of its own to flush."""
    if path.is_symlink():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _move_folder(aside: Path, target: Path) -> None:
    for path in sorted(aside.rglob("*")):
        flush(path)
    flush(aside)
    old = aside.with_suffix(".old")
    if target.exists():
        os.rename(target, old)
    os.rename(aside, target)
    shutil.rmtree(old, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
