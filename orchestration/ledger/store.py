"""The transactional store under the ledger: one writer at a time, events chained by hash,
projections kept in the same commit."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
)

from models.procurement.documents import CANCELLED, Document, Event, apply, refusal
from models.safe_names import legible
from orchestration.errors import StockhouseError
from orchestration.home.sqlite import make_durable
from orchestration.ledger import idempotent_requests
from orchestration.ledger.checkpoints import Checkpoints
from orchestration.ledger.idempotent_requests import Request
from orchestration.ledger.schema import documents, encumbrances, events

GENESIS = "0" * 64
CHUNK = 500  # bound values a statement
PATIENCE = 30.0  # seconds to wait for another writer
#: The events whose actor, and whose payload's authors, moved what a line asks for: none of them may
#: approve it.
MOVES = ("requested", "revised", "changed")
FIELDS = tuple(f.name for f in fields(Document))
#: Those that ledgers of before do not know: left out where they say nothing, so that these stay as
#: they were written.
ADDED = ("credits", "sale")


class LedgerError(StockhouseError):
    """The ledger refuses: what, where and how to mend it, in one message."""


class StaleError(LedgerError):
    """What is to be decided has changed since the person looked at it."""


class UnkeptError(LedgerError):
    """What is to be written breaks a rule of the database, or fits into none of its columns."""


class BusyError(LedgerError):
    """The database is not to be had now: somebody else writes, or it is away."""


@contextmanager
def in_words(done: str) -> Iterator[None]:
    """What a database refuses, in one line of ours: neither a traceback nor an address with a
    password in it."""
    try:
        yield
    except (IntegrityError, DataError) as error:
        raise UnkeptError(f"the ledger refused: {_first_line(error)}") from error
    except (OperationalError, InterfaceError, ProgrammingError) as error:
        why = _first_line(error)
        raise BusyError(
            f"the ledger could not be {done} ({why}); nothing was kept, run it again"
        ) from error


def _first_line(error: DBAPIError) -> str:
    return legible((str(error.orig).splitlines() or [type(error.orig).__name__])[0])


def canonical(payload: Mapping[str, Any]) -> str:
    """The one JSON text of a payload: sorted keys, no spaces, finite numbers."""
    return json.dumps(
        payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def chain(previous: str, event: Event, text: str) -> str:
    """The hash of an event over all it says and the hash before it; text is its payload as
    stored."""
    said = "\n".join((previous, *map(str, event[:7]), text))
    return hashlib.sha256(said.encode()).hexdigest()


def stamp(moment: datetime) -> str:
    """A naive UTC time as the ledger writes it: 26 characters that sort as time does."""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def movers(actor: str, payload: Mapping[str, Any]) -> list[str]:
    """Who moved what a line asks for in one event: who recorded it, and the authors of the
    overrides behind it."""
    return [actor, *payload.get("authors", ())]


def moves(unit: Unit, document_ids: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """Everybody on record as having moved what some documents ask for: the document, who recorded
    it, and who moved it."""
    names = sorted(document_ids)
    for start in range(0, len(names), CHUNK):
        part = events.c.document_id.in_(names[start : start + CHUNK])
        found = sa.select(events.c.document_id, events.c.actor, events.c.payload).where(
            part, events.c.kind.in_(MOVES)
        )
        for document_id, actor, payload in unit.connection.execute(found):
            for mover in movers(actor, json.loads(payload)):
                yield document_id, actor, mover


def awaits_sending(document: Document) -> bool:
    """Whether the supplier has still to hear the latest of this line: the order, a change, or the
    cancellation of a known order."""
    if not document.is_approved or document.queued >= document.revision:
        return False
    return not document.ended or (document.ended == CANCELLED and document.queued >= 0)


def projection(document: Document, version: int, head: str) -> dict[str, Any]:
    """The row of `documents` that a document folds to."""
    return {
        "document_id": document.document_id,
        "version": version,
        "head": head,
        "stage": document.stage,
        "intent_key": document.intent_key,
        "is_live": document.is_live,
        "order_id": document.order_id,
        "from_id": document.from_id,
        "review_period": document.review_period,
        "awaits_sending": awaits_sending(document),
        "state": canonical(
            {
                name: getattr(document, name)
                for name in FIELDS
                if name not in ADDED or getattr(document, name)
            }
        ),
    }


class Unit:
    """One write transaction: documents read through it, events buffered in it, everything stored
    together at its end."""

    def __init__(self, connection: sa.Connection, now: datetime) -> None:
        self.connection, self.now = connection, now
        self.known_at, self.recorded_at = stamp(now), stamp(datetime.now(UTC))
        self.seq = connection.scalar(sa.select(sa.func.coalesce(sa.func.max(events.c.seq), 0))) or 0
        self._documents: dict[str, Document] = {}
        self._heads: dict[str, tuple[int, str]] = {}
        self._stored: set[str] = set()
        self._events: list[dict[str, Any]] = []
        self._entries: list[dict[str, Any]] = []
        self._dirty: dict[str, None] = {}

    def read(self, *where: sa.ColumnElement[bool]) -> list[Document]:
        """The documents that match, in order of document id, as this transaction sees them."""
        query = sa.select(
            documents.c.document_id, documents.c.version, documents.c.head, documents.c.state
        ).where(*where)
        found = []
        for document_id, version, head, state in self.connection.execute(
            query.order_by(documents.c.document_id)
        ):
            if document_id not in self._documents:
                self._documents[document_id] = Document(**json.loads(state))
                self._heads[document_id] = (version, head)
                self._stored.add(document_id)
            found.append(self._documents[document_id])
        return found

    def read_in(
        self, column: sa.Column[Any], values: Collection[Any], *where: sa.ColumnElement[bool]
    ) -> list[Document]:
        """The documents whose column is one of values; any number of values."""
        wanted = list(values)
        return [
            d
            for start in range(0, len(wanted), CHUNK)
            for d in self.read(column.in_(wanted[start : start + CHUNK]), *where)
        ]

    def open(self, document_id: str) -> Document:
        """The document under this id, or a fresh one."""
        if document_id not in self._documents and not self.read(
            documents.c.document_id == document_id
        ):
            self._documents[document_id], self._heads[document_id] = (
                Document(document_id),
                (0, GENESIS),
            )
        return self._documents[document_id]

    def create(self, prefix: str) -> Document:
        """A fresh document, named by the sequence number its first event will have."""
        document_id = f"{prefix}{self.seq + 1:08d}"
        self._documents[document_id], self._heads[document_id] = Document(document_id), (0, GENESIS)
        return self._documents[document_id]

    def add(self, document: Document, kind: str, actor: str, payload: Mapping[str, Any]) -> Event:
        """Let an event happen to a document. Raises LedgerError where the document's state forbids
        it or nobody is named."""
        if not actor.strip():
            raise LedgerError(
                f"{document.document_id}: nobody is named for '{kind}'; say who does it"
            )
        if why := refusal(document, kind):
            raise LedgerError(why)
        version, previous = self._heads[document.document_id]
        self.seq, version = self.seq + 1, version + 1
        text = canonical(payload)
        event = Event(
            self.seq,
            document.document_id,
            version,
            kind,
            actor.strip(),
            self.known_at,
            self.recorded_at,
            payload,
        )
        head = chain(previous, event, text)
        held = document.encumbered
        apply(document, event)
        if change := document.encumbered - held:
            entry = {
                "seq": self.seq,
                "document_id": document.document_id,
                "day": self.known_at[:10],
                "amount": change,
            }
            self._entries.append(entry)
        self._heads[document.document_id] = (version, head)
        self._dirty[document.document_id] = None
        self._events.append(
            {**event._asdict(), "payload": text, "previous_hash": previous, "hash": head}
        )
        return event

    def expect(self, seen: Mapping[str, int]) -> None:
        """Raise StaleError where a document is at another version than was looked at."""
        for document_id, version in seen.items():
            self.open(document_id)
            _refuse_stale(document_id, version, self._heads[document_id][0])

    def flush(self) -> None:
        """Store what has been added so far; everything becomes visible at commit, or nothing
        does."""
        if self._events:
            self.connection.execute(sa.insert(events), self._events)
        if self._entries:
            self.connection.execute(sa.insert(encumbrances), self._entries)
        rows = [projection(self._documents[name], *self._heads[name]) for name in self._dirty]
        fresh = [row for row in rows if row["document_id"] not in self._stored]
        known = [
            {f"new_{name}": value for name, value in row.items()}
            for row in rows
            if row["document_id"] in self._stored
        ]
        if known:
            changes: dict[str, Any] = {
                c.name: sa.bindparam(f"new_{c.name}") for c in documents.c if not c.primary_key
            }
            update = (
                sa.update(documents)
                .where(documents.c.document_id == sa.bindparam("new_document_id"))
                .values(changes)
            )
            self.connection.execute(update, known)
        if fresh:
            self.connection.execute(sa.insert(documents), fresh)
        self._stored.update(self._dirty)
        self._events, self._entries, self._dirty = [], [], {}


class Store:
    """A database that holds a ledger, SQLite (WAL) or PostgreSQL, migrated to the schema of this
    version."""

    def __init__(
        self, url: str, checkpoints: Checkpoints | None = None, patience: float = PATIENCE
    ) -> None:
        self.checkpoints = checkpoints or Checkpoints.beside(url)
        self.request: Request | None = None
        try:
            self.engine = make_engine(url, patience)
        except ModuleNotFoundError as error:
            raise LedgerError(
                f"the ledger needs the package {error.name}: pip install 'stockhouse[postgres]'"
            ) from error
        except sa.exc.ArgumentError as error:
            raise LedgerError(
                "STOCKHOUSE_LEDGER_URL is no address of a database, such as "
                "postgresql://user@host/name"
            ) from error
        with in_words("opened"), self.engine.connect() as connection:
            current = migrated_to(connection)
        if current != newest_revision():
            with self.locked() as connection:
                if current is None and self.checkpoints:
                    self.checkpoints.found()
                migrate(connection)

    @contextmanager
    def locked(self) -> Iterator[sa.Connection]:
        """A transaction that holds the one write lock from its first statement. Raises LedgerError
        when it cannot be had in time."""
        with in_words("written"), self.engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.exec_driver_sql(
                    "SELECT pg_advisory_xact_lock(hashtext('stockhouse.ledger'))"
                )
            yield connection

    @contextmanager
    def writing(self, now: datetime, seen: Mapping[str, int] | None = None) -> Iterator[Unit]:
        """One unit of work: everything in it happens, or nothing does.

        seen: versions of documents that somebody looked at; StaleError where one has changed since.
        Raises RepeatedError where this store's request has happened already; see `asked`.
        """
        with self.locked() as connection:
            if self.request:
                idempotent_requests.refuse_repeat(connection, self.request)
            unit = Unit(connection, now)
            before = unit.seq
            unit.expect(seen or {})
            yield unit
            unit.flush()
            if self.request:
                idempotent_requests.keep(
                    connection, self.request, before, unit.seq, unit.recorded_at
                )
        if self.checkpoints and unit.seq > before:
            with in_words("read"), self.engine.connect() as connection:
                self.checkpoints.take(connection, since=before)

    def asked(self, request: Request) -> Store:
        """The same store for one request of a script, whose one unit of work happens once."""
        mine = copy.copy(self)
        mine.request = request
        return mine

    def read(self, query: sa.Select[Any]) -> list[sa.Row[Any]]:
        """The rows of a query, outside any write."""
        with in_words("read"), self.engine.connect() as connection:
            return list(connection.execute(query))

    def chained(self) -> Iterator[tuple[Event, str]]:
        """Every event with its hash, in order of seq."""
        columns = [events.c[name] for name in Event._fields]
        query = sa.select(*columns, events.c.hash).order_by(events.c.seq)
        with self.engine.connect() as connection:
            for row in connection.execution_options(yield_per=20_000).execute(query):
                yield Event._make((*row[:7], json.loads(row[7]))), row[8]

    def versions(self, document_ids: Iterable[str]) -> dict[str, int]:
        """The version each document is at, 0 where it has no events yet."""
        wanted, found = list(document_ids), dict.fromkeys(document_ids, 0)
        for start in range(0, len(wanted), CHUNK):
            part = documents.c.document_id.in_(wanted[start : start + CHUNK])
            query = sa.select(documents.c.document_id, documents.c.version).where(part)
            found.update({name: version for name, version in self.read(query)})
        return found

    def check(self, seen: Mapping[str, int]) -> None:
        """Raise StaleError where a document is at another version than was looked at."""
        for document_id, version in self.versions(seen).items():
            _refuse_stale(document_id, seen[document_id], version)

    def lines(self, *where: sa.ColumnElement[bool]) -> list[Document]:
        """The state of every order line that matches, in order of document id."""
        query = (
            sa.select(documents.c.state)
            .where(documents.c.intent_key != "", *where)
            .order_by(documents.c.document_id)
        )
        return [Document(**json.loads(row.state)) for row in self.read(query)]


def _refuse_stale(document_id: str, seen: int, version: int) -> None:
    if version != seen:
        raise StaleError(
            f"{document_id} has changed since you opened it: nothing was done. Look at it as it is "
            "now, and decide again."
        )


def make_engine(url: str, patience: float = PATIENCE) -> sa.Engine:
    """An engine whose SQLite connections are in WAL mode, durable at commit, and wait for the lock
    instead of failing."""
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    if not url.startswith("sqlite"):
        return sa.create_engine(url)
    path = sa.make_url(url).database
    if path and path != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": patience})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        # SQLAlchemy's begin is ours: BEGIN IMMEDIATE, see Store.locked
        connection.isolation_level = None
        make_durable(connection, patience=patience)

    return engine


def configuration() -> Config:
    """Alembic's configuration, all of it: where the revisions lie."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


@cache
def newest_revision() -> str:
    """The revision this version of the house writes."""
    return str(ScriptDirectory.from_config(configuration()).get_current_head())


def migrated_to(connection: sa.Connection) -> str | None:
    """The revision this database is at, None where it is empty."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.scalar(sa.text("SELECT version_num FROM alembic_version"))


def migrate(connection: sa.Connection) -> None:
    """Bring the schema up to date inside the caller's transaction; a second process waits and finds
    it done."""
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
