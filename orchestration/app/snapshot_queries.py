"""How the desk looks at what is published: one connection a version, rows as dicts, and how old it
all is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import duckdb

from models.procurement.documents import Document
from orchestration.app.procurement import Desk
from orchestration.facts import published_snapshots
from orchestration.home import Home
from orchestration.home.sql import records
from orchestration.planning import override_journal

Row = dict[str, Any]
Value = TypeVar("Value")


@contextmanager
def published(home: Home) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published facts. Raises PublishError before the first publication."""
    with published_snapshots.current(home.published).connect() as con:
        yield con


def rows(
    con: duckdb.DuckDBPyConnection, query: str, given: Mapping[str, Any] | None = None
) -> list[Row]:
    """What a query answers, a dict a row."""
    return records(con, query, given)


def one(
    con: duckdb.DuckDBPyConnection, query: str, given: Mapping[str, Any] | None = None
) -> Row | None:
    """The first row a query answers."""
    return next(iter(rows(con, query, given)), None)


def names(con: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """What items are called, by id."""
    found = con.execute(
        "select item_id, name from marts.dim_items where is_current and name is not null"
    ).fetchall()
    return dict(found)


def remembered(desk: Desk, name: str, make: Callable[[], Value], also: object = None) -> Value:
    """What was made of the same events, overrides and publication by this very ledger before; else
    make it. Only for what nobody changes. also: what else it depends on."""
    version = published_snapshots.current(desk.home.published).version
    key = (desk.ledger.age()[0], override_journal.size(desk.home), version, desk.now, also)
    kept = desk.ledger.kept.get(name)
    if kept is None or kept[0] != key:
        kept = desk.ledger.kept[name] = (key, make())
    value: Value = kept[1]
    return value


def lines_of(desk: Desk) -> list[Document]:
    """Every line of the ledger as it is now, read once between two events; nobody changes one."""
    return remembered(desk, "lines", desk.ledger.lines)


@dataclass(frozen=True)
class Age:
    """How old what a page shows is: the facts, their publication, and the last ledger event."""

    world: str
    currency: str
    now: datetime
    version: int
    run_id: str
    published_at: datetime
    events: int
    recorded_at: str


def age(desk: Desk) -> Age:
    """How old everything the desk shows is. Raises PublishError before the first publication."""
    snapshot = published_snapshots.current(desk.home.published)
    events, recorded_at = desk.ledger.age()
    at = datetime.fromisoformat(snapshot.published_at)
    world = desk.home.owner or ""
    return Age(
        world, desk.currency, desk.now, snapshot.version, snapshot.run_id, at, events, recorded_at
    )
