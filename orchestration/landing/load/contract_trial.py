"""What a contract would load, what looks wrong and how to mend it, without touching any home: the
contract's own test drive."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb

from orchestration.home.sql import quote
from orchestration.landing.contract.canonical import PERSONAL
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.expressions import parser
from orchestration.landing.contract.world import Source, World
from orchestration.landing.load.column_changes import (
    describe,
    is_another_file,
    meaningful,
    mentions,
    missing_columns,
    policy,
)
from orchestration.landing.load.compile import Compiler
from orchestration.landing.load.consequences import consequences
from orchestration.landing.load.delivery_doubts import check_honesty, find_doubts, find_parts
from orchestration.landing.load.landing import session
from orchestration.landing.load.row_loader import Loader
from orchestration.landing.load.rule_sql import CompiledSource
from orchestration.landing.load.store import Archive
from orchestration.landing.readers.drops import Drop, discover
from orchestration.landing.readers.sourcing import BAD_DATA, Delivery, SourceRows, look

ROWS = 200_000  # of each delivery that is tried
TRIED = 3  # deliveries of each source: the first, the middle and the last


@dataclass(frozen=True)
class Finding:
    """One sentence about one source. error: it would not land; warning: look at it; load: what
    would be loaded; sql: what is compiled; plan: what orders can be made of it."""

    source: str
    kind: Literal["error", "warning", "load", "sql", "plan"]
    message: str

    @property
    def is_error(self) -> bool:
        """Whether the source, or a part of it, would not land."""
        return self.kind == "error"

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain values, for --json."""
        return asdict(self)


def check(world: World, data_root: Path, show_sql: bool = False) -> list[Finding]:
    """Try the first rows of a few deliveries of every source in memory and say what happened;
    nothing is kept."""
    found: list[Finding] = []
    with (
        tempfile.TemporaryDirectory(prefix="stockhouse-check-") as scratch,
        duckdb.connect(":memory:") as con,
    ):
        con.execute("SET threads=2")
        with session(con, world, Path(scratch) / "archive") as (cur, store):
            for source_id, source in world.sources.items():
                if source.is_inbox:
                    found.append(
                        Finding(source_id, "load", "is handed over by a receiver through the inbox")
                    )
                    continue
                try:
                    found += _try_source(cur, world, source_id, data_root, store, show_sql)
                except ContractError as error:
                    found.append(Finding(source_id, "error", str(error)))
            aside = _wholly_aside(cur)
    if world.economics is None:
        found.append(
            Finding(
                "",
                "warning",
                (
                    "no economics: holding 0.25 of unit cost a year and a shortage margin of 0.4 "
                    "of "
                    "price are assumed"
                ),
            )
        )
    if unrated := _without_rates(world):
        found.append(Finding("", "warning", unrated))
    if world.plan.lead_time_days is None and world.plan.lead_time_periods is None:
        feeds = {
            table for source in world.sources.values() for rule in source.into for table in rule
        }
        if "supplier_terms" not in feeds:
            found.append(
                Finding(
                    "", "warning", "no lead time: give plan.lead_time_days, or feed supplier_terms"
                )
            )
    found += [Finding("", "plan", said) for said in consequences(world, aside)]
    return found


