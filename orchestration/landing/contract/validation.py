"""What can be said about a contract before any byte is read: tables, columns, known rules,
row-locality, the grain's honesty."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb

from orchestration.landing.contract.canonical import ADDED_UP, CANONICAL, SEVERAL
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.expressions import check_row_local, parse, parser
from orchestration.landing.contract.functions import BUILT_IN, read_functions
from orchestration.landing.contract.world import (
    RULE_WORDS,
    Source,
    Value,
    World,
    known_tables,
)

#: What an event's time is called, table by table, where known_after may count from it.
EVENT_COLUMN = {"promotions": "starts_at", "assortment": "starts_at", "calendar": "day"}
#: Facts that may be totals of a whole period.
PERIOD_TOTALS = ("sales", "returns", "stock")


def event_column(table: str) -> str | None:
    """The column that says when the event was, or none for undated master data."""
    return "event_at" if "event_at" in CANONICAL[table].columns else EVENT_COLUMN.get(table)


def is_period_total(table: str, columns: Iterable[str]) -> bool:
    """Facts that may describe a whole period: what was sold and returned in it, and whether it was
    in stock throughout."""
    return table in PERIOD_TOTALS and (table != "stock" or "is_in_stock" in columns)


def rules(source: Source) -> list[tuple[str, str, dict[str, Value]]]:
    """Every rule as (label, table, words); the label counts the rules of one table: sales#1,
    sales#2."""
    seen: dict[str, int] = {}
    found = []
    for entry in source.into:
        table, words = next(iter(entry.items()))
        seen[table] = seen.get(table, 0) + 1
        found.append((f"{table}#{seen[table]}", table, words))
    return found


#: `Qty (pcs)` may be a column's name: only the file can tell.
LIKE_A_CALL = re.compile(r"[\w .%/-]+\([^()'\"]*[^()'\"\s][^()'\"]*\)[\w .%/-]*")


