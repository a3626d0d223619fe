"""The audit: every chain, every balance and every projection recomputed from the events; one
altered byte is a finding. `store.chain` is what links them, `checkpoints` signs how far they
went."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from models.procurement.actors import MATRIX, is_same
from models.procurement.documents import APPLY, Document, Event, in_money
from orchestration.ledger import trigger_check
from orchestration.ledger.checkpoints import NOTHING, Checkpoints, follow
from orchestration.ledger.schema import documents, encumbrances, events, inbox, outbox
from orchestration.ledger.store import (
    GENESIS,
    MOVES,
    canonical,
    chain,
    make_engine,
    movers,
    projection,
)


def audit(url: str, checkpoints: Checkpoints | None = None) -> list[str]:
    """Everything that is wrong with the ledger at this URL, in words; an empty list is a clean
    bill.

    checkpoints: where its notes are kept, if not beside a SQLite file.
    """
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            return list(findings(connection, checkpoints or Checkpoints.beside(url)))
    except (sa.exc.DBAPIError, ValueError, UnicodeError) as error:
        return [f"the database cannot be read: {str(error).splitlines()[0]}"]
    finally:
        engine.dispose()


def findings(connection: sa.Connection, checkpoints: Checkpoints | None = None) -> Iterator[str]:
    """Findings, from the file itself to the messages and what was noted outside."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        for (word,) in connection.exec_driver_sql("PRAGMA integrity_check").all():
            if word != "ok":
                yield f"the file is damaged: {word}"
    for guard in trigger_check.wrong(connection):
        yield (
            f"the guard {guard} is missing or not what we made it: the triggers keep events "
            "append-only, and proposer and approver apart"
        )
    fold = Fold()
    for row in connection.execute(sa.select(events).order_by(events.c.seq)).mappings():
        yield from fold.take(dict(row))
    yield from fold.compare_documents(connection)
    yield from fold.compare_balances(connection)
    yield from fold.compare_messages(connection)
    if checkpoints:
        yield from checkpoints.findings(fold.digests, fold.seq)


