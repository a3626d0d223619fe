"""The ledger's tables: `events` is the truth, append-only and hash-chained; every other table is a
projection the audit rebuilds."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()
NATURAL = BigInteger().with_variant(Integer, "sqlite")

#: One row an event. seq is handed out under the write lock, so its order is the order of commit.
#: Times are ISO text and the
events = Table(
    "events",
    metadata,
    Column("seq", NATURAL, primary_key=True, autoincrement=False),
    Column("document_id", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", String(32), nullable=False),
    Column(
        "actor", Text, CheckConstraint("length(actor) > 0", name="actor_is_named"), nullable=False
    ),
    Column("known_at", String(26), nullable=False),  # the home's Now when it was recorded
    Column("recorded_at", String(26), nullable=False),  # wall time, UTC
    Column("payload", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("one_version_once", "document_id", "version", unique=True),
)

#: The state of every document, folded; the partial unique index is what makes one need one order.
documents = Table(
    "documents",
    metadata,
    Column("document_id", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("head", String(64), nullable=False),
    Column("stage", String(32), nullable=False),
    Column("intent_key", Text, nullable=False),
    Column("is_live", Boolean, nullable=False),
    Column("order_id", String(32), nullable=False),
    Column("from_id", Text, nullable=False),
    Column("review_period", String(10), nullable=False),
    Column("awaits_sending", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Index(
        "one_live_document_per_intent",
        "intent_key",
        unique=True,
        sqlite_where=text("is_live"),
        postgresql_where=text("is_live"),
    ),
    Index("documents_by_stage", "stage"),
    Index("documents_by_order", "order_id"),
)

#: Budget held and released, one entry an event; the balance of a document is the sum of its
#: entries.
encumbrances = Table(
    "encumbrances",
    metadata,
    Column("seq", NATURAL, primary_key=True, autoincrement=False),
    Column("document_id", String(64), nullable=False, index=True),
    Column("day", String(10), nullable=False, index=True),  # of Now: the day whose cap it uses
    Column("amount", BigInteger, nullable=False),  # in documents.PARTS of the world's currency
)

#: Messages written in the transaction that decided them and sent afterwards; their control numbers
#: never change.
outbox = Table(
    "outbox",
    metadata,
    Column("message_id", NATURAL, primary_key=True, autoincrement=False),
    Column("partner_id", Text, nullable=False),
    Column("control", Integer, nullable=False),
    Column("document_type", String(8), nullable=False),  # as its format names it
    Column("order_id", String(32), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("lines", Text, nullable=False),  # JSON {document_id: revision}
    Column(
        "status",
        String(8),
        CheckConstraint("status IN ('pending', 'sent', 'dead')", name="known_status"),
        nullable=False,
    ),
    Column("attempts", Integer, nullable=False),
    Column("next_at", String(26), nullable=False),
    Column("claimed_until", String(26), nullable=False),
    Column("last_error", Text, nullable=False),
    Index("one_control_number_once", "partner_id", "control", unique=True),
    Index("one_message_per_revision", "order_id", "document_type", "revision", unique=True),
    Index("outbox_by_status", "status"),
)

#: What partners sent, byte for byte; the same bytes are kept once.
inbox = Table(
    "inbox",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("partner_id", Text, nullable=False),
    Column("recorded_at", String(26), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column(
        "status",
        String(16),
        CheckConstraint("status IN ('taken', 'rejected')", name="known_status"),
        nullable=False,
    ),
    Column("reason", Text, nullable=False),
)

#: What scripts asked for under a key of theirs: the events between after_seq and last_seq are what
#: came of it.
requests = Table(
    "requests",
    metadata,
    Column("request_id", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("token_id", Text, nullable=False),
    Column("after_seq", NATURAL, nullable=False),
    Column("last_seq", NATURAL, nullable=False),
    Column("recorded_at", String(26), nullable=False),
)

#: How far each subscriber of order events was told, and when it is tried again.
webhooks = Table(
    "webhooks",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("after_seq", NATURAL, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", String(26), nullable=False),
    Column("claimed_until", String(26), nullable=False),
    Column("last_error", Text, nullable=False),
)
