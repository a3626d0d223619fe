"""The front door: new deliveries in, canonical rows with lineage and both times out, nothing lost and nothing twice.

At-least-once delivery, exactly-once effect: bytes are archived before their rows are committed, and the manifest, committed with
the rows, says what has been seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import polars as pl

from orchestration.landing.canonical import CANONICAL
from orchestration.landing.compile import CompiledSource, Compiler
from orchestration.landing.contract import WEEKDAYS, Economics, World
from orchestration.landing.drift import describe, meaningful, mentions
from orchestration.landing.errors import ContractError
from orchestration.landing.expressions import parser, quote
from orchestration.landing.failpoints import failpoint
from orchestration.landing.files import Drop, discover
from orchestration.landing.honesty import check_honesty
from orchestration.landing.loading import Loader, manifest_row
from orchestration.landing.records import load_records
from orchestration.landing.sightings import create_sightings
from orchestration.landing.sourcing import BAD_DATA, Delivery, SourceRows, look
from orchestration.landing.store import MANIFEST, Archive, Receipt, apply_discards, create_tables

BATCH_BYTES = 256 << 20  # deliveries of one source and one shape are loaded together up to this size
BATCH_FILES = 512
Progress = Callable[[str], None]


@dataclass
class LandReport:
    """What one landing did; per source too. new_rows counts canonical rows, quarantined_rows rows and claims sent to quarantine."""

    new_deliveries: int = 0
    new_rows: int = 0
    quarantined_rows: int = 0
    now_at: datetime | None = None  # UTC, without zone
    sources: dict[str, dict[str, int]] = field(default_factory=dict)
    drift: list[str] = field(default_factory=list)

    def add(self, source_id: str, delivery: Delivery) -> None:
        counts = self.sources.setdefault(source_id, {"deliveries": 0, **dict.fromkeys(delivery.counts, 0)})
        counts["deliveries"] += 1
        for name, value in delivery.counts.items():
            counts[name] += value
        if delivery.drift:
            self.drift.append(f"{delivery.path}: {delivery.drift}")
        if source_id != "ledger":
            self.new_deliveries += 1
            self.new_rows += delivery.counts["rows_loaded"]
            self.quarantined_rows += delivery.counts["rows_quarantined"] + delivery.counts["rows_unclaimed"]


def land(
    con: duckdb.DuckDBPyConnection,
    world: World,
    data_root: Path,
    archive: Path,
    *,
    inbox: Path | None = None,
    as_of: date | None = None,
    progress: Progress | None = None,
) -> LandReport:
    """Land every delivery that has not been seen, one transaction each (small ones of a source together), and set Now.

    Same bytes again change nothing. A source whose contract changed is read anew from the archive. Raises ContractError, with nothing
    of that delivery loaded, where a path matches nothing or a file cannot be read. `inbox` holds what receivers took in for sources
    with url, stream or database: inbox/<source>/*.jsonl.
    """
    report = LandReport()
    with session(con, world, archive) as (cur, store):
        _reland_changed(cur, world, store, progress)
        for source_id in world.sources:
            drops = _drops(world, source_id, data_root, inbox, store)
            fresh = _unseen(cur, world, source_id, drops, store)
            if progress and fresh:
                progress(f"{source_id}: {len(fresh)} new of {len(drops)} deliveries")
            _load_all(cur, world, source_id, fresh, store, report)
        report.now_at = set_world(cur, world, as_of)
    return report


def land_records(
    con: duckdb.DuckDBPyConnection, world: World, source_id: str, tables: dict[str, pl.DataFrame], *, known_at: datetime, archive: Path
) -> LandReport:
    """Land canonical rows that the platform itself hands over (source `ledger`): idempotent by content.

    known_at: naive UTC, for rows without a `known_at` column of their own; such rows keep the earliest time at which they were seen.
    """
    report = LandReport()
    with session(con, world, archive) as (cur, store):
        delivery = load_records(cur, source_id, tables, known_at, store, _next_seq(cur))
        if delivery is not None:
            report.add(source_id, delivery)
        report.now_at = _now(cur, world)
    return report


def reland(
    con: duckdb.DuckDBPyConnection, world: World, archive: Path, *, as_of: date | None = None, progress: Progress | None = None
) -> LandReport:
    """Rebuild schema raw from the archive alone, in the order things came: equal business columns, table by table."""
    report = LandReport()
    with session(con, world, archive) as (cur, store):
        cur.execute("BEGIN")
        for table in (*CANONICAL, "manifest", "quarantine"):
            cur.execute(f"DELETE FROM raw.{quote(table)}")
        cur.execute("DELETE FROM landing.sightings")
        cur.execute("COMMIT")
        _replay(cur, world, store, store.receipts(), report, progress)
        apply_discards(cur, archive)
        report.now_at = set_world(cur, world, as_of)
    return report


def reland_sources(con: duckdb.DuckDBPyConnection, world: World, archive: Path, sources: list[str]) -> None:
    """Read the archive of some sources anew with the contract as it is now."""
    with session(con, world, archive) as (cur, store):
        for source_id in sources:
            _reland_source(cur, world, store, source_id)
        set_world(cur, world)


def table_hashes(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """One hash a canonical table over its business columns and both times, whatever the row order: equal contents, equal hashes."""
    found = {}
    for name, table in CANONICAL.items():
        columns = ", ".join(quote(column) for column in (*table.columns, "known_at", "known_lag", "handed_over_at", "source_id"))
        row = con.execute(f"SELECT count(*), coalesce(sum(hash({columns})::HUGEINT), 0) FROM raw.{quote(name)}").fetchone()
        found[name] = f"{row[0]}:{row[1]:x}" if row else ""
    return found


# --- inside -----------------------------------------------------------------------------------------------------------------


@contextmanager
def session(con: duckdb.DuckDBPyConnection, world: World, archive: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, Archive]]:
    """A cursor with the settings that landing needs, the tables in place, and the archive open for this one writer."""
    store = Archive(archive)
    cur = con.cursor()
    before = cur.execute("SELECT current_setting('disabled_optimizers')").fetchone()
    try:
        cur.execute("SET python_enable_replacements=false")
        cur.execute("SET preserve_insertion_order=true")
        cur.execute("SET disabled_optimizers='common_subexpressions'")  # it hoists casts out of TRY(), and one bad cell kills the query
        cur.execute(f"SET TimeZone='{world.timezone}'")
        create_tables(cur)
        create_sightings(cur)
        yield cur, store
    finally:
        cur.execute("SET disabled_optimizers=?", [before[0] if before else ""])
        cur.close()
        store.close()


def _drops(world: World, source_id: str, data_root: Path, inbox: Path | None, store: Archive) -> list[Drop]:
    source = world.sources[source_id]
    if source.path is not None:
        try:
            return discover(source.path, data_root, store.incoming)
        except ContractError as error:
            where = error.where or world.where("sources", source_id, "path")
            raise ContractError(error.what, where=where, mend=error.mend) from None
    folder = inbox / source_id if inbox else None
    if folder is None or not any(folder.glob("*.jsonl")):
        return []
    return discover(f"{source_id}/*.jsonl", folder.parent, store.incoming)


def _uses_file(world: World, source_id: str) -> bool:
    return "_file" in json.dumps(world.sources[source_id].model_dump(mode="json"))


def _unseen(cur: duckdb.DuckDBPyConnection, world: World, source_id: str, drops: list[Drop], store: Archive) -> list[Delivery]:
    """Hash every drop and keep those whose bytes (and name, where the contract reads it) this source has not handed over before."""
    by_name = _uses_file(world, source_id)
    rows = cur.execute("SELECT delivery, file FROM raw.manifest WHERE source_id = ?", [source_id]).fetchall()
    seen = {(sha, file if by_name else None) for sha, file in rows}
    fresh = []
    for i, drop in enumerate(drops):
        if (
            drop.stored_bytes > BATCH_BYTES // 8
            and drop.plain is not None
            and (_digest(drop.plain), drop.stem if by_name else None) in seen
        ):
            continue
        copy = store.incoming / f"{source_id}-{i}"
        sha256, size = drop.copy_to(copy)
        identity = (sha256, drop.stem if by_name else None)
        if identity in seen:
            copy.unlink()
            continue
        seen.add(identity)
        fresh.append(Delivery(sha256, size, drop.name, drop.stem, copy))
    return fresh


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _next_seq(cur: duckdb.DuckDBPyConnection) -> int:
    row = cur.execute("SELECT coalesce(max(landed_seq), 0) + 1 FROM raw.manifest").fetchone()
    return int(row[0]) if row else 1


def _shape(delivery: Delivery) -> tuple[object, ...]:
    return list(delivery.columns.items()), delivery.missing, delivery.refused


def _batches(deliveries: list[Delivery], world: World, source_id: str) -> Iterator[list[Delivery]]:
    """Neighbours of equal shape, up to a size."""
    source = world.sources[source_id]
    batch: list[Delivery] = []
    size = 0
    for delivery in deliveries:
        same = (
            batch and batch[0].columns == delivery.columns and source.format_of(batch[0].path).kind == source.format_of(delivery.path).kind
        )
        same = same and all(other.sha256 != delivery.sha256 for other in batch)  # equal bytes under two names are counted apart
        if batch and (not same or size + delivery.bytes > BATCH_BYTES or len(batch) >= BATCH_FILES):
            yield batch
            batch, size = [], 0
        batch.append(delivery)
        size += delivery.bytes
    if batch:
        yield batch


def _load_all(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    source_id: str,
    deliveries: list[Delivery],
    store: Archive,
    report: LandReport,
    *,
    keep: bool = True,
) -> None:
    """Look at every delivery first, then load batch after batch, each with its archive and its manifest lines in one transaction."""
    source = world.sources[source_id]
    for delivery in deliveries:
        look(cur, source, delivery, store.incoming)
    _drift(cur, world, source_id, deliveries, keep=keep)
    seq = _next_seq(cur)
    for batch in _batches(deliveries, world, source_id):
        try:
            rows = SourceRows(cur, world, source_id, batch)
            rows.read()
            compiled = CompiledSource(source_id, rows.columns, {}, [])
            if not batch[0].refused:
                with parser() as side:
                    compiled = Compiler(side, world, source_id, rows.columns).source_sql()
            receipts = [Receipt(d.sha256, d.bytes, source_id, source.silo, d.path, seq + i) for i, d in enumerate(batch)]
            try:
                _commit(cur, world, rows, compiled, store if keep else None, receipts, careful=False)
            except BAD_DATA:
                _commit(cur, world, rows, compiled, store if keep else None, receipts, careful=True)
        except (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.FatalException) as error:
            raise OSError(f"{source_id} {batch[0].path}: {str(error).splitlines()[0]} (nothing acknowledged is lost: run again)") from error
        except duckdb.Error as error:
            raise ContractError(
                f"cannot be loaded: {str(error).splitlines()[0]}",
                where=f"{source_id} {batch[0].path}",
                mend="see `stockhouse check --show-sql`",
            ) from error
        failpoint("after commit")
        seq += len(batch)
        for delivery in batch:
            report.add(source_id, delivery)
            delivery.table = None


def _commit(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    rows: SourceRows,
    compiled: CompiledSource,
    store: Archive | None,
    receipts: list[Receipt],
    *,
    careful: bool,
) -> None:
    """Load one batch, archive its bytes and write its manifest lines: all of it or nothing."""
    row = cur.execute("SELECT 1 FROM raw.manifest WHERE source_id = ? LIMIT 1", [rows.source_id]).fetchone()
    cur.execute("BEGIN")
    try:
        Loader(rows, compiled, careful=careful, is_first=row is None).load()
        check_honesty(rows, world, compiled.rules)
        failpoint("rows staged")
        if store is not None:
            store.keep((delivery.file, receipt) for delivery, receipt in zip(rows.deliveries, receipts, strict=True))
        failpoint("bytes archived")
        lines = [manifest_row(world, rows.source_id, d, receipt.seq) for d, receipt in zip(rows.deliveries, receipts, strict=True)]
        cur.executemany(f"INSERT INTO raw.manifest VALUES ({', '.join('?' for _ in MANIFEST)})", lines)
        failpoint("before commit")
        cur.execute("COMMIT")
    except BaseException:
        _roll_back(cur)
        raise


def _roll_back(cur: duckdb.DuckDBPyConnection) -> None:
    try:
        cur.execute("ROLLBACK")
    except duckdb.Error as error:
        if "no transaction" not in str(error):
            raise


def _drift(cur: duckdb.DuckDBPyConnection, world: World, source_id: str, deliveries: list[Delivery], *, keep: bool) -> None:
    """Compare each delivery's columns with those of the one before it and do what the contract says (what was acknowledged stays)."""
    source = world.sources[source_id]
    rows = cur.execute(
        "SELECT columns FROM raw.manifest WHERE source_id = ? AND columns IS NOT NULL ORDER BY landed_seq", [source_id]
    ).fetchall()
    shapes = [dict(entry.rsplit(" ", 1) for entry in columns) for (columns,) in rows]
    before = shapes[-1] if shapes else None
    ever = {name: kind for shape in [*(delivery.columns for delivery in reversed(deliveries)), *shapes] for name, kind in shape.items()}
    for delivery in deliveries:
        changed = before is not None and meaningful(source, before, delivery.columns)
        delivery.drift = describe(before, delivery.columns) if before is not None else ""
        if changed and source.drift == "stop" and keep:
            raise ContractError(
                f"its columns changed: {delivery.drift}",
                where=delivery.path,
                mend=f"at {world.where('sources', source_id)}, `drift: evolve` reads missing columns as empty, `quarantine` sets it aside",
            )
        if changed and source.drift == "quarantine":
            delivery.refused = f"its columns changed: {delivery.drift}"
            continue
        if source.drift == "evolve" and not source.unpivot:
            delivery.missing = {
                name: kind for name, kind in ever.items() if name not in delivery.columns and name in mentions(source, ever)
            }
        before = delivery.columns


def _replay(
    cur: duckdb.DuckDBPyConnection, world: World, store: Archive, receipts: list[Receipt], report: LandReport, progress: Progress | None
) -> None:
    """Load archived deliveries again, neighbours of one source together."""
    from itertools import groupby  # noqa: PLC0415

    for (source_id, kind), group in groupby(receipts, key=lambda receipt: (receipt.source_id, receipt.kind)):
        entries = list(group)
        if progress:
            progress(f"{source_id}: {len(entries)} deliveries from the archive")
        if kind == "records":
            for receipt in entries:
                from orchestration.landing.records import replay_records  # noqa: PLC0415

                report.add(source_id, replay_records(cur, receipt, store))
        elif source_id in world.sources:
            deliveries = [Delivery(r.sha256, r.bytes, r.path, Drop(r.path, r.bytes, _never).stem, store.path(r.sha256)) for r in entries]
            _load_all(cur, world, source_id, deliveries, store, report, keep=False)


def _never():  # type: ignore[no-untyped-def]
    raise AssertionError("archived bytes are read by path")


def _reland_changed(cur: duckdb.DuckDBPyConnection, world: World, store: Archive, progress: Progress | None) -> None:
    """A source whose contract changed since its rows were landed is read anew, so that raw always speaks the current contract."""
    rows = cur.execute("SELECT DISTINCT source_id, contract FROM raw.manifest WHERE contract IS NOT NULL").fetchall()
    changed = {source_id for source_id, print_ in rows if source_id in world.sources and print_ != world.fingerprint(source_id)}
    for source_id in sorted(changed):
        if progress:
            progress(f"{source_id}: the contract changed; reading its archive anew")
        _reland_source(cur, world, store, source_id)


def _reland_source(cur: duckdb.DuckDBPyConnection, world: World, store: Archive, source_id: str) -> None:
    """Forget one source's rows and load them again from the archive; rows that leave the quarantine by it are marked as retried."""
    receipts = [receipt for receipt in store.receipts() if receipt.source_id == source_id]
    cur.execute("CREATE OR REPLACE TEMP TABLE was_open AS SELECT * FROM raw.quarantine WHERE source_id = ?", [source_id])
    cur.execute("BEGIN")
    for table in (*CANONICAL, "manifest", "quarantine"):
        cur.execute(f"DELETE FROM raw.{quote(table)} WHERE source_id = ?", [source_id])
    cur.execute("DELETE FROM landing.sightings WHERE source_id = ?", [source_id])
    cur.execute("COMMIT")
    _replay(cur, world, store, receipts, LandReport(), None)
    cur.execute(
        """INSERT INTO raw.quarantine SELECT * REPLACE ('retried' AS status) FROM was_open
        WHERE quarantine_id NOT IN (SELECT quarantine_id FROM raw.quarantine WHERE quarantine_id IS NOT NULL)"""
    )
    apply_discards(cur, store.folder)


def _now(cur: duckdb.DuckDBPyConnection, world: World) -> datetime | None:
    """The newest known_at of sales, returns and stock; a sale found by its order or period is known its lag after that."""
    row = cur.execute(
        """SELECT max(known_at) FROM (
            SELECT max(known_at) AS known_at FROM raw.sales
            UNION ALL SELECT max(known_at) FROM raw.returns UNION ALL SELECT max(known_at) FROM raw.stock
            UNION ALL SELECT max(greatest(o.event_at + s.known_lag, s.handed_over_at)) FROM raw.sales s JOIN raw.orders o USING (order_id)
              WHERE s.known_at IS NULL
            UNION ALL SELECT max(greatest(c.day::TIMESTAMP + s.known_lag, s.handed_over_at))
              FROM raw.sales s JOIN raw.calendar c USING (period_id)
              WHERE s.known_at IS NULL AND s.event_at IS NULL AND s.order_id IS NULL)"""
    ).fetchone()
    return row[0] if row else None


def set_world(cur: duckdb.DuckDBPyConnection, world: World, as_of: date | None = None) -> datetime | None:
    """Write raw.world, one row: the settings of the plan and Now (UTC), the local midnight that ends `as_of` where it is given."""
    now = _now(cur, world)
    if as_of is not None:
        local = datetime.combine(as_of + timedelta(days=1), datetime.min.time(), ZoneInfo(world.timezone))
        now = local.astimezone(ZoneInfo("UTC")).replace(tzinfo=None)
    plan, told = world.plan, world.economics
    economics = told or Economics()
    holding_assumed = economics.holding_per_year is None and economics.holding_per_unit_period is None
    shortage_assumed = economics.shortage_margin is None and economics.shortage_per_unit is None
    row = {
        "world": world.world, "currency": world.currency, "timezone": world.timezone, "grain": plan.grain,
        "week_starts_on": WEEKDAYS.index(plan.week_starts_on) + 1, "review_days": plan.review_days,
        "decide_on": WEEKDAYS.index(plan.decide_on) + 1 if plan.decide_on else None,
        "lead_time_days": plan.lead_time_days, "lead_time_periods": plan.lead_time_periods,
        "absent_sales": plan.absent_sales, "is_whole_units": plan.whole_units,
        "holding_per_year": 0.25 if holding_assumed else economics.holding_per_year,
        "holding_per_unit_period": economics.holding_per_unit_period,
        "shortage_margin": 0.4 if shortage_assumed else economics.shortage_margin,
        "shortage_per_unit": economics.shortage_per_unit, "unmet": economics.unmet,
        "has_assumed_economics": holding_assumed or shortage_assumed, "now_at": now,
    }  # fmt: skip
    cur.execute("BEGIN")
    cur.execute("DELETE FROM raw.world")
    names = ", ".join(quote(name) for name in row)
    cur.execute(f"INSERT INTO raw.world ({names}) VALUES ({', '.join('?' for _ in row)})", list(row.values()))
    cur.execute("COMMIT")
    return now