class Fold:
    """The ledger once more, from its events alone."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.heads: dict[str, tuple[int, str]] = {}
        self.entries: dict[int, tuple[str, str, int]] = {}
        self.queued: dict[int, dict[str, Any]] = {}
        self.status: dict[int, str] = {}
        self.heard: dict[str, tuple[str, str, str]] = {}
        self.proposers: dict[str, set[str]] = {}
        self.seq = 0
        self.digests: dict[int, str] = {0: NOTHING}
        self._digest = NOTHING

    def take(self, row: Mapping[str, Any]) -> Iterator[str]:
        """Check one event against its chain, and let it happen."""
        self.seq += 1
        name = f"event {row['seq']} ({row['kind']} of {row['document_id']})"
        if row["seq"] != self.seq:
            yield f"{name}: {self.seq} is missing before it"
            self.seq = row["seq"]
        version, head = self.heads.get(row["document_id"], (0, GENESIS))
        if row["version"] != version + 1 or row["previous_hash"] != head:
            yield f"{name}: its chain is broken, it does not follow version {version}"
        self.heads[row["document_id"]] = (row["version"], row["hash"])
        self._digest = self.digests[self.seq] = follow(self._digest, row["hash"])
        event = Event._make([*(row[field] for field in Event._fields[:7]), {}])
        if chain(row["previous_hash"], event, row["payload"]) != row["hash"]:
            yield f"{name}: its content does not give its hash, it was altered"
        try:
            event = event._replace(payload=json.loads(row["payload"]))
            yield from self._happen(name, event)
        except (KeyError, TypeError, ValueError) as error:
            yield f"{name}: it cannot happen: {error!r}"

    def _happen(self, name: str, event: Event) -> Iterator[str]:
        document = self.documents.setdefault(event.document_id, Document(event.document_id))
        proposers = self.proposers.setdefault(event.document_id, set())
        if event.kind in MOVES:
            proposers.update(movers(event.actor, event.payload))
        if event.kind == "approved" and event.actor != MATRIX and is_same(event.actor, *proposers):
            yield f"{name}: {event.actor} approved what they proposed"
        held = document.encumbered
        APPLY[event.kind](document, event)
        if change := document.encumbered - held:
            self.entries[event.seq] = (event.document_id, event.known_at[:10], change)
        payload = event.payload
        if event.kind == "queued":
            message = self.queued.setdefault(
                payload["message_id"], {**payload, "order_id": document.order_id, "lines": {}}
            )
            message["lines"][event.document_id] = payload["revision"]
            self.status[payload["message_id"]] = "pending"
        elif event.kind == "replied":
            self.queued[payload["message_id"]] = {
                **payload,
                "order_id": event.document_id,
                "lines": {},
            }
            self.status[payload["message_id"]] = "pending"
        elif event.kind in ("sent", "undelivered", "revived"):
            self.status[payload["message_id"]] = {
                "sent": "sent",
                "undelivered": "dead",
                "revived": "pending",
            }[event.kind]
        elif event.kind == "heard":
            self.heard[payload["sha256"]] = (
                payload["partner_id"],
                payload["status"],
                payload["reason"],
            )

    def compare_documents(self, connection: sa.Connection) -> Iterator[str]:
        """The projection of every document, column by column."""
        stored = {
            row["document_id"]: dict(row)
            for row in connection.execute(sa.select(documents)).mappings()
        }
        for name in sorted(stored.keys() | self.documents.keys()):
            if name not in self.documents or name not in stored:
                yield (
                    f"document {name}: "
                    f"{'it has no events' if name in stored else 'its state is missing'}"
                )
            elif projection(self.documents[name], *self.heads[name]) != stored[name]:
                yield f"document {name}: its state is not what its events add up to"

    def compare_balances(self, connection: sa.Connection) -> Iterator[str]:
        """Every encumbrance entry, and the balance of every document."""
        rows = connection.execute(sa.select(encumbrances)).mappings()
        stored = {row["seq"]: (row["document_id"], row["day"], row["amount"]) for row in rows}
        balances: dict[str, int] = {}
        for document_id, _, amount in stored.values():
            balances[document_id] = balances.get(document_id, 0) + amount
        for seq in sorted(stored.keys() | self.entries.keys()):
            if stored.get(seq) != self.entries.get(seq):
                yield (
                    f"encumbrance of event {seq}: {stored.get(seq)} is stored, its event makes "
                    f"{self.entries.get(seq)}"
                )
        for name, document in self.documents.items():
            if balances.get(name, 0) != document.encumbered:
                yield (
                    f"document {name}: {in_money(balances.get(name, 0)):g} are held for it, "
                    f"{in_money(document.encumbered):g} are due"
                )

    def compare_messages(self, connection: sa.Connection) -> Iterator[str]:
        """Every message out and in: its bytes, its numbers, its lines, and how it ended."""
        seen = set()
        for row in connection.execute(sa.select(outbox)).mappings():
            name, queued = (
                f"message {row['message_id']} to {row['partner_id']}",
                self.queued.get(row["message_id"]),
            )
            seen.add(row["message_id"])
            if hashlib.sha256(bytes(row["body"])).hexdigest() != row["sha256"]:
                yield f"{name}: its body was altered"
            if queued is None:
                yield f"{name}: no event queued it"
                continue
            fields = {
                field: queued[field]
                for field in ("partner_id", "control", "document_type", "sha256", "order_id")
            }
            expected = {
                **fields,
                "revision": queued["order_revision"],
                "lines": canonical(queued["lines"]),
                "status": self.status[row["message_id"]],
            }
            for field, value in expected.items():
                if row[field] != value:
                    yield f"{name}: its {field} is {row[field]}, its events say {value}"
        for missing in sorted(self.queued.keys() - seen):
            yield f"message {missing}: it was queued and is lost"
        kept = {}
        for row in connection.execute(sa.select(inbox)).mappings():
            kept[row["sha256"]] = (row["partner_id"], row["status"], row["reason"])
            if hashlib.sha256(bytes(row["body"])).hexdigest() != row["sha256"]:
                yield (
                    f"delivery {row['sha256'][:12]} from {row['partner_id']}: its bytes were "
                    "altered"
                )
        for digest in sorted(kept.keys() | self.heard.keys()):
            if kept.get(digest) != self.heard.get(digest):
                yield (
                    f"delivery {digest[:12]}: {kept.get(digest)} is kept, {self.heard.get(digest)} "
                    "was heard"
                )
