"""Checkpoints: signed notes outside the database of how the ledger stood, so that events rewritten
with all their hashes, or a tail cut off, are seen.

The hashes of a chain can be made anew by whoever may write to the database; these notes cannot,
without the key. A note is written after each transaction: the number of the last event, a digest of
all events up to it, and their HMAC (RFC 2104, SHA-256).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from orchestration.home import files
from orchestration.ledger.schema import events

FILE, KEY_FILE, KEY_VARIABLE = "checkpoints.jsonl", "ledger.key", "STOCKHOUSE_LEDGER_KEY"
#: The digest before the first event.
NOTHING = "0" * 64
#: Bytes at the end of the file in which its last note is looked for.
TAIL = 4096


def follow(digest: str, event_hash: str) -> str:
    """The digest of all events up to one, from that of those before it."""
    return hashlib.sha256(f"{digest}{event_hash}".encode()).hexdigest()


@dataclass(frozen=True)
class Checkpoint:
    """How the ledger stood: its last event, the digest of all, when that was noted (UTC), and the
    signature."""

    seq: int
    digest: str
    at: str
    signature: str

    @classmethod
    def parse(cls, line: bytes) -> Checkpoint:
        """Raises ValueError for a line that is no checkpoint."""
        note = json.loads(line)
        if not isinstance(note, dict) or set(note) != {"seq", "digest", "at", "signature"}:
            raise ValueError("no checkpoint")
        return cls(int(note["seq"]), str(note["digest"]), str(note["at"]), str(note["signature"]))


@dataclass(frozen=True)
class Checkpoints:
    """The notes of one ledger in a folder; the key comes from the environment, or is made there
    once, its owner's alone."""

    folder: Path

    @classmethod
    def beside(cls, url: str) -> Checkpoints | None:
        """In the folder of a SQLite ledger; None for one on a server, whose home has to be
        named."""
        path = sa.make_url(url).database if url.startswith("sqlite") else None
        return cls(Path(path).parent) if path and path != ":memory:" else None

    @property
    def path(self) -> Path:
        """The file of notes, beside the ledger."""
        return self.folder / FILE

    def found(self) -> None:
        """Note that a ledger begins, before its first event can be written: a kill between that
        event and its own note then leaves no ledger that nothing vouches for."""
        if not self.path.exists():
            self._append(0, NOTHING)

    def take(self, connection: sa.Connection, since: int) -> None:
        """Note how the ledger stands after a transaction that found `since` events.

        Where notes about older events are missing none is taken, so that the audit goes on missing
        them: see `anchor`.
        """
        last = self._last()
        if last is None and (since or self.path.exists()):
            return
        self._note(connection, *(last or (0, NOTHING)))

    def anchor(self, connection: sa.Connection) -> None:
        """Vouch for the ledger as it is now, whatever was noted before: after a restore, or where a
        person has looked into it."""
        self.path.unlink(missing_ok=True)
        self._note(connection, 0, NOTHING)

    def findings(self, digests: dict[int, str], last: int) -> Iterator[str]:
        """What the notes say against the ledger. digests: by number of an event, of all up to it;
        last: the number of the last one."""
        if not self.path.exists():
            if last:
                yield (
                    f"no checkpoint vouches for the ledger: {self.path} is missing. After a "
                    "restore or an upgrade take one with `stockhouse audit --anchor`"
                )
            return
        key = self._key(is_new=False)
        if key is None:
            yield (
                f"the checkpoints cannot be verified: {self.folder / KEY_FILE} is missing; put it "
                f"back or set {KEY_VARIABLE}"
            )
            return
        for number, line in enumerate(self.path.read_bytes().splitlines(keepends=True), 1):
            if not line.endswith(b"\n"):
                break  # a note that a kill cut short; the next transaction takes another
            where = f"checkpoint {number}"
            try:
                one = Checkpoint.parse(line)
            except ValueError:
                yield f"{where} in {self.path} cannot be read: it was altered"
                continue
            if not hmac.compare_digest(one.signature, _signature(key, one.seq, one.digest, one.at)):
                yield f"{where} in {self.path} is not signed with the ledger's key"
            elif one.seq > last:
                yield (
                    f"{where} of {one.at}: the ledger had {one.seq} events and has {last}: its "
                    "tail was cut off"
                )
                return
            elif digests.get(one.seq) != one.digest:
                yield (
                    f"{where} of {one.at}: the events up to {one.seq} are not those that were "
                    "noted: the ledger was rewritten"
                )
                return

    def _note(self, connection: sa.Connection, seq: int, digest: str) -> None:
        query = sa.select(events.c.seq, events.c.hash).where(events.c.seq > seq)
        rows = connection.execute(query.order_by(events.c.seq)).all()
        for seq, event_hash in rows:  # noqa: B007, PLR1704 - the last one is what is noted
            digest = follow(digest, event_hash)
        if rows:
            self._append(seq, digest)

    def _append(self, seq: int, digest: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = self._key(is_new=not self.path.exists())
        if key is None:  # the audit says that it is missing
            return
        at = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
        note: dict[str, Any] = {"seq": seq, "digest": digest, "at": at}
        note["signature"] = _signature(key, seq, digest, at)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            _drop_torn_end(file.fileno())
            file.write(json.dumps(note).encode() + b"\n")

    def _last(self) -> tuple[int, str] | None:
        """Number and digest of the last whole note, None without one."""
        if not self.path.exists():
            return None
        with self.path.open("rb") as file:
            file.seek(max(0, self.path.stat().st_size - TAIL))
            lines = file.read().splitlines(keepends=True)
        for line in reversed([line for line in lines if line.endswith(b"\n")]):
            try:
                one = Checkpoint.parse(line)
            except ValueError:
                return None
            return one.seq, one.digest
        return None

    def _key(self, *, is_new: bool) -> bytes | None:
        """The key; is_new: made where there is none yet."""
        if given := os.environ.get(KEY_VARIABLE):
            return given.encode()
        kept = self.folder / KEY_FILE
        if is_new and not kept.exists():
            files.write(kept, secrets.token_hex(32), mode=0o600)
        return kept.read_bytes().strip() if kept.exists() else None


def _drop_torn_end(descriptor: int) -> None:
    """Cut off what a killed writer left of a note."""
    size = os.fstat(descriptor).st_size
    tail = os.pread(descriptor, TAIL, max(0, size - TAIL))
    if tail and not tail.endswith(b"\n"):
        os.ftruncate(descriptor, size - len(tail) + tail.rfind(b"\n") + 1)


def _signature(key: bytes, seq: int, digest: str, at: str) -> str:
    return hmac.new(key, f"{seq}\n{digest}\n{at}".encode(), hashlib.sha256).hexdigest()