def check_world(world: World) -> None:
    """Raise ContractError at the first thing in the contract that cannot be right, whatever the
    data."""
    try:
        ZoneInfo(world.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ContractError(
            f"no timezone is called {world.timezone!r}",
            where=world.where("timezone"),
            mend="such as Europe/London",
        ) from None
    with parser() as con:
        own = {**read_functions(con, world), **BUILT_IN}
        for source_id, source in world.sources.items():
            if not re.fullmatch(r"[A-Za-z0-9_-]+", source_id) or source_id == "ledger":
                raise ContractError(
                    f"a source cannot be called {source_id!r}",
                    where=world.where("sources", source_id),
                )
            _check_path(world, source_id, source)
            for name in ("known_at", "delivered_at"):
                _check_expression(
                    con, own, getattr(source, name), world.where("sources", source_id, name)
                )
            for reason, text in source.skip.items():
                _check_expression(con, own, text, world.where("sources", source_id, "skip", reason))
            if source.known_after is not None:
                lag_days(con, source.known_after, world.where("sources", source_id, "known_after"))
            for index, (_, table, words) in enumerate(rules(source)):
                _check_rule(con, own, world, (source_id, source), index, table, words)
    _check_headers(world)


def _check_headers(world: World) -> None:
    """A purchase order's line that lacks its date or place needs a header that says it."""
    said = {
        name
        for source in world.sources.values()
        for _, table, words in rules(source)
        if table == "orders"
        for name in words
    }
    for source_id, source in world.sources.items():
        for index, entry in enumerate(source.into):
            words = entry.get("purchase_orders")
            if words is None:
                continue
            for name in ("location_id", "event_at"):
                if name not in words and name not in said:
                    raise ContractError(
                        f"`purchase_orders` needs `{name}`",
                        where=world.where("sources", source_id, "into", index, "purchase_orders"),
                        mend=f"map it here, or in the `orders` of the headers: `{name}: column`",
                    )


def _check_path(world: World, source_id: str, source: Source) -> None:
    if source.path is None:
        return
    for part in source.path.split("!"):
        pure = PurePosixPath(part)
        if not part or pure.is_absolute() or ".." in pure.parts or "\\" in part or "\0" in part:
            raise ContractError(
                f"the path `{source.path}` leaves the data folder",
                where=world.where("sources", source_id, "path"),
                mend="paths are relative and have no `..`",
            )


def _check_expression(
    con: duckdb.DuckDBPyConnection, own: dict[str, object], text: str | None, where: str
) -> None:
    """Row-local if it is an expression at all; a text that is none may still be a column's name,
    which only the file can tell."""
    if text is None:
        return
    try:
        node = parse(con, text)
    except ContractError as error:
        if "is no SQL expression" in error.what:
            return
        raise ContractError(error.what, where=where, mend=error.mend) from None
    try:
        check_row_local(node, own)
    except ContractError as error:
        if LIKE_A_CALL.fullmatch(text):
            return
        raise ContractError(error.what, where=where, mend=error.mend) from None


def _check_rule(
    con: duckdb.DuckDBPyConnection,
    own: dict[str, object],
    world: World,
    named: tuple[str, Source],
    index: int,
    table: str,
    words: dict[str, Value],
) -> None:
    source_id, source = named
    at = ("sources", source_id, "into", index)
    if table not in CANONICAL:
        raise ContractError(
            f"there is no canonical table `{table}`",
            where=world.where(*at),
            mend=f"one of {known_tables()}",
        )
    spec = CANONICAL[table]
    columns = {name: value for name, value in words.items() if name not in RULE_WORDS}
    for name in columns:
        if name not in spec.columns:
            raise ContractError(
                f"`{table}` has no column `{name}`",
                where=world.where(*at, table, name),
                mend=f"it has {', '.join(spec.columns)}",
            )
    for name in spec.required:
        if name not in columns:
            raise ContractError(f"`{table}` needs `{name}`", where=world.where(*at, table))
    for group in spec.one_of:
        if not any(name in columns for name in group):
            raise ContractError(
                f"`{table}` needs at least one of {', '.join(group)}", where=world.where(*at, table)
            )
    _check_several(world, at, table, words)
    for name, value in words.items():
        if isinstance(value, str) and name not in ("known_after", "several"):
            _check_expression(con, own, value, world.where(*at, table, name))
    _check_known(con, world, source, at, table, words)


def _check_several(
    world: World, at: tuple[str | int, ...], table: str, words: dict[str, Value]
) -> None:
    """What several rows of one grain are, where the table has rows that may be parts."""
    if "several" not in words:
        return
    where = world.where(*at, table, "several")
    if table not in ADDED_UP:
        raise ContractError(
            f"`several` means nothing in `{table}`",
            where=where,
            mend=f"it is a word of {', '.join(ADDED_UP)}",
        )
    if words["several"] not in SEVERAL:
        raise ContractError(
            f"`{words['several']}` is none of {', '.join(SEVERAL)}",
            where=where,
            mend="sum: they are parts of one; newest: they are versions of one",
        )


def _check_known(
    con: duckdb.DuckDBPyConnection,
    world: World,
    source: Source,
    at: tuple[str | int, ...],
    table: str,
    words: dict[str, Value],
) -> None:
    if "known_after" in words and "known_at" in words:
        raise ContractError("give known_after or known_at, not both", where=world.where(*at, table))
    overrides = "known_after" in words or "known_at" in words
    if not overrides and source.known_after is None and source.known_at is None:
        raise ContractError(
            "nothing says when this is known",
            where=world.where(*at, table),
            mend="known_after: 1 day, or known_at: a column",
        )
    lag = words.get("known_after", None if overrides else source.known_after)
    if lag is None:
        return
    days = lag_days(con, str(lag), world.where(*at, table))
    event = event_column(table)
    indirect = any(name in words for name in ("period_id", "order_id"))
    if event is None or (event not in words and not indirect):
        raise ContractError(
            f"`{table}` has no event that known_after could count from",
            where=world.where(*at, table),
            mend="give known_at",
        )
    least = {"day": 0.0, "week": 7.0, "month": 31.0}[world.plan.grain]
    if is_period_total(table, words) and days < least:
        raise ContractError(
            f"`{table}` of a {world.plan.grain} would be known {lag} after it began, before it has "
            "ended",
            where=world.where(*at, table),
            mend=f"known_after: {least:.0f} days for a total; known_at: a time for a dated line",
        )


def lag_days(con: duckdb.DuckDBPyConnection, text: str, where: str) -> float:
    """The length of a declared lag in days (a month counts its shortest, except that `1 month`
    covers any month)."""
    try:
        row = con.execute(
            """SELECT datepart('year', i) * 365 + datepart('month', i) * 31 + datepart('day',
                i) + datepart('hour', i) / 24
            + datepart('minute', i) / 1440 + datepart('second', i) / 86400
                FROM (SELECT CAST(? AS INTERVAL) AS i)""",
            [text],
        ).fetchone()
    except duckdb.Error:
        raise ContractError(
            f"`{text}` is no length of time", where=where, mend="such as `7 days` or `36 hours`"
        ) from None
    days = float(row[0]) if row else 0.0
    if days < 0:
        raise ContractError(
            f"`{text}` is negative: nothing is known before it happens",
            where=where,
            mend="give known_at for plans",
        )
    return days
