"""Backup, restore and the proof of a rebuild: state goes into one file and comes back whole,
derived tables hash the same."""

from __future__ import annotations

import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb

from orchestration.home import Home, HomeError, files
from orchestration.home.encrypted_file import encrypting
from orchestration.home.sql import quote, table_hash

DATABASE = ".sqlite"
#: What SQLite keeps beside a database that is open; a copy made through SQLite needs neither.
BESIDE = ("-wal", "-shm")


def backup(
    home: Home,
    target: Path,
    beside: Mapping[str, Path] | None = None,
    without: Collection[str] = (),
    public_keys: Sequence[str] = (),
) -> Path:
    """Write state/ into one .tar.gz; ledger and inbox as one consistent copy each, even while
    somebody writes to them.

    beside: files from elsewhere that belong to it, by their name in it. without: names in state/
    that stay out of it. public_keys: to whom it is encrypted; to nobody by default. The file is
    its owner's alone.
    """
    with (
        home.writing(),
        files.replacing(target) as aside,
        tempfile.TemporaryDirectory() as scratch,
        os.fdopen(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as sink,
        encrypting(sink, public_keys) as stream,
        tarfile.open(fileobj=stream, mode="w:gz", compresslevel=1) as archive,
    ):
        copy = Path(scratch) / "copy"
        for path in sorted(home.state.rglob("*")):
            name = str(path.relative_to(home.state))
            if (
                name in without
                or path.is_symlink()
                or not path.is_file()
                or name.endswith(tuple(DATABASE + end for end in BESIDE))
            ):
                continue
            if path.suffix == DATABASE:
                with (
                    closing(sqlite3.connect(path)) as live,
                    closing(sqlite3.connect(copy)) as still,
                ):
                    live.backup(still)
                archive.add(copy, arcname=name, recursive=False)
                copy.unlink()
            else:
                archive.add(path, arcname=name, recursive=False)
        for name, path in (beside or {}).items():
            archive.add(path, arcname=name, recursive=False)
    return target


def restore(source: Path, root: Path) -> Home:
    """Bring a backup into a new home; an existing one is never overwritten, a half-unpacked one
    never left behind."""
    if not source.is_file():
        raise HomeError(f"there is no backup at {source}")
    if (root / "state").exists():
        raise HomeError(
            f"{root} already has a state folder. Restore into an empty home, so that nothing is "
            "overwritten."
        )
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _opened(source) as archive, files.replacing(root / "state") as aside:
        aside.mkdir(mode=0o700)
        archive.extractall(aside, filter=_private)  # noqa: S202 - data_filter and more
        if not (aside / "world").is_file():
            raise HomeError(
                f"{source} cannot be restored: it is no backup of a home. Nothing was changed."
            )
    return Home.open(root)


def one_of(source: Path, names: Sequence[str], folder: Path) -> Path | None:
    """The first of these files that is in a backup, unpacked into a folder; None where it has none
    of them."""
    if not source.is_file():
        return None
    with _opened(source) as archive:
        inside = set(archive.getnames())
        found = next((name for name in names if name in inside), None)
        if found is not None:
            archive.extract(found, folder, filter=_private)
        return None if found is None else folder / found


@contextmanager
def _opened(source: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(source, "r:gz") as archive:
            yield archive
    except (tarfile.TarError, EOFError, OSError) as error:
        raise HomeError(f"{source} cannot be restored: {error}. Nothing was changed.") from error


def _private(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """A member as its owner's alone; paths outside, links and devices are refused."""
    safe = tarfile.data_filter(member, folder)
    return safe.replace(mode=0o700 if safe.isdir() else 0o600)


def table_hashes(
    con: duckdb.DuckDBPyConnection, schemas: tuple[str, ...] = ("raw", "marts", "features")
) -> dict[str, str]:
    """One number a table that says what is in it, whatever the order of its rows; delivery
    bookkeeping is not part of it."""
    bookkeeping = {
        "delivery",
        "row_no",
        "file_row",
        "part",
        "landed_seq",
        "quarantine_id",
        "row_key",
        "row_hash",
        "path",
    }
    hashes = {}
    for schema, table in con.execute(
        "select table_schema, table_name from information_schema.tables where table_type = 'BASE "
        "TABLE' order by all"
    ).fetchall():
        if schema not in schemas:
            continue
        name = f"{quote(schema)}.{quote(table)}"
        columns = [
            row[0]
            for row in con.execute(f"describe {name}").fetchall()
            if row[0] not in bookkeeping
        ]
        rows, total = table_hash(con, name, columns)
        hashes[f"{schema}.{table}"] = f"{rows}:{total % 2**64:016x}"
    return hashes
