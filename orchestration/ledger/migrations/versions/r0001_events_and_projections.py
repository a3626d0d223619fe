"""Events, append-only and with proposer and approver kept apart by the database itself; the
projections beside them."""

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = ("events", "encumbrances")
SAME_PERSON = """EXISTS (SELECT 1 FROM events AS e WHERE e.document_id = NEW.document_id
    AND e.kind IN ('requested', 'revised', 'changed') AND lower(e.actor) = lower(NEW.actor))"""
NO_CHANGE = "the ledger is append-only: correct an event with another event"
NO_SELF_APPROVAL = "separation of duties: whoever proposed or changed a line cannot approve it"

#: Bodies of the functions that PostgreSQL's triggers call; the audit compares them.
REFUSE_CHANGE = (
    f" BEGIN RAISE EXCEPTION '{NO_CHANGE}' USING ERRCODE = 'integrity_constraint_violation'; END "
)
REFUSE_SELF_APPROVAL = (
    f" BEGIN IF NEW.kind = 'approved' AND {SAME_PERSON} THEN "
    f"RAISE EXCEPTION '{NO_SELF_APPROVAL}' USING ERRCODE = 'integrity_constraint_violation'; "
    "END IF; RETURN NEW; END "
)


def upgrade() -> None:
    """Create the ledger's tables, and the triggers that keep events append-only and four eyes
    apart."""
    dialect = op.get_bind().dialect.name
    op.create_table(
        "events",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("document_id", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("known_at", sa.String(26), nullable=False),
        sa.Column("recorded_at", sa.String(26), nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.CheckConstraint("length(actor) > 0", name="actor_is_named"),
    )
    op.create_index("one_version_once", "events", ["document_id", "version"], unique=True)
    op.create_table(
        "documents",
        sa.Column("document_id", sa.String(64), primary_key=True),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.Column("stage", sa.String(32), nullable=False),
        sa.Column("intent_key", sa.Text, nullable=False),
        sa.Column("is_live", sa.Boolean, nullable=False),
        sa.Column("order_id", sa.String(32), nullable=False),
        sa.Column("from_id", sa.Text, nullable=False),
        sa.Column("review_period", sa.String(10), nullable=False),
        sa.Column("awaits_sending", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
    )
    live = sa.text("is_live")
    op.create_index(
        "one_live_document_per_intent",
        "documents",
        ["intent_key"],
        unique=True,
        sqlite_where=live,
        postgresql_where=live,
    )
    op.create_index("documents_by_stage", "documents", ["stage"])
    op.create_index("documents_by_order", "documents", ["order_id"])
    op.create_table(
        "encumbrances",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("document_id", sa.String(64), nullable=False, index=True),
        sa.Column("day", sa.String(10), nullable=False, index=True),
        sa.Column("amount_cents", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column(
            "message_id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("control", sa.Integer, nullable=False),
        sa.Column("document_type", sa.String(8), nullable=False),
        sa.Column("order_id", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("lines", sa.Text, nullable=False),
        sa.Column("status", sa.String(8), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.String(26), nullable=False),
        sa.Column("claimed_until", sa.String(26), nullable=False),
        sa.Column("last_error", sa.Text, nullable=False),
        sa.CheckConstraint("status IN ('pending', 'sent', 'dead')", name="known_status"),
    )
    op.create_index("one_control_number_once", "outbox", ["partner_id", "control"], unique=True)
    op.create_index(
        "one_message_per_revision", "outbox", ["order_id", "document_type", "revision"], unique=True
    )
    op.create_index("outbox_by_status", "outbox", ["status"])
    op.create_table(
        "inbox",
        sa.Column("sha256", sa.String(64), primary_key=True),
        sa.Column("partner_id", sa.Text, nullable=False),
        sa.Column("recorded_at", sa.String(26), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.CheckConstraint("status IN ('taken', 'rejected')", name="known_status"),
    )
    guard_sqlite() if dialect == "sqlite" else guard_postgresql()


def guard_sqlite() -> None:
    """Triggers for SQLite: no event is changed or deleted, nobody approves what they proposed."""
    for table in APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            op.execute(
                f'CREATE TRIGGER "{table}_no_{change.lower()}" BEFORE {change} ON "{table}" BEGIN '
                f"SELECT RAISE(ABORT, '{NO_CHANGE}'); END"
            )
    op.execute(
        "CREATE TRIGGER separation_of_duties BEFORE INSERT ON events WHEN NEW.kind = 'approved' "
        f"AND {SAME_PERSON} "
        f"BEGIN SELECT RAISE(ABORT, '{NO_SELF_APPROVAL}'); END"
    )


def guard_postgresql() -> None:
    """The same triggers for PostgreSQL, against TRUNCATE too."""
    op.execute(
        f"CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$${REFUSE_CHANGE}$$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f'CREATE TRIGGER "{table}_is_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON '
            f'"{table}" '
            "FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only()"
        )
    op.execute(
        f"CREATE FUNCTION proposer_is_not_approver() RETURNS trigger LANGUAGE plpgsql AS "
        f"$${REFUSE_SELF_APPROVAL}$$"
    )
    op.execute(
        "CREATE TRIGGER separation_of_duties BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION "
        "proposer_is_not_approver()"
    )


def downgrade() -> None:
    """Drop all of it, events too."""
    for table in ("inbox", "outbox", "encumbrances", "documents", "events"):
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION ledger_is_append_only()")
        op.execute("DROP FUNCTION proposer_is_not_approver()")
