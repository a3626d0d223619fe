"""The front door: new deliveries in, canonical rows with lineage and both times out, nothing lost
and nothing twice.

At-least-once delivery, exactly-once effect: bytes are archived before their rows are committed, and
the manifest, committed with the rows, says what has been seen.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from itertools import chain, groupby
from pathlib import Path

import duckdb
import polars as pl

from orchestration.home.sql import quote, table_hash
from orchestration.landing.contract.canonical import CANONICAL
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.privacy import PrivacyKey, key_in_use
from orchestration.landing.contract.world import World
from orchestration.landing.load.delivery_batches import (
    BATCH_BYTES,
    load_deliveries,
    look_or_set_aside,
    next_seq,
)
from orchestration.landing.load.failpoints import failpoint
from orchestration.landing.load.now import read_clock
from orchestration.landing.load.own_rows import load_records, replay_records
from orchestration.landing.load.report import LandReport
from orchestration.landing.load.state_history import create_state_history
from orchestration.landing.load.store import Archive, Receipt, apply_discards, create_tables
from orchestration.landing.load.world_settings import write_world
from orchestration.landing.readers.drops import (
    Discovered,
    Drop,
    StillWritten,
    discover,
    partitions,
)
from orchestration.landing.readers.sourcing import Delivery

Progress = Callable[[str], None]


def land(
    con: duckdb.DuckDBPyConnection,
    world: World,
    data_root: Path,
    archive: Path,
    *,
    inbox: Path | None = None,
    as_of: date | None = None,
    progress: Progress | None = None,
    strict: bool = False,
) -> LandReport:
    """Land every delivery that has not been seen, one transaction each (small ones of a source
    together), and set Now.

    Same bytes again change nothing. A source whose contract changed is read anew from the archive.
    A file that cannot be read is set aside whole and the rest loads; strict: it raises
    ContractError, with nothing of it loaded. So does, always, a path that matches nothing, unless
    the source is optional or has landed before. `inbox` holds what receivers took in for sources
    with url, stream or database: inbox/<source>/*.jsonl.
    """
    report = LandReport()
    with session(con, world, archive) as (cur, store):
        receipts = store.receipts()
        anew = _to_read_anew(cur, world, receipts)
        for source_id in sorted(anew.keys() - world.sources.keys()):  # the platform's own
            _read_anew(cur, world, store, source_id, anew[source_id], progress)
        for source_id in world.sources:
            known = [one for one in receipts if one.source_id == source_id]
            found = _found(world, source_id, data_root, inbox, store, has_landed=bool(known))
            for said in _nothing_there(world, source_id, found):
                report.doubt(source_id, said)
            if strict and found.faults:
                raise found.faults[0]
            report.passed_over += [
                *(f"{name}: left by a program" for name in found.litter),
                *map(str, found.faults),
            ]
            fresh = _unseen(
                cur,
                world,
                source_id,
                found.drops,
                store,
                report,
                receipts=known,
                strict=strict,
            )
            if source_id in anew:  # its contract may read what the new files are first to have
                report.read_anew.append(source_id)
                _read_anew(cur, world, store, source_id, anew[source_id], progress, fresh=fresh)
            if progress and fresh:
                progress(f"{source_id}: {len(fresh)} new of {len(found.drops)} deliveries")
            load_deliveries(cur, world, source_id, fresh, store, report, strict=strict)
            if _replaces_cut(store, source_id, fresh):
                _reland_source(cur, world, store, source_id)
        if progress:
            for said in (
                *(f"passed over {said}" for said in report.passed_over),
                *(f"set aside {said}" for said in report.set_aside),
            ):
                progress(said)
        report.now_at = write_world(cur, world, as_of)
    return report


def land_records(
    con: duckdb.DuckDBPyConnection,
    world: World,
    source_id: str,
    tables: dict[str, pl.DataFrame],
    *,
    known_at: datetime,
    archive: Path,
) -> LandReport:
    """Land canonical rows that the platform itself hands over (source `ledger`): idempotent by
    content.

    known_at: naive UTC, for rows without a `known_at` column of their own; such rows keep the
    earliest time at which they were seen.
    """
    report = LandReport()
    with session(con, world, archive) as (cur, store):
        delivery = load_records(cur, source_id, tables, known_at, store, next_seq(cur))
        if delivery is not None:
            report.add(source_id, delivery)
        report.now_at = read_clock(cur).now_at
    return report


def reland(
    con: duckdb.DuckDBPyConnection,
    world: World,
    archive: Path,
    *,
    as_of: date | None = None,
    progress: Progress | None = None,
) -> LandReport:
    """Rebuild schema raw from the archive alone, in the order things came: equal business columns,
    table by table."""
    report = LandReport()
    with session(con, world, archive) as (cur, store):
        receipts = store.receipts()
        store.verify(receipts)
        cur.execute("BEGIN")
        for table in (*CANONICAL, "manifest", "quarantine"):
            cur.execute(f"DELETE FROM raw.{quote(table)}")
        cur.execute("DELETE FROM landing.state_history")
        cur.execute("COMMIT")
        _replay(cur, world, store, receipts, report, progress)
        apply_discards(cur, archive)
        report.now_at = write_world(cur, world, as_of)
    return report


def reland_sources(
    con: duckdb.DuckDBPyConnection, world: World, archive: Path, sources: list[str]
) -> None:
    """Read the archive of some sources anew with the contract as it is now."""
    with session(con, world, archive) as (cur, store):
        for source_id in sources:
            _reland_source(cur, world, store, source_id)
        write_world(cur, world)


def table_hashes(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """One hash a canonical table over its business columns and both times, whatever the row order:
    equal contents, equal hashes."""
    found = {}
    for name, table in CANONICAL.items():
        rows, total = table_hash(
            con,
            f"raw.{quote(name)}",
            (*table.columns, "known_at", "known_lag", "handed_over_at", "source_id"),
        )
        found[name] = f"{rows}:{total:x}"
    return found


# --- inside ---------------------------------------------------------------------------------------


@contextmanager
def session(
    con: duckdb.DuckDBPyConnection, world: World, archive: Path
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Archive]]:
    """A cursor with the settings that landing needs, the tables in place, and the archive open for
    this one writer."""
    store = Archive(archive)
    cur = con.cursor()
    before = cur.execute("SELECT current_setting('disabled_optimizers')").fetchone()
    try:
        cur.execute("SET python_enable_replacements=false")
        cur.execute("SET preserve_insertion_order=true")
        # it hoists casts out of TRY(), and one bad cell kills the query
        cur.execute("SET disabled_optimizers='common_subexpressions'")
        cur.execute(f"SET TimeZone='{world.timezone}'")
        create_tables(cur)
        create_state_history(cur)
        store.withdraw(cur)  # what a killed run kept and never committed
        if any(world.names_customers(source_id) for source_id in world.sources):
            PrivacyKey.of(archive.parent).unlock(cur)  # beside the archive: state/privacy.key
        yield cur, store
    finally:
        cur.execute("SET disabled_optimizers=?", [before[0] if before else ""])
        cur.close()
        store.close()


def _found(
    world: World,
    source_id: str,
    data_root: Path,
    inbox: Path | None,
    store: Archive,
    *,
    has_landed: bool,
) -> Discovered:
    """What lies there of a source. has_landed: a drop folder that is emptied after loading is no
    mistake."""
    source = world.sources[source_id]
    if source.path is not None:
        found = discover(source.path, data_root, store.incoming)
        if source.optional or has_landed:
            return found
        try:
            return found.or_nothing_there(source.path)
        except ContractError as error:
            where = error.where or world.where("sources", source_id, "path")
            raise ContractError(error.what, where=where, mend=error.mend) from None
    folder = inbox / source_id if inbox else None
    if folder is None or not any(folder.glob("*.jsonl")):
        return Discovered()
    return discover(f"{source_id}/*.jsonl", folder.parent, store.incoming)


def _nothing_there(world: World, source_id: str, found: Discovered) -> list[str]:
    """Where a source that has landed has no file any more: an emptied drop folder, or a path or
    name that changed."""
    source = world.sources[source_id]
    if source.path is None or source.optional or found.drops or found.faults:
        return []
    return [
        f"nothing new of {source_id}: no file lies at `{source.path}`, and what landed before "
        f"counts; should some lie there, look at {world.where('sources', source_id, 'path')}"
    ]


def _uses_file(world: World, source_id: str) -> bool:
    return "_file" in world.sources[source_id].model_dump_json()


def _unseen(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    source_id: str,
    drops: list[Drop],
    store: Archive,
    report: LandReport,
    *,
    receipts: Sequence[Receipt],
    strict: bool,
) -> list[Delivery]:
    """Hash every drop and keep those whose bytes (and name, where the contract reads it) this
    source has not handed over before."""
    by_name = _uses_file(world, source_id)
    rows = cur.execute(
        "SELECT delivery, path, file FROM raw.manifest WHERE source_id = ? AND path IS NOT NULL",
        [source_id],
    ).fetchall()
    rows += [  # the manifest forgets a source while its archive is read anew, and may be cut there
        (receipt.sha256, receipt.path, Drop(receipt.path, receipt.bytes, _never).stem)
        for receipt in receipts
    ]

    def identified(sha256: str, path: str, stem: str) -> tuple[object, ...]:
        return sha256, stem if by_name else None, tuple(partitions(path).items())

    seen = {identified(*row) for row in rows}
    fresh = []
    for i, drop in enumerate(drops):
        if (
            drop.stored_bytes > BATCH_BYTES // 8
            and drop.is_plain
            and identified(_digest(drop), drop.name, drop.stem) in seen
        ):
            continue
        copy = store.incoming / f"{source_id}-{i}"
        fault = ""
        try:
            sha256, size = drop.copy_to(copy)
        except StillWritten:
            report.passed_over.append(f"{drop.name}: is still written; the next landing takes it")
            continue
        except (PermissionError, FileNotFoundError) as error:
            if strict:
                raise
            report.passed_over.append(
                f"{drop.name}: {error.strerror}; the next landing tries again"
            )
            continue
        except ContractError as error:
            if strict or drop.stored is None:
                raise
            fault = f"{error.what} ({error.mend})" if error.mend else error.what
            sha256, size = drop.packed.copy_to(copy)
        identity = identified(sha256, drop.name, drop.stem)
        if identity in seen:
            copy.unlink()
            continue
        seen.add(identity)
        # known under another name: the archive's own, in which a customer may have been forgotten
        if store.path(sha256).exists():
            copy.unlink()
            copy = store.verified(sha256)
        delivery = Delivery(sha256, size, drop.name, drop.stem, copy, fault=fault)
        delivery.is_broken = bool(fault)
        fresh.append(delivery)
        failpoint("bytes copied")
    return fresh


def _digest(drop: Drop) -> str:
    with drop.open() as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _replay(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    store: Archive,
    receipts: list[Receipt],
    report: LandReport,
    progress: Progress | None,
    *,
    fresh: Sequence[Delivery] = (),
) -> None:
    """Load archived deliveries again, neighbours of one source together; `fresh` wait to be landed
    after them."""
    cut = cut_receipts(receipts, store)
    shapes = {
        source_id: _Shapes(cur, source_id, world, receipts, fresh, store)
        for source_id in world.sources
    }
    for (source_id, kind), group in groupby(
        receipts, key=lambda receipt: (receipt.source_id, receipt.kind)
    ):
        entries = list(group)
        if progress:
            progress(f"{source_id}: {len(entries)} deliveries from the archive")
        if kind == "records":
            for receipt in entries:
                report.add(source_id, replay_records(cur, receipt, store))
        elif source_id in world.sources:
            load_deliveries(
                cur,
                world,
                source_id,
                archived(entries, store, cut),
                store,
                report,
                keep=False,
                later=shapes[source_id],
            )


class _Shapes:
    """The columns of all deliveries of a source, the newest first; each is looked at when it is
    asked for, and once. fresh: what waits to be landed after the archive is read."""

    def __init__(
        self,
        cur: duckdb.DuckDBPyConnection,
        source_id: str,
        world: World,
        receipts: Sequence[Receipt],
        fresh: Sequence[Delivery],
        store: Archive,
    ) -> None:
        self.cur, self.source, self.store = cur, world.sources[source_id], store
        self.found: list[Mapping[str, str]] = []
        waiting = (Delivery(d.sha256, d.bytes, d.path, d.stem, d.file) for d in reversed(fresh))
        kept = (
            Delivery(r.sha256, r.bytes, r.path, "", store.path(r.sha256))
            for r in reversed(receipts)
            if r.source_id == source_id and r.fault is None
        )
        self.unseen = chain(waiting, kept)

    def __iter__(self) -> Iterator[Mapping[str, str]]:
        yield from self.found
        for delivery in self.unseen:
            look_or_set_aside(self.cur, self.source, delivery, self.store, strict=False)
            if delivery.is_readable:
                self.found.append(delivery.columns)
                yield delivery.columns


def cut_receipts(receipts: Iterable[Receipt], store: Archive) -> set[Receipt]:
    """Deliveries that were landed while their sender still wrote: a later one of the same file goes
    on in the middle of their last line."""
    by_file: dict[tuple[str, str], list[Receipt]] = {}
    for receipt in receipts:
        if receipt.kind == "file" and receipt.fault is None:
            by_file.setdefault((receipt.source_id, receipt.path), []).append(receipt)
    return {
        early
        for versions in by_file.values()
        for i, early in enumerate(versions[:-1])
        if any(
            _goes_on(store.path(early.sha256), store.path(late.sha256))
            for late in versions[i + 1 :]
        )
    }


def _replaces_cut(store: Archive, source_id: str, fresh: list[Delivery]) -> bool:
    names = {delivery.path for delivery in fresh}
    mine = (
        [
            receipt
            for receipt in store.receipts()
            if receipt.source_id == source_id and receipt.path in names
        ]
        if fresh
        else []
    )
    return bool(cut_receipts(mine, store))


def _goes_on(early: Path, late: Path) -> bool:
    """Whether the bytes of `late` begin with all of `early`'s, which end inside a line of it."""
    size = early.stat().st_size
    if not 0 < size < late.stat().st_size:
        return False
    with early.open("rb") as one, late.open("rb") as other:
        one.seek(size - 1)
        other.seek(size)
        if one.read(1) in b"\r\n" or other.read(1) in b"\r\n":
            return False
        one.seek(0)
        other.seek(0)
        while chunk := one.read(1 << 20):
            if other.read(len(chunk)) != chunk:
                return False
    return True


def archived(
    receipts: Iterable[Receipt], store: Archive, cut: Collection[Receipt] = ()
) -> list[Delivery]:
    """What was handed over, to be read from the archive; `cut` are those for which a later delivery
    speaks."""
    return [
        Delivery(
            r.sha256,
            r.bytes,
            r.path,
            Drop(r.path, r.bytes, _never).stem,
            store.verified(r.sha256),
            seq=r.seq,
            fault=r.fault or "",
            is_broken=r.fault is not None,
            is_cut=r in cut,
        )
        for r in receipts
    ]


def _never():  # type: ignore[no-untyped-def]
    raise AssertionError("archived bytes are read by path")


def reland_changed(cur: duckdb.DuckDBPyConnection, world: World, store: Archive) -> None:
    """Read the sources whose contract changed anew from the archive."""
    for source_id in _changed(cur, world):
        _reland_source(cur, world, store, source_id)


def _to_read_anew(
    cur: duckdb.DuckDBPyConnection, world: World, receipts: Sequence[Receipt]
) -> dict[str, str]:
    """Why some sources are read anew before anything lands: their contract changed, or the manifest
    lacks archived deliveries (restored, or a rebuild was cut, and files may be gone)."""
    why = dict.fromkeys(_changed(cur, world), "the contract or the key of its customers changed")
    landed = set(cur.execute("SELECT source_id, delivery, path FROM raw.manifest").fetchall())
    own = {receipt.source_id for receipt in receipts if receipt.kind == "records"}
    begun = {source_id for source_id, delivery, _ in landed if delivery is None}
    why |= dict.fromkeys(sorted(own & begun), "reading it anew was cut")
    lacking: Counter[str] = Counter()
    for receipt in receipts:
        is_known = receipt.source_id in own or receipt.source_id in world.sources
        if is_known and (receipt.source_id, receipt.sha256, receipt.path) not in landed:
            lacking[receipt.source_id] += 1
    return why | {
        source_id: f"the warehouse lacks {deliveries} archived deliveries"
        for source_id, deliveries in lacking.items()
    }


def _changed(cur: duckdb.DuckDBPyConnection, world: World) -> list[str]:
    """Sources whose contract, or the key of whose customers, is not what their rows were landed
    with: raw always speaks the current contract."""
    rows = cur.execute(
        "SELECT DISTINCT source_id, contract FROM raw.manifest WHERE contract IS NOT NULL"
    ).fetchall()
    key = key_in_use(cur)
    return sorted(
        {
            source_id
            for source_id, print_ in rows
            if source_id in world.sources and print_ != world.fingerprint(source_id, key)
        }
    )


def _read_anew(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    store: Archive,
    source_id: str,
    why: str,
    progress: Progress | None,
    *,
    fresh: Sequence[Delivery] = (),
) -> None:
    if progress:
        progress(f"{source_id}: {why}; reading its archive anew")
    _reland_source(cur, world, store, source_id, fresh=fresh)


def _reland_source(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    store: Archive,
    source_id: str,
    *,
    fresh: Sequence[Delivery] = (),
) -> None:
    """Forget one source's rows and load them again from the archive; rows that leave the quarantine
    by it are marked as retried.

    Where the source names customers, such a row keeps its place but not its text: who is in it may
    be what has to be forgotten.
    """
    receipts = [receipt for receipt in store.receipts() if receipt.source_id == source_id]
    store.verify(receipts)
    cur.execute(
        "CREATE OR REPLACE TEMP TABLE was_open AS SELECT * FROM raw.quarantine WHERE source_id = ?",
        [source_id],
    )
    cur.execute("BEGIN")
    for table in (*CANONICAL, "manifest", "quarantine"):
        cur.execute(f"DELETE FROM raw.{quote(table)} WHERE source_id = ?", [source_id])
    cur.execute("DELETE FROM landing.state_history WHERE source_id = ?", [source_id])
    # killed before the end, it is done again
    cur.execute("INSERT INTO raw.manifest (source_id, contract) VALUES (?, '')", [source_id])
    cur.execute("COMMIT")
    _replay(cur, world, store, receipts, LandReport(), None, fresh=fresh)
    cur.execute("DELETE FROM raw.manifest WHERE source_id = ? AND delivery IS NULL", [source_id])
    text = ", NULL AS value, NULL AS raw_text" if world.names_customers(source_id) else ""
    cur.execute(
        f"""INSERT INTO raw.quarantine BY NAME SELECT * REPLACE ('retried' AS status{text})
            FROM was_open AS was
        WHERE NOT EXISTS (SELECT 1 FROM raw.quarantine AS now WHERE now.source_id = was.source_id
            AND now.delivery = was.delivery
          AND now.part IS NOT DISTINCT FROM was.part AND now.row_no IS NOT DISTINCT
              FROM was.row_no)"""
    )
    apply_discards(cur, store.folder)
