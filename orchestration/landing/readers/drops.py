"""What a path pattern names: regular files under the data folder and members of archives, counted
before they are inflated.

Every byte goes through `Drop.copy_to`, which hashes while it copies, so what is parsed later is
exactly what was hashed.
"""

from __future__ import annotations

import errno
import fnmatch
import gzip
import hashlib
import io
import os
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
from urllib.parse import unquote

from orchestration.errors import StockhouseError
from orchestration.landing.contract.errors import ContractError

MIB = 1 << 20
MOST_BYTES = 64 << 30  # of one file, inflated
BOMB_BYTES = 32 * MIB  # below this nobody is hurt
BOMB_RATIO = 200  # inflated to stored; text of numbers stays below 60
MOST_MEMBERS = 100_000
#: Names of what programs leave beside files: folder views, bins, index and version folders.
LITTER = frozenset(
    {
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "icon\r",
        "__macosx",
        "$recycle.bin",
        "#recycle",
        "system volume information",
        "lost+found",
        "@eadir",
        "@tmp",
    }
)
#: How they begin: hidden ones, owner files and half-saved documents of office programs.
LITTER_STARTS = (".", "~$", "~wr", "~lock")
#: How they end: downloads that go on, copies that editors keep, locks and checksums.
LITTER_ENDS = (
    *(".crdownload", ".filepart", ".part", ".partial", ".download", ".opdownload", ".tmp", ".temp"),
    *(".swp", ".swo", ".bak", ".old", ".orig", "~", "#", ".lock", ".lck", ":zone.identifier"),
    *(".md5", ".sha1", ".sha256", ".sha512", ".asc", ".sig"),
)
#: What Hive and Spark write where a partition's value is null.
NO_PARTITION = "__HIVE_DEFAULT_PARTITION__"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz")


@dataclass(frozen=True)
class Drop:
    """One file as it was handed over: its display name, the name without folders and extension, and
    a way to its bytes."""

    name: str  # path under the data folder, `archive!member` inside archives
    stored_bytes: int
    open: Callable[[], IO[bytes]]
    is_plain: bool = False  # whether the bytes lie in the file as they are
    stored: Place | None = None  # the file itself, packed or not
    fault: str = ""  # why nothing can be read from it

    @property
    def packed(self) -> Drop:
        """The file as it lies there, whatever is packed in it."""
        return self if self.stored is None else _as_stored(self.stored, self.name)

    @property
    def file_name(self) -> str:
        """The name without folders, also inside a zip."""
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
            if "password required" in str(error):
                raise ContractError(
                    "is encrypted with a password", where=self.name, mend="pack it without one"
                ) from None
            raise ContractError(
                f"is broken or cut short: {error}", where=self.name, mend="ask for the file again"
            ) from None
        return digest.hexdigest(), size


def partitions(name: str) -> dict[str, str | None]:
    """What the folders of a delivery say of all its rows, as `year=2024/month=02` does."""
    folders = PurePosixPath(name.replace("!", "/")).parts[:-1]
    said = (part.partition("=") for part in folders)
    return {
        key: None if value == NO_PARTITION else unquote(value)
        for key, sign, value in said
        if key and sign
    }


class StillWritten(StockhouseError):
    """The file changed while it was copied: its sender is not done, and the next landing takes
    it."""


def _stamp(place: Place | None) -> tuple[int, int] | None:
    if place is None:
        return None
    found = place.path.lstat()
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


def is_litter(name: str, pattern: str = "") -> bool:
    """What operating systems, office programs, editors and half-done downloads leave beside files;
    nobody hands it over. A folder or file that the pattern calls by its name is meant."""
    meant = PurePosixPath(pattern).parts
    parts = [part.lower() for part in PurePosixPath(name).parts if part not in meant]
    return any(
        part in LITTER or part.startswith(LITTER_STARTS) or part.endswith(LITTER_ENDS)
        for part in parts
    )


def discover(pattern: str, root: Path, scratch: Path) -> Discovered:
    """Every drop that `pattern` names under `root`, in name order, and what was passed over; one
    bad file never hides the others."""
    outer, _, inner = pattern.partition("!")
    found = Discovered()
    for path in sorted(_match(root, outer)):
        name = shown(path.relative_to(root))
        if is_litter(name, outer):
            found.litter.append(name)
            continue
        try:
            place = _plain_file(path, root, name)
        except ContractError as error:
            found.faults.append(error)
            continue
        if not inner and not path.name.lower().endswith(ARCHIVES):
            found.drops.append(_plain(place, name))
            continue
        try:
            members = _members(place, name, inner or "*", scratch)
        except PermissionError:
            mend = "let this user read it"
            found.faults.append(ContractError("may not be read", where=name, mend=mend))
            continue
        except ContractError as error:
            found.drops.append(replace(_as_stored(place, name), fault=error.what))
            continue
        if not members:
            what = f"has no member `{inner}`" if inner else "has no members"
            found.faults.append(ContractError(what, where=name, mend="is it the right archive?"))
        for drop in members:
            if is_litter(drop.name.partition("!")[2], inner):
                found.litter.append(drop.name)
            else:
                found.drops.append(drop)
    return found


