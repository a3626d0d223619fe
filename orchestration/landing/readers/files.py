"""What a path pattern names: regular files under the data folder and members of archives, counted
before they are inflated.

Every byte goes through `Drop.copy_to`, which hashes while it copies, so what is parsed later is
exactly what was hashed.
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
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from orchestration.errors import StockhouseError
from orchestration.landing.contract.errors import ContractError

MIB = 1 << 20
MOST_BYTES = 64 << 30  # of one file, inflated
BOMB_BYTES = 32 * MIB  # below this nobody is hurt
BOMB_RATIO = 200  # inflated to stored; text of numbers stays below 60
MOST_MEMBERS = 100_000
LITTER = frozenset(
    {".ds_store", "thumbs.db", "desktop.ini", "ehthumbs.db", ".directory", ".localized"}
)
UNFINISHED = (".crdownload", ".filepart", ".part", ".partial", ".tmp", ".swp")
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True)
class Drop:
    """One file as it was handed over: its display name, the name without folders and extension, and
    a way to its bytes."""

    name: str  # path under the data folder, `archive!member` inside archives
    stored_bytes: int
    open: Callable[[], IO[bytes]]
    plain: Path | None = None  # where the bytes lie as they are
    stored: Path | None = None  # the file itself, packed or not
    fault: str = ""  # why nothing can be read from it

    @property
    def packed(self) -> Drop:
        """The file as it lies there, whatever is packed in it."""
        return self if self.stored is None else _as_stored(self.stored, self.name)

    @property
    def file_name(self) -> str:
        return PurePosixPath(self.name.rpartition("!")[2]).name

    @property
    def stem(self) -> str:
        """`_file`: the name without folder and extensions."""
        name = self.file_name.removesuffix(".gz")
        return PurePosixPath(name).stem

    def copy_to(self, target: Path) -> tuple[str, int]:
        """Copy the bytes (inflated where they are a .gz) and return their sha256 and length.

        Raises ContractError where they cannot be read, StillWritten where the file changes
        meanwhile.
        """
        before = _stamp(self.stored)
        found = self._copy(target)
        if _stamp(self.stored) != before:
            raise StillWritten(self.name)
        return found

    def _copy(self, target: Path) -> tuple[str, int]:
        if self.fault:
            raise ContractError(self.fault, where=self.name, mend="ask for the file again")
        digest, size = hashlib.sha256(), 0
        try:
            with self.open() as source, target.open("wb") as sink:
                while chunk := source.read(MIB):
                    size += len(chunk)
                    if size > MOST_BYTES or (
                        size > BOMB_BYTES and size > BOMB_RATIO * max(self.stored_bytes, 1)
                    ):
                        raise ContractError(
                            f"inflates to more than {size:,} bytes",
                            where=self.name,
                            mend="is it a bomb? hand it over uncompressed",
                        )
                    digest.update(chunk)
                    sink.write(chunk)
        except (
            EOFError,
            zlib.error,
            zipfile.BadZipFile,
            tarfile.TarError,
            gzip.BadGzipFile,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise ContractError(
                f"is broken or cut short: {error}", where=self.name, mend="ask for the file again"
            ) from None
        return digest.hexdigest(), size


class StillWritten(StockhouseError):
    """The file changed while it was copied: its sender is not done, and the next landing takes
    it."""


def _stamp(path: Path | None) -> tuple[int, int] | None:
    if path is None:
        return None
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True)
class Discovered:
    """What a path names: files to read, litter that was passed over, and what is no file of ours to
    read, with the reason."""

    drops: list[Drop] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)
    faults: list[ContractError] = field(default_factory=list)

    def or_nothing_there(self, pattern: str) -> Discovered:
        """Itself; ContractError where there is nothing to read."""
        if self.drops:
            return self
        if self.faults:
            raise self.faults[0]
        place = "inside the archive" if "!" in pattern else "in the data folder"
        passed = f" but {', '.join(self.litter[:3])}, which was passed over" if self.litter else ""
        mend = "see --data and the spelling; a source that may be absent says `optional: true`"
        raise ContractError(f"the path `{pattern}` matches nothing {place}{passed}", mend=mend)


def is_litter(name: str) -> bool:
    """What operating systems, office programs and half-done downloads leave beside files; nobody
    hands it over."""
    parts = PurePosixPath(name).parts
    last = parts[-1].lower() if parts else ""
    return (
        "__MACOSX" in parts
        or last in LITTER
        or last.startswith(("~$", "._", ".~lock."))
        or last.endswith(UNFINISHED)
    )


def discover(pattern: str, root: Path, scratch: Path) -> Discovered:
    """Every drop that `pattern` names under `root`, in name order, and what was passed over; one
    bad file never hides the others."""
    outer, _, inner = pattern.partition("!")
    found = Discovered()
    for path in sorted(_match(root, outer)):
        name = path.relative_to(root).as_posix()
        if is_litter(name):
            found.litter.append(name)
            continue
        try:
            _check_plain(path, root, name)
        except ContractError as error:
            found.faults.append(error)
            continue
        if not inner and not path.name.lower().endswith(ARCHIVES):
            found.drops.append(_plain(path, name))
            continue
        try:
            members = _members(path, name, inner or "*", scratch)
        except ContractError as error:
            found.drops.append(replace(_as_stored(path, name), fault=error.what))
            continue
        found.litter.extend(drop.name for drop in members if is_litter(drop.name.partition("!")[2]))
        found.drops.extend(drop for drop in members if not is_litter(drop.name.partition("!")[2]))
    return found


def _match(root: Path, pattern: str) -> Iterator[Path]:
    exact = root / pattern
    if exact.is_symlink() or exact.exists():
        yield exact
    else:
        yield from (path for path in root.glob(pattern) if not path.is_dir())


def _check_plain(path: Path, root: Path, name: str) -> None:
    try:
        real, base = path.resolve(strict=True), root.resolve()
    except (OSError, RuntimeError):
        raise ContractError(
            "is a link to nothing", where=name, mend="copy the file into the folder"
        ) from None
    if not real.is_relative_to(base):
        raise ContractError(
            "is a link out of the data folder", where=name, mend="copy the file into the folder"
        )
    if not stat.S_ISREG(real.stat().st_mode):
        raise ContractError("is no plain file", where=name, mend="only regular files are landed")


def _as_stored(path: Path, name: str) -> Drop:
    return Drop(name, path.stat().st_size, lambda: path.open("rb"), stored=path)


def _plain(path: Path, name: str) -> Drop:
    if path.name.lower().endswith(".gz"):
        return _gzipped(path, name)
    return replace(_as_stored(path, name), plain=path)


def _gzipped(path: Path, name: str) -> Drop:
    return Drop(name, path.stat().st_size, partial(gzip.GzipFile, path), stored=path)  # type: ignore[arg-type]


def _members(path: Path, name: str, pattern: str, scratch: Path) -> list[Drop]:
    try:
        if path.name.lower().endswith(".zip"):
            return _zip_members(path, name, pattern)
        return _tar_members(path, name, pattern, scratch)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise ContractError(
            f"is no readable archive: {error}", where=name, mend="ask for the file again"
        ) from None


def _wanted(member: str, pattern: str) -> bool:
    parts, wanted = PurePosixPath(member).parts, PurePosixPath(pattern).parts
    if pattern == "*":
        return True
    return len(parts) == len(wanted) and all(
        fnmatch.fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=True)
    )


def _check_member(name: str, member: str) -> None:
    pure = PurePosixPath(member)
    if pure.is_absolute() or ".." in pure.parts or "\0" in member:
        raise ContractError(
            f"the member `{member}` leaves the archive",
            where=name,
            mend="pack it anew with plain names",
        )


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
            drops.append(
                Drop(
                    f"{name}!{info.filename}",
                    max(info.compress_size, 1),
                    _zip_opener(path, info.filename),
                    stored=path,
                )
            )
    return drops


def _zip_opener(path: Path, member: str) -> Callable[[], IO[bytes]]:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with zipfile.ZipFile(path) as archive, archive.open(member) as stream:
            yield stream

    return opened  # type: ignore[return-value]


def _tar_members(path: Path, name: str, pattern: str, scratch: Path) -> list[Drop]:
    """Members of a tar are slices of the tar; a compressed one is inflated once, bounded, into the
    scratch folder."""
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
            drops.append(
                Drop(
                    f"{name}!{info.name}",
                    max(info.size, 1),
                    partial(_Slice, plain, info.offset_data, info.size),  # type: ignore[arg-type]
                    stored=path,
                )
            )
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
            f"would inflate from {stored:,} to {inflated:,} bytes",
            where=name,
            mend="is it a bomb? hand it over uncompressed",
        )
