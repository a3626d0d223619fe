"""Where landed rows and bytes are kept: schema raw in the warehouse, and the archive of everything
ever handed over."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from orchestration.home.files import flush
from orchestration.home.sql import quote
from orchestration.landing.contract.canonical import CANONICAL, LINEAGE, WORLD_COLUMNS
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.load.failpoints import failpoint

#: One id a line; an append that a power cut tore was never acknowledged, and what follows it on its
#: line still counts.
DISCARDED_ID = re.compile(r'\{"quarantine_id": "([^"{}]+)"\}')
MANIFEST: dict[str, str] = {
    "delivery": "VARCHAR",  # sha256 of the bytes
    "source_id": "VARCHAR",
    "silo": "VARCHAR",
    "path": "VARCHAR",
    "file": "VARCHAR",
    "bytes": "BIGINT",
    "landed_seq": "BIGINT",
    "rows_in": "BIGINT",  # = rows_claimed + rows_skipped + rows_unclaimed
    "rows_skipped": "BIGINT",
    "rows_unclaimed": "BIGINT",
    "rows_claimed": "BIGINT",
    "claims": "BIGINT",  # (row, rule) pairs = rows_loaded + rows_quarantined + rows_repeated
    "rows_loaded": "BIGINT",
    "rows_quarantined": "BIGINT",
    "rows_repeated": "BIGINT",
    "skipped": "VARCHAR",  # JSON: reason -> rows
    "handed_over_at": "TIMESTAMP",
    "columns": "VARCHAR[]",  # `name type`, as delivered: what drift is measured against
    "drift": "VARCHAR",  # what changed since the delivery before, in words
    "contract": "VARCHAR",  # fingerprint of the contract that read it
    "rows_above": "BIGINT",  # titles and header: what row_no lacks of the row a spreadsheet shows
}
QUARANTINE: dict[str, str] = {
    "quarantine_id": "VARCHAR",
    "source_id": "VARCHAR",
    "delivery": "VARCHAR",
    "path": "VARCHAR",
    "part": "VARCHAR",
    "row_no": "BIGINT",
    "table_name": "VARCHAR",
    "column_name": "VARCHAR",
    "value": "VARCHAR",
    "rule": "VARCHAR",
    "raw_text": "VARCHAR",
    "status": "VARCHAR",
    # the row as a spreadsheet numbers it, titles and header counted; of a document, its record
    "file_row": "BIGINT",
}
INCOMING = ".incoming"
# deliveries in which a customer was forgotten, complete, on their way to the place of the old ones
REWRITTEN = ".rewritten"
# what the sidecars were before the batch that is being landed: undone unless its rows are committed
PENDING = ".pending"
DISCARDED = "discarded.jsonl"  # rows of the quarantine that a person gave up


def create_tables(con: duckdb.DuckDBPyConnection) -> None:
    """Every canonical table, the world, the manifest and the quarantine: empty if unfed, so that
    dbt never changes."""
    con.execute("CREATE SCHEMA IF NOT EXISTS raw")
    tables = {name: {**table.columns, **LINEAGE} for name, table in CANONICAL.items()}
    tables |= {"world": WORLD_COLUMNS, "manifest": MANIFEST, "quarantine": QUARANTINE}
    have = {
        (str(table), str(column))
        for table, column in con.execute(
            "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'raw'"
        ).fetchall()
    }
    known = {table for table, _ in have}
    for name, columns in tables.items():
        if name not in known:
            con.execute(
                f"CREATE TABLE raw.{quote(name)} "
                f"({', '.join(f'{quote(column)} {kind}' for column, kind in columns.items())})"
            )
            continue
        for column, kind in columns.items():
            if (name, column) not in have:
                con.execute(f"ALTER TABLE raw.{quote(name)} ADD COLUMN {quote(column)} {kind}")


@dataclass(frozen=True)
class Receipt:
    """One hand-over as the archive remembers it: which source handed over these bytes, under which
    name, as the how-manieth."""

    sha256: str
    bytes: int
    source_id: str
    silo: str
    path: str
    seq: int
    kind: str = "file"  # or `records`, handed over by the platform itself
    known_at: str | None = None
    fault: str | None = None  # why nothing can be read from these bytes, whatever the contract says


class Archive:
    """The bytes of every delivery, by their hash, each with a sidecar that says what they were:
    enough to rebuild the rest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming = folder / INCOMING
        if self.incoming.exists():
            # left by a run that was killed; nothing in it was acknowledged
            shutil.rmtree(self.incoming)
        self.incoming.mkdir(parents=True)
        self._verified: set[str] = set()
        self._settle()  # of a replacement that was killed

    def path(self, sha256: str) -> Path:
        """Where these bytes lie, or would lie; whoever reads them asks `verified`."""
        return self.folder / sha256

    def verified(self, sha256: str) -> Path:
        """Where these bytes lie, hashed once a session. Raises ContractError where they are no
        longer what was archived."""
        path = self.path(sha256)
        if sha256 not in self._verified:
            told = read_sidecar(self.folder / f"{sha256}.json")
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != told.get("redacted", {}).get("sha256", sha256):
                names = ", ".join(sorted({entry["path"] for entry in told["receipts"]}))
                raise ContractError(
                    f"the archive's bytes of {sha256} were altered",
                    where=names,
                    mend="restore state/ from a backup; nothing was read",
                )
            self._verified.add(sha256)
        return path

    def close(self) -> None:
        """Remove what was copied in and never kept."""
        shutil.rmtree(self.incoming, ignore_errors=True)

    def verify(self, receipts: Iterable[Receipt]) -> None:
        """Raise ContractError, before anything is emptied to be read anew, where archived bytes
        were altered."""
        for receipt in receipts:
            self.verified(receipt.sha256)

    def keep(self, files: Iterable[tuple[Path, Receipt]]) -> None:
        """Move bytes in and write their sidecars, on disk before the caller commits; the same bytes
        again add a receipt.

        The caller ends it with `acknowledge` once the rows are committed; a receipt whose rows
        never were is withdrawn.
        """
        files = list(files)
        self._note_pending([receipt for _, receipt in files])
        for file, receipt in files:
            target = self.path(receipt.sha256)
            if not target.exists():
                flush(file)
                os.replace(file, target)
            failpoint("bytes moved")
            sidecar = self.folder / f"{receipt.sha256}.json"
            told = read_sidecar(sidecar) if sidecar.exists() else {"receipts": []}
            mine = (receipt.source_id, receipt.path, receipt.kind)
            known = [r for r in told["receipts"] if (r["source_id"], r["path"], r["kind"]) != mine]
            entry = {
                key: value
                for key, value in receipt.__dict__.items()
                if key not in ("sha256", "bytes")
            }
            content = {
                **told,
                "sha256": receipt.sha256,
                "bytes": receipt.bytes,
                "receipts": [*known, entry],
            }
            self._put_sidecar(receipt.sha256, content)
        flush(self.folder)

    def acknowledge(self) -> None:
        """The rows of what was kept last are committed."""
        (self.folder / PENDING).unlink(missing_ok=True)

    def withdraw(self, con: duckdb.DuckDBPyConnection) -> None:
        """Undo what was kept for rows that were never committed: the sender was told nothing, and a
        rebuild must not know more."""
        pending = self.folder / PENDING
        if not pending.exists():
            return
        landed = set(con.execute("SELECT source_id, delivery, path FROM raw.manifest").fetchall())
        for sha256, one in json.loads(pending.read_text(encoding="utf-8")).items():
            if all((source_id, sha256, path) in landed for source_id, path in one["kept"]):
                continue  # killed between the commit and its acknowledgement
            if one["before"] is not None:
                self._put_sidecar(sha256, one["before"])
                continue
            (self.folder / f"{sha256}.json").unlink(missing_ok=True)
            self.path(sha256).unlink(missing_ok=True)
        flush(self.folder)
        self.acknowledge()

    def _note_pending(self, receipts: list[Receipt]) -> None:
        noted: dict[str, Any] = {}
        for receipt in receipts:
            sidecar = self.folder / f"{receipt.sha256}.json"
            before = read_sidecar(sidecar) if sidecar.exists() else None
            one = noted.setdefault(receipt.sha256, {"before": before, "kept": []})
            one["kept"].append([receipt.source_id, receipt.path])
        waiting = self.incoming / PENDING
        write_sidecar(waiting, noted)
        os.replace(waiting, self.folder / PENDING)
        flush(self.folder)

    def _put_sidecar(self, sha256: str, content: dict[str, Any]) -> None:
        waiting = self.incoming / f"{sha256}.json"
        write_sidecar(waiting, content)
        os.replace(waiting, self.folder / f"{sha256}.json")

    def replace(self, rewritten: Path) -> None:
        """Put every file of the folder `rewritten` (bytes and sidecars, on disk) in the place of
        the old one: all of them, or none yet."""
        os.replace(rewritten, self.folder / REWRITTEN)
        flush(self.folder)
        self._settle()

    def _settle(self) -> None:
        waiting = self.folder / REWRITTEN
        if not waiting.exists():
            return
        for file in sorted(waiting.iterdir()):
            failpoint("bytes replaced")
            os.replace(file, self.folder / file.name)
        flush(self.folder)
        waiting.rmdir()

    def receipts(self) -> list[Receipt]:
        """Everything ever handed over, in the order it came. Raises ContractError where bytes are
        gone."""
        found = read_receipts(self.folder)
        for receipt in found:
            if not self.path(receipt.sha256).exists():
                raise ContractError(
                    f"the archive lacks {receipt.sha256}",
                    where=receipt.path,
                    mend="restore state/ from a backup",
                )
        return found


