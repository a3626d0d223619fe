"""Deliveries of one source in batches: looked at, compared with what came before, loaded, archived
and recorded, each batch whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import duckdb

from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.expressions import parser
from orchestration.landing.contract.privacy import key_in_use
from orchestration.landing.contract.world import Source, World
from orchestration.landing.load.column_changes import (
    describe,
    is_another_file,
    lacking_columns,
    meaningful,
    missing_columns,
    named_columns,
    policy,
)
from orchestration.landing.load.compile import Compiler
from orchestration.landing.load.delivery_doubts import check_honesty, find_doubts
from orchestration.landing.load.failpoints import failpoint
from orchestration.landing.load.report import LandReport
from orchestration.landing.load.row_loader import Loader, manifest_row, quarantine_reject
from orchestration.landing.load.rule_sql import CompiledSource
from orchestration.landing.load.store import MANIFEST, Archive, Receipt
from orchestration.landing.readers.rows import Reject
from orchestration.landing.readers.sourcing import BAD_DATA, Delivery, SourceRows, look

# deliveries of one source and one shape are loaded together up to this size
BATCH_BYTES = 256 << 20
BATCH_FILES = 512
#: name to type, as delivered
Columns = Mapping[str, str]


def next_seq(cur: duckdb.DuckDBPyConnection) -> int:
    """The number that the next delivery lands under, from 1."""
    landed = cur.execute("SELECT coalesce(max(landed_seq), 0) FROM raw.manifest").fetchall()
    return int(landed[0][0]) + 1


def refused_source(world: World, source_id: str, columns: Mapping[str, str]) -> CompiledSource:
    """Columns that changed can say anywhere who bought, so nothing of such rows is shown where the
    source names customers."""
    personal = frozenset(columns) if world.names_customers(source_id) else frozenset[str]()
    return CompiledSource(source_id, dict(columns), {}, [], personal)


def in_batches(
    deliveries: list[Delivery], world: World, source_id: str
) -> Iterator[list[Delivery]]:
    """Neighbours of equal shape, up to a size."""
    source = world.sources[source_id]
    batch: list[Delivery] = []
    size = 0
    for delivery in deliveries:
        same = (
            batch
            and batch[0].columns == delivery.columns
            and list(batch[0].partitions) == list(delivery.partitions)
            and source.format_of(batch[0].path).kind == source.format_of(delivery.path).kind
        )
        # equal bytes under two names are counted apart
        same = same and all(other.sha256 != delivery.sha256 for other in batch)
        if batch and (not same or size + delivery.bytes > BATCH_BYTES or len(batch) >= BATCH_FILES):
            yield batch
            batch, size = [], 0
        batch.append(delivery)
        size += delivery.bytes
    if batch:
        yield batch


def load_deliveries(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    source_id: str,
    deliveries: list[Delivery],
    store: Archive,
    report: LandReport,
    *,
    keep: bool = True,
    strict: bool = False,
    later: Iterable[Columns] = (),
) -> None:
    """Look at every delivery first, then load batch after batch, each with its archive and its
    manifest lines in one transaction.

    A file that cannot be read is set aside whole, as one row of the quarantine; strict: it raises
    ContractError instead. Not keep: they were landed before, maybe before the contract came to read
    a column; where a delivery of `later` has it, it is read as empty.
    """
    source = world.sources[source_id]
    for delivery in deliveries:
        look_or_set_aside(cur, source, delivery, store, strict=strict)
    seq = next_seq(cur)
    for delivery in deliveries:
        delivery.seq = delivery.seq or seq
        seq += 1
    settle_drift(cur, world, source_id, deliveries, keep=keep, strict=strict)
    unread = [delivery for delivery in deliveries if not delivery.is_readable]
    for delivery in unread:
        _record_unread(cur, world, source_id, delivery, store if keep else None)
        report.add(source_id, delivery)
    deliveries = [delivery for delivery in deliveries if delivery.is_readable]
    for batch in in_batches(deliveries, world, source_id):
        try:
            rows, compiled = _read(cur, world, source_id, batch, later)
            receipts = [_receipt(world, source_id, delivery) for delivery in batch]
            try:
                _commit(
                    cur, world, rows, compiled, store if keep else None, receipts, careful=False
                )
            except BAD_DATA:
                _commit(cur, world, rows, compiled, store if keep else None, receipts, careful=True)
        except (duckdb.IOException, duckdb.OutOfMemoryException, duckdb.FatalException) as error:
            raise OSError(
                f"{source_id} {batch[0].path}: {str(error).splitlines()[0]} (nothing acknowledged "
                "is lost: run again)"
            ) from error
        except duckdb.Error as error:
            raise ContractError(
                f"cannot be loaded: {str(error).splitlines()[0]}",
                where=f"{source_id} {batch[0].path}",
                mend="see `stockhouse check --show-sql`",
            ) from error
        failpoint("after commit")
        for delivery in batch:
            report.add(source_id, delivery)
            delivery.table = None


def _read(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    source_id: str,
    batch: list[Delivery],
    later: Iterable[Columns],
) -> tuple[SourceRows, CompiledSource]:
    """The rows of a batch and the SQL that loads them. Names of the contract that the batch lacks
    are looked for in `later`, as far as it takes."""
    while True:
        rows = SourceRows(cur, world, source_id, batch)
        rows.read()
        if batch[0].refused:
            return rows, refused_source(world, source_id, rows.columns)
        try:
            with parser() as side:
                compiled = Compiler(side, world, source_id, rows.columns).source_sql()
        except ContractError:
            if not _learn_missing(world.sources[source_id], batch, later):
                raise
            continue
        rows.hide(compiled.personal)
        return rows, compiled


def _learn_missing(source: Source, batch: list[Delivery], later: Iterable[Columns]) -> bool:
    """Whether a later delivery has a column that the contract names and this batch lacks."""
    for columns in later:
        lacking = lacking_columns(source, batch[0].columns | batch[0].missing, columns)
        if lacking:
            for delivery in batch:
                delivery.missing = delivery.missing | lacking
            return True
    return False


def _receipt(world: World, source_id: str, d: Delivery) -> Receipt:
    return Receipt(
        d.sha256,
        d.bytes,
        source_id,
        world.sources[source_id].silo,
        d.path,
        d.seq or 0,
        fault=d.fault if d.is_broken else None,
    )


def look_or_set_aside(
    cur: duckdb.DuckDBPyConnection,
    source: Source,
    delivery: Delivery,
    store: Archive,
    *,
    strict: bool,
) -> None:
    """Find the columns of a delivery, or say in `fault` why there are none; strict: raise
    ContractError then."""
    if delivery.fault or delivery.is_cut:
        return
    try:
        look(cur, source, delivery, store.incoming)
    except ContractError as error:
        if strict:
            raise
        place = error.where.removeprefix(delivery.path).strip()  # such as the sheet
        delivery.fault = " ".join(
            [*([place] if place else []), error.what, *([f"({error.mend})"] if error.mend else [])]
        )


def _record_unread(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    source_id: str,
    delivery: Delivery,
    store: Archive | None,
) -> None:
    """A delivery of which no row is read: archived and in the manifest; in the quarantine stand its
    fault, or the pieces it has instead of rows."""
    delivery.forget_counts()
    receipt = _receipt(world, source_id, delivery)
    pieces = [] if delivery.is_cut else delivery.rejects
    if delivery.fault:
        pieces = [Reject(0, delivery.path, f"the file cannot be read: {delivery.fault}")]
    delivery.counts |= {"rows_in": len(pieces), "rows_unclaimed": len(pieces)}
    cur.execute("BEGIN")
    try:
        for piece in pieces:
            quarantine_reject(cur, source_id, delivery, piece)
        if store is not None:
            store.keep([(delivery.file, receipt)])
        line = manifest_row(
            world, source_id, delivery, receipt.seq, world.fingerprint(source_id, key_in_use(cur))
        )
        cur.execute(f"INSERT INTO raw.manifest VALUES ({', '.join('?' for _ in MANIFEST)})", line)
        cur.execute("COMMIT")
    except BaseException:
        _roll_back(cur)
        if store is not None:
            store.withdraw(cur)
        raise
    if store is not None:
        store.acknowledge()


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
    row = cur.execute(
        "SELECT 1 FROM raw.manifest WHERE source_id = ? AND delivery IS NOT NULL LIMIT 1",
        [rows.source_id],
    ).fetchone()
    cur.execute("BEGIN")
    try:
        Loader(rows, compiled, careful=careful, is_first=row is None).load()
        check_honesty(rows, world, compiled.rules)
        find_doubts(rows, compiled.rules)
        failpoint("rows staged")
        if store is not None:
            store.keep(
                (delivery.file, receipt)
                for delivery, receipt in zip(rows.deliveries, receipts, strict=True)
            )
        failpoint("bytes archived")
        contract = world.fingerprint(rows.source_id, key_in_use(cur))
        lines = [
            manifest_row(world, rows.source_id, d, r.seq, contract)
            for d, r in zip(rows.deliveries, receipts, strict=True)
        ]
        cur.executemany(
            f"INSERT INTO raw.manifest VALUES ({', '.join('?' for _ in MANIFEST)})", lines
        )
        failpoint("before commit")
        cur.execute("COMMIT")
    except BaseException:
        _roll_back(cur)
        if store is not None:
            store.withdraw(cur)
        raise
    failpoint("rows committed")
    if store is not None:
        store.acknowledge()


def _roll_back(cur: duckdb.DuckDBPyConnection) -> None:
    try:
        cur.execute("ROLLBACK")
    except duckdb.Error as error:
        if "no transaction" not in str(error):
            raise


def settle_drift(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    source_id: str,
    deliveries: list[Delivery],
    *,
    keep: bool,
    strict: bool,
) -> None:
    """Compare each delivery's columns with those of the one before it and do what the contract says
    (what was acknowledged stays). One that is another file altogether is set aside whole."""
    source = world.sources[source_id]
    rows = cur.execute(
        "SELECT columns FROM raw.manifest WHERE source_id = ? AND columns IS NOT NULL ORDER BY "
        "landed_seq",
        [source_id],
    ).fetchall()
    shapes = [dict(entry.rsplit(" ", 1) for entry in columns) for (columns,) in rows]
    before = shapes[-1] if shapes else None
    readable = [delivery for delivery in deliveries if delivery.is_readable]
    ever = {
        name: kind
        for shape in [*(delivery.columns for delivery in reversed(readable)), *shapes]
        for name, kind in shape.items()
    }
    if source.is_inbox:  # a message leaves out what is empty, the first one too
        ever = dict.fromkeys(named_columns(source), "VARCHAR") | ever
    for delivery in readable:
        changed = before is not None and meaningful(source, before, delivery.columns)
        delivery.drift = describe(before, delivery.columns) if before is not None else ""
        drift = policy(source, delivery.path)
        if before is not None and is_another_file(source, before, delivery.columns) and not strict:
            delivery.fault = f"is another file than those before it: {delivery.drift}"
            continue
        if changed and drift == "stop" and keep:
            raise ContractError(
                f"its columns changed: {delivery.drift}",
                where=delivery.path,
                mend=(
                    f"at {world.where('sources', source_id)}, `drift: evolve` reads missing "
                    "columns as empty, `quarantine` sets it aside"
                ),
            )
        if changed and drift == "quarantine":
            delivery.refused = f"its columns changed: {delivery.drift}"
            continue
        delivery.missing = missing_columns(source, delivery.path, delivery.columns, ever)
        before = delivery.columns
