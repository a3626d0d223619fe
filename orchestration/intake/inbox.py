"""The append-only inbox: what streams said, durable before it is acknowledged, each message once,
handed on in batches exactly once.

A batch is a range of ids that is fixed before its file is written; a crash in between writes the
very same file again.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestration.home.sqlite import make_durable
from orchestration.intake.deliveries import decode, write_delivery

FILE = "inbox.sqlite"
PATIENCE = 30.0  # seconds to wait for another writer
SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, message_id TEXT NOT NULL,
    received_at TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (source, message_id));
CREATE INDEX IF NOT EXISTS messages_by_source ON messages (source, id);
CREATE TABLE IF NOT EXISTS batches (
    source TEXT NOT NULL, first_id INTEGER NOT NULL, last_id INTEGER NOT NULL,
        is_written INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (source, first_id));
"""


@dataclass(frozen=True)
class Message:
    """One message as it came: its id at its source, when it was received (UTC), its bytes."""

    message_id: str
    body: bytes
    # by the broker's clock where it has one; else ours when it is taken
    received_at: datetime | None = None


class Inbox:
    """One SQLite file (WAL, synchronous): many receivers append, one writer drains. Safe to share
    between threads."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self._lock = folder, threading.Lock()
        self._connection = sqlite3.connect(
            folder / FILE, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        # an acknowledged message survives a power cut
        make_durable(self._connection, patience=PATIENCE)
        self._connection.executescript(SCHEMA)

    def close(self) -> None:
        """Wait for whoever is writing: SQLite crashes the process if its connection goes away under
        another thread."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Inbox:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, source: str, messages: Iterable[Message]) -> int:
        """Take messages in one transaction; how many were new. When this returns they are on disk
        and may be acknowledged."""
        now = datetime.now(UTC)
        rows = [(source, m.message_id, _utc(m.received_at or now), m.body) for m in messages]
        with self._transaction() as cursor:
            before = self._connection.total_changes
            cursor.executemany(
                "INSERT OR IGNORE INTO messages (source, message_id, received_at, body) VALUES (?, "
                "?, ?, ?)",
                rows,
            )
            return self._connection.total_changes - before

    def waiting(self, source: str) -> int:
        """How many messages have not been cut into a batch yet: the lag of the stream."""
        with self._lock:
            row = self._connection.execute(
                """SELECT count(*) FROM messages WHERE source = ?1
                AND id > (SELECT coalesce(max(last_id), 0) FROM batches WHERE source = ?1)""",
                [source],
            ).fetchone()
        return int(row[0])

    def after(
        self, source: str, last_id: int, most: int = 20_000
    ) -> list[tuple[int, str, str, bytes]]:
        """The messages after one that was read before, to the end of their batch or all that wait
        (`most` at once).

        Returns (id, message id, when received in UTC, body), in order. Nothing is taken out.
        """
        with self._lock:
            rows = self._connection.execute(
                """SELECT id, message_id, received_at, body FROM messages WHERE source = ?1
                    AND id > ?2
                AND id <= coalesce((SELECT min(last_id) FROM batches WHERE source = ?1
                    AND last_id > ?2), id) ORDER BY id LIMIT ?3""",
                [source, last_id, most],
            ).fetchall()
        return [
            (number, message_id, received_at, bytes(body))
            for number, message_id, received_at, body in rows
        ]

    def drain(self, source: str, *, batch_rows: int = 20_000) -> list[str]:
        """Hand on everything that waits as deliveries `batch-<first>-<last>.jsonl`, each message in
        exactly one; their names."""
        while self._cut(source, batch_rows):
            pass
        with self._lock:
            open_batches = self._connection.execute(
                "SELECT first_id, last_id FROM batches WHERE source = ? AND NOT is_written ORDER "
                "BY first_id",
                [source],
            ).fetchall()
        written = []
        for first, last in open_batches:
            name = write_delivery(
                self.folder,
                source,
                self._lines(source, first, last),
                f"batch-{first:012d}-{last:012d}",
            )
            with self._transaction() as cursor:
                cursor.execute(
                    "UPDATE batches SET is_written = 1 WHERE source = ? AND first_id = ?",
                    [source, first],
                )
            if name is not None:
                written.append(name)
        return written

    def empty_drained(self, source: str) -> None:
        """Empty the messages that were handed on, here and in SQLite's own log; their ids stay, so
        that none of them comes twice."""
        with self._lock:
            self._connection.execute("PRAGMA secure_delete = ON")
        with self._transaction() as cursor:
            cursor.execute(
                """UPDATE messages SET body = x'' WHERE source = ?1 AND length(body) > 0
                AND EXISTS (SELECT 1 FROM batches WHERE source = ?1 AND is_written
                    AND messages.id BETWEEN first_id AND last_id)""",
                [source],
            )
        with self._lock:
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _cut(self, source: str, batch_rows: int) -> bool:
        with self._transaction() as cursor:
            ids = cursor.execute(
                """SELECT min(id), max(id) FROM (SELECT id FROM messages WHERE source = ?1
                AND id > (SELECT coalesce(max(last_id), 0) FROM batches WHERE source = ?1)
                    ORDER BY id LIMIT ?2)""",
                [source, batch_rows],
            ).fetchone()
            if ids[0] is None:
                return False
            cursor.execute(
                "INSERT INTO batches (source, first_id, last_id) VALUES (?, ?, ?)", [source, *ids]
            )
            return True

    def _lines(self, source: str, first: int, last: int) -> Iterator[str]:
        with self._lock:
            rows = self._connection.execute(
                "SELECT message_id, received_at, body FROM messages WHERE source = ? AND id "
                "BETWEEN ? AND ? ORDER BY id",
                [source, first, last],
            ).fetchall()
        for message_id, received_at, body in rows:
            yield from message_lines(message_id, received_at, bytes(body))

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with self._lock:
            cursor = self._connection.cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")


def message_lines(message_id: str, received_at: str, body: bytes) -> Iterator[str]:
    """A message's rows as JSON lines, each with `_message_id` and `_received_at`: one for an
    object, one an entry for a list.

    What is no JSON object becomes a line of JSON text, which landing puts into quarantine with its
    raw text.
    """
    envelope = {"_message_id": message_id, "_received_at": received_at}
    try:
        message = decode(body)
        entries = message if isinstance(message, list) else [message]
        lines = [
            json.dumps(
                {**entry, **envelope} if isinstance(entry, dict) else f"{message_id}: {entry}",
                ensure_ascii=False,
            )
            for entry in entries
        ]
        "".join(lines).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        lines = [
            json.dumps(
                f"{message_id}: {body.decode('utf-8', 'backslashreplace')}", ensure_ascii=False
            )
        ]
    yield from lines


def field_of(body: bytes, dotted: str) -> str | None:
    """The text of one field of a JSON body, or None where it has none."""
    try:
        found: Any = decode(body)
    except (ValueError, RecursionError):
        return None
    for step in dotted.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return (
        str(found)
        if isinstance(found, (str, int)) and not isinstance(found, bool) and found != ""
        else None
    )


def _utc(at: datetime) -> str:
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(" ", timespec="microseconds")