def shown(path: Path) -> str:
    """A path as text that any file, table or screen takes, whatever bytes its name is made of."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _match(root: Path, pattern: str) -> Iterator[Path]:
    exact = root / pattern
    if exact.is_symlink() or exact.exists():
        yield exact
    else:
        yield from (path for path in root.glob(pattern) if not path.is_dir())


@dataclass(frozen=True)
class Place:
    """A plain file inside the data folder; it is opened step by step from there, so that no link
    put in its way after it was looked at leads out."""

    root: Path
    inside: Path  # without links

    @property
    def path(self) -> Path:
        """The data folder and the way inside it, as one."""
        return self.root / self.inside

    @property
    def name(self) -> str:
        """Its name without folders."""
        return self.inside.name

    @property
    def size(self) -> int:
        """Its bytes as stored; a link's own, not its target's."""
        return self.path.lstat().st_size

    def open(self) -> IO[bytes]:
        """The file itself; PermissionError where a link or anything else stands there now."""
        folders: list[int] = [os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)]
        try:
            for part in self.inside.parts[:-1]:
                way = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                folders.append(os.open(part, way, dir_fd=folders[-1]))
            last = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            file = os.open(self.inside.name, last, dir_fd=folders[-1])
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            raise _swapped(self) from None
        finally:
            for folder in folders:
                os.close(folder)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise _swapped(self)
        return os.fdopen(file, "rb")


def _swapped(place: Place) -> PermissionError:
    said = "became a link or another kind of file while it was read"
    return PermissionError(errno.ELOOP, said, shown(place.inside))


def _plain_file(path: Path, root: Path, name: str) -> Place:
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
    return Place(base, real.relative_to(base))


def _as_stored(place: Place, name: str) -> Drop:
    return Drop(name, place.size, place.open, stored=place)


def _plain(place: Place, name: str) -> Drop:
    if place.name.lower().endswith(".gz"):
        return _gzipped(place, name)
    return replace(_as_stored(place, name), is_plain=True)


def _gzipped(place: Place, name: str) -> Drop:
    return Drop(name, place.size, _inflated(place), stored=place)


def _inflated(place: Place) -> Callable[[], IO[bytes]]:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with place.open() as stored, gzip.GzipFile(fileobj=stored) as stream:
            yield stream  # type: ignore[misc]

    return opened  # type: ignore[return-value]


def _members(place: Place, name: str, pattern: str, scratch: Path) -> list[Drop]:
    try:
        if place.name.lower().endswith(".zip"):
            return _zip_members(place, name, pattern)
        return _tar_members(place, name, pattern, scratch)
    except PermissionError:
        raise
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


def _zip_members(place: Place, name: str, pattern: str) -> list[Drop]:
    drops = []
    with place.open() as stored, zipfile.ZipFile(stored) as archive:
        infos = archive.infolist()
        check_inflated(name, sum(info.file_size for info in infos), place.size, len(infos))
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
                    _zip_opener(place, info.filename),
                    stored=place,
                )
            )
    return drops


def _zip_opener(place: Place, member: str) -> Callable[[], IO[bytes]]:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with (
            place.open() as stored,
            zipfile.ZipFile(stored) as archive,
            archive.open(member) as stream,
        ):
            yield stream

    return opened  # type: ignore[return-value]


def _tar_members(place: Place, name: str, pattern: str, scratch: Path) -> list[Drop]:
    """Members of a tar are slices of the tar; a compressed one is inflated once, bounded, into the
    scratch folder."""
    plain = place
    if not place.name.lower().endswith(".tar"):
        plain = Place(scratch, Path(f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.tar"))
        _gzipped(place, name).copy_to(plain.path)
    drops = []
    with plain.open() as stored, tarfile.open(fileobj=stored, mode="r:") as archive:
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
                    stored=place,
                )
            )
    return sorted(drops, key=lambda drop: drop.name)


class _Slice(io.RawIOBase):
    """A stretch of a file as a file of its own."""

    def __init__(self, place: Place, start: int, length: int) -> None:
        super().__init__()
        self._file, self._left = place.open(), length
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
