"""What a path pattern names: regular files under the data folder and members of archives, counted before they are inflated.

Every byte goes through `Drop.copy_to`, which hashes while it copies, so what is parsed later is exactly what was hashed.
"""

from __future__ import annotations

import fnmatch
import gzip
import hashlib
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from orchestration.landing.contract.errors import ContractError

MIB = 1 << 20
MOST_BYTES = 64 << 30  # of one file, inflated
BOMB_BYTES = 32 * MIB  # below this nobody is hurt
BOMB_RATIO = 200  # inflated to stored; text of numbers stays below 60
MOST_MEMBERS = 100_000
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True)
class Drop:
    """One file as it was handed over: its display name, the name without folders and extension, and a way to its bytes."""

    name: str  # path under the data folder, `archive!member` inside archives
    stored_bytes: int
    open: Callable[[], IO[bytes]]
    plain: Path | None = None  # where the bytes lie as they are

    @property
    def file_name(self) -> str:
        return PurePosixPath(self.name.rpartition("!")[2]).name

    @property
    def stem(self) -> str:
        """`_file`: the name without folder and extensions."""
        name = self.file_name.removesuffix(".gz")
        return PurePosixPath(name).stem

    def copy_to(self, target: Path) -> tuple[str, int]:
        """Copy the bytes (inflated where they are a .gz) and return their sha256 and length; ContractError where they cannot be read."""
        digest, size = hashlib.sha256(), 0
        try:
            with self.open() as source, target.open("wb") as sink:
                while chunk := source.read(MIB):
                    size += len(chunk)
                    if size > MOST_BYTES or (size > BOMB_BYTES and size > BOMB_RATIO * max(self.stored_bytes, 1)):
                        raise ContractError(
                            f"inflates to more than {size:,} bytes", where=self.name, mend="is it a bomb? hand it over uncompressed"
                        )
                    digest.update(chunk)
                    sink.write(chunk)
        except (EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, NotImplementedError, RuntimeError) as error:
            raise ContractError(f"is broken or cut short: {error}", where=self.name, mend="ask for the file again") from None
        return digest.hexdigest(), size


def discover(pattern: str, root: Path, scratch: Path) -> list[Drop]:
    """Every drop that `pattern` names under `root`, in name order; ContractError if there is none or one is no plain file."""
    outer, _, inner = pattern.partition("!")
    paths = sorted(_match(root, outer))
    if not paths:
        raise ContractError(f"the path `{pattern}` matches nothing in the data folder", mend="see --data, and the spelling")
    drops: list[Drop] = []
    for path in paths:
        name = path.relative_to(root).as_posix()
        _check_plain(path, root, name)
        if inner or path.name.lower().endswith(ARCHIVES):
            drops += _members(path, name, inner or "*", scratch)
        else:
            drops.append(_plain(path, name))
    if not drops:
        raise ContractError(f"the path `{pattern}` matches nothing inside the archive", mend="see the spelling after `!`")
    return drops


def _match(root: Path, pattern: str) -> Iterator[Path]:
    exact = root / pattern
    if exact.is_symlink() or exact.exists():
        yield exact
    else:
        yield from (path for path in root.glob(pattern) if not path.is_dir())


def _check_plain(path: Path, root: Path, name: str) -> None:
    real, base = path.resolve(), root.resolve()
    if not real.is_relative_to(base):
        raise ContractError("is a link out of the data folder", where=name, mend="copy the file into the folder")
    if not stat.S_ISREG(real.stat().st_mode):
        raise ContractError("is no plain file", where=name, mend="only regular files are landed")


def _plain(path: Path, name: str) -> Drop:
    if path.name.lower().endswith(".gz"):
        return _gzipped(path, name)
    return Drop(name, path.stat().st_size, lambda: path.open("rb"), path)


def _gzipped(path: Path, name: str) -> Drop:
    return Drop(name, path.stat().st_size, partial(gzip.GzipFile, path))  # type: ignore[arg-type]


def _members(path: Path, name: str, pattern: str, scratch: Path) -> list[Drop]:
    try:
        if path.name.lower().endswith(".zip"):
            return _zip_members(path, name, pattern)
        return _tar_members(path, name, pattern, scratch)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ContractError(f"is no readable archive: {error}", where=name, mend="ask for the file again") from None


def _wanted(member: str, pattern: str) -> bool:
    parts, wanted = PurePosixPath(member).parts, PurePosixPath(pattern).parts
    if pattern == "*":
        return True
    return len(parts) == len(wanted) and all(fnmatch.fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=True))


def _check_member(name: str, member: str) -> None:
    pure = PurePosixPath(member)
    if pure.is_absolute() or ".." in pure.parts or "\0" in member:
        raise ContractError(f"the member `{member}` leaves the archive", where=name, mend="pack it anew with plain names")


def _zip_members(path: Path, name: str, pattern: str) -> list[Drop]:
    drops = []
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        check_inflated(name, sum(info.file_size for info in infos), path.stat().st_size, len(infos))
        for info in sorted(infos, key=lambda info: info.filename):
            if info.is_dir() or not _wanted(info.filename, pattern):
                continue
            _check_member(name, info.filename)
            kind = info.external_attr >> 16
            if kind and stat.S_IFMT(kind) not in (0, stat.S_IFREG):
                raise ContractError(f"the member `{info.filename}` is no plain file", where=name)
            drops.append(Drop(f"{name}!{info.filename}", max(info.compress_size, 1), _zip_opener(path, info.filename)))
    return drops


def _zip_opener(path: Path, member: str) -> Callable[[], IO[bytes]]:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            yield stream

    return opened  # type: ignore[return-value]


def _tar_members(path: Path, name: str, pattern: str, scratch: Path) -> list[Drop]:
    """Members of a tar are slices of the tar; a compressed one is inflated once, bounded, into the scratch folder."""
    plain = path
    if not path.name.lower().endswith(".tar"):
        plain = scratch / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.tar"
        _gzipped(path, name).copy_to(plain)
    drops = []
    with tarfile.open(plain, "r:") as archive:
        for count, info in enumerate(archive):
            check_inflated(name, info.size, info.size, count)
            if info.isdir() or not _wanted(info.name, pattern):
                continue
            _check_member(name, info.name)
            if not info.isreg() or info.issparse():
                raise ContractError(f"the member `{info.name}` is no plain file", where=name)
            drops.append(Drop(f"{name}!{info.name}", max(info.size, 1), partial(_Slice, plain, info.offset_data, info.size)))  # type: ignore[arg-type]
    return sorted(drops, key=lambda drop: drop.name)


class _Slice(io.RawIOBase):
    """A stretch of a file as a file of its own."""

    def __init__(self, path: Path, start: int, length: int) -> None:
        super().__init__()
        self._file, self._left = path.open("rb"), length
        self._file.seek(start)

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(self._left if size < 0 else min(size, self._left))
        if not chunk and self._left:
            raise EOFError("the archive ends in the middle of a member")
        self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        self._file.close()
        super().close()


def check_inflated(name: str, inflated: int, stored: int, members: int) -> None:
    """Refuse an archive whose table of contents already promises a bomb."""
    if members > MOST_MEMBERS:
        raise ContractError(f"has more than {MOST_MEMBERS:,} members", where=name)
    if inflated > MOST_BYTES or (inflated > BOMB_BYTES and inflated > BOMB_RATIO * max(stored, 1)):
        raise ContractError(
            f"would inflate from {stored:,} to {inflated:,} bytes", where=name, mend="is it a bomb? hand it over uncompressed"
        )
