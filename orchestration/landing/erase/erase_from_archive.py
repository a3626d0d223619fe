"""A customer forgotten: in every archived delivery a stand-in takes their place, and what was
landed from it is landed again.

Nothing is replaced before every rewritten delivery lies on disk and has been read again: it lands
as the same rows, but for the stand-in. Killed at any moment, the next landing or the next `forget`
finishes what was begun.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from orchestration.home.files import flush, replacing
from orchestration.home.sql import literal, quote
from orchestration.landing.contract.canonical import CANONICAL, PERSONAL
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.expressions import parser
from orchestration.landing.contract.privacy import hidden
from orchestration.landing.contract.world import World
from orchestration.landing.erase.delivery_redaction import (
    Cells,
    Naming,
    StandIn,
    candidates,
    refuse_format,
    rewrite_delimited,
    rewrite_json,
    rewrite_parquet,
)
from orchestration.landing.load.compile import Compiler
from orchestration.landing.load.delivery_batches import (
    in_batches,
    look_or_set_aside,
    refused_source,
    settle_drift,
)
from orchestration.landing.load.failpoints import failpoint
from orchestration.landing.load.landing import archived, reland_changed, session
from orchestration.landing.load.row_loader import Loader
from orchestration.landing.load.rule_sql import CompiledSource
from orchestration.landing.load.store import Archive, read_sidecar, write_sidecar
from orchestration.landing.readers.sourcing import Delivery, SourceRows, look

SIMILAR = 5  # ids that are shown


@dataclass(frozen=True)
class Forgotten:
    """What a customer was found in: deliveries that were rewritten, their rows, the sources landed
    again; and what nobody can read now."""

    deliveries: int
    rows: int
    sources: list[str]
    # ids that hold the given one as a word, such as 17850.0 for 17850, where nothing was found
    similar: list[str]
    # sources of the archive that world.yml no longer knows, and files that nobody can read
    not_searched: list[str]
    # files of the home that hold the id all the same, where it says something else
    left: list[str] = field(default_factory=list)


@dataclass
class _Found:
    """One delivery of one source that holds the customer: the cells that say so, by the columns
    they stand in; and broken pieces."""

    source_id: str
    delivery: Delivery
    cells: dict[tuple[str, ...], set[Cells]] = field(default_factory=dict)
    rows: int = 0
    is_in_pieces: bool = False  # of the file that are no rows

    def namings(self, who: StandIn) -> list[Naming]:
        return [
            Naming(columns, {old: who.in_cells(old) for old in found})
            for columns, found in self.cells.items()
        ]


def forget(con: duckdb.DuckDBPyConnection, world: World, archive: Path, customer: str) -> Forgotten:
    """Replace a customer, named as the contract reads it, by a random stand-in in all of the
    archive, and land those sources again.

    Returns what it was found in, possibly nothing. Raises ContractError, with nothing changed,
    where a delivery cannot be rewritten.
    """
    sources = [source_id for source_id in world.sources if world.names_customers(source_id)]
    if not customer.strip():
        raise ContractError(
            "nobody is called nothing", mend="name the customer as the source writes it"
        )
    if not sources:
        raise ContractError(
            "no source of this world says who bought",
            where=world.where("sources"),
            mend="nothing is to be forgotten",
        )
    with session(con, world, archive) as (cur, store):
        known = {receipt.source_id for receipt in store.receipts() if receipt.kind == "file"}
        free = candidates(customer)
        found: list[_Found] = []
        similar: set[str] = set()
        unread: list[str] = []
        try:
            for source_id in sources:
                found += _search(cur, world, source_id, store, customer, free, similar, unread)
            if found:
                if not free:
                    raise ContractError(
                        "every id of this shape is taken",
                        mend="run it again: the tried ones were drawn by chance",
                    )
                _replace(cur, world, store, found, StandIn(customer, free[0]))
        except duckdb.Error as error:
            raise ContractError(
                f"the archive cannot be read: {str(error).splitlines()[0]}",
                mend="nothing was changed",
            ) from None
        reland_changed(cur, world, store)  # what was rewritten just now, or before a kill
    shas = {one.delivery.sha256 for one in found}
    touched = sorted({one.source_id for one in found})
    hints = [] if found else sorted(similar)[:SIMILAR]
    not_searched = [*sorted(known - {*world.sources}), *sorted(unread)]
    return Forgotten(len(shas), sum(one.rows for one in found), touched, hints, not_searched)


# --- search ---------------------------------------------------------------------------------------


def _search(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    source_id: str,
    store: Archive,
    customer: str,
    free: list[str],
    similar: set[str],
    unread: list[str],
) -> Iterator[_Found]:
    """The deliveries of one source that hold the customer, in whatever row.

    Ids that occur are taken out of `free`, those that hold the customer's as a word are put into
    `similar`, and files that nobody can read into `unread`.
    """
    word = rf"(^|[^\pL\pN]){re.escape(customer)}($|[^\pL\pN])"
    deliveries = _deliveries(cur, world, source_id, store)
    unread += [delivery.path for delivery in deliveries if delivery.fault]
    deliveries = [delivery for delivery in deliveries if not delivery.fault]
    for batch in in_batches(deliveries, world, source_id):
        rows, compiled = _read(cur, world, source_id, batch)
        found = [_Found(source_id, delivery) for delivery in batch]
        for columns, said in _says_who(rows, compiled):
            texts = [f"CAST({quote(name)} AS VARCHAR)" for name in columns]
            is_them = " OR ".join(f"{text} = $1" for text in [*said, *texts])
            cells = cur.execute(
                f"SELECT _d, count(*), {', '.join(texts)} FROM src WHERE {is_them} GROUP BY ALL",
                [customer],
            ).fetchall()
            for index, count, *values in cells:
                found[index].cells.setdefault(columns, set()).add(tuple(values))
                found[index].rows += count
            for text in [*said, *texts]:
                taken = cur.execute(
                    "SELECT id FROM (SELECT unnest($1) AS id) WHERE lower(id) IN (SELECT "
                    f"lower(trim({text})) FROM src)",
                    [free],
                ).fetchall()
                free[:] = [name for name in free if name not in {id_ for (id_,) in taken}]
                close = cur.execute(
                    f"SELECT DISTINCT {text} FROM src WHERE regexp_matches({text}, $1) LIMIT "
                    f"{SIMILAR}",
                    [word],
                ).fetchall()
                similar.update(id_ for (id_,) in close)
        for one in found:
            one.is_in_pieces = any(
                StandIn(customer, "").in_words(reject.raw_text) != reject.raw_text
                for reject in one.delivery.rejects
            )
        yield from (one for one in found if one.cells or one.is_in_pieces)
        for delivery in batch:
            delivery.table = None


def _deliveries(
    cur: duckdb.DuckDBPyConnection, world: World, source_id: str, store: Archive
) -> list[Delivery]:
    """Everything one source ever handed over, each of its bytes once, with its columns known."""
    mine = {
        receipt.sha256: receipt
        for receipt in store.receipts()
        if receipt.source_id == source_id and receipt.kind == "file"
    }
    deliveries = archived(mine.values(), store)
    for delivery in deliveries:
        look_or_set_aside(cur, world.sources[source_id], delivery, store, strict=False)
    settle_drift(
        cur,
        world,
        source_id,
        [delivery for delivery in deliveries if not delivery.fault],
        keep=False,
        strict=False,
    )
    return deliveries


def _read(
    cur: duckdb.DuckDBPyConnection, world: World, source_id: str, deliveries: list[Delivery]
) -> tuple[SourceRows, CompiledSource]:
    """`src` of deliveries of one shape, and the contract compiled for it."""
    rows = SourceRows(cur, world, source_id, deliveries)
    rows.read()
    if deliveries[0].refused:
        return rows, refused_source(world, source_id, rows.columns)
    with parser() as side:
        compiled = Compiler(side, world, source_id, rows.columns).source_sql()
    rows.hide(compiled.personal)
    return rows, compiled


def _says_who(
    rows: SourceRows, compiled: CompiledSource
) -> list[tuple[tuple[str, ...], list[str]]]:
    """Where it stands who bought: columns, and what the contract makes of them as SQL text. Changed
    columns are looked at one by one."""
    if not compiled.rules:
        return [((name,), []) for name in compiled.columns if name not in rows.missing]
    found: dict[tuple[str, ...], list[str]] = {}
    for rule in compiled.rules:
        for name in PERSONAL & rule.cells.keys():
            cell = rule.cells[name]
            if columns := tuple(sorted(cell.reads & compiled.personal)):
                found.setdefault(columns, []).append(f"CAST(TRY({{'v': {cell.sql}}}).v AS VARCHAR)")
    return list(found.items())


# --- replace --------------------------------------------------------------------------------------


def _replace(
    cur: duckdb.DuckDBPyConnection, world: World, store: Archive, found: list[_Found], who: StandIn
) -> None:
    """Write every delivery anew beside the archive, prove that it lands as before, then put all of
    them in place at once."""
    for one in found:
        kind = world.sources[one.source_id].format_of(one.delivery.path).kind
        if kind in ("xlsx", "own"):
            raise refuse_format(one.delivery.path, "a workbook" if kind == "xlsx" else "your own")
    aside = store.incoming / "rewritten"
    aside.mkdir()
    for one in found:
        sha256 = one.delivery.sha256
        _rewrite(cur, world, one, aside, who)
        _prove(cur, world, one, store, aside / sha256, who)
        new = (aside / sha256).read_bytes()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        told = read_sidecar(store.folder / f"{sha256}.json")
        redacted = {"sha256": hashlib.sha256(new).hexdigest(), "bytes": len(new), "at": now}
        write_sidecar(aside / f"{sha256}.json", {**told, "redacted": redacted})
        flush(aside / sha256)
    flush(aside)
    failpoint("deliveries rewritten")
    shas = {one.delivery.sha256 for one in found}
    touched = {receipt.source_id for receipt in store.receipts() if receipt.sha256 in shas}
    # landing reads them anew
    cur.execute(
        "UPDATE raw.manifest SET contract = '' WHERE list_contains(?, source_id)", [sorted(touched)]
    )
    failpoint("sources marked")
    store.replace(aside)


def _rewrite(
    cur: duckdb.DuckDBPyConnection, world: World, one: _Found, aside: Path, who: StandIn
) -> None:
    source, delivery, target = (
        world.sources[one.source_id],
        one.delivery,
        aside / one.delivery.sha256,
    )
    form, namings = source.format_of(delivery.path), one.namings(who)
    # another source may have handed over the same bytes
    old = target if target.exists() else delivery.file
    if form.kind == "parquet":
        with replacing(target) as new:
            rewrite_parquet(cur, old, new, delivery.columns, namings)
    elif form.kind == "csv":
        target.write_bytes(
            rewrite_delimited(
                old.read_bytes(),
                form.csv_options,
                list(delivery.columns),
                namings,
                source.nulls,
                who,
            )
        )
    else:
        options = form.json_ or form.jsonl
        target.write_bytes(
            rewrite_json(
                old.read_bytes(), options.records if options else None, namings, source.nulls, who
            )
        )


def _prove(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    one: _Found,
    store: Archive,
    new: Path,
    who: StandIn,
) -> None:
    """Raise ContractError unless the new bytes land as the same rows, whoever stands in, and the
    customer is nowhere in them."""
    old = one.delivery
    before, _, _ = _landed(cur, world, one.source_id, old, "before", store)
    rewritten = Delivery(
        old.sha256, old.bytes, old.path, old.stem, new, missing=old.missing, refused=old.refused
    )
    after, rows, compiled = _landed(cur, world, one.source_id, rewritten, "after", store)
    is_same = before == after
    for i, rule in enumerate(compiled.rules):
        customers = [name for name in CANONICAL[rule.table].columns if name in PERSONAL]
        swapped = [
            (
                f"CASE WHEN {name} = {hidden(literal(who.customer))} THEN "
                f"{hidden(literal(who.name))} "
                f"ELSE {name} END AS {name}"
            )
            for name in customers
        ]
        replaced = f" REPLACE ({', '.join(swapped)})" if swapped else ""
        one_way, other = f"SELECT *{replaced} FROM before_{i}", f"SELECT * FROM after_{i}"
        for left, right in ((one_way, other), (other, one_way)):
            is_same &= (
                cur.execute(f"SELECT 1 FROM ({left} EXCEPT ALL {right}) LIMIT 1").fetchone() is None
            )
    for columns, said in _says_who(rows, compiled):
        texts = [*said, *(f"CAST({quote(name)} AS VARCHAR)" for name in columns)]
        is_them = " OR ".join(f"{text} = $1" for text in texts)
        is_same &= (
            cur.execute(f"SELECT 1 FROM src WHERE {is_them} LIMIT 1", [who.customer]).fetchone()
            is None
        )
    if not is_same:
        raise ContractError(
            "the customer cannot be replaced without changing what else its rows say; nothing was "
            "changed",
            where=old.path,
            mend=(
                f"see what `{one.source_id}` makes of "
                f"{', '.join(sorted({name for columns in one.cells for name in columns}))}"
            ),
        )


def _landed(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    source_id: str,
    delivery: Delivery,
    name: str,
    store: Archive,
) -> tuple[Sequence[object], SourceRows, CompiledSource]:
    """What one delivery would land as, rule by rule, in temporary tables name_0, name_1, …; returns
    its columns and counts, and `src`."""
    look(cur, world.sources[source_id], delivery, store.incoming)
    rows, compiled = _read(cur, world, source_id, [delivery])
    skip = Loader(rows, compiled, careful=True, is_first=False).skip
    columns = [column for column in compiled.columns if column not in ("_file", "_row")]
    for i, rule in enumerate(compiled.rules):
        select = rule.select(
            source_id, dict.fromkeys(columns, ""), careful=True, where=f"({skip}) IS NULL"
        )
        cur.execute(
            f"CREATE OR REPLACE TEMP TABLE {name}_{i} AS SELECT * EXCLUDE (row_key, row_hash, "
            f"problem_value, raw_text) FROM ({select})"
        )
    fates = cur.execute(
        f"SELECT skip, count(*) FROM (SELECT {skip} AS skip FROM src) GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    return [list(delivery.columns.items()), fates, len(delivery.rejects)], rows, compiled