def _try_source(
    cur: duckdb.DuckDBPyConnection,
    world: World,
    source_id: str,
    root: Path,
    store: Archive,
    show_sql: bool,
) -> Iterator[Finding]:
    source = world.sources[source_id]
    found = discover(source.path or "", root, store.incoming)
    if found.litter:
        yield Finding(
            source_id, "load", f"passed over, left by a program: {', '.join(found.litter[:10])}"
        )
    for error in found.faults if found.drops else ():
        yield Finding(source_id, "warning", str(error))
    if source.optional and not found.drops:
        yield Finding(source_id, "load", "is optional, and nothing of it is there")
        return
    drops = found.or_nothing_there(source.path or "").drops
    chosen = sorted({0, len(drops) // 2, len(drops) - 1})[:TRIED]
    before: Delivery | None = None
    rows = 0
    tried, faults = _looked_at(cur, source, [drops[index] for index in chosen], store)
    if faults and not tried:
        raise faults[0]
    for error in faults:
        yield Finding(source_id, "warning", f"{error}; it would be set aside, and the rest loads")
    ever = {name: kind for delivery in tried for name, kind in delivery.columns.items()}
    for delivery in tried:
        delivery.missing = missing_columns(source, delivery.path, delivery.columns, ever)
        if before is not None and (changed := describe(before.columns, delivery.columns)):
            yield _changed(source_id, source, before, delivery, changed)
            if is_another_file(source, before.columns, delivery.columns):
                continue
        compiled, counts = _try_delivery(cur, world, source_id, delivery)
        rows += counts["rows_loaded"]
        yield Finding(source_id, "load", _sentence(delivery))
        yield from (Finding(source_id, "warning", said) for said in delivery.doubts)
        if before is None:
            yield from _first_looked_at(source, delivery, compiled, show_sql=show_sql)
        before = delivery
    yield from _quarantined(cur, source_id)
    if not rows:
        yield Finding(source_id, "warning", "nothing of it would be loaded")
    if len(drops) > len(chosen):
        yield Finding(source_id, "load", f"{len(drops)} deliveries match; {len(chosen)} were tried")


def _first_looked_at(
    source: Source, delivery: Delivery, compiled: CompiledSource, *, show_sql: bool
) -> Iterator[Finding]:
    """What is said once a source: columns nobody reads, customers in the clear, the SQL asked
    for."""
    source_id = compiled.source_id
    unread = [name for name in delivery.columns if name not in mentions(source, delivery.columns)]
    if unread and not source.unpivot:
        yield Finding(source_id, "load", f"columns nobody reads: {', '.join(unread[:20])}")
    yield from _shown_customers(source_id, compiled)
    if show_sql:
        ours = ("_file", "_row")
        columns = {name: kind for name, kind in compiled.columns.items() if name not in ours}
        for rule in compiled.rules:
            sql = rule.select(source_id, columns, careful=False, where="true")
            yield Finding(source_id, "sql", f"-- {rule.label}\n{sql}")


def _looked_at(
    cur: duckdb.DuckDBPyConnection, source: Source, drops: list[Drop], store: Archive
) -> tuple[list[Delivery], list[ContractError]]:
    """The deliveries that can be read, and why the others cannot."""
    found: list[Delivery] = []
    faults: list[ContractError] = []
    for index, drop in enumerate(drops):
        copy = store.incoming / f"check-{index}"
        try:
            sha256, size = drop.copy_to(copy)
            delivery = Delivery(sha256, size, drop.name, drop.stem, copy)
            look(cur, source, delivery, store.incoming)
        except ContractError as error:
            faults.append(error)
            continue
        except (PermissionError, FileNotFoundError) as error:
            faults.append(ContractError(str(error.strerror), where=drop.name))
            continue
        if delivery.columns:
            found.append(delivery)
    return found, faults


def _changed(
    source_id: str, source: Source, before: Delivery, after: Delivery, changed: str
) -> Finding:
    """What another shape of a delivery would come to."""
    drift = policy(source, after.path)
    said = f"{after.path}: {changed} since {before.path}"
    if is_another_file(source, before.columns, after.columns):
        return Finding(source_id, "warning", f"{said}: another file, which would be set aside")
    grave = meaningful(source, before.columns, after.columns) and drift == "stop"
    return Finding(source_id, "error" if grave else "warning", f"{said} (drift: {drift})")


def _try_delivery(
    cur: duckdb.DuckDBPyConnection, world: World, source_id: str, delivery: Delivery
) -> tuple[CompiledSource, dict[str, int]]:
    rows = SourceRows(cur, world, source_id, [delivery])
    rows.read(ROWS)
    with parser() as side:
        compiled = Compiler(side, world, source_id, rows.columns).source_sql()
    rows.hide(compiled.personal)
    try:
        Loader(rows, compiled, careful=False, is_first=False).load()
    except BAD_DATA:
        delivery.forget_counts()
        Loader(rows, compiled, careful=True, is_first=False).load()
    check_honesty(rows, world, compiled.rules)
    find_doubts(rows, compiled.rules)
    find_parts(rows, world, compiled.rules)
    return compiled, delivery.counts


def _shown_customers(source_id: str, compiled: CompiledSource) -> Iterator[Finding]:
    """What says who bought is hashed as customer_id alone; wherever else the contract puts it, it
    stands as it is."""
    for rule in compiled.rules:
        for name, cell in rule.cells.items():
            if name not in PERSONAL and (shown := cell.reads & compiled.personal):
                said = (
                    f"{', '.join(sorted(shown))} says who bought, and {rule.table}.{name} stores "
                    "it unhashed"
                )
                yield Finding(source_id, "warning", said)


def _sentence(delivery: Delivery) -> str:
    c = delivery.counts
    skipped = ", ".join(f"{rows:,} {reason}" for reason, rows in sorted(delivery.skipped.items()))
    return (
        (
            f"{delivery.path}: of {c['rows_in']:,} rows {c['rows_claimed']:,} are claimed, "
            f"{c['rows_skipped']:,} skipped"
        )
        + (f" ({skipped})" if skipped else "")
        + f", {c['rows_unclaimed']:,} nobody's; {c['rows_loaded']:,} canonical rows, "
        f"{c['rows_quarantined']:,} quarantined,"
        f" {c['rows_repeated']:,} repeats"
    )


def _signs_named(value: str) -> str:
    """Text in which signs that look like a blank, or like nothing, are named."""
    return "".join(
        letter
        if letter == " " or (letter.isprintable() and not letter.isspace())
        else f"<U+{ord(letter):04X}>"
        for letter in value
    )


def _quarantined(cur: duckdb.DuckDBPyConnection, source_id: str) -> Iterator[Finding]:
    for table, column, rule, rows, value, path, row_no in cur.execute(
        """SELECT table_name, column_name, rule, count(*), any_value(value), any_value(path),
            min(file_row) FROM raw.quarantine
        WHERE source_id = ? GROUP BY ALL ORDER BY 4 DESC, 1, 2, 3 LIMIT 20""",
        [source_id],
    ).fetchall():
        what = f"{table}.{column} " if table else ""
        example = f", such as `{_signs_named(value)}`" if value is not None else ""
        count = f"{rows:,} row{'' if rows == 1 else 's'}"
        yield Finding(
            source_id,
            "warning",
            f"{count} to quarantine: {what}{rule}{example} ({path} row {row_no})",
        )


def _wholly_aside(cur: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """The tables of which rows were tried and none could be loaded."""
    tried = cur.execute(
        "SELECT DISTINCT table_name FROM raw.quarantine WHERE table_name IS NOT NULL"
    ).fetchall()
    return frozenset(
        table
        for (table,) in tried
        if cur.execute(f"SELECT 1 FROM raw.{quote(table)} LIMIT 1").fetchone() is None
    )


def _without_rates(world: World) -> str:
    """What is said of a world that maps currencies and feeds no rates."""
    rules = [rule for source in world.sources.values() for rule in source.into]
    foreign = sorted({table for rule in rules for table in rule if "currency" in rule[table]})
    if not foreign or any("exchange_rates" in rule for rule in rules):
        return ""
    return (
        f"{', '.join(foreign)} name a currency and no exchange_rates are fed: an amount in another "
        f"than {world.currency} would stop the run, as it is never counted one to one"
    )