def read_receipts(folder: Path) -> list[Receipt]:
    """What the sidecars of an archive say was handed over, in the order it came; the archive is
    only read."""
    told = [read_sidecar(sidecar) for sidecar in folder.glob("*.json")]
    found = [
        Receipt(sha256=one["sha256"], bytes=one["bytes"], **entry)
        for one in told
        for entry in one["receipts"]
    ]
    return sorted(found, key=lambda receipt: (receipt.seq, receipt.source_id, receipt.path))


def read_sidecar(sidecar: Path) -> dict[str, Any]:
    """What is known of archived bytes: sha256 and length as delivered, receipts, and `redacted`
    where a customer was forgotten."""
    try:
        told: dict[str, Any] = json.loads(sidecar.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ContractError(
            f"is torn: {error}",
            where=f"the archive's {sidecar.name}",
            mend="restore state/ from a backup",
        ) from None
    return told


def write_sidecar(sidecar: Path, content: dict[str, Any]) -> None:
    """Write it to disk, where nobody reads it yet."""
    sidecar.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    flush(sidecar)


def apply_discards(con: duckdb.DuckDBPyConnection, archive: Path) -> int:
    """Mark what was discarded; returns how many rows of the quarantine changed."""
    file = archive / DISCARDED
    if not file.exists():
        return 0
    ids = DISCARDED_ID.findall(file.read_text(encoding="utf-8", errors="replace"))
    row = con.execute(
        "UPDATE raw.quarantine SET status = 'discarded' WHERE status = 'open' AND "
        "list_contains(?::VARCHAR[], quarantine_id)",
        [ids],
    ).fetchone()
    return int(row[0]) if row else 0
